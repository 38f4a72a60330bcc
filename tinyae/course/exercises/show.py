"""Values as short texts that a learner can read, and paste into Python: they are the learner's, so nothing is taken for granted about them."""

import numpy as np

ENTRIES = 12  # of an array that is shown in full
CHARACTERS = 300  # of any other value


def show(value):
    """A value as a text: `np.array([[0.5, -1.0]])` where it is small, else its shape and range."""
    try:
        if isinstance(value, str):
            return short(repr(value))
        if isinstance(value, np.generic):
            return short(repr(value.item()))
        if type(value) is np.ndarray:
            return array(value)
        if type(value) in (list, tuple) and len(value) <= ENTRIES:
            inner = ", ".join(show(one) for one in value)
            return short(f"[{inner}]" if type(value) is list else f"({inner}{',' * (len(value) == 1)})", 3 * CHARACTERS)
        if type(value) in (float, int, complex, bool, type(None)):
            return short(repr(value))
        return f"the function {short(value.__name__)}" if callable(value) and hasattr(value, "__name__") else short(repr(value))
    except Exception:
        return f"a {type(value).__name__} that cannot be shown"


def array(x):
    """An array as a text."""
    numeric = x.dtype.kind in "fiubc"
    if x.size <= ENTRIES and x.dtype.kind in "fiubcU":
        dtype = "" if x.dtype in (np.float64, np.int64, bool) or not numeric else f", dtype=np.{x.dtype}"
        return short(f"np.array({x.tolist()}{dtype})", 3 * CHARACTERS)
    if x.dtype.kind not in "fiu" or not np.isfinite(x).all():
        return kind(x)
    return f"an array of shape {x.shape}, from {x.min():.6g} to {x.max():.6g}"


def call(function, arguments):
    """A call as a text: `f(x=np.array([1.0]), scale=2.0)`."""
    return f"{function}({', '.join(f'{name}={show(value)}' for name, value in arguments.items())})"


def kind(value):
    """What a value is, in words: "a list", "an array of shape (3, 2)"."""
    if value is None:
        return "None"
    if type(value) is np.ndarray:
        return f"an array of shape {value.shape}" + (f" and type {value.dtype}" if value.dtype.kind not in "fiu" else "")
    if type(value) in (tuple, list):
        return f"a {type(value).__name__} of {len(value)} things"
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def short(text, length=CHARACTERS):
    """A text that is not too long for a report."""
    return text if len(text) <= length else f"{text[: length - 4]} ..."


def plain(text):
    """A text without what would move a terminal's cursor, change its colours or stop its encoding."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text.replace("\r\n", "\n"))
