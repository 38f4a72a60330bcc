"""Matrix products."""

from tinyae.autograd import primitive
from tinyae.backend import array_module


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
    if a.ndim == 1:
        return a[..., None] * gy[..., None, :]
    return a.swapaxes(-1, -2) @ gy


def rows(x):
    """All leading axes as one: (..., K) to (N, K)."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


@primitive(shapes="(n?,i),(o,i),(o)->(n?,o)", formula="x @ weight.T + bias")
def linear(x, weight, bias=None):
    """The affine map of a layer.  x: (..., I), weight: (O, I), bias: (O,) or None.  Returns (..., O)."""
    y = x @ weight.T
    if bias is not None:
        y += bias
    return y


@linear.vjp("x")
def _(gy, weight):
    return gy @ weight


@linear.vjp("weight", formula="rows(gy).T @ rows(x)")
def _(gy, x, out=None):
    if out is None:
        return rows(gy).T @ rows(x)
    return array_module(gy).matmul(rows(gy).T, rows(x), out=out)


@linear.vjp("bias")
def _(gy):
    return rows(gy).sum(axis=0)


@linear.twin
def _(x, weight, bias):
    return x @ weight.T + bias
