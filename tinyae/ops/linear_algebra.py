"""Matrix products, diagonals and triangles."""

import math

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.ops.indexing import scatter_add
from tinyae.ops.shapes import inverse


@primitive(shapes="(n?,k),(k,m?)->(n?,m?)")
def matmul(a, b):
    """The matrix product of the last two axes; leading axes broadcast, and a vector is a row on the left, a column on the right."""
    return a @ b


@matmul.vjp("a", formula="gy @ b.swapaxes(-1, -2)")
def _(gy, b, a_shape):
    if b.ndim == 1:
        return gy[..., None] * b
    if len(a_shape) == 1:
        return (b @ gy[..., None])[..., 0]
    return gy @ b.swapaxes(-1, -2)


@matmul.vjp("b", formula="a.swapaxes(-1, -2) @ gy")
def _(gy, a, b_shape):
    if len(b_shape) == 1:
        return a * gy[..., None]
    if len(b_shape) == 2 and a.ndim > 2:  # one product, where a product for each leading index would be summed afterwards
        return rows(a).T @ rows(gy)
    if a.ndim == 1:
        return a[..., None] * gy[..., None, :]
    return a.swapaxes(-1, -2) @ gy


def rows(x):
    """All leading axes as one: (..., K) to (N, K)."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


@primitive(shapes="(n?,i),(o,i),(o)->(n?,o)", formula="x @ weight.T + bias")
def linear(x, weight, bias=None):
    """The affine map of a layer.  x: (..., I), weight: (O, I), bias: (O,) or None.  Returns (..., O)."""
    if weight.ndim != 2 or (bias is not None and bias.ndim != 1):
        raise ValueError("weight is a matrix (O, I), and bias a vector (O,)")
    y = rows(x) @ weight.T if x.ndim > 2 else x @ weight.T  # one product, where there would be one for each leading index
    if bias is not None:
        y += bias
    return y.reshape((*x.shape[:-1], len(weight))) if x.ndim > 2 else y


@linear.vjp("x", formula="gy @ weight")
def _(gy, weight, x_shape):
    return (rows(gy) @ weight).reshape(x_shape) if len(x_shape) > 2 else gy @ weight


@linear.vjp("weight", formula="rows(gy).T @ rows(x)")
def _(gy, x, out=None):
    if out is None:
        return rows(gy).T @ rows(x)
    return array_module(gy).matmul(rows(gy).T, rows(x), out=out)


@linear.vjp("bias", formula="rows(gy).sum(axis=0)")
def _(gy, out=None):
    return rows(gy).sum(axis=0) if out is None else rows(gy).sum(axis=0, out=out)


@linear.twin
def _(x, weight, bias):
    return x @ weight.T + bias


@primitive(formula="y[i, j] = a[i] * b[j]")
def outer(a, b):
    """The products of all pairs.  a: (N,), b: (M,).  Returns (N, M)."""
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError("a and b must be vectors")
    return a[:, None] * b


@outer.vjp("a")
def _(gy, b):
    return gy @ b


@outer.vjp("b")
def _(gy, a):
    return a @ gy


@primitive(view=True)
def diagonal(x, *, offset=0, axis1=0, axis2=1):
    """The entries whose place along `axis2` is that along `axis1` plus `offset`: the two axes become one, the last of the result."""
    xp = array_module(x)
    return xp.diagonal(x, offset, axis1, axis2)


@diagonal.vjp("x")
def _(gy, x_shape, offset, axis1, axis2):
    return on_diagonal(gy, x_shape, offset, axis1, axis2)


def on_diagonal(gy, shape, offset, axis1, axis2):
    """Zeros of `shape` with gy on the diagonal that `diagonal` takes from it.

    In a matrix whose rows stand one after another, (N, M) as N * M entries, the diagonal is every entry M + 1 after the last.
    """
    axes = [axis % len(shape) for axis in (axis1, axis2)]
    order = [axis for axis in range(len(shape)) if axis not in axes] + axes
    columns = shape[axes[1]]
    start = max(offset, 0) + max(-offset, 0) * columns
    every = slice(start, start + gy.shape[-1] * (columns + 1), columns + 1)
    rest = [shape[axis] for axis in order[:-2]]
    flat = scatter_add(gy, index=(..., every), shape=(*rest, shape[axes[0]] * columns))
    return flat.reshape((*rest, shape[axes[0]], columns)).transpose(inverse(order))


@primitive(shapes="(n,m)->(n,m)")
def tril(x, *, k=0):
    """The lower triangle: zeros above diagonal number k (0: the main one; 1: the next one above it).  x: (..., N, M)."""
    xp = array_module(x)
    return xp.tril(x, k)


@tril.vjp("x")
def _(gy, k):
    return tril(gy, k=k)


@primitive(shapes="(n,m)->(n,m)")
def triu(x, *, k=0):
    """The upper triangle: zeros below diagonal number k (0: the main one; 1: the next one above it).  x: (..., N, M)."""
    xp = array_module(x)
    return xp.triu(x, k)


@triu.vjp("x")
def _(gy, k):
    return triu(gy, k=k)
