"""The continuous Bernoulli distribution of grey values in [0, 1].  Loaiza-Ganem & Cunningham 2019."""

from tinyae.distributions.distribution import Reparameterised, uniform
from tinyae.ops.exponential import exp, expm1, log, log1p
from tinyae.ops.selection import abs, maximum, where

NEAR = 0.01  # logits closer to 0 than this have a series, for the quotients become 0 / 0


class ContinuousBernoulli(Reparameterised):
    """x in [0, 1] with a density proportional to exp(x logits), independent in each of D features.  logits: (..., D).

    It is the formula of the Bernoulli, taken for x between 0 and 1 too, and divided by its integral: without that the binary cross
    entropy of grey images is no likelihood.  Loaiza-Ganem & Cunningham 2019, equation 4, with logits = log(lambda / (1 - lambda)).
    """

    parameters, support, noise = ("logits",), (0.0, 1.0), staticmethod(uniform)

    def __init__(self, logits):
        self.logits = logits

    @property
    def mean(self):
        """1 / (1 - exp(-logits)) - 1 / logits, (..., D): nearer to 1/2 than sigmoid(logits)."""
        smaller = smaller_mean(self.logits)
        return where(self.logits > 0, 1 - smaller, smaller)

    def rsample(self, noise):
        """The point below which the share `noise` of the probability lies: log(1 + noise (exp(logits) - 1)) / logits.

        noise: (..., D), uniform on (0, 1).  Returns (..., D).
        """
        t, near, size = sizes(self.logits)
        positive = self.logits > 0
        u = where(positive, 1 - noise, noise)  # x for -logits is 1 - x: as if all were negative, nothing overflows
        series = u - t * u * (1 - u) * (1 - t * (1 - 2 * u) / 3) / 2
        x = where(near, series, -log1p(u * expm1(-size)) / size)
        return where(positive, 1 - x, x)

    def log_prob(self, x):
        """The log-density of x, (..., D), in nats; summed over D.  Returns (...,).  Raises DataError outside [0, 1] (on the host)."""
        self.check_support(x, 0, 1)
        return (x * self.logits - log_normaliser(self.logits)).sum(axis=-1)

    def entropy(self):
        """The differential entropy in nats, summed over D: 0 at logits 0, negative elsewhere.  Returns (...,)."""
        t = abs(self.logits)
        return (log_normaliser(-t) + t * smaller_mean(self.logits)).sum(axis=-1)


def sizes(logits):
    """(|logits|, whether it is near 0, |logits| where it is not and else 1)."""
    t = abs(logits)
    near = t < NEAR
    return t, near, where(near, 1, t)


def log_normaliser(logits):
    """The logarithm of the integral of exp(x logits) over [0, 1], (exp(logits) - 1) / logits, elementwise."""
    _, near, size = sizes(logits)
    return where(near, logits / 2 + logits * logits / 24, maximum(logits, 0) + log(-expm1(-size) / size))


def smaller_mean(logits):
    """The mean for -|logits|, at most 1/2: 1 / t - 1 / (exp(t) - 1) with t = |logits|, elementwise."""
    t, near, size = sizes(logits)
    return where(near, 0.5 - t / 12, 1 / size + exp(-size) / expm1(-size))
