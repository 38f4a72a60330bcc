"""The three operations of `convolution` on arrays, for any number of spatial axes: each is one matrix product.

Its matrix is that of the windows of x side by side, a column for each step and example (im2col; Chellapilla, Puri & Simard
2006).  For the rows W (O, C * K) of a weight and the rows G (O, steps * N) of a cotangent:

    convolution              W @ columns(x)
    weight gradient          columns(x) @ G.T, transposed
    transposed convolution   W.T @ G, its columns added to where those of x come from

All columns together take K times the memory of x.  So they are made in blocks, for some of the steps at a time, and multiplied
while they are in the processor's cache.  None are kept: each operation makes its own.

With stride 1 a convolution is also a transposed convolution, by the mirrored kernel, and the other way round.  A column has K entries for
each channel, so each of the three takes the form that makes columns of fewer channels.
"""

import math

import numpy as np

from tinyae.backend import array_module
from tinyae.ops.windows import Windows, batch_first, batch_last, runs, side_by_side, size_before, spatial

BLOCK = 2**21  # bytes of columns in a block; benchmarks/convolutions.md has the figures
FEWEST = 512  # columns in a block: with fewer, products are slow


def blocks(windows, x, height):
    """The steps in blocks.  Yields the box of each, a range along each axis, and the places of its columns among all of them, a slice.

    x: an array (N, ...), height: the entries of a column.  On a GPU all steps are one block: fewer launches, no cache to mind.
    """
    n, stop = x.shape[0], 0
    fitting = max(BLOCK // max(1, height * x.itemsize), FEWEST) // max(1, n)
    for box in runs(windows.steps, fitting if array_module(x) is np else math.prod(windows.steps)):
        start, stop = stop, stop + math.prod(map(len, box)) * n
        yield box, slice(start, stop)


def columns(x, windows, box):
    """What the steps of a box see of x (C, *size, N), as columns: (C * K, steps in the box * N)."""
    if array_module(x) is not np:
        seen = windows.all_at_once(x)  # a view: one launch makes columns of it
        return seen.reshape(seen.shape[0] * math.prod(windows.kernel), math.prod(windows.steps) * seen.shape[-1])
    seen = array_module(x).empty((x.shape[0], math.prod(windows.kernel), *map(len, box), x.shape[-1]), x.dtype)
    for k, (steps, entries) in enumerate(windows.overlaps(box)):
        part = seen[:, k]
        if part[steps].shape != part.shape:
            part[...] = 0  # what lies in the padding
        part[steps] = x[entries]
    return seen.reshape(seen.shape[0] * seen.shape[1], math.prod(seen.shape[2:]))


def rows(x):
    """The channels of x (N, C, *steps) as rows, in the order of the columns: (C, steps * N)."""
    return batch_last(x).reshape(x.shape[1], math.prod(x.shape[2:]) * x.shape[0])


def flat(weight):
    """weight (O, C, *kernel) as a matrix (O, C * K)."""
    return weight.reshape(weight.shape[0], math.prod(weight.shape[1:]))


def convolution(axes, x, weight, bias, stride, padding, dilation):
    """x: (N, C, *size), weight: (O, C, *kernel), bias: (O,) or None.  Returns (N, O, *steps)."""
    spatial(axes, x=x.shape, weight=weight.shape)
    agree("channels", x=x.shape[1], weight=weight.shape[1])
    xp, windows = array_module(x), Windows(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    if len(weight) < weight.shape[1] and windows.mirrored:
        return transposed_convolution(axes, x, mirror(weight), bias, 1, windows.mirrored, dilation, 0)
    w = flat(weight)
    y, inner = xp.empty((w.shape[0], math.prod(windows.steps) * x.shape[0]), xp.result_type(x, w)), side_by_side(x)
    for box, places in blocks(windows, x, w.shape[1]):
        xp.matmul(w, columns(inner, windows, box), out=y[:, places])
    return batch_first(add_bias(y.reshape(w.shape[0], *windows.steps, x.shape[0]), bias))


def transposed_convolution(axes, x, weight, bias, stride, padding, dilation, output_padding):
    """x: (N, C, *steps), weight: (C, O, *kernel), bias: (O,) or None.  Returns (N, O, *size)."""
    spatial(axes, x=x.shape, weight=weight.shape)
    agree("channels", x=x.shape[1], weight=weight.shape[0])
    (n, _, *steps), (_, channels, *kernel) = x.shape, weight.shape
    windows = Windows(size_before(steps, kernel, stride, padding, dilation, output_padding), kernel, stride, padding, dilation)
    if len(weight) <= channels and windows.mirrored:
        return convolution(axes, x, mirror(weight), bias, 1, windows.mirrored, dilation)
    xp = array_module(x)
    w, g = flat(weight).T, rows(x)
    y = xp.zeros((channels, *windows.size, n), xp.result_type(x, w))
    for box, places in blocks(windows, x, w.shape[0]):
        parts = (w @ g[:, places]).reshape(channels, math.prod(windows.kernel), *map(len, box), n)
        for k, (seen, entries) in enumerate(windows.overlaps(box)):
            there = y[entries]  # a view, so that nothing is assigned back
            there += parts[:, k][seen]
    return batch_first(add_bias(y, bias))


def weight_gradient(axes, x, gy, kernel_size, stride, padding, dilation):
    """x: (N, C, *size), gy: (N, O, *steps).  Returns (O, C, *kernel)."""
    spatial(axes, x=x.shape, gy=gy.shape)
    agree("examples", x=x.shape[0], gy=gy.shape[0])
    windows = Windows(x.shape[2:], kernel_size, stride, padding, dilation)
    agree("steps", kernel=windows.steps, gy=gy.shape[2:])
    if gy.shape[1] < x.shape[1] and windows.mirrored:
        return mirror(weight_gradient(axes, gy, x, kernel_size, 1, windows.mirrored, dilation))
    inner, g, height = side_by_side(x), rows(gy), x.shape[1] * math.prod(windows.kernel)
    y = sum(columns(inner, windows, box) @ g[:, places].T for box, places in blocks(windows, x, height))
    return y.T.reshape(gy.shape[1], x.shape[1], *windows.kernel)


def mirror(weight):
    """weight (O, C, *kernel) as (C, O, *kernel), each axis of the kernel reversed: a view."""
    return weight.swapaxes(0, 1)[(slice(None), slice(None), *[slice(None, None, -1)] * (weight.ndim - 2))]


def add_bias(y, bias):
    """y (O, ...) with the bias (O,) of its channels added in place."""
    if bias is not None:
        agree("channels", result=y.shape[:1], bias=bias.shape)
        y += bias.reshape(-1, *[1] * (y.ndim - 1))
    return y


def agree(what, **numbers):
    """Raise ValueError unless both numbers are the same."""
    (first, m), (second, n) = numbers.items()
    if m != n:
        raise ValueError(f"{first} and {second} must have as many {what}: {m} and {n}")
