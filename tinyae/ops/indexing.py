"""Indexing, and its transpose: adding entries into an array of zeros."""

from tinyae.autograd import primitive
from tinyae.backend import array_module


@primitive(view=True)
def getitem(x, *, index):
    """x[index]: slices, integers, None, ..., integer arrays and boolean masks, as in NumPy."""
    return x[index]


@getitem.vjp("x")
def _(gy, index, x_shape):
    return scatter_add(gy, index=index, shape=x_shape)


@primitive(formula="scatter_add(x, index=index, shape=shape)")
def scatter_add(x, *, index, shape):
    """Zeros of `shape`, to which the entries of x are added at `index`: an entry named twice is added twice."""
    xp = array_module(x)
    y = xp.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(part is None or part is Ellipsis or isinstance(part, (slice, int)) for part in parts):
        y[index] = x  # no entry can be named twice
    else:
        xp.add.at(y, index, x)
    return y


@scatter_add.vjp("x")
def _(gy, index):
    return gy[index]
