"""Systems of equations whose matrix is a triangle, such as a Cholesky factor, and the determinant of one."""

import numpy as np

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.errors import ArgumentError, caller, show
from tinyae.ops.linear_algebra import diagonal, on_diagonal, tril, triu


@primitive(shapes="(n,n),(n,m)->(n,m)", formula="solve(triangle(a, lower), b)")
def solve_triangular(a, b, *, lower=True):
    """The x with a x = b.  Of `a` only the lower triangle is read, or the upper one; the gradient of the other is zero.

    a: (..., N, N), b: (..., N, M), leading axes broadcast; a vector goes as b[:, None].  Returns (..., N, M).
    Raises ArgumentError for a zero on the diagonal (on a GPU the result is infinite or not a number instead).
    """
    xp = array_module(a)
    if lower:  # turned by 180 degrees, a lower triangle is an upper one
        return xp.flip(back_substitution(xp.flip(a, (-2, -1)), xp.flip(b, -2)), -2)
    return back_substitution(a, b)


@solve_triangular.vjp("a", "b")
def _(gy, a, y, lower):
    gb = solve_triangular(a.swapaxes(-1, -2), gy, lower=not lower)
    return -triangle(gb @ y.swapaxes(-1, -2), lower), gb


def back_substitution(a, b):
    """The x with a x = b for the upper triangle of the array `a`.

    NumPy has no solver for triangles.  Its solver for all matrices factors `a` first; of an upper triangle the factors are the identity
    and the triangle itself, without rounding, and what is left is back substitution.
    """
    xp = array_module(a)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])  # CuPy's solver does not broadcast
    a, b = (xp.broadcast_to(x, batch + x.shape[-2:]) for x in (xp.triu(a), b))
    try:
        return xp.linalg.solve(a, b)
    except np.linalg.LinAlgError as error:
        raise ArgumentError("solve_triangular: an entry on the diagonal of a is zero.", at=show(caller())) from error


def triangle(x, lower):
    """The lower triangle of x, or the upper one."""
    return tril(x) if lower else triu(x)


@primitive(shapes="(n,n)->()", domain={"a": "nonzero"}, formula="sum(log(abs(diagonal(a, axis1=-2, axis2=-1))), axis=-1)", analytic=False)
def log_det_triangular(a):
    """log |det a| of a triangle: only the diagonal is read.  a: (..., N, N).  Returns (...)."""
    xp = array_module(a)
    return xp.log(xp.abs(xp.diagonal(a, 0, -2, -1))).sum(axis=-1)


@log_det_triangular.vjp("a")
def _(gy, a):
    return on_diagonal(gy[..., None] / diagonal(a, axis1=-2, axis2=-1), a.shape, 0, -2, -1)
