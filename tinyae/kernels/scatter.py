"""A slice's gradient on a GPU as one launch, where zeros and what is written into them are two."""

import functools

import numpy as np

from tinyae.backend import array_module


def scatter_slice(x, *, index, shape):
    """Zeros of `shape` with x at x's place, where `index` cuts one axis, a multiple of the slice's width, into parts: halves, thirds, ...

    Seen as (..., parts, width, ...), the result is x where the part is the right one, else 0.  NotImplemented for the rest, and on the host.
    """
    if type(x) is np.ndarray:
        return NotImplemented
    xp, parts = array_module(x), index if isinstance(index, tuple) else (index,)
    if len(parts) > len(shape) or not all(isinstance(part, slice) for part in parts):
        return NotImplemented
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
