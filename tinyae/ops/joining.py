"""Joining arrays and cutting them up: one is the gradient of the other."""

import itertools
import operator

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.errors import ArgumentError, caller, show
from tinyae.ops.shapes import axis_of, full_slices


def first(arrays, axis):
    """The first of several arrays.  Raises ArgumentError where there is none, or no axis along which they would be joined."""
    if not arrays:
        raise ArgumentError("there are no arrays to join.", expected="one or more", at=show(caller()))
    if axis is None:
        raise ArgumentError("axis: a whole number is needed.", got="None", at=show(caller()), remedy="to flatten the arrays, x.reshape(-1) of each")
    return arrays[0]


@primitive
def concatenate(*arrays, axis=0):
    """Arrays one after another along `axis`; the other axes agree.  Takes a list, as NumPy does, or several arrays."""
    xp = array_module(first(arrays, axis))
    return xp.concatenate(arrays, axis=axis)


@concatenate.vjp("*arrays", formula="split(gy, seams(arrays_shape, axis), axis)")
def _(gy, arrays_shape, axis):
    return tuple(split(gy, seams(arrays_shape, axis), axis))


def seams(shapes, axis):
    """Where one of several arrays of these shapes ends and the next begins, when they stand one after another along `axis`."""
    return list(itertools.accumulate(shape[axis] for shape in shapes))[:-1]


@primitive
def stack(*arrays, axis=0):
    """Arrays of one shape along a new axis, which stands at `axis` of the result.  Takes a list, as NumPy does, or several arrays."""
    xp = array_module(first(arrays, axis))
    return xp.stack(arrays, axis=axis)


@stack.vjp("*arrays")
def _(gy, axis):
    return unstack(gy, axis=axis)


def unstack(x, *, axis=0):
    """The entries of x along `axis`, a tuple of arrays with one axis less: what `stack` undoes."""
    before = full_slices(axis, x)
    return tuple(x[(*before, i)] for i in range(x.shape[axis]))


def split(x, indices_or_sections, axis=0):
    """x cut up along `axis`, as a list.

    indices_or_sections: how many parts of one length, or a list of the places to cut before.  As NumPy's.
    Raises ArgumentError where so many parts of one length do not exist.
    """
    n = x.shape[axis_of(axis, x)]
    cuts = indices_or_sections
    if not hasattr(cuts, "__len__"):
        sections = operator.index(cuts)
        if sections < 1 or n % sections:
            raise ArgumentError(
                "split: there is no such number of parts of one length.",
                expected=f"a number >= 1 that divides the length {n} of axis {axis}, or a list of places",
                got=sections,
                at=show(caller()),
            )
        cuts = [i * (n // sections) for i in range(1, sections)]
    before = full_slices(axis, x)
    return [x[(*before, slice(start, stop))] for start, stop in itertools.pairwise([0, *cuts, n])]
