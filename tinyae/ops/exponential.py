"""Exponential, logarithm, square root: elementwise, any shape."""

from tinyae.autograd import primitive
from tinyae.backend import array_module


@primitive
def exp(x):
    """e to the power x."""
    xp = array_module(x)
    return xp.exp(x)


@exp.vjp("x")
def _(gy, y):
    return gy * y


@primitive(domain={"x": "positive"})
def log(x):
    """The natural logarithm."""
    xp = array_module(x)
    return xp.log(x)


@log.vjp("x")
def _(gy, x):
    return gy / x


@primitive(domain={"x": "positive"})
def sqrt(x):
    """The square root."""
    xp = array_module(x)
    return xp.sqrt(x)


@sqrt.vjp("x")
def _(gy, y):
    return gy / (2 * y)
