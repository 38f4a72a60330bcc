"""gradcheck: is the code the derivative of the function?  By finite differences in float64, entry by entry.

Fourth-order central differences, (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h with h = 1e-3, are exact to about 1e-11
for inputs of order one.  They are made of two second-order ones; where those disagree, the function bends too much and
h = 1e-5 is tried; where they still disagree there is a kink, and the gradient must lie between the slopes on its sides.
"""

from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, grad
from tinyae.backend import array_module, to_numpy
from tinyae.errors import TinyaeError

STEPS = 1e-3, 1e-5
AGREEMENT = 1e-4  # of the two second-order differences; for a smooth function they differ by h^2 f''' / 2
LARGEST = 5_000  # entries per input checked one by one; of a larger input a random choice


class GradientError(TinyaeError, AssertionError):
    """A gradient that is not the derivative."""


class Report(NamedTuple):
    """worst: the largest relative error.  compared: how many entries.  kinks: how many of them lie at a kink."""

    worst: float
    compared: int
    kinks: int


def gradcheck(f, inputs, *, rtol=1e-6, atol=1e-9, seed=0, order=1):
    """Compare the gradients of `f` with finite differences.  Returns a Report; raises GradientError where they differ.

    f: a function of Tensors to a Tensor, any noise in it frozen; or a function without arguments, if `inputs` is a Module
    or a dict of leaf Tensors (name -> parameter), which are then changed in place and put back.
    inputs: a list of float64 arrays; those of integers or truth values are constants.  order=2 checks the gradients of the gradients.
    The result is contracted with a random cotangent, no two entries alike: with all ones, a softmax's wrong gradient passes.
    """
    if hasattr(inputs, "named_parameters"):
        inputs = dict(inputs.named_parameters())
    named = inputs if isinstance(inputs, dict) else leaves_of(inputs)
    call = f if isinstance(inputs, dict) else lambda: f(*(named.get(f"input {i}", x) for i, x in enumerate(inputs)))
    for name, leaf in named.items():
        if leaf.dtype != np.float64:
            raise GradientError(f"gradcheck: {name} must be float64.", got=leaf.dtype, remedy="model.astype('float64') and float64 data")
    if not isinstance(call(), Tensor):
        raise GradientError("gradcheck: the function must return one Tensor.", got=type(call()).__name__, remedy="return terms.loss, say")
    if order not in (1, 2):
        raise GradientError("gradcheck: order is 1 or 2.", got=order)
    leaves, rng = list(named.values()), np.random.default_rng(seed)
    outputs = lambda: [call()]  # noqa: E731
    if order == 2:
        cotangent = random_like(call(), rng)
        outputs = lambda: grad(call(), leaves, cotangent, create_graph=True)  # noqa: E731
    cotangents = [random_like(y, rng) for y in outputs()]
    weights = [to_numpy(c).copy() for c in cotangents]
    gradients = vjp(outputs(), leaves, cotangents)
    if any((to_numpy(c) != w).any() for c, w in zip(cotangents, weights, strict=True)):
        raise GradientError("gradcheck: a rule writes into the cotangent that it is given.", remedy="gy = gy.copy(), or a new array")

    def objective():
        return sum(float((to_numpy(y.data) * w).sum()) for y, w in zip(outputs(), weights, strict=True))

    if objective() != objective():
        raise GradientError("gradcheck: two calls with the same inputs differ, so there is nothing to compare.", remedy="freeze the noise")
    reports = [compare(name, leaf, g, objective, rtol, atol, rng) for (name, leaf), g in zip(named.items(), gradients, strict=True)]
    return Report(max(r.worst for r in reports), sum(r.compared for r in reports), sum(r.kinks for r in reports))


def leaves_of(inputs):
    """The floating-point arrays of a list as leaf Tensors, by the name that errors give them."""
    return {f"input {i}": Tensor(array_module(x).array(x), requires_grad=True) for i, x in enumerate(inputs) if x.dtype.kind == "f"}


