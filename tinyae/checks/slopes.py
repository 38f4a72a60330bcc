"""Slopes of a function by differences, and by a complex step: what a gradient is compared with.

Fourth-order central differences, (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h with h = 1e-3, are exact to about 1e-11
for inputs of order one.  They are made of two second-order ones; where those disagree, the function bends too much, or ends,
and smaller steps are tried; where they still disagree there is a kink, and the gradient must lie between the slopes on its sides.
"""

import warnings

import numpy as np

from tinyae.backend import array_module, to_numpy

STEPS = 1e-3, 1e-5
SMALLER = 1e-7, 1e-9  # near a place where the function ends, if the slope is so large that rounding is nothing
AGREEMENT = 1e-4  # of the two second-order differences, relative to the slope; for a smooth function they differ by h^2 f''' / 2
BENDING = 1e-3  # the same, relative to the change of the slope within a step: at a flat place of a bent function
ROUNDING = 50 * np.finfo(np.float64).eps  # of a result, relative to its size
TINY = 1e-20  # the complex step, so small that its square is nothing


def numerical_slopes(leaf, objective, entries=None):
    """The slope of objective() along entries of a float64 leaf Tensor, as three arrays (low, high, rounding).

    objective: gives a number, or an array, whose entries are differenced one by one and then summed.
    low and high are equal where the function is smooth; at a kink they are the slopes on its two sides, between which any value
    is right; NaN where the function is not finite on both sides.  rounding: what the differences may be off by.
    leaf: changed in place and put back.  entries: flat indices, all if None.
    """
    values = to_numpy(leaf.data).copy().reshape(-1)
    entries = range(values.size) if entries is None else entries
    directions = (np.eye(1, values.size, entry).reshape(-1) for entry in entries)
    return slopes_along(leaf, objective, directions)


def slopes_along(leaf, objective, directions):
    """The slope of objective() along each direction, a flat array of the leaf's size; as `numerical_slopes`."""
    values = to_numpy(leaf.data).copy().reshape(-1)

    def put(moved):
        leaf.assign(array_module(leaf.data).asarray(moved.reshape(leaf.shape)))

    def at(shift, direction):
        put(values + shift * direction)
        return objective()

    try:
        with np.errstate(all="ignore"):  # a step may leave the function's domain; a smaller one is tried then
            found = [slope(lambda shift, d=d: at(shift, d), np.abs(values[d != 0]).max(initial=0)) for d in directions]
    finally:
        put(values)
    return np.array(found, dtype=np.float64).reshape(-1, 3).T


def slope(along, size=0.0):
    """(low, high, rounding) of the slope of the function `along` at 0: low = high, unless there is a kink near it.

    size: of the number that is moved; a step is made one that is not rounded when it is added.
    """
    here, found = along(0.0), (np.nan, np.nan, 0.0)
    for step in (float((size + step) - size) for step in STEPS + SMALLER):
        around = [along(shift * step) for shift in (-1, 1, -2, 2)] if step else [np.nan]
        if not all(np.isfinite(y).all() for y in around):
            continue
        left, right, far_left, far_right = (np.sum(y - here) for y in around)  # exactly nothing of an entry that does not change
        near, far = (right - left) / (2 * step), (far_right - far_left) / (4 * step)
        bend, far_bend = abs(right + left) / step, abs(far_right + far_left) / (2 * step)
        largest = np.max(np.abs([here, *around]), axis=0, where=np.any([y != here for y in around], axis=0), initial=0)
        blurred = ROUNDING * np.sum(largest) / step
        rounding = blurred + ROUNDING * np.sum(np.abs(here))  # of the gradient that is compared, and may be what is left of a sum
        tolerance = AGREEMENT * max(abs(near), abs(far)) + rounding
        if step < STEPS[-1] / 2 and blurred > AGREEMENT * max(abs(near), abs(far)):
            break
        # at a kink the two sides bend by the same angle whatever the step; of a smooth function by half of it at half the step
        sides = (far_left - 4 * left) / (2 * step), (4 * right - far_right) / (2 * step)
        if abs(near - far) <= tolerance + BENDING * max(bend, far_bend) and (bend <= tolerance or far_bend > 1.5 * bend):
            value = (4 * near - far) / 3
            left_out = step**2 * max(abs(near - far), step * bend)  # of the series, in the order of its next term
            if step < STEPS[0] / 2:  # where two smooth pieces meet with one slope, the sides know it better
                left_out += abs(value - sum(sides) / 2)
            return value, value, rounding + left_out
        if step > STEPS[-1] / 2 or np.isnan(found[0]):
            found = min(sides), max(sides), rounding
    return found


def complex_slopes(leaf, objective, entries):
    """The slope along entries, exact to rounding, where the function is analytic: the imaginary part of f(x + ih) / h.

    leaf: a Tensor on NumPy; its data are complex while objective() runs, and put back.  objective: as in `numerical_slopes`.
    Squire & Trapp 1998.
    Returns None where the code does not compute with complex numbers, or throws the imaginary part away.
    """
    values, found = leaf.data, []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            for entry in entries:
                leaf.data = values.astype(np.complex128)
                leaf.data.reshape(-1)[entry] += 1j * TINY
                found.append(np.sum(objective().imag) / TINY)
    except (TypeError, ValueError, AttributeError, np.exceptions.ComplexWarning):
        return None
    finally:
        leaf.data = values
    return np.array(found)
