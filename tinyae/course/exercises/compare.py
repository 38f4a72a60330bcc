"""A learner's result beside the right one: what kind of thing it is, then its shape, then its values, and what a wrong one looks like."""

import math

import numpy as np

from tinyae.autograd import Tensor
from tinyae.checks import diagnosis
from tinyae.course.exercises.exercise import Mismatch, expect
from tinyae.course.exercises.show import kind, show

NUMBERS = (float, int, np.floating, np.integer)


def expect_same(found, expected, name="the result", arguments=None, rtol=1e-9, atol=1e-12):
    """Count a comparison of `found` with `expected`, in this order: kind, shape, values.  name: of what is compared, such as "the KL".

    expected: a number, an array, a text, a truth value, or a tuple, list or dict of them.  An entry may be off by rtol times itself and a
    thousandth of the largest, plus atol.  arguments: those of the call, by name: their shapes and values help to say what is wrong.
    """
    if isinstance(expected, (tuple, list)):
        expect_several(found, expected, [f"{name} {i + 1} of {len(expected)}" for i in range(len(expected))], arguments, rtol, atol)
    elif isinstance(expected, dict):
        if type(found) is not dict or found.keys() != expected.keys():
            expect(False, f"{name} must be a dict with the keys {', '.join(map(str, expected))}.", got=show(found), arguments=arguments)
        expect_several([found[key] for key in expected], list(expected.values()), [f"{name}[{k!r}]" for k in expected], arguments, rtol, atol)
    elif isinstance(expected, Tensor):
        if not isinstance(found, Tensor):
            expect(False, f"{name} must be a Tensor, and it is {kind(found)}.", got=show(found), arguments=arguments)
        expect_same(found.data, expected.data, name, arguments, rtol, atol)
    elif expected is None or isinstance(expected, (str, bool, np.bool_)):
        simple = type(found) is type(expected) or (isinstance(found, (bool, np.bool_)) and isinstance(expected, (bool, np.bool_)))
        expect(simple and found == expected, f"{name} is wrong.", show(expected), show(found), arguments)
    else:
        f, e = as_array(found, np.asarray(expected), name, arguments), np.asarray(expected)
        expect_shape(f, e, name, arguments)
        expect_values(f, e, name, arguments, rtol, atol)


def expect_several(found, expected, names, arguments=None, rtol=1e-9, atol=1e-12):
    """The same for several results, each with its name."""
    if type(found) not in (tuple, list) or len(found) != len(expected):
        expect(False, f"it must return {len(expected)} results: {', '.join(names)}.", got=kind(found), arguments=arguments)
    arrays = [np.asarray(e) for e in expected if isinstance(e, (np.ndarray, *NUMBERS))]
    for i, (f, e, name) in enumerate(zip(found, expected, names, strict=True)):
        try:
            expect_same(f, e, name, arguments, rtol, atol)
        except Mismatch as error:
            if len(arrays) == len(expected) and (other := exchanged(f, arrays, i)) is not None:
                error.text += f" It is {names[other]}: are they exchanged?"
            raise


def exchanged(found, arrays, i):
    """The place of the other result that this one is, or None."""
    if type(found) is np.ndarray and found.dtype.kind in "fiu" and found.any():
        for other, array in enumerate(arrays):
            if other != i and array.dtype.kind in "fiu" and not np.array_equal(array, arrays[i]) and diagnosis.close(found, array):
                return other
    return None


def as_array(found, expected, name, arguments):
    """The learner's numbers as an array of float64.  A Mismatch for what holds no real numbers."""
    wanted = "a number" if expected.ndim == 0 else f"a NumPy array of shape {expected.shape}"
    remedy = {"Tensor": ": a Tensor's array is its .data", "list": ": np.array(...) makes one of a list", "tuple": ": is a comma too much?"}
    isnumber = isinstance(found, NUMBERS) and not isinstance(found, bool)
    fine = type(found) is np.ndarray or isnumber
    text = f"{name} must be {wanted}, and it is {kind(found)}"
    if not fine:
        expect(False, f"{text}{remedy.get(type(found).__name__, '')}.", wanted, show(found), arguments)
    array = np.asarray(found)
    if array.dtype.kind not in "fiu":
        expect(False, f"{text}: its numbers must be real.", wanted, show(found), arguments)
    finite = np.isfinite(expected).all()
    array = array.astype(np.float64) if array.dtype != np.float32 else array
    if finite and not (good := np.isfinite(array)).all():
        place = tuple(map(int, np.argwhere(~good)[0]))
        at = f" in entry {place}" if array.ndim else ""
        expect(False, f"{name} is {array[place]}{at}, and {(~good).sum()} of {array.size} entries are not finite.", None, show(found), arguments)
    return array


def expect_shape(f, e, name, arguments):
    """The shape, with what a sum or an axis too few or too many makes of it."""
    if f.shape == e.shape:
        return
    expect(False, sentence(f"{name} has the wrong shape", misshapen(f, e)), f"shape {e.shape}", f"shape {f.shape}", arguments)


