"""Softmax and its logarithm, and the logarithm of a sum of exponentials: the largest entry is taken out first, so none overflows.

axis: an axis, None (all) or a tuple of axes, over which the exponentials are summed together.
"""

import math

from tinyae.autograd import primitive, raw
from tinyae.backend import array_module
from tinyae.ops.exponential import exp, log
from tinyae.ops.reductions import count, spread, sum
from tinyae.ops.selection import where


@primitive(formula="y[i] = exp(x[i]) / sum(exp(x[j]), over=j)", analytic=False)  # analytic, but the largest entry is taken out
def softmax(x, *, axis=-1):
    """Probabilities from logits: exp(x), divided by its sum along `axis`.  Returns an array of x's shape.

    An entry -inf gets probability 0; a slice of nothing else has no softmax, and gets NaN.  Raises where `axis` has no entries.
    """
    xp = array_module(x)
    e = xp.exp(x - largest(x, axis))
    return e / e.sum(axis=axis, keepdims=True)


@softmax.vjp("x", formula="gx[i] = y[i] * (gy[i] - sum(gy[j] * y[j], over=j))")
def _(gy, y, axis):
    return y * (gy - sum(gy * y, axis=axis, keepdims=True))


@softmax.twin
def _(x, *, axis=-1):
    return exp(x) / sum(exp(x), axis=axis, keepdims=True)


@primitive(formula="y[i] = x[i] - log(sum(exp(x[j]), over=j))", analytic=False)  # analytic, but the largest entry is taken out
def log_softmax(x, *, axis=-1):
    """Log-probabilities from logits, in nats: log(softmax(x)), finite also where the softmax is rounded to 0."""
    xp = array_module(x)
    shifted = x - largest(x, axis)
    return shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))


@log_softmax.vjp("x", formula="gx[i] = gy[i] - exp(y[i]) * sum(gy[j], over=j)")
def _(gy, y, axis):
    return gy - exp(y) * sum(gy, axis=axis, keepdims=True)


@log_softmax.twin
def _(x, *, axis=-1):
    return log(exp(x) / sum(exp(x), axis=axis, keepdims=True))


@primitive(formula="log(sum(exp(x), axis=axis, keepdims=keepdims))", analytic=False)  # analytic, but the largest entry is taken out
def logsumexp(x, *, axis=None, keepdims=False):
    """log(sum(exp(x))) along `axis`, a smooth maximum; its gradient is the softmax.

    Entries -inf add nothing; where all are -inf, so is the result, and the gradient is 0.  Raises where `axis` has no entries.
    """
    xp = array_module(x)
    top = largest(x, axis)
    total = xp.exp(x - xp.where(xp.isfinite(top), top, 0)).sum(axis=axis, keepdims=keepdims)
    return top.reshape(total.shape) + xp.log(total + (total == 0))  # all -inf: -inf + log 1


@logsumexp.vjp("x", formula="spread(gy, x_shape, axis, keepdims) * exp(x - spread(y, x_shape, axis, keepdims))")
def _(gy, x, y, x_shape, axis, keepdims):
    something = spread(raw(y) != -math.inf, x_shape, axis, keepdims)  # where all x are -inf, the gradient is 0
    return spread(gy, x_shape, axis, keepdims) * something * softmax(where(something, x, 0), axis=axis)  # exp(x - y) would keep y's rounding


@logsumexp.twin
def _(x, *, axis=None, keepdims=False):
    return log(sum(exp(x), axis=axis, keepdims=keepdims))


def largest(x, axis):
    """The largest entry along `axis`, which stays as an axis of length 1.  Raises ValueError where there is none."""
    count(x.shape, axis)
    return x.max(axis=axis, keepdims=True)
