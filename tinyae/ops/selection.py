"""Choosing between values, entry by entry: absolute value, sign, clipping, the larger, the smaller, one or the other.

Inputs broadcast against each other.
"""

from tinyae.autograd import primitive, raw
from tinyae.backend import array_module, is_array
from tinyae.kernels import elementwise


def module_of(*inputs):
    """The array module of the first array among the inputs; the others may be numbers."""
    return array_module(next((x for x in inputs if is_array(x)), inputs[0]))


@primitive(kinks="x = 0, where the slope is taken as 0", analytic=False)
def abs(x):
    """The absolute value."""
    xp = array_module(x)
    return xp.abs(x)


@abs.vjp("x")
def _(gy, x):
    return gy * sign(x)


@primitive(kinks="x = 0, where it jumps; the slope is taken as 0 there as everywhere", analytic=False)
def sign(x):
    """-1, 0 or 1: the sign of x.  Its gradient is zero."""
    xp = array_module(x)
    return xp.sign(x)


@sign.vjp("x", formula="0 * gy")
def _(gy):
    return array_module(raw(gy)).zeros(gy.shape, gy.dtype)


@primitive(formula="minimum(maximum(x, min), max)", kinks="x = min and x = max, where the slope is taken as 1", analytic=False)
def clip(x, *, min=None, max=None):
    """x, moved to the nearest point of [min, max] where it lies outside; None stands for no bound.

    min <= max, numbers or arrays that broadcast against x.  The ends belong to the inside: the slope there is 1.
    Raises where both are None.
    """
    if min is None and max is None:
        raise ValueError("min, max or both are needed")
    xp = array_module(x)
    return xp.clip(x, min, max)


@clip.vjp("x", formula="gy * (y == x)")
def _(gy, x, y):
    return where(y == x, gy, 0)


@primitive(kinks="a = b, where each gets half", analytic=False)
def maximum(a, b):
    """The larger of two, elementwise."""
    xp = module_of(a, b)
    return xp.maximum(a, b)


@maximum.vjp("a", formula="gy * (a > b) + gy * (a == b) / 2")
def _(gy, a, b):
    return where(a > b, gy, where(a == b, gy / 2, 0))


@maximum.vjp("b", formula="gy * (b > a) + gy * (b == a) / 2")
def _(gy, a, b):
    return where(b > a, gy, where(b == a, gy / 2, 0))


@primitive(kinks="a = b, where each gets half", analytic=False)
def minimum(a, b):
    """The smaller of two, elementwise."""
    xp = module_of(a, b)
    return xp.minimum(a, b)


@minimum.vjp("a", formula="gy * (a < b) + gy * (a == b) / 2")
def _(gy, a, b):
    return where(a < b, gy, where(a == b, gy / 2, 0))


@minimum.vjp("b", formula="gy * (b < a) + gy * (b == a) / 2")
def _(gy, a, b):
    return where(b < a, gy, where(b == a, gy / 2, 0))


@primitive(domain={"condition": "boolean"})
def where(condition, a, b):
    """a where the condition holds, else b, elementwise.  condition: an array of truth values.

    The one not taken gets gradient 0, whatever its value and whatever the cotangent.  But an operation *before* it may
    make NaN of that 0: write where(x > 0, log(where(x > 0, x, 1)), 0), for log alone gives 0 / 0 at x = 0.
    """
    xp = array_module(condition)
    return xp.where(condition, a, b)


where.kernel(elementwise.masked)


@where.vjp("a")
def _(gy, condition):
    return where(condition, gy, 0)


@where.vjp("b")
def _(gy, condition):
    return where(condition, 0, gy)
