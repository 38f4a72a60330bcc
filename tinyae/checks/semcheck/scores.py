"""Scores: how surprising a statistic is, as a number that a right model draws from N(0, 1), and the limits on it.

A right model may fail one of a million tables: this budget is shared by the checks, and within a check by its comparisons.
"""

import math
from statistics import NormalDist

import numpy as np

FALSE_ALARMS = 1e-6  # of a whole table
CHECKS = 25  # rows of a table that are scores, at most


def limit(comparisons=1):
    """The largest |score| that passes, where a check takes the worst of so many comparisons."""
    return -NormalDist().inv_cdf(FALSE_ALARMS / (2 * CHECKS * comparisons))


def of_t(t, degrees):
    """The normal score of a Student t.  Wallace 1959: within 0.2 standard deviations far into the tail."""
    return np.sign(t) * np.sqrt(degrees * np.log1p(np.square(t) / degrees)) * (8 * degrees + 1) / (8 * degrees + 3)


def of_chi_square(value, degrees):
    """The normal score of a chi-square.  Wilson & Hilferty 1931."""
    spread = 2 / (9 * degrees)
    return ((value / degrees) ** (1 / 3) - 1 + spread) / math.sqrt(spread)


def of_mean(differences, rounding=0.0):
    """The score of independent numbers whose mean should be zero, each of them exact up to `rounding`."""
    n = len(differences)
    error = math.hypot(np.std(differences, ddof=1) / math.sqrt(n), rounding)
    return float(of_t(np.mean(differences) / error, n - 1))


def of_two_means(values, mean, error, rounding=0.0):
    """The score of independent numbers whose mean should be `mean`, known up to a standard `error`."""
    n = len(values)
    spread = math.hypot(np.std(values, ddof=1) / math.sqrt(n), error, rounding)
    return float(of_t((np.mean(values) - mean) / spread, n - 1))


def worst(values):
    """The number farthest from zero; NaN if one is."""
    flat = np.ravel(values)
    return float(flat[np.argmax(np.where(np.isnan(flat), np.inf, np.abs(flat)))])
