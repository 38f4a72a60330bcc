"""The three operations of `convolution` on arrays, for any number of spatial axes: each is one matrix product.

Its matrix is that of the windows of x side by side, a column for each step and example (im2col; Chellapilla, Puri & Simard
2006).  For the rows W (O, C * K) of a weight and the rows G (O, steps * N) of a cotangent:

    convolution              W @ columns(x)
    weight gradient          G @ columns(x).T
    transposed convolution   W.T @ G, its columns added to where those of x come from
"""

import math

from tinyae.backend import array_module
from tinyae.ops.windows import Windows, batch_first, batch_last, side_by_side, size_before, spatial


def columns(x, windows):
    """The windows of x (N, C, *size), a kernel of K entries, as columns: (C * K, steps * N)."""
    parts = windows.cut(side_by_side(x))
    return array_module(x).stack(parts, axis=1).reshape(x.shape[1] * len(parts), math.prod(windows.steps) * x.shape[0])


def rows(x):
    """The channels of x (N, C, *steps) as rows, in the order of `columns`: (C, steps * N)."""
    return batch_last(x).reshape(x.shape[1], math.prod(x.shape[2:]) * x.shape[0])


def flat(weight):
    """weight (O, C, *kernel) as a matrix (O, C * K)."""
    return weight.reshape(weight.shape[0], math.prod(weight.shape[1:]))


def convolution(axes, x, weight, bias, stride, padding, dilation):
    """x: (N, C, *size), weight: (O, C, *kernel), bias: (O,) or None.  Returns (N, O, *steps)."""
    spatial(axes, x=x.shape, weight=weight.shape)
    agree("channels", x=x.shape[1], weight=weight.shape[1])
    windows = Windows(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    y = flat(weight) @ columns(x, windows)
    return batch_first(add_bias(y.reshape(weight.shape[0], *windows.steps, x.shape[0]), bias))


def transposed_convolution(axes, x, weight, bias, stride, padding, dilation, output_padding):
    """x: (N, C, *steps), weight: (C, O, *kernel), bias: (O,) or None.  Returns (N, O, *size)."""
    spatial(axes, x=x.shape, weight=weight.shape)
    agree("channels", x=x.shape[1], weight=weight.shape[0])
    (n, _, *steps), (_, channels, *kernel) = x.shape, weight.shape
    windows = Windows(size_before(steps, kernel, stride, padding, dilation, output_padding), kernel, stride, padding, dilation)
    columns = (flat(weight).T @ rows(x)).reshape(channels, math.prod(kernel), *steps, n)
    return batch_first(add_bias(windows.add([columns[:, k] for k in range(columns.shape[1])]), bias))


def weight_gradient(axes, x, gy, kernel_size, stride, padding, dilation):
    """x: (N, C, *size), gy: (N, O, *steps).  Returns (O, C, *kernel)."""
    spatial(axes, x=x.shape, gy=gy.shape)
    agree("examples", x=x.shape[0], gy=gy.shape[0])
    windows = Windows(x.shape[2:], kernel_size, stride, padding, dilation)
    agree("steps", kernel=windows.steps, gy=gy.shape[2:])
    return (rows(gy) @ columns(x, windows).T).reshape(gy.shape[1], x.shape[1], *windows.kernel)


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
