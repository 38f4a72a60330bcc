"""Likelihoods p(x | z): what the decoder's output means.  A line in LIKELIHOODS makes one known to every model and to `tinyae train`."""

import math

from tinyae.distributions import Bernoulli, Normal
from tinyae.errors import ArgumentError


class BernoulliLikelihood:
    """p(x | z) for binary features: the decoder's output is the logits.  Support of x: [0, 1]."""

    name, low, high, outputs = "bernoulli", 0.0, 1.0, 1

    def __call__(self, decoded):
        return Bernoulli(decoded)


class GaussianLikelihood:
    """p(x | z) = N(x; decoder's output, variance), one fixed variance for all features.

    With variance 1/2, minus its logarithm is the sum of squared errors plus D/2 log(pi): the "MSE + KL" of many guides.
    """

    name, low, high, outputs = "gaussian", -math.inf, math.inf, 1

    def __init__(self, variance=0.5):
        if not (variance > 0 and math.isfinite(variance)):
            raise ArgumentError("variance: it must be a positive number.", got=variance)
        self.log_variance = math.log(variance)

    def __call__(self, decoded):
        return Normal(decoded, self.log_variance)


LIKELIHOODS = {"bernoulli": BernoulliLikelihood, "gaussian": GaussianLikelihood}


def likelihood_named(name, variance=None):
    """The likelihood of a name, of `variance` if there is one.  Raises ArgumentError for an unknown name, or a variance that it has not."""
    if name not in LIKELIHOODS:
        raise ArgumentError(f"unknown likelihood {name!r}.", expected="one of " + ", ".join(LIKELIHOODS))
    if name != "gaussian" and variance is not None:
        raise ArgumentError("variance: only the gaussian likelihood has one.", got=f"likelihood={name!r}")
    return LIKELIHOODS[name](*([] if variance is None else [variance]))
