"""Meanings for the formulas of fused operations and surrogates: NumPy's and SciPy's functions, and plain loops."""

import numpy as np
import scipy.special


def row_mean(x):
    """Row after row."""
    result = np.empty((*x.shape[:-1], 1))
    for row in np.ndindex(*x.shape[:-1]):
        result[row] = np.mean(x[row])
    return result


def channel_sum(x):
    """Channel after channel."""
    return np.array([np.sum(x[:, channel]) for channel in range(x.shape[1])])


def by_channel(v, x):
    """Channel after channel."""
    result = np.empty(x.shape)
    for channel, number in enumerate(v):
        result[:, channel] = number
    return result


def channel_mean(x):
    """Channel after channel."""
    return by_channel(channel_sum(x) / (x.size / max(x.shape[1], 1)), x)


def standardised(x, average, eps):
    """x minus its mean, over the root of its variance plus eps."""
    return (x - average(x)) / np.sqrt(average((x - average(x)) ** 2) + eps)


FUSED = {
    "softmax": scipy.special.softmax, "round": np.round, "row_mean": row_mean, "channel_mean": channel_mean, "channel_sum": channel_sum,
    "by_channel": by_channel, "standardised": standardised,
}  # fmt: skip
