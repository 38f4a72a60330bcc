"""Likelihoods of images in bytes: the probability of each of the 256 values byte / 255, in nats."""

from tinyae.autograd import raw
from tinyae.backend import array_module
from tinyae.distributions import Categorical, DiscretisedLogistic, DiscretisedLogisticMixture
from tinyae.distributions.distribution import Distribution
from tinyae.models.parts import Likelihood
from tinyae.ops.activations import softplus
from tinyae.ops.exponential import exp
from tinyae.ops.indexing import one_hot
from tinyae.ops.softmax import softmax
from tinyae.ops.surrogates import round_straight_through

SHARPEST = -7.0  # log-scale of a logistic: a level 2/255 wide then has 97 % of it


class DiscretisedLogisticLikelihood(Likelihood):
    """The probability of each byte of an image, in nats: a logistic distribution, rounded.  Salimans, Karpathy, Chen & Kingma 2017.

    The decoder gives a location and a log-scale for each feature, in the scale of byte / 127.5 - 1.  x is rounded to the nearest byte / 255.
    """

    name, low, high, outputs = "discretised-logistic", 0.0, 1.0, 2

    def __call__(self, decoded):
        location, h = kinds(decoded, 2)
        levels = DiscretisedLogistic(location, at_least(h, SHARPEST))
        return OfBytes(levels, clipped_mean(levels))


class LogisticMixtureLikelihood(Likelihood):
    """As the discretised logistic, a mixture of three of them for each feature, which chooses its own.  Salimans et al. 2017.

    The decoder gives three logits, then three locations, then three log-scales for each feature.
    """

    name, low, high, outputs = "discretised-logistic-mixture", 0.0, 1.0, 9

    def __call__(self, decoded):
        logits, location, h = kinds(decoded, 3, 3)
        mixture = DiscretisedLogisticMixture(logits, location, at_least(h, SHARPEST))
        return OfBytes(mixture, (softmax(logits) * clipped_mean(mixture.components)[..., 0]).sum(axis=-1))


class CategoricalLikelihood(Likelihood):
    """The probability of each byte of an image, in nats, without any order of the bytes: the decoder gives 256 logits for each feature.

    x is rounded to the nearest byte / 255.  Van den Oord, Kalchbrenner & Kavukcuoglu 2016, section 3.
    """

    name, low, high, outputs = "categorical", 0.0, 1.0, 256

    def __call__(self, decoded):
        return CategoricalOfBytes(kinds(decoded, 1, 256)[0])


class OfBytes(Distribution):
    """A distribution of the levels byte / 127.5 - 1 as one of the values byte / 255, with its mean (..., D)."""

    parameters = ("levels",)

    def __init__(self, levels, mean):
        self.levels, self.mean = levels, mean

    def log_prob(self, x):
        """The log-probability of the bytes nearest to 255 x, (..., D), in nats; summed over D.  Returns (...,)."""
        return self.levels.log_prob(round_straight_through(255 * x) * (2 / 255) - 1)

    def sample(self, rng, draws=()):
        """A draw, values byte / 255 (*draws, ..., D): an array."""
        return (self.levels.sample(rng, draws) + 1) / 2


class CategoricalOfBytes(Distribution):
    """Each of D features is one of the values byte / 255.  logits: (..., D, 256)."""

    parameters = ("logits",)

    def __init__(self, logits):
        self.logits = logits

    @property
    def mean(self):
        """The mean value, (..., D)."""
        return softmax(self.logits) @ self.values()

    def log_prob(self, x):
        """The log-probability of the bytes nearest to 255 x, (..., D), in nats; summed over D.  Returns (...,)."""
        byte = round_straight_through(255 * raw(x)).astype("int64")
        return Categorical(self.logits).log_prob(one_hot(byte, 256, self.logits.dtype)).sum(axis=-1)

    def sample(self, rng, draws=()):
        """A draw, values byte / 255 (*draws, ..., D): an array."""
        return Categorical(self.logits).sample(rng, draws) @ self.values()

    def values(self):
        """0, 1/255, ..., 1: an array (256,)."""
        logits = raw(self.logits)
        return array_module(logits).arange(256).astype(logits.dtype) / 255


def kinds(decoded, count, parts=None):
    """The decoder's output, (..., outputs D), as `count` arrays (..., D), or with parts (..., D, parts)."""
    shape = (count, decoded.shape[-1] // (count * (parts or 1)))
    shape = shape if parts is None else (count, parts, shape[1])
    split = decoded.reshape((*decoded.shape[:-1], *shape))
    if parts is None:
        return [split[..., i, :] for i in range(count)]
    return [split[..., i, :, :].swapaxes(-1, -2) for i in range(count)]


def at_least(h, floor):
    """A smooth function of h that stays above `floor`, and is h far above it: floor + softplus(h - floor)."""
    return floor + softplus(h - floor)


def clipped_mean(levels):
    """The mean of a DiscretisedLogistic in the scale of x, (..., D), to half a byte: that of the logistic, cut off at -1 and 1.

    (E + 1) / 2 with E = integral from -1 to 1 of sigmoid((location - t) / scale) dt - 1; the sum over the 256 levels is its midpoint rule.
    """
    inverse = exp(-levels.log_scale)
    return (softplus((levels.location + 1) * inverse) - softplus((levels.location - 1) * inverse)) / (2 * inverse)
