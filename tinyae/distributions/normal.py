"""The normal distribution with a diagonal covariance."""

import math

from tinyae.distributions.distribution import Reparameterised, normal
from tinyae.ops.exponential import exp
from tinyae.ops.likelihoods import LOG_2_PI, gaussian_nll
from tinyae.ops.variational import reparameterize


class Normal(Reparameterised):
    """N(mean, exp(log_variance)), independent in each of J dimensions.

    mean: (..., J), an array or a Tensor.  log_variance: the same shape, or one number for all.
    """

    parameters, support, noise = ("mean", "log_variance"), (-math.inf, math.inf), staticmethod(normal)

    def __init__(self, mean, log_variance):
        self.mean, self.log_variance = mean, log_variance

    @property
    def standard_deviation(self):
        """exp(log_variance / 2)."""
        return exp(self.log_variance / 2)

    def rsample(self, noise):
        """A draw as a differentiable function of its noise, drawn from N(0, 1).  noise and result: (..., J)."""
        return reparameterize(self.mean, self.log_variance, noise)

    def log_prob(self, x):
        """The log-density of x, (..., J), in nats; summed over J.  Returns (...,)."""
        return -Normal.nll(self, x)  # not self.nll, which a subclass may take from its log_prob

    def nll(self, x):
        """Minus the log-density of x, (..., J), in nats; summed over J.  Returns (...,)."""
        return gaussian_nll(self.mean, self.log_variance, x)

    def entropy(self):
        """sum_j (log(2 pi) + log_variance_j + 1) / 2, in nats, (...,)."""
        return (self.log_variance + (LOG_2_PI + 1) + self.zeros()).sum(axis=-1) / 2


class StandardNormal(Normal):
    """N(0, I)."""

    def __init__(self):
        super().__init__(0.0, 0.0)
