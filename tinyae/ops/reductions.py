"""Reductions over `axis`: None (all), an axis, or a tuple of them; and the running sum along one."""

import math

from tinyae.autograd import primitive, raw
from tinyae.backend import array_module
from tinyae.kernels.elementwise import is_floating
from tinyae.ops.exponential import sqrt
from tinyae.ops.joining import concatenate
from tinyae.ops.selection import where
from tinyae.ops.shapes import broadcast_to, flip, inverse, reshape


def numbered(axis, ndim):
    """The axes that `axis` names, as a list of increasing numbers from 0."""
    if axis is None or ndim == 0:
        return list(range(ndim))
    return sorted({a % ndim for a in axis}) if isinstance(axis, tuple) else [axis % ndim]


def spread(gy, shape, axis, keepdims):
    """The cotangent of a reduction, repeated along the axes of `shape` that were reduced."""
    if axis is not None and not keepdims and shape:
        axes = numbered(axis, len(shape))
        gy = reshape(gy, shape=tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return broadcast_to(gy, shape=shape)


def count(shape, axis):
    """How many entries of an array of `shape` are reduced to one.  Raises ValueError where there are none."""
    entries = math.prod(shape if axis is None else [shape[a] for a in numbered(axis, len(shape))])
    if entries == 0:
        raise ValueError(f"there are no entries along axis={axis} of shape {shape}")
    return entries


@primitive
def sum(x, *, axis=None, keepdims=False):
    """The sum of the entries along `axis`."""
    return x.sum(axis=axis, keepdims=keepdims)


@sum.vjp("x")
def _(gy, x_shape, axis, keepdims):
    return spread(gy, x_shape, axis, keepdims)


@primitive(formula="sum(x, axis=axis, keepdims=keepdims) / count(x_shape, axis)")
def mean(x, *, axis=None, keepdims=False):
    """The mean of the entries along `axis`.  Raises where there are none."""
    count(x.shape, axis)
    return x.mean(axis=axis, keepdims=keepdims)


@mean.kernel
def _(x, *, axis=None, keepdims=False):  # NumPy's mean of few numbers takes much longer than its sum
    return x.sum(axis=axis, keepdims=keepdims) / count(x.shape, axis) if is_floating(x) else NotImplemented


@mean.vjp("x")
def _(gy, x_shape, axis, keepdims):
    return spread(gy / count(x_shape, axis), x_shape, axis, keepdims)


@primitive(formula="sum((x - mean(x, axis=axis, keepdims=True)) ** 2, axis=axis, keepdims=keepdims) / (count(x_shape, axis) - ddof)")
def var(x, *, axis=None, keepdims=False, ddof=0):
    """The variance of the entries along `axis`: their squared distances from the mean, summed, over their number minus `ddof`.

    ddof=0 gives the variance of these numbers, ddof=1 an unbiased estimate of that of their source.  Raises where nothing is
    left to divide by.
    """
    entries = count(x.shape, axis)
    if entries <= ddof:
        raise ValueError(f"the variance of {entries} entries with ddof={ddof} would divide by {entries - ddof}")
    return (centred(x, axis) ** 2).sum(axis=axis, keepdims=keepdims) / (entries - ddof)


@var.vjp("x", formula="spread(gy, x_shape, axis, keepdims) * 2 * (x - mean(x, axis=axis, keepdims=True)) / (count(x_shape, axis) - ddof)")
def _(gy, x, x_shape, axis, keepdims, ddof):
    return spread(gy, x_shape, axis, keepdims) * centred(x, axis) * (2 / (count(x_shape, axis) - ddof))


@var.twin
def _(x, *, axis=None, keepdims=False, ddof=0):
    n, total = count(x.shape, axis), sum(x, axis=axis, keepdims=keepdims)
    return (sum(x * x, axis=axis, keepdims=keepdims) - total * total / n) / (n - ddof)


def centred(x, axis):
    """x minus its mean along `axis`; taken twice, for the first mean is rounded (after Chan, Golub & LeVeque 1983)."""
    x = x - mean(x, axis=axis, keepdims=True)
    return x - mean(x, axis=axis, keepdims=True)


EQUAL_SHARES = (
    "spread(gy, x_shape, axis, keepdims) * (x == spread(y, x_shape, axis, keepdims))"
    " / sum(x == spread(y, x_shape, axis, keepdims), axis=axis, keepdims=True)"
)


@primitive(formula="max(x, axis=axis, keepdims=keepdims)", kinks="ties, where the largest entries share equally", analytic=False)
def max(x, *, axis=None, keepdims=False):
    """The largest entry along `axis`.  Raises where there is none."""
    count(x.shape, axis)
    return x.max(axis=axis, keepdims=keepdims)


@max.vjp("x", formula=EQUAL_SHARES)
def _(gy, x, y, x_shape, axis, keepdims):
    share = shares(x, y, axis, keepdims)
    return where(share > 0, spread(gy, x_shape, axis, keepdims) * share, 0)


@primitive(formula="min(x, axis=axis, keepdims=keepdims)", kinks="ties, where the smallest entries share equally", analytic=False)
def min(x, *, axis=None, keepdims=False):
    """The smallest entry along `axis`.  Raises where there is none."""
    count(x.shape, axis)
    return x.min(axis=axis, keepdims=keepdims)


@min.vjp("x", formula=EQUAL_SHARES)
def _(gy, x, y, x_shape, axis, keepdims):
    share = shares(x, y, axis, keepdims)
    return where(share > 0, spread(gy, x_shape, axis, keepdims) * share, 0)


def shares(x, y, axis, keepdims):
    """How much each entry of x counts for the extreme y along `axis`: entries that equal it share a one, the others have 0."""
    x, y = raw(x), raw(y)
    ties = (x == spread(y, x.shape, axis, keepdims)).astype(x.dtype)
    return ties / ties.sum(axis=axis, keepdims=True)


@primitive
def prod(x, *, axis=None, keepdims=False):
    """The product of the entries along `axis`."""
    return x.prod(axis=axis, keepdims=keepdims)


@prod.vjp("x")
def _(gy, x, x_shape, axis, keepdims):
    return spread(gy, x_shape, axis, keepdims) * product_of_others(x, axis)


def product_of_others(x, axis):
    """For each entry the product of all others along `axis`.  There is no division in it, so zeros do no harm."""
    axes = numbered(axis, x.ndim)
    order = (*(i for i in range(x.ndim) if i not in axes), *axes)
    shape = tuple(x.shape[i] for i in order)
    kept = shape[: x.ndim - len(axes)]
    lines = x.transpose(order).reshape((*kept, math.prod(shape[len(kept) :])))
    return all_but_one(lines).reshape(shape).transpose(inverse(order))


def all_but_one(x):
    """For each entry the product of all others along the last axis: that of the other pairs, times its partner in its own."""
    n, ones = x.shape[-1], lambda n: array_module(raw(x)).ones((*x.shape[:-1], n), x.dtype)
    if n < 2:
        return ones(n)
    even = concatenate([x, ones(1)], axis=-1) if n % 2 else x
    pairs = even.reshape((*x.shape[:-1], (n + 1) // 2, 2))
    other_pairs = all_but_one(pairs[..., 0] * pairs[..., 1])
    return (other_pairs[..., None] * pairs[..., ::-1]).reshape(even.shape)[..., :n]


@primitive(formula="y[i] = sum(x[j] * (j <= i), over=j)")
def cumsum(x, *, axis):
    """The running sum along one axis, which has to be said: NumPy would flatten x without it.  Returns an array of x's shape."""
    if axis is None or isinstance(axis, tuple):
        raise ValueError("it runs along one axis, a whole number; for all entries in a row give x.reshape(-1) and axis=0")
    xp = array_module(x)
    return xp.cumsum(x, axis=axis)


@cumsum.vjp("x", formula="gx[i] = sum(gy[j] * (j >= i), over=j)")
def _(gy, axis):
    return flip(cumsum(flip(gy, axis=axis), axis=axis), axis=axis)


@primitive(formula="sqrt(sum(x ** 2, axis=axis, keepdims=keepdims))", kinks="the zero vector, where the gradient is taken as 0", analytic=False)
def norm(x, *, axis=None, keepdims=False):
    """The Euclidean length: the root of the sum of squares along `axis`.  No square overflows: x is divided by its largest entry."""
    xp = array_module(x)
    if x.size == 0:
        return x.sum(axis=axis, keepdims=keepdims)  # the length of nothing is 0
    top = xp.abs(x).max(axis=axis, keepdims=True)
    scale = xp.where((top > 0) & (top < math.inf), top, 1)
    total = ((x / scale) ** 2).sum(axis=axis, keepdims=keepdims)
    return scale.reshape(total.shape) * xp.sqrt(total)


@norm.vjp("x", formula="spread(gy / y, x_shape, axis, keepdims) * x")
def _(gy, x, y, x_shape, axis, keepdims):
    direction = x / spread(y + (y == 0), x_shape, axis, keepdims)
    return spread(where(y > 0, gy, 0), x_shape, axis, keepdims) * direction


@norm.twin
def _(x, *, axis=None, keepdims=False):
    return sqrt(sum(x * x, axis=axis, keepdims=keepdims))
