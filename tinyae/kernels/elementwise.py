"""Elementwise operations in the form that NumPy does fast.

NumPy's `maximum` of an array and a number has no vector code, its `maximum` of two arrays has; `where` guesses the next truth value,
which is wrong half the time in a ReLU's mask, and bits do not guess.  What that is worth: benchmarks/kernels.md.
"""

import functools

import numpy as np

BITS = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}


def against(ufunc, x, number):
    """np.maximum or np.minimum of an array and a Python number, in x's order in memory.  x: floating point, any shape."""
    if not is_floating(x) or x.ndim == 0 or isinstance(number, np.ndarray):
        return NotImplemented
    order = None
    if not x.flags.c_contiguous:  # the row of numbers must lie along the axis whose entries are neighbours
        order = np.argsort([-abs(stride) for stride in x.strides], kind="stable")
        x = x.transpose(order)
    y = ufunc(x, row(x.shape[-1], number, x.dtype))
    return y if order is None else y.transpose(np.argsort(order))


@functools.lru_cache(maxsize=64)
def row(length, number, dtype):
    """A row of one number, read-only: the same one for the next that asks."""
    made = np.full(length, number, dtype)
    made.flags.writeable = False
    return made


def masked(condition, a, b):
    """np.where(condition, a, 0): the bits of `a` where the condition holds, else none, so that an infinite or undefined `a` leaves no trace.

    condition: truth values of a's shape.  a: floating point.  b: the Python number 0.
    """
    if type(b) is not int or b or type(a) is not np.ndarray or type(condition) is not np.ndarray or condition.shape != a.shape or not a.ndim:
        return NotImplemented
    bits = BITS.get(a.dtype)
    if bits is None or condition.dtype != bool:
        return NotImplemented
    return np.bitwise_and(a.view(bits), np.negative(condition.view(np.int8)), dtype=bits).view(a.dtype)  # all bits of -1 are set


def sigmoid(x):
    """1 / (1 + exp(-x)) with one exponential: t = exp(-|x|) gives 1 / (1 + t), or t / (1 + t) where x is negative."""
    if not is_floating(x) or x.ndim == 0:
        return NotImplemented
    t = np.abs(x)
    np.negative(t, out=t)
    np.exp(t, out=t)
    y = np.maximum(t, (x >= 0).astype(x.dtype))  # t is at most 1
    t += 1
    y /= t
    return y


def is_floating(x):
    """Whether x is a NumPy array of floating-point numbers, and no array of another kind."""
    return type(x) is np.ndarray and x.dtype.kind == "f"
