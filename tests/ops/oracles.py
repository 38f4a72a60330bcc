"""What a formula's names mean when it is evaluated: functions that are not ours, or plain loops."""

import math

import numpy as np
import scipy.special
from oracles_elementwise import ELEMENTWISE
from oracles_fused import FUSED
from oracles_indexing import INDEXING
from oracles_linear_algebra import LINEAR_ALGEBRA

from tinyae.autograd.graph import unbroadcast


def spread(gy, shape, axis, keepdims):
    """By the transpose's definition: entry i of the result is the entry of gy into which entry i was summed."""
    targets = np.arange(gy.size).reshape(gy.shape)
    result = np.empty(shape)
    reduced = range(len(shape)) if axis is None else [a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))]
    for index in np.ndindex(*shape):
        kept = tuple(0 if i in reduced else n for i, n in enumerate(index) if keepdims or i not in reduced)
        result[index] = gy.reshape(-1)[targets[kept]]
    return result


def scatter_add(x, index, shape):
    """A plain loop over the entries."""
    result = np.zeros(shape)
    positions = np.arange(math.prod(shape)).reshape(shape)[index]
    for position, value in zip(np.ravel(positions), np.ravel(x), strict=True):
        result.reshape(-1)[position] += value
    return result


ORACLES = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, "sigmoid": scipy.special.expit, "maximum": np.maximum, "pi": math.pi,
    "sum": np.sum, "size": np.size, "softplus": lambda x: np.logaddexp(0, x), "broadcast_to": np.broadcast_to, "concatenate": np.concatenate,
    "transpose": np.transpose, "inverse": lambda axes: None if axes is None else np.argsort([a % len(axes) for a in axes]),
    "spread": spread, "scatter_add": scatter_add, "rows": lambda x: x.reshape(-1, x.shape[-1]), "unbroadcast": unbroadcast,
}  # fmt: skip

# each domain adds its own: from oracles_<domain> import DOMAIN; ORACLES |= DOMAIN
ORACLES |= ELEMENTWISE | FUSED | INDEXING | LINEAR_ALGEBRA
