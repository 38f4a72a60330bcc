"""The logistic distribution rounded to the 256 levels of a byte, and a mixture of it for each feature: likelihoods of images in bytes."""

import numpy as np

from tinyae.autograd import raw
from tinyae.distributions.distribution import Distribution, logistic
from tinyae.distributions.mixture import Mixture
from tinyae.ops.activations import softplus
from tinyae.ops.exponential import exp, expm1, log
from tinyae.ops.selection import clip, where
from tinyae.ops.surrogates import round_straight_through

HALF = 1 / 255  # half the width of a bin: the 256 levels are 2/255 apart


class DiscretisedLogistic(Distribution):
    """One of the 256 levels byte / 127.5 - 1, from -1 to 1: that nearest to a draw from a logistic distribution.

    P(x) = sigmoid((x + 1/255 - location) / scale) - sigmoid((x - 1/255 - location) / scale); the levels -1 and 1 take the tails.
    location, log_scale: (..., D), or one number for all; scale = exp(log_scale), the D features are independent.  Images in [0, 1] are
    2 x - 1 here.  In bits per dimension: -log_prob / (D log 2).  Salimans, Karpathy, Chen & Kingma 2017, section 2.1.
    """

    parameters, support = ("location", "log_scale"), (2 * HALF * np.arange(256) - 1).tolist()

    def __init__(self, location, log_scale):
        self.location, self.log_scale = location, log_scale

    @property
    def mean(self):
        """The mean of the levels, (..., D): the location, where the tails are short."""
        return self.expectation(lambda level, log_mass: level)

    def sample(self, rng, draws=()):
        """A draw, levels (*draws, ..., D): an array."""
        zeros = self.zeros(draws)
        x = raw(self.location) + exp(raw(self.log_scale)) * logistic(rng, zeros.shape, zeros.dtype)
        return round_straight_through((clip(x, min=-1, max=1) + 1) / (2 * HALF)) * (2 * HALF) - 1

    def log_prob(self, x):
        """The log-probability of levels x, (..., D), in nats; summed over D.  Returns (...,).  Raises DataError outside [-1, 1] (on the host)."""
        self.check_support(x, -1, 1)
        return self.log_mass(x).sum(axis=-1)

    def entropy(self):
        """Minus the mean log-probability, in nats, summed over D.  Returns (...,)."""
        return -self.expectation(lambda level, log_mass: log_mass).sum(axis=-1)

    def expectation(self, value):
        """The mean of value(level, its log-probability) over the levels, (..., D).  One by one: all at once would fill the memory."""
        zeros, total = self.zeros(), 0
        for level in self.support:
            log_p = self.log_mass(zeros + level)
            total = total + exp(log_p) * value(level, log_p)
        return total

    def log_mass(self, x):
        """The log-probability of each level x, (..., D).

        With b and a for the upper and lower edge of a bin, sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)): a product, in
        whose logarithm nothing cancels.  The lowest bin has a = -infinity, which leaves sigmoid(b), and the highest b = infinity.
        """
        inverse = exp(-(self.log_scale + self.zeros()))
        lowest, highest = x < HALF - 1, x > 1 - HALF
        below_b = where(highest, 0, -softplus((self.location - x - HALF) * inverse))
        above_a = where(lowest, 0, -softplus((x - HALF - self.location) * inverse))
        return below_b + above_a + where(lowest | highest, 0, log(-expm1(-2 * HALF * inverse)))


class DiscretisedLogisticMixture(Mixture):
    """A mixture of K discretised logistics for each of D features, which are independent.  logits, location, log_scale: (..., D, K).

    Each feature chooses a component of its own: it is the general mixture of vectors with one feature.  In PixelCNN++ the three
    colours of a pixel share one choice; here a feature is one colour.
    """

    def __init__(self, logits, location, log_scale):
        super().__init__(logits, DiscretisedLogistic(location[..., None], log_scale[..., None]))

    @property
    def shape(self):
        """The shape of a draw, (..., D)."""
        return super().shape[:-1]

    @property
    def mean(self):
        """The mean of the levels, (..., D)."""
        return super().mean[..., 0]

    def sample(self, rng, draws=()):
        """A draw, levels (*draws, ..., D): an array."""
        return super().sample(rng, draws)[..., 0]

    def log_prob(self, x):
        """The log-probability of levels x, (..., D), in nats; summed over D.  Returns (...,)."""
        return super().log_prob(x[..., None]).sum(axis=-1)
