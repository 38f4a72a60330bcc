"""Straight-through estimators: steps whose rule is NOT their derivative, which is zero, but that of a smooth stand-in.

Their gradients are biased on purpose: something gets through where the true gradient is zero almost everywhere.  gradcheck rejects
them; a model that uses one still reports its true loss.
"""

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.ops.reductions import sum
from tinyae.ops.softmax import softmax


@primitive(surrogate=True, analytic=False, formula="value", kinks="nowhere: y does not depend on x, its derivative is 0")
def straight_through(x, *, value):
    """The value, with the gradient going to x as if y were x: x + stop_gradient(value - x), without its rounding.

    A surrogate for any step from x to value.  In a VQ-VAE x is the encoder's output and value its nearest code: the decoder's
    cotangent reaches the encoder unchanged, and the code gets none (the codebook loss moves it).
    x: any shape.  value: an array of x's shape, as Tensors have in `.data`.  Returns that shape, in x's dtype.
    Bengio et al. 2013; van den Oord et al. 2017, section 3.2.
    """
    if getattr(value, "shape", None) != x.shape:
        raise ValueError(f"value must be an array of the shape of x, {x.shape}")
    xp = array_module(x)
    return xp.array(value, dtype=x.dtype)


@straight_through.vjp("x")
def _(gy):
    return gy


@primitive(surrogate=True, analytic=False, formula="round(x)", kinks="halfway between integers, where it jumps; its derivative is 0 elsewhere")
def round_straight_through(x):
    """The nearest integer (a half goes to the even one, as in NumPy), elementwise.  A surrogate: the gradient is that of y = x.

    Finite scalar quantisation, Mentzer et al. 2023, section 3.1; Bengio et al. 2013.
    """
    xp = array_module(x)
    return xp.rint(x)


@round_straight_through.vjp("x")
def _(gy):
    return gy


@primitive(surrogate=True, analytic=False, kinks="x = 0, where it jumps; its derivative is 0 elsewhere")
def sign_straight_through(x):
    """+1 where x >= 0, else -1 (a bit, so never 0), elementwise.  A surrogate: the gradient is that of y = clip(x, -1, 1).

    It stops where |x| > 1: a further step outwards would change no bit.  At |x| = 1 it still passes.
    Hubara et al. 2016, "Propagating gradients through discretization".
    """
    xp = array_module(x)
    return xp.sign(x) + (x == 0)


@sign_straight_through.vjp("x", formula="gy * (abs(x) <= 1)")
def _(gy, x):
    return gy * (x >= -1) * (x <= 1)


@primitive(
    surrogate=True,
    analytic=False,
    formula="y[i] = sum((logits[j] > logits[i]) + (logits[j] == logits[i]) * (j < i), over=j) == 0",  # nothing comes before it
    kinks="ties, where it jumps; its derivative is 0 elsewhere",
)
def one_hot_straight_through(logits, *, axis=-1):
    """1 at the largest entry along `axis` (the first of equal ones), 0 elsewhere.  A surrogate: the gradient is that of softmax(logits).

    With logits = (log p + gumbel) / temperature it is the straight-through Gumbel-softmax: a discrete draw forward, the relaxed one
    backward.  logits, and the result: any shape.  Jang et al. 2017, section 2.2.  (`straight_through` has the identity's gradient.)
    """
    xp = array_module(logits)
    positions = xp.arange(logits.shape[axis]).reshape((-1,) + (1,) * (logits.ndim - 1 - axis % logits.ndim))
    return (positions == xp.argmax(logits, axis=axis, keepdims=True)).astype(logits.dtype)


@one_hot_straight_through.vjp(
    "logits", formula="gx[i] = exp(logits[i]) * sum(exp(logits[j]) * (gy[i] - gy[j]), over=j) / sum(exp(logits[j]), over=j) ** 2"
)
def _(gy, logits, axis):
    soft = softmax(logits, axis=axis)
    return soft * (gy - sum(gy * soft, axis=axis, keepdims=True))
