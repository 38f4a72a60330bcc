"""Operations that move entries and change none: the gradient moves them back."""

import operator

import numpy as np

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.kernels import views


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
    """The order of axes that undoes `axes`, a tuple or the only axis; None undoes itself."""
    if axes is None:
        return None
    axes = axes if isinstance(axes, (tuple, list)) else (axes,)
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


broadcast_to.kernel(views.broadcast_to)


@broadcast_to.vjp("x", formula="unbroadcast(gy, x_shape)")
def _(gy):
    return gy  # the engine sums over what was broadcast


@primitive(view=True)
def squeeze(x, *, axis=None):
    """x without its axes of length 1: all of them, or those that `axis` (an axis or a tuple) names.  Raises ShapeError for a longer one."""
    xp = array_module(x)
    return xp.squeeze(x, axis)


@squeeze.vjp("x")
def _(gy, x_shape):
    return gy.reshape(x_shape)


@primitive(view=True)
def expand_dims(x, *, axis):
    """x with new axes of length 1, which stand at `axis` (an axis or a tuple) of the result."""
    xp = array_module(x)
    return xp.expand_dims(x, axis)


@expand_dims.vjp("x")
def _(gy, x_shape):
    return gy.reshape(x_shape)


@primitive(view=True)
def flip(x, *, axis=None):
    """The entries in the opposite order along `axis`: None (all), an axis, or a tuple."""
    xp = array_module(x)
    return xp.flip(x, axis)


@flip.vjp("x")
def _(gy, axis):
    return flip(gy, axis=axis)


@primitive(formula="y[i] = x[i // repeats]")
def repeat(x, *, repeats, axis):
    """Every entry `repeats` times (a whole number), one copy beside the other, along `axis`: length n becomes n * repeats."""
    xp = array_module(x)
    if x.ndim == 0:
        raise ValueError("x has no axis to repeat along")
    return xp.repeat(x, operator.index(repeats), axis=operator.index(axis))


@repeat.vjp("x", formula="gx[j] = sum(gy[i] * (i // repeats == j), over=i)")
def _(gy, repeats, axis, x_shape):
    after = axis % len(x_shape) + 1
    return gy.reshape((*x_shape[:after], repeats, *x_shape[after:])).sum(axis=after)


@primitive(formula="pad(x, pad_width, constant_values=value)")
def pad(x, *, pad_width, value=0.0):
    """x with `value` around it.

    pad_width: a number (so many at both ends of every axis), a pair (before, after), or a pair for each axis.
    """
    xp = array_module(x)
    widths = pairs(pad_width, x.ndim)
    y = xp.full(tuple(before + n + after for (before, after), n in zip(widths, x.shape, strict=True)), value, x.dtype)
    y[inside(widths, y.shape)] = x
    return y


@pad.vjp("x")
def _(gy, pad_width):
    return crop(gy, pad_width)


def crop(x, pad_width):
    """x without the `pad_width` entries at its ends: what `pad` undoes."""
    return x[inside(pairs(pad_width, x.ndim), x.shape)]


def inside(widths, shape):
    """The slices of an array of `shape` that leave out a pair (before, after) at the ends of each axis."""
    return tuple(slice(before, n - after) for (before, after), n in zip(widths, shape, strict=True))


def pairs(pad_width, ndim):
    """A pair (before, after) for each axis, as whole numbers.  Raises ArgumentError where `pad_width` cannot mean that."""
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (ndim, 2)).tolist()
        if all(isinstance(n, int) and n >= 0 for pair in widths for n in pair):
            return widths
    except ValueError:  # it does not broadcast
        pass
    raise ArgumentError(
        "pad: pad_width does not fit.",
        expected=f"a whole number >= 0, a pair (before, after), or a pair for each axis ({ndim})",
        got=repr(pad_width),
        at=show(caller()),
    )


def full_slices(axis, x):
    """A full slice for each axis of x before `axis`: what an index along `axis` begins with.  Raises ShapeError where x has no such axis."""
    return (slice(None),) * axis_of(axis, x)


def axis_of(axis, x):
    """The number, counted from 0, of an axis of x.  Raises ShapeError where x has no such axis."""
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"there is no axis {axis}.", got=f"an array of shape {tuple(x.shape)}", at=show(caller()))
    return axis % x.ndim
