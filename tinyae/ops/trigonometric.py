"""Sine, cosine and the inverse of the tangent: elementwise, any shape, in radians."""

import numpy as np

from tinyae.autograd import primitive, raw
from tinyae.backend import array_module
from tinyae.ops.selection import abs, clip


@primitive
def sin(x):
    """The sine."""
    xp = array_module(x)
    return xp.sin(x)


@sin.vjp("x")
def _(gy, x):
    return gy * cos(x)


@primitive
def cos(x):
    """The cosine."""
    xp = array_module(x)
    return xp.cos(x)


@cos.vjp("x")
def _(gy, x):
    return -gy * sin(x)


@primitive
def arctan(x):
    """The angle in (-pi/2, pi/2) whose tangent is x."""
    xp = array_module(x)
    return xp.arctan(x)


@arctan.vjp("x", formula="gy / (1 + x ** 2)")
def _(gy, x):
    scale = clip(abs(raw(x)), min=1, max=np.finfo(x.dtype).max)  # a constant that cancels: no square overflows, and none is infinite
    one, x = 1 / scale, x / scale
    return gy * (one * one) / (one * one + x * x)
