"""A slice's gradient: on the host without the questions that other indices need, on a GPU as one launch, where zeros and what is written are two."""

import functools

import numpy as np

from tinyae.backend import array_module

ONLY_SLICES = {slice}


def scatter_slice(x, *, index, shape):
    """Zeros of `shape` with x at x's place, where `index` is made of slices.  NotImplemented for others.

    On a GPU only where it cuts one axis, a multiple of the slice's width, into parts: halves, thirds, ...  Seen as (..., parts, width, ...),
    the result is x where the part is the right one, else 0.
    """
    parts = index if type(index) is tuple else (index,)
    if len(parts) > len(shape) or not ONLY_SLICES.issuperset(map(type, parts)):
        return NotImplemented
    if type(x) is np.ndarray:
        y = np.zeros(shape, x.dtype)
        y[index] = x
        return y
    xp = array_module(x)
    cut = [(axis, *part.indices(n)) for axis, (part, n) in enumerate(zip(parts, shape, strict=False)) if part.indices(n) != (0, n, 1)]
    if len(cut) != 1:
        return NotImplemented
    axis, start, stop, step = cut[0]
    width = stop - start
    if step != 1 or width < 1 or start % width or shape[axis] % width:
        return NotImplemented
    before, after = shape[:axis], shape[axis + 1 :]
    x = xp.broadcast_to(x, (*before, width, *after)).reshape((*before, 1, width, *after))
    return xp.where(one_of(xp, shape[axis] // width, start // width, 1 + len(after)), x, 0).reshape(shape)


@functools.cache
def one_of(xp, parts, part, more):
    """Which of so many parts is this one: truth values (parts, 1, ...), with so many axes more.  On the device from then on."""
    return (xp.arange(parts) == part).reshape((parts,) + (1,) * more)
