"""One of K categories, and its relaxation to the inside of the simplex."""

import math

import numpy as np

from tinyae.autograd import raw
from tinyae.distributions.distribution import Distribution, Reparameterised, axes, gumbel
from tinyae.errors import ArgumentError
from tinyae.ops.exponential import log
from tinyae.ops.likelihoods import cross_entropy_with_logits
from tinyae.ops.selection import clip
from tinyae.ops.softmax import logsumexp, softmax
from tinyae.ops.surrogates import one_hot_straight_through


class Categorical(Distribution):
    """A one-hot vector of K categories with probabilities softmax(logits).  logits: (..., K).

    Values are one-hot rows (..., K), as a network takes them; `ops.one_hot(labels, K)` makes them of integers.  A last axis is one draw:
    of D categorical features, logits (..., D, K), the log-probabilities are (..., D), and yours to sum.
    """

    parameters, support = ("logits",), "one-hot"

    def __init__(self, logits):
        self.logits = logits

    @property
    def mean(self):
        """The probabilities, (..., K)."""
        return softmax(self.logits)

    def sample(self, rng, draws=()):
        """A draw, one-hot rows (*draws, ..., K): an array."""
        logits = raw(self.logits)
        return one_hot_straight_through(logits + gumbel(rng, (*axes(draws), *logits.shape), logits.dtype))

    def log_prob(self, x):
        """The log-probability of one-hot rows x, (..., K), in nats.  Returns (...,).  Of rows of probabilities: minus the cross entropy.

        Raises DtypeError for labels, DataError for values outside [0, 1] (on the host).
        """
        y = -cross_entropy_with_logits(self.logits, x)
        self.check_support(x, 0, 1)
        return y

    def entropy(self):
        """-sum_k p_k log p_k, in nats, (...,)."""
        return cross_entropy_with_logits(self.logits, softmax(self.logits))


class Concrete(Reparameterised):
    """A point inside the simplex, near a corner where the temperature is low: the Gumbel-softmax.  logits: (..., K).

    temperature: one positive number.  The nearest corner is drawn with probability softmax(logits), whatever the temperature.
    Maddison, Mnih & Teh 2017; Jang, Gu & Poole 2017.
    """

    parameters, support, noise = ("logits",), "simplex", staticmethod(gumbel)

    def __init__(self, logits, temperature):
        if not 0 < temperature < math.inf:
            raise ArgumentError("Concrete: the temperature must be a positive number.", got=temperature)
        self.logits, self.temperature = logits, temperature

    def rsample(self, noise, hard=False):
        """softmax((logits + noise) / temperature), (..., K), with Gumbel noise (..., K).

        hard: the one-hot row of the largest entry instead, whose gradient is the softmax's all the same (straight-through, biased).
        """
        return (one_hot_straight_through if hard else softmax)((self.logits + noise) / self.temperature)

    def log_prob(self, x):
        """The log-density of x, (..., K), in nats, with respect to the first K - 1 entries.  Returns (...,).

        log (K - 1)! + (K - 1) log t + sum_k (logits_k - (t + 1) log x_k) - K log sum_k exp(logits_k - t log x_k), t the temperature.
        An entry that was rounded to 0 counts as the smallest normal number.  Maddison et al. 2017, equation 10.
        """
        t, categories = self.temperature, self.logits.shape[-1]
        log_x = log(clip(x, min=float(np.finfo(self.logits.dtype).tiny)))
        constant = math.lgamma(categories) + (categories - 1) * math.log(t)
        return (self.logits - (t + 1) * log_x).sum(axis=-1) - categories * logsumexp(self.logits - t * log_x, axis=-1) + constant
