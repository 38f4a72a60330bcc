"""Weights under which a formula shows itself: the posterior far from the prior, logits of both signs."""

import math

import numpy as np

from tinyae.backend import array_module
from tinyae.checks.semcheck import oracle
from tinyae.checks.semcheck.subject import plain

# (share of the present weights, size of the step away from it), in the order in which they are tried
TRIALS = (1, 1.0), (1, 0.5), (1, 2.0), (1, 0.25), (1, 4.0), (1, 0.1), (0, 1.0), (0, 2.0), (0, 0.5)


def as_dtype(parameters, values, dtype):
    """NumPy arrays where the parameters are, as float64 or (dtype None) in the parameters' own."""
    return [array_module(p.data).asarray(v.astype(dtype or p.data.dtype)) for p, v in zip(parameters, values, strict=True)]


def working_dtype(subject, x):
    """float64 if the subject computes in it, None if it insists on its own (an array that is no parameter, say)."""

    def tried():
        try:
            result = subject.decode(subject.encode(x[:2])[0])
        except (TypeError, ValueError):
            return None
        return np.float64 if result.dtype == np.float64 else None

    return subject.with_weights(as_dtype(subject.parameters, [plain(p) for p in subject.parameters], np.float64), tried)


def perturbed(subject, x, dtype, generator):
    """Arrays for the parameters, a random step away from the present ones, as large as keeps the numbers reasonable."""
    base = [plain(p).astype(np.float64) for p in subject.parameters]
    steps = [generator.standard_normal(v.shape) * (math.sqrt(v.shape[0] / v.size) if v.ndim > 1 else 0.3) for v in base]
    tried = []
    for share, size in TRIALS:
        values = as_dtype(subject.parameters, [share * v + size * step for v, step in zip(base, steps, strict=True)], dtype)
        strange = subject.with_weights(values, lambda: strangeness(subject, x))
        tried.append((strange, values))
        if strange == 0:
            break
    return min(tried, key=lambda pair: pair[0])[1]


def strangeness(subject, x):
    """How far the posterior and the logits are from what tests well; 0 for good weights, infinite for numbers that overflow."""
    with np.errstate(all="ignore"):
        mean, log_variance = subject.encode(x)
        z = oracle.draw(mean, log_variance, 1.0)
        decoded = subject.decode(z)
        kl = (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=-1).mean() / 2
        too_small = [0.3 - kl, 0.3 - np.abs(log_variance).max(), 0.3 - decoded.std()]
        too_large = [kl / 50 - 1, np.abs(log_variance).max() / 6 - 1, np.abs(decoded).max() / 40 - 1]
        total = float(np.maximum(too_small + too_large, 0).sum())
    return total if math.isfinite(total) else math.inf
