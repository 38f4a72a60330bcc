"""The two operations that make an autoencoder variational: a draw that can be differentiated, and the KL divergence."""

from tinyae.autograd import primitive
from tinyae.ops.exponential import exp, log, sqrt
from tinyae.ops.reductions import sum


@primitive
def reparameterize(mean, log_variance, noise):
    """A draw from N(mean, exp(log_variance)) as a function of its noise.  All, and the result: (N, J).

    The standard deviation is exp(log_variance / 2), and the noise, drawn from N(0, 1), is an input like the others.
    Kingma & Welling 2014, section 2.4.
    """
    return mean + exp(log_variance / 2) * noise


@reparameterize.vjp("mean")
def _(gz):
    return gz


@reparameterize.vjp("log_variance")
def _(gz, log_variance, noise):
    return gz * exp(log_variance / 2) * noise / 2


@reparameterize.vjp("noise")
def _(gz, log_variance):
    return gz * exp(log_variance / 2)


@reparameterize.twin
def _(mean, log_variance, noise):
    return mean + sqrt(exp(log_variance)) * noise


@primitive(shapes="(j),(j)->()")
def kl_standard_normal(mean, log_variance):
    """KL divergence from N(mean, exp(log_variance)) to N(0, I), in nats per example.

    KL = 1/2 sum_j (mean_j^2 + exp(log_variance_j) - log_variance_j - 1), zero only at mean 0 and log-variance 0.
    Derived from E_q[log q - log p]: the constants log(2 pi) cancel, E_q[(z - mean)^2] is the variance,
    and E_q[z^2] is mean^2 + variance.

    mean, log_variance: (..., J).  Returns (...,).  Kingma & Welling 2014, appendix B.
    """
    return (mean**2 + exp(log_variance) - log_variance - 1).sum(axis=-1) / 2


@kl_standard_normal.vjp("mean")
def _(gy, mean):
    return gy[..., None] * mean


@kl_standard_normal.vjp("log_variance")
def _(gy, log_variance):
    return gy[..., None] * (exp(log_variance) - 1) / 2


@kl_standard_normal.twin
def _(mean, log_variance):
    variance = exp(log_variance)
    return sum(mean * mean + variance - log(variance) - 1, axis=-1) / 2
