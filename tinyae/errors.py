"""Errors that say the rule, what was expected, what came, where, and what to do."""

import linecache
import os
from sys import _getframe

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
LESSONS = PACKAGE + "lessons" + os.sep  # where a wheel puts the lessons: reader's code, not ours
COMMAND = "sys.exit(main())"  # the line of an installed command that calls it


class TinyaeError(Exception):
    """Base of every error that tinyae raises on purpose; the command line shows it as one line.

    Its text: the rule on the first line, then `expected`, `got`, `likely` (a diagnosis), `at` (a source line) and `remedy`, where given.
    """

    def __init__(self, rule, *, expected=None, got=None, likely=None, at=None, remedy=None):
        details = {"expected": expected, "got": got, "likely": likely, "at": at, "remedy": remedy}
        super().__init__("\n".join([rule, *(f"  {label:<8}  {text}" for label, text in details.items() if text is not None)]))


class ShapeError(TinyaeError, ValueError):
    """Shapes that do not fit an operation."""


class DtypeError(TinyaeError, TypeError):
    """A data type (or a thing that is no array) that an operation cannot take."""


class GraphError(TinyaeError, RuntimeError):
    """A graph used in a way that would give wrong gradients."""


class AnomalyError(TinyaeError, ArithmeticError):
    """A NaN or an infinity where there was none before."""


class BackendError(TinyaeError, RuntimeError):
    """An array backend that is not there, or does not answer."""


class DataError(TinyaeError, ValueError):
    """Data that is missing, damaged, or outside the support of a likelihood."""


class ArgumentError(TinyaeError, ValueError):
    """An argument outside its range."""


class RunError(TinyaeError, OSError):
    """A run folder or a checkpoint that cannot be read or written."""


def one_line(error):
    """The error's text on a single line, for the command line: `rule (expected: ...; got: ...)`."""
    rule, *details = [line.split() for line in str(error).splitlines() if line.strip()] or [[type(error).__name__]]
    details = "; ".join(f"{label}: {' '.join(words)}" for label, *words in details)
    return " ".join(rule) + (f" ({details})" if details else "")


class Ours(dict):
    """File name -> whether it belongs to the package, worked out when it is asked for the first time."""

    def __missing__(self, name):
        self[name] = found = name.startswith(PACKAGE) and not name.startswith(LESSONS)
        return found


_ours = Ours()


def caller(depth=1):
    """The place (code, instruction) in the nearest frame outside the package: the user's line.  None where there is none.

    depth: how many frames up to begin.  The line is looked up when it is shown, see `line_of`.
    """
    frame = _getframe(depth)
    code = frame.f_code
    while _ours[code.co_filename]:
        frame = frame.f_back
        if frame is None:
            return None
        code = frame.f_code
    return code, frame.f_lasti


def line_of(site):
    """(file name, line number) of a place."""
    code, instruction = site
    return code.co_filename, next((line for start, end, line in code.co_lines() if start <= instruction < end and line), code.co_firstlineno)


def show(site):
    """`file.py:31   h = matmul(x, W2)` for a place in the code; None for None, and where the `tinyae` command begins: that is nobody's line."""
    if site is None:
        return None
    name, number = line_of(site)
    text = linecache.getline(name, number).strip()
    return None if text == COMMAND or name == "<frozen runpy>" else f"{os.path.basename(name)}:{number}   {text}".rstrip()
