"""The Laplace distribution: two exponentials back to back."""

import math

from tinyae.distributions.distribution import Reparameterised, laplace
from tinyae.ops.exponential import exp
from tinyae.ops.selection import abs


class Laplace(Reparameterised):
    """Density exp(-|x - mean| / scale) / (2 scale), independent in each of D features; minus its logarithm is an absolute error.

    mean, log_scale: (..., D), or one number for all.  scale = exp(log_scale); the variance is 2 scale^2.
    """

    parameters, support, noise = ("mean", "log_scale"), (-math.inf, math.inf), staticmethod(laplace)

    def __init__(self, mean, log_scale):
        self.mean, self.log_scale = mean, log_scale

    def rsample(self, noise):
        """mean + scale * noise, (..., D), with noise (..., D) from the Laplace distribution of mean 0 and scale 1."""
        return self.mean + exp(self.log_scale) * noise

    def log_prob(self, x):
        """The log-density of x, (..., D), in nats; summed over D.  Returns (...,)."""
        return -(abs(x - self.mean) * exp(-self.log_scale) + self.log_scale + math.log(2)).sum(axis=-1)

    def entropy(self):
        """1 + log 2 + log_scale, in nats, summed over D.  Returns (...,)."""
        return (self.log_scale + (1 + math.log(2)) + self.zeros()).sum(axis=-1)
