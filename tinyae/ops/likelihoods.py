"""Minus log-likelihoods, in nats, summed over the last axis (the features)."""

import math

import numpy as np

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.errors import DtypeError, caller, show
from tinyae.kernels import bernoulli
from tinyae.ops.activations import sigmoid, softplus
from tinyae.ops.exponential import exp, log
from tinyae.ops.reductions import sum
from tinyae.ops.softmax import log_softmax, softmax

LOG_2_PI = math.log(2 * math.pi)


@primitive(shapes="(d),(d)->()", domain={"x": "unit"}, formula="sum(log(1 + exp(logits)) - x * logits, axis=-1)", analytic=False)
def bce_with_logits(logits, x):
    """Minus the Bernoulli log-likelihood of x for these logits, in nats per example.

    log(1 + exp(a)) - x a is -x log p - (1 - x) log(1 - p) with p = sigmoid(a): finite for any logit, no clipping.
    logits, x: (..., D), x in [0, 1] (between them it is a cross entropy, not a likelihood).  Returns (...,).
    Kingma & Welling 2014, appendix C.1.
    """
    xp = array_module(logits)
    return (xp.maximum(logits, 0) - x * logits + xp.log1p(xp.exp(-xp.abs(logits)))).sum(axis=-1)


bce_with_logits.kernel(bernoulli.bce_with_logits)


@bce_with_logits.vjp("logits")
def _(gy, logits, x):
    return gy[..., None] * (sigmoid(logits) - x)


@bce_with_logits.vjp("x")
def _(gy, logits):
    return -gy[..., None] * logits


@bce_with_logits.twin
def _(logits, x):
    return sum(softplus(logits) - x * logits, axis=-1)


@primitive(shapes="(d),(d)->()", domain={"p": "unit", "x": "unit"}, formula="-sum(x * log(p) + (1 - x) * log(1 - p), axis=-1)")
def binary_cross_entropy(p, x):
    """Minus the Bernoulli log-likelihood of x for these probabilities, in nats per example: the textbook's, for teaching.

    Exact on all of [0, 1], nothing is clipped: 0 log 0 is 0, and where p excludes what x shows, value and gradient are infinite.
    A float32 p = 1 - 1e-9 is 1, so a zero there costs infinity.  A clipped p would cost a finite number, with gradient 0: the worst
    errors would teach nothing.  Logits keep what p has rounded away, so models use `bce_with_logits`.
    p, x: (..., D), in [0, 1].  Returns (...,).
    """
    xp = array_module(p)
    with np.errstate(divide="ignore"):  # log 0 is meant
        return ((x - 1) * xp.log1p(both_zero(1 - x, 1 - p) - p) - x * xp.log(both_zero(x, p) + p)).sum(axis=-1)


def both_zero(x, p):
    """1 where x and p are both 0, else 0: added to p, it makes x log p and x / p there what they tend to along x = 0."""
    return (x == 0) * (p == 0)


@binary_cross_entropy.vjp("p", formula="gy[..., None] * ((1 - x) / (1 - p) - x / p)")
def _(gy, p, x):
    with np.errstate(divide="ignore", over="ignore"):
        return gy[..., None] * ((1 - x) / (1 - p + both_zero(1 - x, 1 - p)) - x / (p + both_zero(x, p)))


@binary_cross_entropy.vjp("x", formula="gy[..., None] * (log(1 - p) - log(p))")
def _(gy, p):
    with np.errstate(divide="ignore"):
        return gy[..., None] * (log(1 - p) - log(p))


@binary_cross_entropy.twin
def _(p, x):
    logits = log(p) - log(1 - p)
    return sum(softplus(logits) - x * logits, axis=-1)


@primitive(shapes="(k),(k)->()", domain={"target": "unit"}, formula="-sum(target * log(softmax(logits, axis=-1)), axis=-1)", analytic=False)
def cross_entropy_with_logits(logits, target):
    """The cross entropy between target probabilities and softmax(logits), in nats per example.

    For a one-hot target it is minus the categorical log-likelihood.  In the rule for the logits, sum(target) is 1 for probabilities:
    what remains is softmax(logits) - target.  A logit -inf is a category left out; with target 0 it costs nothing.
    logits, target: (..., K).  Returns (...,).  Raises DtypeError for integer labels.  Bishop 2006, section 4.3.4.
    """
    if getattr(target, "dtype", np.dtype(float)).kind in "iu":
        raise DtypeError(
            "cross_entropy_with_logits: the target is a row of probabilities for each example, not a label.",
            expected=f"floating-point target (..., {logits.shape[-1]})",
            got=f"target {target.shape} {target.dtype}",
            at=show(caller()),
            remedy=f"ops.one_hot(labels, {logits.shape[-1]})",
        )
    if getattr(target, "shape", ())[-1:] != logits.shape[-1:]:
        raise ValueError("target must have one probability for each logit, along the last axis")
    xp = array_module(logits)
    return -(target * xp.where(target == 0, 0, log_softmax(logits, axis=-1))).sum(axis=-1)  # 0 log 0 is 0


cross_entropy_with_logits.core = ()  # the function checks this itself: it knows the usual mistake


@cross_entropy_with_logits.vjp("logits")
def _(gy, logits, target):
    return gy[..., None] * (sum(target, axis=-1, keepdims=True) * softmax(logits, axis=-1) - target)


@cross_entropy_with_logits.vjp("target", formula="-gy[..., None] * log(softmax(logits, axis=-1))")
def _(gy, logits):
    return -gy[..., None] * log_softmax(logits, axis=-1)


@cross_entropy_with_logits.twin
def _(logits, target):
    return sum(target, axis=-1) * log(sum(exp(logits), axis=-1)) - sum(target * logits, axis=-1)


@primitive(shapes="(d),(d),(d)->()", formula="sum(log(2 * pi) + log_variance + (x - mean) ** 2 / exp(log_variance), axis=-1) / 2")
def gaussian_nll(mean, log_variance, x):
    """Minus the log-density of x under N(mean, exp(log_variance)), in nats per example, its constant included.

    mean, log_variance, x: (..., D); log_variance may be one number.  Returns (...,).  Kingma & Welling 2014, appendix C.2.
    """
    distance = (x - mean) * exp(-log_variance / 2)  # in standard deviations: its square overflows only where the result does
    return (LOG_2_PI + log_variance + distance**2).sum(axis=-1) / 2


@gaussian_nll.vjp("mean")
def _(gy, mean, log_variance, x):
    return gy[..., None] * ((mean - x) / exp(log_variance))


@gaussian_nll.vjp("log_variance", formula="gy[..., None] * (1 - (x - mean) ** 2 / exp(log_variance)) / 2")
def _(gy, mean, log_variance, x):
    distance = (x - mean) * exp(-log_variance / 2)
    return gy[..., None] * (1 - distance**2) / 2


@gaussian_nll.vjp("x")
def _(gy, mean, log_variance, x):
    return gy[..., None] * ((x - mean) / exp(log_variance))


@gaussian_nll.twin
def _(mean, log_variance, x):
    variance = exp(log_variance)
    return sum(log(variance * (2 * math.pi)) + (x - mean) * (x - mean) / variance, axis=-1) / 2