def random_like(x, rng):
    """Random numbers between 0.5 and 1.5 with random signs, an array like the Tensor x."""
    return array_module(x.data).asarray(rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape))


def vjp(outputs, leaves, cotangents):
    """The gradients of the leaves, summed over all outputs, as NumPy arrays.

    The cotangents go in as they are: a contraction by operations of the engine could hide an error in one of these.
    """
    totals = [np.zeros(leaf.shape) for leaf in leaves]
    for y, cotangent in zip(outputs, cotangents, strict=True):
        if y.requires_grad:
            for total, gradient in zip(totals, grad(y, leaves, cotangent, retain_graph=True), strict=True):
                total += to_numpy(gradient.data)
    return totals


def compare(name, leaf, gradient, objective, rtol, atol, rng):
    """Compare one input's gradient, entry by entry.  Returns a Report; raises GradientError with the worst entry."""
    analytic = gradient.reshape(-1)
    entries = np.arange(analytic.size) if analytic.size <= LARGEST else np.sort(rng.choice(analytic.size, LARGEST, replace=False))
    analytic = analytic[entries]
    low, high = numerical_slopes(leaf, objective, entries)
    nearest = np.clip(analytic, low, high)
    error = np.abs(analytic - nearest)
    relative = error / np.maximum(np.maximum(np.abs(analytic), np.abs(nearest)), 1e-3)
    wrong = ~(error <= atol + rtol * np.maximum(np.abs(analytic), np.abs(nearest)))
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, np.nan_to_num(relative, nan=np.inf), -1.0)))
        where = tuple(int(i) for i in np.unravel_index(entries[worst], leaf.shape))
        slopes = f"{low[worst]:.10g}" if low[worst] == high[worst] else f"between {low[worst]:.10g} and {high[worst]:.10g} (a kink)"
        raise GradientError(
            f"gradcheck: the gradient of {name} is wrong in {int(wrong.sum())} of {len(entries)} entries.",
            expected=f"{slopes} at {where}, by finite differences",
            got=f"{analytic[worst]:.10g}",
        )
    return Report(float(relative.max(initial=0.0)), len(entries), int((low != high).sum()))


def numerical_slopes(leaf, objective, entries=None):
    """The slope of the number objective() along entries of a float64 leaf Tensor, as two arrays (low, high).

    Equal where the function is smooth; at a kink they are the slopes on its two sides, between which any value is right.
    leaf: changed in place and put back.  entries: flat indices, all if None.
    """
    values = to_numpy(leaf.data).copy().reshape(-1)
    entries = range(values.size) if entries is None else entries

    def at(entry, shift):
        moved = values.copy()
        moved[entry] += shift
        leaf.assign(array_module(leaf.data).asarray(moved.reshape(leaf.shape)))
        return objective()

    try:
        slopes = [slope(lambda shift, entry=entry: at(entry, shift)) for entry in entries]
    finally:
        leaf.assign(array_module(leaf.data).asarray(values.reshape(leaf.shape)))
    return np.array(slopes, dtype=np.float64).reshape(-1, 2).T


def slope(along):
    """(low, high) of the slope of the function `along` at 0: equal, unless there is a kink within 2e-5 of it."""
    here = along(0.0)
    for step in STEPS:
        left, right, far_left, far_right = (along(shift * step) for shift in (-1, 1, -2, 2))
        near, far = (right - left) / (2 * step), (far_right - far_left) / (4 * step)
        bend, far_bend = abs(right - 2 * here + left) / step, abs(far_right - 2 * here + far_left) / (2 * step)
        tolerance = AGREEMENT * max(abs(near), abs(far), 1e-3)
        # at a kink the two sides bend by the same angle whatever the step; of a smooth function by half of it at half the step
        if abs(near - far) <= tolerance and (bend <= tolerance or far_bend > 1.5 * bend):
            return ((4 * near - far) / 3,) * 2
    sides = (here - far_left) / (2 * step), (far_right - here) / (2 * step)
    return min(sides), max(sides)
