"""The Bernoulli likelihood without the arrays in between."""

import numpy as np

from tinyae.kernels.elementwise import against, is_floating


def bce_with_logits(logits, x):
    """sum(max(a, 0) - x a + log(1 + exp(-|a|))) over the last axis, for logits a.  logits, x: (..., D).  Returns (...,)."""
    if not (is_floating(logits) and is_floating(x) and logits.ndim and logits.dtype == x.dtype and logits.shape[-x.ndim :] == x.shape):
        return NotImplemented
    y = np.abs(logits)
    np.negative(y, out=y)
    np.exp(y, out=y)
    np.log1p(y, out=y)
    positive = against(np.maximum, logits, 0)
    positive -= x * logits
    y += positive  # in the order of the plain code: the same to the last bit
    return y.sum(axis=-1)
