"""What a wrong gradient looks like: the classic mistakes, each by the relation that it leaves to the true derivative."""

import itertools
import math

import numpy as np

CLOSE = 1e-5  # relative, in the norm of all entries
UNLIKELY = 100  # ways to choose which entries are wrong, before it says something that they are the largest


def diagnose(name, gradients, slopes, shapes, x, results, wrong, kinks):
    """One sentence on how the gradient of input `name` differs from its slopes; None where no simple relation holds.

    gradients, slopes: name -> array of the input's shape, of all inputs that were compared in the same way.  shapes: those of inputs and
    results, whose lengths may explain a factor.  x: the input.  results: the arrays computed from the inputs.
    wrong, kinks: masks, where the gradient differs, and where the input lies at a kink.
    """
    g, n = gradients[name], slopes[name]
    if not np.isfinite(g).all():
        return f"it is not finite in {int((~np.isfinite(g)).sum())} of {g.size} entries"
    if kinks.any() and not kinks.all() and close(g[~kinks], n[~kinks]):
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
    return partly(name, x, wrong) or lacking(g, n, results)


def close(a, b):
    """Whether two arrays are the same, up to the accuracy of differences."""
    return a.shape == b.shape and bool(np.linalg.norm(a - b) <= CLOSE * np.linalg.norm(b))


def factor(g, n, shapes):
    """A constant factor, and what it may come from: a mean where a sum belongs, or the other way round."""
    square = float((n * n).sum())
    c = float((g * n).sum()) / square if square else 0.0
    if not c or math.isclose(c, 1, rel_tol=10 * CLOSE) or not close(g, c * n):
        return None
    for length in sorted({math.prod(part) for shape in shapes for size in (1, 2) for part in itertools.combinations(shape, size)} - {0, 1}):
        if math.isclose(c, 1 / length, rel_tol=CLOSE):
            return f"a factor 1/{length}: a mean over {length} entries where a sum belongs"
        if math.isclose(c, length, rel_tol=CLOSE):
            return f"a factor {length}: a sum over {length} entries where a mean belongs"
    return f"a factor: it is {c:.6g} times the derivative" if g.size > 1 else None  # of a single entry, every error is one


def transposed(g, n):
    """Two axes exchanged."""
    for first, second in itertools.combinations(range(g.ndim), 2):
        if close(g, np.swapaxes(n, first, second)) or close(g.reshape(np.swapaxes(n, first, second).shape).swapaxes(first, second), n):
            return "transposed" if g.ndim == 2 else f"axes {first} and {second} exchanged"
    return None


def partly(name, x, wrong):
    """Right for some values of the input, or wrong at one index only."""
    right = ~wrong
    if not right.any():
        return None
    for sign, mask in (("<", x < 0), (">", x > 0)):
        if (mask == wrong).all():
            return f"wrong where {name} {sign} 0, right elsewhere"
    for axis in range(x.ndim):
        slices = np.flatnonzero(wrong.any(axis=tuple(i for i in range(x.ndim) if i != axis)))
        if len(slices) == 1 and x.shape[axis] > 1 and wrong.sum() > 1:
            return f"wrong only at index {slices[0]} of axis {axis}"
    if math.comb(x.size, int(wrong.sum())) < UNLIKELY:  # a few numbers are soon in order by chance
        return None
    for text, values in ((name, x), (f"|{name}|", np.abs(x))):
        if values[wrong].min() > values[right].max():
            return f"wrong where {text} >= {values[wrong].min():.4g}, right where {text} <= {values[right].max():.4g}"
        if values[wrong].max() < values[right].min():
            return f"wrong where {text} <= {values[wrong].max():.4g}, right where {text} >= {values[right].min():.4g}"
    return None


def lacking(g, n, results):
    """Right but for a term that is the same along an axis, or the result times such a term: what a sum over the axis leaves."""
    error = g - n
    for text, y in [("", np.ones(n.shape)), *(("the result times a term that is ", y) for y in results if y.shape == n.shape)]:
        for axis in range(n.ndim):
            square = (y * y).sum(axis=axis, keepdims=True)
            if n.shape[axis] > 1 and square.all() and close(y * ((error * y).sum(axis=axis, keepdims=True) / square), error):
                return f"the error is {text}the same all along axis {axis}: is a sum over it missing?"
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
