"""Exponential, logarithm, square root: elementwise, any shape."""

import math

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


@primitive(domain={"x": (-1, math.inf)}, formula="log(1 + x)")
def log1p(x):
    """log(1 + x), exact also where x is so small that 1 + x is rounded to 1."""
    xp = array_module(x)
    return xp.log1p(x)


@log1p.vjp("x")
def _(gy, x):
    return gy / (1 + x)


@primitive(formula="exp(x) - 1")
def expm1(x):
    """exp(x) - 1, exact also where x is so small that exp(x) is rounded to 1."""
    xp = array_module(x)
    return xp.expm1(x)


@expm1.vjp("x")
def _(gy, x):
    return gy * exp(x)  # not y + 1, which loses the digits of a small exp(x)
