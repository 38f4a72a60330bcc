"""Pooling, one number for each window, and up-sampling.  Nothing is padded: what does not fill a window at the end is not seen."""

import math

from tinyae.autograd import primitive, raw
from tinyae.backend import array_module
from tinyae.ops.windows import Windows, batch_first, batch_last, per_axis, side_by_side, spatial

COVERED = "(stride * i <= p < stride * i + kernel_size)"  # whether the window of step i covers the entry p
COVERED_2D = "(stride[0] * i <= p < stride[0] * i + kernel_size[0]) * (stride[1] * j <= q < stride[1] * j + kernel_size[1])"
TIED = "sum(x[n, c, stride * i + k] == y[n, c, i] for k in range(kernel_size))"  # how many entries of the window tie for the largest
TIED_2D = "sum(x[n, c, stride[0] * i + k, stride[1] * j + l] == y[n, c, i, j] for k in range(kernel_size[0]) for l in range(kernel_size[1]))"
TIES = "where entries of a window tie for the largest: they share the gradient equally"


def windows_of(axes, shape, kernel_size, stride):
    """The windows of pooling on an input of `shape`, (N, C, *size)."""
    spatial(axes, x=shape)
    return Windows(shape[2:], kernel_size, kernel_size if stride is None else stride)


def average(axes, x, kernel_size, stride):
    """The mean of each window of x (N, C, *size): (N, C, *steps)."""
    first, *others = windows_of(axes, x.shape, kernel_size, stride).cut(side_by_side(x))
    y = first.copy()
    for part in others:
        y += part
    return batch_first(y / (1 + len(others)))


def average_vjp(axes, gy, shape, kernel_size, stride):
    """Each step's gradient, in equal parts to the entries of its window: (N, C, *size)."""
    windows = windows_of(axes, shape, kernel_size, stride)
    count = math.prod(windows.kernel)
    return batch_first(windows.add([batch_last(gy) / count] * count))


def largest(axes, x, kernel_size, stride):
    """The largest entry of each window of x (N, C, *size): (N, C, *steps)."""
    first, *others = windows_of(axes, x.shape, kernel_size, stride).cut(side_by_side(x))
    y = first.copy()
    for part in others:
        array_module(x).maximum(y, part, out=y)
    return batch_first(y)


def largest_vjp(axes, gy, x, y, kernel_size, stride):
    """Each step's gradient, to the largest entry of its window: (N, C, *size)."""
    windows = windows_of(axes, x.shape, kernel_size, stride)
    hits = [part == batch_last(raw(y)) for part in windows.cut(side_by_side(raw(x)))]
    share = batch_last(gy) / sum(hit.astype(gy.dtype) for hit in hits)
    return batch_first(windows.add([share * hit for hit in hits]))


@primitive(shapes="(n,c,l)->(n,c,i)", formula="y[n, c, i] = sum(x[n, c, stride * i + k] for k in range(kernel_size)) / kernel_size")
def avg_pool1d(x, *, kernel_size, stride=None):
    """The mean of each window.  x: (N, C, L).  Returns (N, C, steps), steps = (L - kernel_size) // stride + 1; stride None is kernel_size."""
    return average(1, x, kernel_size, stride)


@avg_pool1d.vjp("x", formula=f"gx[n, c, p] = sum(gy[n, c, i] / kernel_size * {COVERED}, over=i)")
def _(gy, x_shape, kernel_size, stride):
    return average_vjp(1, gy, x_shape, kernel_size, stride)


@primitive(
    shapes="(n,c,h,w)->(n,c,i,j)",
    formula="y[n, c, i, j] = sum(x[n, c, stride[0] * i + k, stride[1] * j + l] for k in range(kernel_size[0]) for l in range(kernel_size[1]))"
    " / (kernel_size[0] * kernel_size[1])",
)
def avg_pool2d(x, *, kernel_size, stride=None):
    """The mean of each window.  x: (N, C, H, W).  Returns (N, C, steps, steps), along each axis as for avg_pool1d."""
    return average(2, x, kernel_size, stride)


@avg_pool2d.vjp("x", formula=f"gx[n, c, p, q] = sum(gy[n, c, i, j] / (kernel_size[0] * kernel_size[1]) * {COVERED_2D}, over=(i, j))")
def _(gy, x_shape, kernel_size, stride):
    return average_vjp(2, gy, x_shape, kernel_size, stride)


@primitive(shapes="(n,c,l)->(n,c,i)", kinks=TIES, analytic=False, formula="y[n, c, i] = max(x[n, c, stride * i + k] for k in range(kernel_size))")
def max_pool1d(x, *, kernel_size, stride=None):
    """The largest entry of each window.  x: (N, C, L).  Returns (N, C, steps), as many as for avg_pool1d."""
    return largest(1, x, kernel_size, stride)


@max_pool1d.vjp("x", formula=f"gx[n, c, p] = sum(gy[n, c, i] / {TIED} * (x[n, c, p] == y[n, c, i]) * {COVERED}, over=i)")
def _(gy, x, y, kernel_size, stride):
    return largest_vjp(1, gy, x, y, kernel_size, stride)


@primitive(
    shapes="(n,c,h,w)->(n,c,i,j)",
    kinks=TIES,
    analytic=False,
    formula="y[n, c, i, j] = max(x[n, c, stride[0] * i + k, stride[1] * j + l] for k in range(kernel_size[0]) for l in range(kernel_size[1]))",
)
def max_pool2d(x, *, kernel_size, stride=None):
    """The largest entry of each window.  x: (N, C, H, W).  Returns (N, C, steps, steps), along each axis as for avg_pool1d."""
    return largest(2, x, kernel_size, stride)


@max_pool2d.vjp("x", formula=f"gx[n, c, p, q] = sum(gy[n, c, i, j] / {TIED_2D} * (x[n, c, p, q] == y[n, c, i, j]) * {COVERED_2D}, over=(i, j))")
def _(gy, x, y, kernel_size, stride):
    return largest_vjp(2, gy, x, y, kernel_size, stride)


@primitive(formula="y[n, c, i, j] = x[n, c, i // scale[0], j // scale[1]]")
def upsample_nearest(x, *, scale):
    """Every entry repeated `scale` times along each spatial axis.  x: (N, C, *size), scale: a number, or one for each axis.

    Returns (N, C, *(size * scale)).  The formula shown is that of images.
    """
    if x.ndim < 3:
        raise ValueError(f"x must have spatial axes after the batch and the channels; its shape is {x.shape}")
    xp, y = array_module(x), batch_last(x)
    for axis, times in enumerate(per_axis("scale", scale, x.ndim - 2), start=1):
        y = xp.repeat(y, times, axis=axis)
    return batch_first(y)


@upsample_nearest.vjp("x", formula="gx[n, c, p, q] = sum(gy[n, c, i, j] * (p == i // scale[0]) * (q == j // scale[1]), over=(i, j))")
def _(gy, x_shape, scale):
    n, c, *size = x_shape
    blocks = [number for pair in zip(size, per_axis("scale", scale, len(size)), strict=True) for number in pair]
    return batch_first(batch_last(gy).reshape(c, *blocks, n).sum(axis=tuple(range(2, 2 * len(size) + 1, 2))))
