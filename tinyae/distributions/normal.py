"""The normal distribution with a diagonal covariance."""

from tinyae.errors import ArgumentError
from tinyae.ops.exponential import exp
from tinyae.ops.likelihoods import gaussian_nll
from tinyae.ops.variational import kl_standard_normal, reparameterize


class Normal:
    """N(mean, exp(log_variance)), independent in each of J dimensions.

    mean: (..., J), an array or a Tensor.  log_variance: the same shape, or one number for all.
    """

    def __init__(self, mean, log_variance):
        self.mean, self.log_variance = mean, log_variance

    def __repr__(self):
        return f"Normal(mean {getattr(self.mean, 'shape', ())}, log_variance {getattr(self.log_variance, 'shape', ())})"

    @property
    def standard_deviation(self):
        """exp(log_variance / 2)."""
        return exp(self.log_variance / 2)

    def rsample(self, noise):
        """A draw as a differentiable function of its noise, drawn from N(0, 1).  noise and result: (..., J)."""
        return reparameterize(self.mean, self.log_variance, noise)

    def sample(self, rng):
        """A draw, (..., J), with noise from `rng`."""
        return self.rsample(rng.normal(self.mean.shape, self.mean.dtype))

    def log_prob(self, x):
        """The log-density of x, (..., J), in nats; summed over J.  Returns (...,)."""
        return -gaussian_nll(self.mean, self.log_variance, x)


class StandardNormal(Normal):
    """N(0, I)."""

    def __init__(self):
        super().__init__(0.0, 0.0)


def kl_divergence(q, p):
    """KL(q || p) in closed form, in nats, summed over the dimensions.  Known here: q a Normal, p the standard normal."""
    if isinstance(q, Normal) and isinstance(p, StandardNormal):
        return kl_standard_normal(q.mean, q.log_variance)
    raise ArgumentError(
        "kl_divergence: no closed form is known for this pair.", expected="Normal, StandardNormal", got=f"{type(q).__name__}, {type(p).__name__}"
    )