def sentence(text, reason):
    """A text with its reason, where there is one, and the mark at its end."""
    return f"{text}." if not reason else f"{text}: {reason}" + "." * (not reason.endswith("?"))


def misshapen(f, e):
    """What makes the right shape of the wrong one, in words, or None."""
    f, e = f.astype(np.float64), e.astype(np.float64)
    if f.size == e.size and diagnosis.close(f.ravel(), e.ravel()):
        return "its numbers are right, " + ("an axis of length 1 is too many" if f.ndim > e.ndim else "only the axes are not")
    if f.ndim == e.ndim == 2 and f.shape == e.T.shape:
        return "it is transposed" if diagnosis.close(f.T, e) else "are its axes exchanged?"
    if f.ndim <= 4 and (found := diagnosis.misshapen(f, e)):
        return found
    for axis in range(e.ndim):
        for way in ("sum", "mean"):
            for keepdims in (False, True):
                if diagnosis.close(f, getattr(e, way)(axis=axis, keepdims=keepdims)):
                    return f"the {way} over axis {axis} is too much"
    if f.ndim == 0:
        return "it is a single number"
    return None


def expect_values(f, e, name, arguments, rtol, atol):
    """The values, with the worst entry and a diagnosis."""
    wide = e.astype(np.float64)
    with np.errstate(all="ignore"):
        off = np.abs(f.astype(np.float64) - wide)
        scale = np.abs(wide[np.isfinite(wide)]).max(initial=0.0)
        wrong = ~((off <= atol + rtol * (np.abs(wide) + 1e-3 * scale)) | (f == wide))
    if not wrong.any():
        return expect(True, "")
    worst = tuple(map(int, np.unravel_index(np.argmax(np.where(wrong, np.nan_to_num(off, nan=np.inf), -1)), e.shape)))
    where = f"entry {worst}: " if e.ndim else ""
    count = f", {int(wrong.sum())} of {e.size} entries" if e.size > 1 else ""
    told = likely(f, wide, wrong, arguments)
    return expect(False, sentence(f"{name} is wrong{count}", told), where + f"{wide[worst]:.10g}", where + f"{float(f[worst]):.10g}", arguments)


def likely(f, e, wrong, arguments):
    """What a learner may have done, in words; None where no simple relation holds.  f, e: arrays of one shape; wrong: a mask."""
    if f.dtype == np.float32 and np.allclose(f, e, rtol=1e-4, atol=1e-5):
        return "right to the accuracy of float32 only; compute in the type of the inputs"
    f = f.astype(np.float64)
    inputs = {k: np.asarray(v) for k, v in (arguments or {}).items() if isinstance(v, (np.ndarray, *NUMBERS)) and np.asarray(v).dtype.kind in "fiu"}
    if not f.any():
        return "yours is zero" + (" in every entry" if f.size > 1 else "")
    if not np.isfinite(e).all() or not e.any():
        return None
    if found := ratio(f, e, [*[v.shape for v in inputs.values()], e.shape]) or power(f, e):
        return found
    if f.size == 1:
        return None
    if found := diagnosis.transposed(f, e):
        return f"yours is {found}" if found == "transposed" else f"in yours {found}"
    if diagnosis.close(f - e, np.full(f.shape, (f - e).mean())):
        return f"yours is {abs((f - e).mean()):.6g} too {'large' if (f - e).mean() > 0 else 'small'} in every entry"
    alike = ((k, v) for k, v in inputs.items() if v.shape == e.shape)
    return next(filter(None, (diagnosis.partly(k, v, wrong) for k, v in alike)), None) or diagnosis.lacking(f, e, [])


def ratio(f, e, shapes):
    """A constant factor in words, or None."""
    told = diagnosis.factor(f, e, shapes)
    if told is None:
        return None
    c, every = float((f * e).sum() / (e * e).sum()), " in every entry" if f.size > 1 else ""
    if math.isclose(c, -1, rel_tol=1e-5):
        return f"a sign: yours is minus the expected value{every}"
    nice = math.isclose(c, round(c), rel_tol=1e-5) or math.isclose(1 / c, round(1 / c), rel_tol=1e-5)
    if f.size == 1 and not nice:
        return None
    reason = told.partition(": ")[2] if "entries where" in told else ""
    return f"yours is {c:.6g} times the expected value{every}" + (f", like {reason}" if reason else "")


def power(f, e):
    """A function of the right values: a variance for a standard deviation, or for its logarithm, and the other ways round."""
    if f.size == 1:
        return None
    with np.errstate(all="ignore"):
        candidates = {"square": e * e, "square root": np.sqrt(e), "logarithm": np.log(e), "exponential": np.exp(e)}
    fitting = (name for name, value in candidates.items() if np.isfinite(value).all() and diagnosis.close(f, value))
    return next((f"yours is the {name} of the expected value" for name in fitting), None)
