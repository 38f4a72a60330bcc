"""Likelihoods p(x | z): what the decoder's output means.  A line in LIKELIHOODS makes one known to every model and to `tinyae train`."""

import math

from tinyae.autograd import raw
from tinyae.distributions import Bernoulli, ContinuousBernoulli, Laplace, Normal
from tinyae.errors import ArgumentError
from tinyae.models.byte_likelihoods import CategoricalLikelihood, DiscretisedLogisticLikelihood, LogisticMixtureLikelihood, at_least, kinds
from tinyae.models.parts import Likelihood
from tinyae.nn import Buffer, Module, Parameter
from tinyae.ops.exponential import log
from tinyae.ops.selection import maximum
from tinyae.ops.shapes import broadcast_to

SMALLEST = 2 * math.log(1 / 255)  # log-variance: with less, a pixel that is always 0 would have a density without bound
RATE = 10  # Adam moves a parameter by about its learning rate a step, and a log-variance has far to go


class BernoulliLikelihood(Likelihood):
    """p(x | z) for binary features: the decoder's output is the logits."""

    name, low, high, binary = "bernoulli", 0.0, 1.0, True

    def __call__(self, decoded):
        return Bernoulli(decoded)


class ContinuousBernoulliLikelihood(Likelihood):
    """p(x | z) for grey values: the density proportional to the Bernoulli's formula.  Loaiza-Ganem & Cunningham 2019."""

    name, low, high = "continuous-bernoulli", 0.0, 1.0

    def __call__(self, decoded):
        return ContinuousBernoulli(decoded)


class GaussianLikelihood(Likelihood):
    """p(x | z) = N(x; decoder's output, variance), one fixed variance for all features.

    With variance 1/2, minus its logarithm is the sum of squared errors plus D/2 log(pi): the "MSE + KL" of many guides.
    """

    name = "gaussian"

    def __init__(self, variance=0.5):
        self.log_variance = math.log(check_variance(variance))

    def __call__(self, decoded):
        return Normal(decoded, self.log_variance)


class LearnedGaussian(Likelihood, Module):
    """p(x | z) = N(x; decoder's output, variance), one variance for all features, a parameter that begins at `variance`.

    At its optimum it is the mean squared error per feature of the training data.  Kingma & Welling 2014, appendix C.2, with one
    variance; Lucas, Tucker, Grosse & Norouzi 2019 for what a fixed one does.
    """

    name = "gaussian-learned"

    def __init__(self, variance=0.5):
        self.scaled = Parameter(math.log(check_variance(variance)) / RATE)

    @property
    def log_variance(self):
        """The logarithm of the variance, ()."""
        return RATE * self.scaled

    def __call__(self, decoded):
        return Normal(decoded, broadcast_to(self.log_variance, shape=decoded.shape[-1:]))


class PixelGaussian(Likelihood):
    """p(x | z) = N(x; mean, exp(log-variance)), both numbers for each feature from the decoder.  Kingma & Welling 2014, appendix C.2.

    The standard deviation is at least 1/255, the distance of two bytes: a pixel that is always black would have a density without bound.
    """

    name, outputs = "gaussian-per-pixel", 2

    def __call__(self, decoded):
        mean, h = kinds(decoded, 2)
        return Normal(mean, at_least(h, SMALLEST))


class CalibratedGaussian(Likelihood, Module):
    """p(x | z) = N(x; decoder's output, variance), the variance that fits best: the mean squared error per feature of the batch.

    In training -log p(x | z) is thus D/2 (log(2 pi MSE) + 1) on average: minimised over the variance, which needs no choice and no step of
    an optimiser.  The gradient is that of a fixed variance of this size, as the derivative by the variance is 0: of a mean of log p, as in a
    VAE.  The bound of an IWAE weights the draws, so there a part of the gradient goes through the variance.  In evaluation
    (`model.eval()`) the variance is a moving average over the last training batches: chosen on the test data, it would be no likelihood.

    Coupled over the batch: a batch beside its own copy has the same loss, but the loss of two different batches together is at least
    the mean of their losses, as the logarithm is concave.  Rybkin, Daniilidis & Levine 2021, equations 4 and 5.
    """

    name, momentum, coupled = "gaussian-calibrated", 0.1, True

    def __init__(self):
        self.variance = Buffer(1.0)

    def __call__(self, decoded):
        variance = self.variance.data.astype(decoded.dtype)  # also where a model of float64 was read with an average of float32
        kept = Normal(decoded, broadcast_to(log(variance), shape=decoded.shape[-1:]))
        return BestNormal(kept, self) if self.training else kept


class BestNormal(Normal):
    """A normal distribution whose one variance is taken from the x that log_prob is asked for; `likelihood` keeps an average of it."""

    def __init__(self, kept, likelihood):
        super().__init__(kept.mean, kept.log_variance)
        self.likelihood = likelihood

    def log_prob(self, x):
        """log N(x; mean, MSE), in nats, summed over D.  x: (N, D); mean: (..., N, D).  Returns (..., N)."""
        error = x - self.mean
        variance, kept = (error * error).mean(), self.likelihood.variance
        kept.assign(kept.data + self.likelihood.momentum * (raw(variance) - kept.data))
        best = log(maximum(variance, math.exp(SMALLEST)))
        return Normal(self.mean, broadcast_to(best, shape=x.shape[-1:])).log_prob(x)


class LaplaceLikelihood(Likelihood, Module):
    """p(x | z) = exp(-|x - decoder's output| / scale) / (2 scale): absolute errors, with one scale, a parameter, for all features.

    variance: 2 scale^2 at the beginning.  At the optimum the scale is the mean absolute error per feature.
    """

    name = "laplace"

    def __init__(self, variance=0.5):
        self.scaled = Parameter(math.log(check_variance(variance) / 2) / 2 / RATE)

    def __call__(self, decoded):
        return Laplace(decoded, RATE * self.scaled)


def check_variance(variance):
    """The variance.  Raises ArgumentError unless it is a positive number."""
    if not (variance > 0 and math.isfinite(variance)):
        raise ArgumentError("variance: it must be a positive number.", got=variance)
    return variance


KINDS = (BernoulliLikelihood, ContinuousBernoulliLikelihood, GaussianLikelihood, LearnedGaussian, PixelGaussian, CalibratedGaussian)
KINDS += (LaplaceLikelihood, DiscretisedLogisticLikelihood, LogisticMixtureLikelihood, CategoricalLikelihood)
LIKELIHOODS = {kind.name: kind for kind in KINDS}
HAVE_A_VARIANCE = ("gaussian", "gaussian-learned", "laplace")  # of the latter two it is the beginning


def likelihood_named(name, variance=None):
    """The likelihood of a name, of `variance` if there is one.  Raises ArgumentError for an unknown name, or a variance that it has not."""
    if name not in LIKELIHOODS:
        raise ArgumentError(f"unknown likelihood {name!r}.", expected="one of " + ", ".join(LIKELIHOODS))
    if name not in HAVE_A_VARIANCE and variance is not None:
        rule = f"variance: only the {', '.join(HAVE_A_VARIANCE[:-1])} and {HAVE_A_VARIANCE[-1]} likelihoods have one to choose."
        raise ArgumentError(rule, got=f"likelihood={name!r}")
    return LIKELIHOODS[name](*([] if variance is None else [variance]))
