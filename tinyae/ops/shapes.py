"""Operations that move entries and change none: the gradient moves them back."""

import itertools

from tinyae.autograd import primitive
from tinyae.backend import array_module


@primitive(view=True)
def reshape(x, *, shape):
    """The same entries in another shape; one axis may be -1."""
    return x.reshape(shape)


@reshape.vjp("x")
def _(gy, x_shape):
    return gy.reshape(x_shape)


@primitive(view=True)
def transpose(x, *, axes=None):
    """The axes in another order; None reverses them."""
    return x.transpose(axes)


@transpose.vjp("x", formula="transpose(gy, axes=inverse(axes))")
def _(gy, axes):
    return gy.transpose(None if axes is None else inverse(axes))


def inverse(axes):
    """The order of axes that undoes `axes`; None undoes itself."""
    if axes is None:
        return None
    axes = [axis % len(axes) for axis in axes]
    return tuple(axes.index(i) for i in range(len(axes)))


@primitive
def astype(x, *, dtype):
    """The same numbers as another floating-point type, float32 or float64."""
    return x.astype(dtype)


@astype.vjp("x", formula="gy")
def _(gy):
    return gy  # the engine converts it back


@primitive(view=True)
def broadcast_to(x, *, shape):
    """x repeated to `shape` by the rules of broadcasting."""
    xp = array_module(x)
    return xp.broadcast_to(x, shape)


@broadcast_to.vjp("x", formula="unbroadcast(gy, x_shape)")
def _(gy):
    return gy  # the engine sums over what was broadcast


@primitive(formula="concatenate(arrays, axis=axis)")
def concatenate(*arrays, axis=0):
    """Arrays one after another along `axis`; the other axes agree.  Takes a list, as NumPy does, or several arrays."""
    xp = array_module(arrays[0])
    return xp.concatenate(arrays, axis=axis)


@concatenate.vjp("*arrays", formula="split(gy, arrays_shape, axis)")
def _(gy, arrays_shape, axis):
    return split(gy, arrays_shape, axis)


def split(gy, shapes, axis):
    """The slices of `gy` along `axis` that belong to arrays of these shapes."""
    axis = axis % len(shapes[0])
    ends = list(itertools.accumulate(shape[axis] for shape in shapes))
    before = (slice(None),) * axis
    return tuple(gy[(*before, slice(start, end))] for start, end in zip([0, *ends], ends, strict=False))
