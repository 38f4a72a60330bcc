"""Reductions over `axis`: None (all), an axis, or a tuple of them."""

import math

from tinyae.autograd import primitive
from tinyae.ops.shapes import broadcast_to, reshape


def spread(gy, shape, axis, keepdims):
    """The cotangent of a reduction, repeated along the axes of `shape` that were reduced."""
    reduced = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = {a % len(shape) for a in reduced}
    if not keepdims:
        gy = reshape(gy, shape=tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return broadcast_to(gy, shape=shape)


@primitive
def sum(x, *, axis=None, keepdims=False):
    """The sum of the entries along `axis`."""
    return x.sum(axis=axis, keepdims=keepdims)


@sum.vjp("x")
def _(gy, x_shape, axis, keepdims):
    return spread(gy, x_shape, axis, keepdims)


@primitive
def mean(x, *, axis=None, keepdims=False):
    """The mean of the entries along `axis`."""
    return x.mean(axis=axis, keepdims=keepdims)


@mean.vjp("x", formula="spread(gy, x_shape, axis, keepdims) * size(gy) / size(x)")
def _(gy, x_shape, axis, keepdims):
    count = max(math.prod(x_shape), 1)
    return spread(gy, x_shape, axis, keepdims) * (gy.size / count)
