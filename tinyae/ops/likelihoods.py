"""Minus log-likelihoods, in nats, summed over the last axis (the features)."""

import math

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.ops.activations import sigmoid, softplus
from tinyae.ops.exponential import exp, log
from tinyae.ops.reductions import sum

LOG_2_PI = math.log(2 * math.pi)


@primitive(shapes="(d),(d)->()", domain={"x": "unit"}, formula="sum(log(1 + exp(logits)) - x * logits, axis=-1)", analytic=False)
def bce_with_logits(logits, x):
    """Minus the Bernoulli log-likelihood of x for these logits, in nats per example.

    log(1 + exp(a)) - x a is -x log p - (1 - x) log(1 - p) with p = sigmoid(a): finite for any logit, no clipping.
    logits, x: (..., D), x in [0, 1] (between them it is a cross entropy, not a likelihood).  Returns (...,).
    Kingma & Welling 2014, appendix C.1.
    """
    xp = array_module(logits)
    return (xp.maximum(logits, 0) - x * logits + xp.log(1 + xp.exp(-xp.abs(logits)))).sum(axis=-1)


@bce_with_logits.vjp("logits")
def _(gy, logits, x):
    return gy[..., None] * (sigmoid(logits) - x)


@bce_with_logits.vjp("x")
def _(gy, logits):
    return -gy[..., None] * logits


@bce_with_logits.twin
def _(logits, x):
    return sum(softplus(logits) - x * logits, axis=-1)


@primitive(shapes="(d),(d),(d)->()", formula="sum(log(2 * pi) + log_variance + (x - mean) ** 2 / exp(log_variance), axis=-1) / 2")
def gaussian_nll(mean, log_variance, x):
    """Minus the log-density of x under N(mean, exp(log_variance)), in nats per example, its constant included.

    mean, log_variance, x: (..., D); log_variance may be one number.  Returns (...,).  Kingma & Welling 2014, appendix C.2.
    """
    return (LOG_2_PI + log_variance + (x - mean) ** 2 / exp(log_variance)).sum(axis=-1) / 2


@gaussian_nll.vjp("mean")
def _(gy, mean, log_variance, x):
    return gy[..., None] * (mean - x) / exp(log_variance)


@gaussian_nll.vjp("log_variance")
def _(gy, mean, log_variance, x):
    return gy[..., None] * (1 - (x - mean) ** 2 / exp(log_variance)) / 2


@gaussian_nll.vjp("x")
def _(gy, mean, log_variance, x):
    return gy[..., None] * (x - mean) / exp(log_variance)


@gaussian_nll.twin
def _(mean, log_variance, x):
    variance = exp(log_variance)
    return sum(log(variance * (2 * math.pi)) + (x - mean) * (x - mean) / variance, axis=-1) / 2
