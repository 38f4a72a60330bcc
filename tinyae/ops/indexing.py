"""Indexing, and its transpose: adding entries into an array of zeros.  What sorts and selects is made of it.

Positions (an index, an order) are plain integer arrays on the data's device and have no gradient.  One outside the array is an
error on NumPy; on a GPU, where a check would wait for the device, CuPy counts on from the other end.
"""

import numpy as np

from tinyae.autograd import Tensor, primitive, raw
from tinyae.backend import array_module
from tinyae.errors import ArgumentError, DtypeError, caller, show
from tinyae.kernels.scatter import scatter_slice
from tinyae.ops.shapes import axis_of, full_slices, reshape


@primitive(view=True)
def getitem(x, *, index):
    """x[index]: slices, integers, None, ..., integer arrays and boolean masks, as in NumPy."""
    return x[index]


def fixed(index):
    """An index, alone or in a tuple, as it is; of a Tensor a copy of its values, which the graph still needs when they may have been changed."""
    if isinstance(index, tuple):
        return tuple(map(fixed, index))
    return index.data.copy() if isinstance(index, Tensor) else index


@getitem.vjp("x")
def _(gy, index, x_shape):
    return scatter_add(gy, index=index, shape=x_shape)


@primitive(formula="scatter_add(x, index=index, shape=shape)")
def scatter_add(x, *, index, shape):
    """Zeros of `shape`, to which the entries of x are added at `index`: an entry named twice is added twice."""
    xp = array_module(x)
    y = xp.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)) for part in parts):
        y[index] = x  # no entry can be named twice
    else:
        xp.add.at(y, index, x)
    return y


scatter_add.kernel(scatter_slice)


@scatter_add.vjp("x")
def _(gy, index):
    return gy[index]


@primitive(formula="y[i] = x[index[i]]")
def gather(x, *, index, axis):
    """The entries of x at the positions `index` along `axis`: NumPy's take_along_axis.

    index: integers, as many axes as x; the other axes are those of x, or 1 and broadcast.  Returns an array of index's shape, broadcast.
    """
    return x[along(index, axis, x.shape)]


@gather.vjp("x", formula="gx[j] = sum(gy[i] * (index[i] == j), over=i)")
def _(gy, index, axis, x_shape):
    return scatter_add(gy, index=along(index, axis, x_shape), shape=x_shape)


def along(index, axis, shape):
    """The index of an array of `shape` that says `index` along `axis` and each entry's own place along the others."""
    if getattr(index, "ndim", None) != len(shape) or index.dtype.kind not in "iu":
        raise ValueError(f"index must be an array of integers with as many axes as x, {len(shape)}")
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"x has no axis {axis}")
    xp = array_module(index)
    places = [xp.arange(n).reshape([n if i == a else 1 for i in range(len(shape))]) for a, n in enumerate(shape)]
    places[axis] = index
    return tuple(places)


def take(x, indices, axis=None):
    """The entries of x at the integers `indices` along `axis`, or of all of x in one row (axis None).

    x: (..., N, ...), indices: any shape S.  Returns (..., *S, ...), or S for axis None.
    """
    if axis is None:
        x, axis = reshape(x, shape=(-1,)), 0
    indices = fixed(indices)
    dtype = indices.dtype if hasattr(indices, "dtype") else np.asarray(indices).dtype
    if dtype.kind not in "iu" and np.size(indices):
        raise DtypeError("take: the indices are integers.", got=f"dtype {dtype}", at=show(caller()), remedy="x[mask] for truth values")
    return getitem(x, index=(*full_slices(axis, x), indices))


def sort(x, *, axis=-1):
    """The entries in ascending order along `axis`.  Each gradient goes back to where its entry came from; of equals, in their order."""
    order = raw(x)
    return gather(x, index=array_module(order).argsort(order, axis=axis, kind="stable"), axis=axis)


def top_k(x, k, *, axis=-1):
    """(values, indices) of the k largest entries along `axis`, the largest first; of equals, the first.  The indices are plain integers."""
    axis, keys = axis_of(axis, x), raw(x)
    keys = -keys if keys.dtype.kind == "f" else ~keys  # of integers, the other way round as well, and none of them wraps
    if not 0 <= k <= keys.shape[axis]:
        raise ArgumentError("top_k: there are not so many entries.", expected=f"0 <= k <= {keys.shape[axis]}", got=f"k = {k}", at=show(caller()))
    indices = array_module(keys).argsort(keys, axis=axis, kind="stable")[(*full_slices(axis, keys), slice(k))]
    return gather(x, index=indices, axis=axis), indices


def one_hot(labels, classes, dtype="float32"):
    """1 at the label and 0 elsewhere: a plain array, on the labels' device.

    labels: integers in 0, ..., classes - 1, an array or a Tensor of any shape (...).  Returns (..., classes).
    Raises DtypeError for labels that are no integers, ArgumentError for one outside the range (on a GPU its row is zero instead).
    """
    labels = raw(labels)
    xp = array_module(labels)
    labels = xp.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise DtypeError("one_hot: labels are integers.", got=f"dtype {labels.dtype}", at=show(caller()), remedy="labels.astype('int64')")
    if xp is np and labels.size and not 0 <= labels.min() <= labels.max() < classes:
        outside = f"labels from {labels.min()} to {labels.max()}"
        raise ArgumentError("one_hot: a label is not among the classes.", expected=f"0 to {classes - 1}", got=outside, at=show(caller()))
    return (labels[..., None] == xp.arange(classes)).astype(dtype)
