"""The operations that make an autoencoder variational: a draw that can be differentiated, and KL divergences."""

from tinyae.autograd import primitive
from tinyae.ops.exponential import exp, expm1, log, sqrt
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


@primitive(shapes="(j),(j)->()", formula="sum(mean ** 2 + exp(log_variance) - log_variance - 1, axis=-1) / 2")
def kl_standard_normal(mean, log_variance):
    """KL divergence from N(mean, exp(log_variance)) to N(0, I), in nats per example.

    KL = 1/2 sum_j (mean_j^2 + exp(log_variance_j) - log_variance_j - 1), zero only at mean 0 and log-variance 0.
    Derived from E_q[log q - log p]: the constants log(2 pi) cancel, E_q[(z - mean)^2] is the variance,
    and E_q[z^2] is mean^2 + variance.

    mean, log_variance: (..., J).  Returns (...,).  Kingma & Welling 2014, appendix B.
    """
    return (mean**2 + expm1(log_variance) - log_variance).sum(axis=-1) / 2  # exp(log_variance) - 1, no digit lost near the prior


@kl_standard_normal.vjp("mean")
def _(gy, mean):
    return gy[..., None] * mean


@kl_standard_normal.vjp("log_variance", formula="gy[..., None] * (exp(log_variance) - 1) / 2")
def _(gy, log_variance):
    return gy[..., None] * expm1(log_variance) / 2


@kl_standard_normal.twin
def _(mean, log_variance):
    variance = exp(log_variance)
    return sum(mean * mean + variance - log(variance) - 1, axis=-1) / 2


@primitive(
    shapes="(j),(j),(j),(j)->()",
    formula="sum(exp(log_variance - prior_log_variance) + (mean - prior_mean) ** 2 / exp(prior_log_variance)"
    " - (log_variance - prior_log_variance) - 1, axis=-1) / 2",
)
def kl_normal_normal(mean, log_variance, prior_mean, prior_log_variance):
    """KL divergence from q = N(mean, exp(log_variance)) to p = N(prior_mean, exp(prior_log_variance)), in nats per example.

    1. KL = E_q[log q - log p], in which the constants log(2 pi) cancel.  For each dimension:
    2. -2 log p = prior_log_variance + (z - prior_mean)^2 / prior_variance, and E_q[(z - prior_mean)^2] = variance + (mean - prior_mean)^2,
    3. -2 E_q[log q] = log_variance + 1, for E_q[(z - mean)^2] is the variance.  Half the difference of 2 and 3, summed, is the KL.

    The quotient of the variances is exp(difference), which overflows only where the KL does.  Zero only where q is p.
    All: (..., J).  Returns (...,).  Hershey & Olsen 2007, equation 2 (diagonal covariances).
    """
    difference = log_variance - prior_log_variance
    distance = (mean - prior_mean) * exp(-prior_log_variance / 2)  # in standard deviations of the prior
    return (expm1(difference) - difference + distance**2).sum(axis=-1) / 2  # expm1: no digits are lost near the prior


@kl_normal_normal.vjp("mean")
def _(gy, mean, prior_mean, prior_log_variance):
    return gy[..., None] * ((mean - prior_mean) * exp(-prior_log_variance))


@kl_normal_normal.vjp("log_variance", formula="gy[..., None] * (exp(log_variance - prior_log_variance) - 1) / 2")
def _(gy, log_variance, prior_log_variance):
    return gy[..., None] * expm1(log_variance - prior_log_variance) / 2


@kl_normal_normal.vjp("prior_mean")
def _(gy, mean, prior_mean, prior_log_variance):
    return gy[..., None] * ((prior_mean - mean) * exp(-prior_log_variance))


@kl_normal_normal.vjp("prior_log_variance")
def _(gy, mean, log_variance, prior_mean, prior_log_variance):
    squared_distance = ((mean - prior_mean) * exp(-prior_log_variance / 2)) ** 2
    return gy[..., None] * (1 - exp(log_variance - prior_log_variance) - squared_distance) / 2


@kl_normal_normal.twin
def _(mean, log_variance, prior_mean, prior_log_variance):
    variance, prior_variance, offset = exp(log_variance), exp(prior_log_variance), mean - prior_mean
    cross_entropy = log(prior_variance) + (variance + offset * offset) / prior_variance
    return sum(cross_entropy - log(variance) - 1, axis=-1) / 2  # minus the entropy of q
