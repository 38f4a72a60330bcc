"""Activations: elementwise, any shape.  Written so that no argument overflows; the formula is what they compute."""

from tinyae.autograd import primitive
from tinyae.backend import array_module


@primitive(formula="1 / (1 + exp(-x))", analytic=False)  # analytic, but computed through |x|
def sigmoid(x):
    """The logistic function."""
    xp = array_module(x)
    return xp.exp(xp.minimum(x, 0)) / (1 + xp.exp(-xp.abs(x)))


@sigmoid.vjp("x")
def _(gy, y):
    return gy * y * (1 - y)


@primitive(formula="log(1 + exp(x))", analytic=False)  # analytic, but computed through |x|
def softplus(x):
    """log(1 + exp(x)): a smooth relu, and minus the log-probability of a Bernoulli zero with logit x."""
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


@softplus.vjp("x")
def _(gy, x):
    return gy * sigmoid(x)


@primitive
def tanh(x):
    """The hyperbolic tangent."""
    xp = array_module(x)
    return xp.tanh(x)


@tanh.vjp("x")
def _(gy, y):
    return gy * (1 - y * y)


@primitive(kinks="x = 0, where the slope is taken as 0", analytic=False)
def relu(x):
    """The positive part."""
    xp = array_module(x)
    return xp.maximum(x, 0)


@relu.vjp("x")
def _(gy, y):
    return gy * (y > 0)
