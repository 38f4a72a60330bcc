"""Values as short texts that a learner can read, and paste into Python: they are the learner's, so nothing is taken for granted about them."""

import ast
import inspect
import re
import textwrap

import numpy as np

ENTRIES = 24  # of an array that is shown in full
CHARACTERS = 300  # of any other value


def show(value, digits=17):
    """A value as a text: `np.array([[0.5, -1.0]])` where it is small, else its shape and range.  digits: of its numbers, 17 give them back."""
    try:
        if isinstance(value, str):
            return short(repr(value))
        if isinstance(value, np.generic):
            return show(value.item(), digits)
        if type(value) is np.ndarray:
            return array(value, digits)
        if type(value) in (list, tuple) and len(value) <= ENTRIES:
            inner = ", ".join(show(one, digits) for one in value)
            return short(f"[{inner}]" if type(value) is list else f"({inner}{',' * (len(value) == 1)})", 3 * CHARACTERS)
        if type(value) is float:
            return repr(float(f"{value:.{digits}g}"))
        if type(value) in (int, complex, bool, type(None)):
            return short(repr(value))
        if callable(value) and hasattr(value, "__name__"):
            return "a function" if value.__name__ == "<lambda>" else f"the function {short(value.__name__)}"
        return short(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)))
    except Exception:
        return f"a {type(value).__name__} that cannot be shown"


def array(x, digits=17):
    """An array as a text."""
    numeric = x.dtype.kind in "fiubc"
    if x.size <= ENTRIES and x.dtype.kind in "fiubcU":
        dtype = "" if x.dtype in (np.float64, np.int64, bool) or not numeric else f", dtype=np.{x.dtype}"
        return short(f"np.array({show_all(x.tolist(), digits)}{dtype})", 3 * CHARACTERS)
    if x.dtype.kind not in "fiu" or not np.isfinite(x).all():
        return kind(x)
    return f"an array of shape {x.shape}, from {x.min():.6g} to {x.max():.6g}"


def show_all(values, digits):
    """Lists in lists as a text, however long."""
    return f"[{', '.join(show_all(one, digits) for one in values)}]" if isinstance(values, list) else show(values, digits)


def meaning(function):
    """What a function of ours does, as one line of code, or None: it is shown to those to whom it was given."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        body = node.body[1:] if ast.get_docstring(node) else node.body
        text = "; ".join(ast.unparse(one) for one in body)
        return None if "\n" in text or len(text) > CHARACTERS else f"def {node.name}({ast.unparse(node.args)}): {text}"
    except (OSError, TypeError, ValueError, SyntaxError, AttributeError):
        return None


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
