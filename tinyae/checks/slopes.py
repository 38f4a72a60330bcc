"""Slopes of a function by differences, and by a complex step: what a gradient is compared with.

Fourth-order central differences, (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h with h = 1e-3, are exact to about 1e-11
for inputs of order one.  They are made of two second-order ones; where those disagree, the function bends too much and
h = 1e-5 is tried; where they still disagree there is a kink, and the gradient must lie between the slopes on its sides.
"""

import warnings

import numpy as np

from tinyae.backend import array_module, to_numpy

STEPS = 1e-3, 1e-5
AGREEMENT = 1e-4  # of the two second-order differences, relative to the slope; for a smooth function they differ by h^2 f''' / 2
BENDING = 1e-3  # the same, relative to the change of the slope within a step: at a flat place of a bent function
TINY = 1e-20  # the complex step, so small that its square is nothing


def numerical_slopes(leaf, objective, entries=None, scale=1.0):
    """The slope of the number objective() along entries of a float64 leaf Tensor, as three arrays (low, high, rounding).

    low and high are equal where the function is smooth; at a kink they are the slopes on its two sides, between which any value
    is right.  rounding: what the differences may be off by.
    leaf: changed in place and put back.  entries: flat indices, all if None.  scale: the size of what is rounded in objective().
    """
    values = to_numpy(leaf.data).copy().reshape(-1)
    entries = range(values.size) if entries is None else entries
    directions = (np.eye(1, values.size, entry).reshape(-1) for entry in entries)
    return slopes_along(leaf, objective, directions, scale)


def slopes_along(leaf, objective, directions, scale=1.0):
    """The slope of objective() along each direction, a flat array of the leaf's size; as `numerical_slopes`."""
    values = to_numpy(leaf.data).copy().reshape(-1)

    def put(moved):
        leaf.assign(array_module(leaf.data).asarray(moved.reshape(leaf.shape)))

    def at(shift, direction):
        put(values + shift * direction)
        return objective()

    try:
        found = [slope(lambda shift, d=direction: at(shift, d), scale) for direction in directions]
    finally:
        put(values)
    return np.array(found, dtype=np.float64).reshape(-1, 3).T


def slope(along, scale=1.0):
    """(low, high, rounding) of the slope of the function `along` at 0: low = high, unless there is a kink within 2e-5 of it."""
    here = along(0.0)
    for step in STEPS:
        left, right, far_left, far_right = (along(shift * step) for shift in (-1, 1, -2, 2))
        near, far = (right - left) / (2 * step), (far_right - far_left) / (4 * step)
        bend, far_bend = abs(right - 2 * here + left) / step, abs(far_right - 2 * here + far_left) / (2 * step)
        rounding = 50 * np.finfo(np.float64).eps * scale / step
        tolerance = AGREEMENT * max(abs(near), abs(far)) + rounding
        # at a kink the two sides bend by the same angle whatever the step; of a smooth function by half of it at half the step
        sides = (3 * here - 4 * left + far_left) / (2 * step), (4 * right - 3 * here - far_right) / (2 * step)
        if abs(near - far) <= tolerance + BENDING * max(bend, far_bend) and (bend <= tolerance or far_bend > 1.5 * bend):
            value = (4 * near - far) / 3
            left_out = step**2 * max(abs(near - far), step * bend)  # of the series, in the order of its next term
            if step == STEPS[-1]:  # where two smooth pieces meet with one slope, the sides know it better
                left_out += abs(value - sum(sides) / 2)
            return value, value, rounding + left_out
    return min(sides), max(sides), rounding


def complex_slopes(leaf, objective, entries):
    """The slope along entries, exact to rounding, where the function is analytic: the imaginary part of f(x + ih) / h.

    leaf: a Tensor on NumPy; its data are complex while objective() runs, and put back.  Squire & Trapp 1998.
    Returns None where the code does not compute with complex numbers, or throws the imaginary part away.
    """
    values, found = leaf.data, []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            for entry in entries:
                leaf.data = values.astype(np.complex128)
                leaf.data.reshape(-1)[entry] += 1j * TINY
                found.append(objective().imag / TINY)
    except (TypeError, ValueError, AttributeError, np.exceptions.ComplexWarning):
        return None
    finally:
        leaf.data = values
    return np.array(found)
