"""A learner's result beside the right one: what kind of thing it is, then its shape, then its values, and what a wrong one looks like."""

import itertools
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
        if name != "the result" and (type(found) not in (tuple, list) or len(found) != len(expected)):
            expect(False, f"{name} must be a list of {len(expected)} results, and it is {kind(found)}.", arguments=arguments)
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


def expect_arrays(found, shapes):
    """Count comparisons of several results with their shapes; returns them as a list of finite real arrays.  shapes: name -> shape."""
    if type(found) not in (tuple, list) or len(found) != len(shapes):
        expect(False, f"it must return {len(shapes)} arrays: {', '.join(shapes)}.", got=kind(found))
    return [expect_array(one, shape, name) for one, (name, shape) in zip(found, shapes.items(), strict=True)]


def expect_array(found, shape, name="the result"):
    """Count a comparison of a result with a shape, where it has no single right value; returns it as a finite real array."""
    array = as_array(found, np.zeros(shape), name, None)
    reason = "are its axes exchanged?" if array.shape == shape[::-1] else None
    expect(array.shape == shape, sentence(f"{name} has the wrong shape", reason), f"shape {shape}", f"shape {array.shape}")
    return array


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
    remedy = {"Tensor": "a Tensor's array is its .data", "list": "np.array(...) makes one of a list", "tuple": "is a comma too much?"}
    remedy |= {"generator": "is a yield meant to be a return?", "coroutine": "is an async too much?"}
    isnumber = isinstance(found, NUMBERS) and not isinstance(found, bool)
    fine = type(found) is np.ndarray or isnumber
    text = f"{name} must be {wanted}, and it is {kind(found)}"
    if not fine:
        expect(False, sentence(text, remedy.get(type(found).__name__)), wanted, show(found, 6), arguments)
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
    shapes = (f"shape {shape}" if shape else "a single number" for shape in (e.shape, f.shape))
    expect(False, sentence(f"{name} has the wrong shape", misshapen(f, e)), *shapes, arguments)


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
    told, numbers = likely(f, wide, wrong, arguments), unlike(float(wide[worst]), float(f[worst]))
    return expect(False, sentence(f"{name} is wrong{count}", told), *(where + number for number in numbers), arguments)


def unlike(*numbers):
    """Numbers as texts: with six digits, or as many as it takes to tell them apart."""
    return next(texts for digits in range(6, 18) if len(set(texts := [f"{x:.{digits}g}" for x in numbers])) > 1 or digits == 17)


def likely(f, e, wrong, arguments):
    """What a learner may have done, in words; None where no simple relation holds.  f, e: arrays of one shape; wrong: a mask."""
    single, f = f.dtype == np.float32, f.astype(np.float64)
    if single and np.allclose(f, e, rtol=1e-4, atol=1e-5):
        return "right to the accuracy of float32 only; compute in the type of the inputs"
    if (digits := agreeing(f, e)) >= 5:
        return f"nearly right, to {digits} digits: is something rounded, cut off, or stopped too soon?"
    inputs = {k: np.asarray(v) for k, v in (arguments or {}).items() if isinstance(v, (np.ndarray, *NUMBERS)) and np.asarray(v).dtype.kind in "fiu"}
    if not f.any():
        return "yours is zero" + (" in every entry" if f.size > 1 else "")
    if not np.isfinite(e).all() or not e.any():
        return None
    if found := ratio(f, e, inputs) or power(f, e):
        return found
    if f.size == 1:
        return None
    if found := diagnosis.transposed(f, e):
        return f"yours is {found}" if found == "transposed" else f"in yours {found}"
    if diagnosis.close(f - e, np.full(f.shape, (f - e).mean())):
        return f"yours is {abs((f - e).mean()):.6g} too {'large' if (f - e).mean() > 0 else 'small'} in every entry"
    alike = ((k, v) for k, v in inputs.items() if v.shape == e.shape)
    return next(filter(None, (diagnosis.partly(k, v, wrong) for k, v in alike)), None) or lacking(f, e)


def lacking(f, e):
    """A term that is the same along an axis, in words, or None."""
    for axis in range(f.ndim):
        if f.shape[axis] > 1 and diagnosis.close(np.broadcast_to((f - e).mean(axis=axis, keepdims=True), f.shape), f - e):
            return f"it is off by the same all along axis {axis}: is a term missing, or one too many?"
    return None


def agreeing(f, e):
    """To how many digits all entries agree, each by itself."""
    with np.errstate(all="ignore"):
        off = np.abs(f - e)[f != e] / np.abs(e)[f != e]
    return int(1e-3 - np.log10(off.max())) if np.isfinite(off).all() and off.size and off.max() < 1 else 0


def ratio(f, e, inputs):
    """A constant factor in words, and what it may come from, or None.  inputs: the arguments that are arrays or numbers, by name."""
    c = float((f * e).sum() / (e * e).sum())
    if not c or not diagnosis.close(f, c * e):
        return None
    every = " in every entry" if f.size > 1 else ""
    if math.isclose(c, -1, rel_tol=1e-5):
        return f"a sign: yours is minus the expected value{every}"
    if not 1e-6 < abs(c) < 1e6:
        return f"yours is far too {'large: does it grow without end?' if abs(c) > 1 else 'small'}" if f.size > 1 else None
    found = reasons(c, [*[v.shape for v in inputs.values()], e.shape], {k: float(v) for k, v in inputs.items() if v.ndim == 0})
    nice = math.isclose(c, round(c), rel_tol=1e-5) or math.isclose(1 / c, round(1 / c), rel_tol=1e-5)
    if f.size == 1 and not nice and not found:
        return None
    return f"yours is {c:.6g} times the expected value{every}" + f", like {', or '.join(found)}" * bool(found)


def reasons(c, shapes, numbers):
    """What a factor c may come from: a half, one of the numbers that the function is given, a mean and a sum that are taken for one another."""
    known = {"a half forgotten": 2, "a 2 forgotten": 0.5}
    for name, value in numbers.items():
        if value not in (-1, 0, 1):
            known |= {f"a factor {name} too many": value, f"a factor {name} that is missing": 1 / value}
            known |= {f"a factor {name}**2 too many": value**2, f"a factor {name}**2 that is missing": 1 / value**2}
    for length in sorted({math.prod(part) for shape in shapes for size in (1, 2) for part in itertools.combinations(shape, size)} - {0, 1}):
        known |= {f"a mean over {length} entries where a sum belongs": 1 / length, f"a sum over {length} entries where a mean belongs": length}
    return [text for text, value in known.items() if math.isclose(c, value, rel_tol=1e-5)]


def power(f, e):
    """A function of the right values: a variance for a standard deviation, or for its logarithm, and the other ways round."""
    if f.size == 1:
        return None
    with np.errstate(all="ignore"):
        candidates = {"square": e * e, "square root": np.sqrt(e), "logarithm": np.log(e), "exponential": np.exp(e)}
    fitting = (name for name, value in candidates.items() if np.isfinite(value).all() and diagnosis.close(f, value))
    return next((f"yours is the {name} of the expected value" for name in fitting), None)
