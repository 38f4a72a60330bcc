"""What the metrics accept: arrays of real numbers, of a stated shape, and whole numbers in a range."""

import numbers

import numpy as np

from tinyae.autograd import raw
from tinyae.backend import to_numpy
from tinyae.errors import ArgumentError


def check_array(operation, name, x, shape, *, finite=True):
    """`x` as float64 on the host, for `operation`.  shape: how its axes are called, "(N, J)"; "(N, ...)" for one axis or more.

    Raises ArgumentError for another number of axes, for nothing, for what is no real number, and (unless finite=False) for infinities.
    """
    given = getattr(raw(x), "dtype", type(x).__name__)
    try:
        x = to_numpy(raw(x))
    except ValueError:  # lists of different lengths
        x = np.empty(0, object)
    if x.dtype.kind not in "biuf":
        raise ArgumentError(f"{operation}: {name} must be an array of real numbers.", expected=shape, got=given)
    x = x.astype(np.float64)
    axes = shape.count(",") + (not shape.endswith(",)"))
    if x.size == 0 or (x.ndim < 1 if "..." in shape else x.ndim != axes):
        raise ArgumentError(f"{operation}: {name} has another shape, or no entry.", expected=shape, got=x.shape)
    bad = ~np.isfinite(x) if finite else np.isnan(x)
    if bad.any():
        expected = "finite numbers" if finite else "no NaN"
        raise ArgumentError(f"{operation}: {name} has entries that say nothing.", expected=expected, got=f"{bad.sum()} others of {x.size}")
    return x


def check_count(operation, name, value, low, high=np.inf):
    """Raise ArgumentError unless `value` is a whole number from low to high."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not low <= value <= high:
        expected = f"a whole number, {low} or more" if high == np.inf else f"a whole number, {low} to {high}"
        raise ArgumentError(f"{operation}: {name} is out of range.", expected=expected, got=repr(value))
