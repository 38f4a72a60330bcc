"""What a wrong gradient looks like: the classic mistakes, each by the relation that it leaves to the true derivative."""

import itertools
import math

import numpy as np

CLOSE = 1e-5  # relative, in the norm of all entries


def diagnose(name, gradients, slopes, shapes, kinks=None):
    """One sentence on how the gradient of input `name` differs from its slopes; None where no simple relation holds.

    gradients, slopes: name -> array of the input's shape, of all inputs that were compared whole.  shapes: those of inputs and result,
    whose lengths may explain a factor.  kinks: where the input lies at a kink, a mask, or None.
    """
    g, n = gradients[name], slopes[name]
    if kinks is not None and kinks.any() and close(g[~kinks], n[~kinks]):
        return "right except at kinks"
    if not g.any():
        return "it is zero"
    if close(g, -n):
        return "a sign: it is minus the derivative"
    if found := factor(g, n, shapes):
        return found
    if found := transposed(g, n):
        return found
    for other, slope in slopes.items():
        if other != name and slope.shape == g.shape and (close(g, slope) or close(g, -slope)):
            return f"it is the gradient of {other}" + ("" if close(g, slope) else ", with a minus")
    if g.size > 1 and close(g - n, np.full(g.shape, (g - n).mean())):
        return f"a constant: {(g - n).mean():.6g} too much everywhere"
    return partly(g, n)


def close(a, b):
    """Whether two arrays are the same, up to the accuracy of differences."""
    return a.shape == b.shape and bool(np.linalg.norm(a - b) <= CLOSE * np.linalg.norm(b))


def factor(g, n, shapes):
    """A constant factor, and what it may come from: a mean where a sum belongs, or the other way round."""
    square = float((n * n).sum())
    c = float((g * n).sum()) / square if square else 0.0
    if not c or not close(g, c * n):
        return None
    for length in sorted({math.prod(part) for shape in shapes for size in (1, 2) for part in itertools.combinations(shape, size)} - {0, 1}):
        if math.isclose(c, 1 / length, rel_tol=CLOSE):
            return f"a factor 1/{length}: a mean over {length} entries where a sum belongs"
        if math.isclose(c, length, rel_tol=CLOSE):
            return f"a factor {length}: a sum over {length} entries where a mean belongs"
    return f"a factor: it is {c:.6g} times the derivative"


def transposed(g, n):
    """Two axes exchanged."""
    for first, second in itertools.combinations(range(g.ndim), 2):
        if close(g, np.swapaxes(n, first, second)) or close(g.reshape(np.swapaxes(n, first, second).shape).swapaxes(first, second), n):
            return "transposed" if g.ndim == 2 else f"axes {first} and {second} exchanged"
    return None


def partly(g, n):
    """Wrong in one slice only."""
    wrong = np.abs(g - n) > CLOSE * np.abs(n).max(initial=0)
    for axis in range(g.ndim):
        slices = np.flatnonzero(wrong.any(axis=tuple(i for i in range(g.ndim) if i != axis)))
        if len(slices) == 1 and g.shape[axis] > 2:
            return f"wrong only at index {slices[0]} of axis {axis}"
    return None


def misshapen(gradient, slope):
    """What makes a gradient of another shape than its input right, or None: a sum over the batch that is missing, a transposition."""
    extra = gradient.ndim - slope.ndim
    for count in range(1, gradient.ndim + 1):
        for axes in itertools.combinations(range(gradient.ndim), count):
            for keepdims in (False, True):
                if close(gradient.sum(axis=axes, keepdims=keepdims), slope):
                    named = f"axis {axes[0]}" if count == 1 else f"axes {axes}"
                    return f"the sum over {named} is missing"
                if close(gradient.mean(axis=axes, keepdims=keepdims), slope):
                    return f"the mean over axis {axes[0]} is missing"
    if extra == 0 and close(gradient.T, slope):
        return "transposed"
    return None
