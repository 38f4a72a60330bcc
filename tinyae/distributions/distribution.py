"""What the distributions share: features along the last axis, parameters that broadcast, and noise from a stream."""

import numpy as np

from tinyae.autograd import raw
from tinyae.backend import array_module, as_array, check_rng
from tinyae.errors import ArgumentError, DataError, caller, show
from tinyae.ops.exponential import log, log1p


class Distribution:
    """D features along the last axis, the axes before it are rows; parameters broadcast, and one number serves all.

    Each has log_prob(x), in nats, summed over D, and nll(x), minus that: a class with one of its own gets the other from it.  And
    sample(rng, draws=()), draws a number of them or axes in front; a mean and an entropy() where there is a closed form.
    parameters: the names of its parameters.  support: a pair (low, high), a list of the values that a feature takes, or "one-hot" or
    "simplex" for vectors.
    """

    def __init_subclass__(cls, **given):
        super().__init_subclass__(**given)
        for name, other in (("log_prob", "nll"), ("nll", "log_prob")):
            if name in vars(cls) and other not in vars(cls):  # also where a parent has both: they stay each other's negative
                setattr(cls, other, negative_of(cls, name))

    def __repr__(self):
        shapes = ", ".join(f"{name} {getattr(getattr(self, name), 'shape', ())}" for name in self.parameters)
        return f"{type(self).__name__}({shapes})"

    @property
    def shape(self):
        """The shape of a draw, (..., D); () where each parameter is one number, for any D."""
        return np.broadcast_shapes(*(getattr(getattr(self, name), "shape", ()) for name in self.parameters))

    def zeros(self, draws=()):
        """Zeros of the shape of so many draws, beside the parameters and in their dtype: adding them gives each feature its number."""
        given = [getattr(self, name) for name in self.parameters]
        like = next((raw(value) for value in given if hasattr(value, "shape")), as_array(0.0))
        return array_module(like).zeros((*axes(draws), *self.shape), like.dtype)

    def check_support(self, x, low, high):
        """Raise DataError for values x outside [low, high], by more than rounding.  On a GPU a look would wait for it: there nothing is done."""
        values = np.asarray(x) if isinstance(x, (int, float)) else raw(x)
        if not isinstance(values, (np.ndarray, np.generic)) or not values.size:
            return
        smallest, largest = values.min(), values.max()
        if not (smallest >= low - 1e-5 and largest <= high + 1e-5):
            name, got = type(self).__name__, f"values from {smallest:g} to {largest:g}"
            raise DataError(f"{name}: values outside its support.", expected=f"values in [{low:g}, {high:g}]", got=got, at=show(caller()))


def negative_of(kind, name):
    """The method that gives minus what the method `name` of the class `kind` gives."""
    return lambda self, x: -getattr(kind, name)(self, x)


def axes(draws):
    """`draws`, a number of draws or the axes in front, as axes.  Raises ArgumentError for what is neither."""
    found = draws if isinstance(draws, (tuple, list)) else (draws,)
    if not all(isinstance(n, (int, np.integer)) for n in found):
        raise ArgumentError("draws: a whole number, or a tuple of them, is needed.", got=repr(draws))
    return tuple(found)


class Reparameterised(Distribution):
    """A distribution whose draws are differentiable functions of noise that has no parameters: rsample(noise).

    noise(rng, shape, dtype) draws it.  Kingma & Welling 2014, section 2.4.
    """

    def draw_noise(self, rng, draws=()):
        """Noise for rsample, from a stream.  draws: axes in front.  Returns (*draws, ..., D)."""
        return self.noise(rng, (*axes(draws), *self.shape), self.zeros().dtype)

    def sample(self, rng, draws=()):
        """A draw, (*draws, ..., D), with noise from `rng`; differentiable where the parameters are Tensors."""
        return self.rsample(self.draw_noise(rng, draws))


def normal(rng, shape, dtype):
    """Noise from N(0, 1)."""
    return check_rng(rng).normal(shape, dtype)


def uniform(rng, shape, dtype):
    """Noise uniform on (0, 1), the ends excluded, so that its logarithms are finite."""
    return check_rng(rng).uniform(shape, float(np.finfo(dtype).eps) / 8, dtype=dtype)  # moves 0 alone: less than others keep


def laplace(rng, shape, dtype):
    """Noise with density exp(-|x|) / 2: the difference of two exponential draws."""
    return log(uniform(rng, shape, dtype)) - log(uniform(rng, shape, dtype))


def logistic(rng, shape, dtype):
    """Noise with the distribution function sigmoid(x)."""
    u = uniform(rng, shape, dtype)
    return log(u) - log1p(-u)


def gumbel(rng, shape, dtype):
    """Noise with the distribution function exp(-exp(-x)): the largest of logits + noise is k with probability softmax(logits)[k]."""
    return -log(-log(uniform(rng, shape, dtype)))
