"""Activations: elementwise, any shape.  Written so that no argument overflows; the formula is what they compute."""

import math

import numpy as np

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.kernels import elementwise
from tinyae.ops.exponential import exp, log
from tinyae.ops.selection import clip, minimum, where

LOG_2 = math.log(2)
ROOT = math.sqrt(2 / math.pi)  # of gelu, as is the next
CUBIC = 0.044715


@primitive(formula="1 / (1 + exp(-x))", analytic=False)  # analytic, but computed through |x|
def sigmoid(x):
    """The logistic function."""
    xp = array_module(x)
    return xp.exp(xp.minimum(x, 0)) / (1 + xp.exp(-xp.abs(x)))


sigmoid.kernel(elementwise.sigmoid)


@sigmoid.vjp("x")
def _(gy, y):
    return gy * y * (1 - y)


@primitive(formula="log(1 + exp(x))", analytic=False)  # analytic, but computed through |x|
def softplus(x):
    """log(1 + exp(x)): a smooth relu, and minus the log-probability of a Bernoulli zero with logit x."""
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


@softplus.vjp("x")
def _(gy, x):
    return gy * sigmoid(x)


@primitive
def tanh(x):
    """The hyperbolic tangent."""
    xp = array_module(x)
    return xp.tanh(x)


@tanh.vjp("x")
def _(gy, y):
    return gy * (1 - y * y)


@primitive(kinks="x = 0, where the slope is taken as 0", analytic=False)
def relu(x):
    """The positive part."""
    xp = array_module(x)
    return xp.maximum(x, 0)


@relu.kernel
def _(x):
    return elementwise.against(np.maximum, x, 0)


@relu.vjp("x", formula="gy * (y > 0)")
def _(gy, y):
    return where(y > 0, gy, 0)  # not a product: an infinite gy times 0 is not 0


@primitive(kinks="x = 0, where the slope is taken as that of the negative side", analytic=False)
def leaky_relu(x, *, slope=0.01):
    """x where it is positive, slope x elsewhere.  Maas, Hannun & Ng 2013."""
    xp = array_module(x)
    return xp.maximum(x, 0) + slope * xp.minimum(x, 0)


@leaky_relu.vjp("x", formula="gy * (x > 0) + slope * gy * (x <= 0)")
def _(gy, x, slope):
    return where(x > 0, gy, slope * gy)


@primitive(formula="maximum(x, 0) + alpha * (exp(minimum(x, 0)) - 1)", kinks="x = 0, where the slope is taken as alpha", analytic=False)
def elu(x, *, alpha=1.0):
    """The exponential linear unit: x where it is positive, alpha (exp(x) - 1) elsewhere.  With alpha = 1 its slope has no jump.

    Clevert, Unterthiner & Hochreiter 2016, equation 15.
    """
    xp = array_module(x)
    return xp.maximum(x, 0) + alpha * xp.expm1(xp.minimum(x, 0))


@elu.vjp("x", formula="gy * (x > 0) + alpha * gy * exp(x) * (x <= 0)")
def _(gy, x, alpha):
    return where(x > 0, gy, alpha * gy * exp(minimum(x, 0)))


@primitive(formula="x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))", analytic=False)  # analytic, but sigmoid is computed through |x|
def gelu(x):
    """The Gaussian error linear unit, x times the probability that a standard normal is below x, by the authors' approximation.

    The exact one needs erf, which NumPy does not have; this one is PyTorch's gelu(approximate="tanh"), within 5e-4 of it.
    Hendrycks & Gimpel 2016, section 2.  Computed with (1 + tanh(u)) / 2 = sigmoid(2 u), which keeps its digits where x is negative.
    """
    return x * gelu_gate(x)


def gelu_gate(x):
    """What gelu multiplies x with, between 0 and 1; beyond +-25 it is 0 or 1 to the last digit, so that x ** 3 need not overflow."""
    x = clip(x, min=-25, max=25)
    return sigmoid(2 * ROOT * (x + CUBIC * x * x * x))


@gelu.vjp(
    "x",
    formula="gy / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))) + gy * x / cosh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)) ** 2"
    " * sqrt(2 / pi) * (1 + 3 * 0.044715 * x ** 2) / 2",
)
def _(gy, x):
    gate, x = gelu_gate(x), clip(x, min=-25, max=25)
    return gy * gate * (1 + x * (1 - gate) * 2 * ROOT * (1 + 3 * CUBIC * x * x))


@gelu.twin
def _(x):
    return x / 2 * (1 + tanh(ROOT * (x + CUBIC * x**3)))


@primitive(analytic=False)  # analytic, but sigmoid is computed through |x|
def silu(x):
    """The sigmoid linear unit, x sigmoid(x), also called swish.  Hendrycks & Gimpel 2016, section 2."""
    return x * sigmoid(x)


@silu.vjp("x")
def _(gy, x):
    return gy * sigmoid(x) * (1 + x * sigmoid(-x))


@silu.twin
def _(x):
    return x / (1 + exp(-x))


@primitive(formula="log(cosh(x))", analytic=False)  # analytic, but computed through |x|
def log_cosh(x):
    """log(cosh(x)): x^2 / 2 near 0 and |x| - log 2 far from it, a smooth absolute value."""
    xp = array_module(x)
    size = xp.abs(x)
    near, far = xp.tanh(xp.minimum(size, 1)), xp.exp(-size)
    return xp.where(size < 1, -xp.log1p(-near * near) / 2, size - LOG_2 + xp.log1p(far * far))


@log_cosh.vjp("x")
def _(gy, x):
    return gy * tanh(x)


@log_cosh.twin
def _(x):
    return log((exp(x) + exp(-x)) / 2)
