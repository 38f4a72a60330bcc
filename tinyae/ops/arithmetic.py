"""Arithmetic.  Inputs broadcast against each other; the engine sums a gradient back over what was broadcast."""

from tinyae.autograd import primitive
from tinyae.ops.exponential import log


@primitive
def add(a, b):
    """The sum, elementwise."""
    return a + b


@add.vjp("a")
def _(gy):
    return gy


@add.vjp("b")
def _(gy):
    return gy


@primitive
def subtract(a, b):
    """The difference, elementwise."""
    return a - b


@subtract.vjp("a")
def _(gy):
    return gy


@subtract.vjp("b")
def _(gy):
    return -gy


@primitive
def multiply(a, b):
    """The product, elementwise."""
    return a * b


@multiply.vjp("a")
def _(gy, b):
    return gy * b


@multiply.vjp("b")
def _(gy, a):
    return gy * a


@primitive(domain={"b": "nonzero"})
def divide(a, b):
    """The quotient, elementwise."""
    return a / b


@divide.vjp("a")
def _(gy, b):
    return gy / b


@divide.vjp("b")
def _(gy, b, y):
    return -gy * y / b


@primitive
def negative(x):
    """The negative, elementwise."""
    return -x


@negative.vjp("x")
def _(gy):
    return -gy


@primitive(domain={"a": "positive"})
def power(a, b):
    """a to the power b, elementwise.  Negative a are fine as long as b needs no gradient."""
    return a**b


@power.vjp("a", formula="gy * b * a ** (b - 1)")
def _(gy, a, b):
    return gy * (b * a ** (b - (b != 0)))  # 0, not 0 times infinity, where a and b are 0, or gy b overflows


@power.vjp("b")
def _(gy, a, y):
    return gy * y * log(a)


@primitive
def square(x):
    """The square, elementwise."""
    return x * x


@square.vjp("x")
def _(gy, x):
    return 2 * gy * x
