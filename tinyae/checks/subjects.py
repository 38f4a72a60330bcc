"""What `tinyae check` is asked to check: an operation by its name, or a function in a file, with inputs to call it with."""

import contextlib
import difflib
import functools
import importlib.util
import inspect
import os
import pathlib
import sys
import traceback
from typing import NamedTuple

import numpy as np

from tinyae.autograd import Primitive, registry
from tinyae.errors import LESSONS, PACKAGE, ArgumentError, TinyaeError, one_line

SHAPE = (3, 4)  # of a parameter about which nothing is said
BACKWARDS = ("{}_backward", "{}_vjp", "{}_grad")  # names of a hand-written backward of a function


class Subject(NamedTuple):
    """A function to check.  calls: (function of the inputs, a list of float64 arrays), one for each example.

    backward: the hand-written one (gy, *inputs), or None where the engine differentiates.  primitive: the Primitive, or None.
    file: where it stands, if it is not ours.  assumed: what was taken for granted about its inputs.  notes: what else to know; texts.
    """

    name: str
    calls: list
    backward: object = None
    primitive: object = None
    file: str = ""
    assumed: str = ""
    notes: tuple = ()


def subjects(name, examples, seed):
    """The subjects of a name: of an operation, of "file.py::function", or of all in "file.py" that can be checked.

    Raises ArgumentError where there is none.
    """
    file, separator, function = name.rpartition("::")
    if separator:
        return [of_file(file, function, examples, seed)]
    if name.endswith(".py"):
        return [of_file(name, function, examples, seed) for function in checkable(name)]
    if name not in registry:
        raise ArgumentError(
            f"no operation is called {name!r}.", remedy=meant(name, registry, "tinyae ops lists them all; file.py::function for yours")
        )
    return [of_primitive(registry[name], examples, seed)]


def meant(name, known, otherwise):
    """A suggestion for a name that is not known."""
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else otherwise


def strategies():
    """The strategies.  Raises ArgumentError where Hypothesis is not installed."""
    try:
        from tinyae.checks import strategies
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ArgumentError("check: inputs are drawn by Hypothesis, which is not installed.", remedy='pip install "tinyae[checks]"') from error
    return strategies


def of_primitive(operation, examples, seed, given=None, file=""):
    """A primitive, called as its strategy says, or with the inputs that are given."""
    drawn = [(given, {})] if given else strategies().examples(strategies().inputs(operation), examples, seed)
    calls = []
    for values, attributes in drawn:
        call = functools.partial(operation, **attributes)
        call.__name__ = operation.name
        calls.append((call, values))
    return Subject(operation.name, calls, primitive=operation, file=file)


def functions_of(module):
    """The names of the functions in a module that may be meant."""
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


def backward_of(module, name):
    """The hand-written backward beside a function, or None."""
    return next((getattr(module, b.format(name)) for b in BACKWARDS if hasattr(module, b.format(name))), None)


def checkable(file):
    """The names of the functions in a file that have a backward beside them, and of its primitives."""
    module = loaded(file)
    names = functions_of(module)
    found = [n for n in names if backward_of(module, n) or (isinstance(getattr(module, n), Primitive) and getattr(module, n).name not in registry)]
    if not found:
        rule = f"{file}: no function has a backward beside it, so say which one is meant."
        raise ArgumentError(rule, expected=f"{file}::FUNCTION", got=f"it has {', '.join(names) or 'none'}")
    return found


def of_file(file, name, examples, seed):
    """A function in a file: a @primitive, a function of arrays with a backward beside it, or a function of Tensors."""
    module = loaded(file)
    functions, function = functions_of(module), getattr(module, name, None)
    if not callable(function):
        raise ArgumentError(f"{file}: there is no function {name!r}.", remedy=meant(name, functions, f"it has {', '.join(functions) or 'none'}"))
    given = given_inputs(file, module, name)
    if isinstance(function, Primitive):
        return of_primitive(function, examples, seed, given, file)
    calls, assumed = ([given], "") if given else drawn_inputs(file, function, examples, seed)
    backward = backward_of(module, name)
    notes = () if backward else (f"{name}: there is no {name}_backward(gy, *inputs) in {file}, so it was called with Tensors",)
    return Subject(name, [(function, values) for values in calls], backward, file=file, assumed=assumed, notes=notes)


def given_inputs(file, module, name):
    """The arrays in `NAME_inputs` of the module as a list, floating-point ones in float64; None where there are none."""
    given = getattr(module, f"{name}_inputs", None)
    if given is None:
        return None
    if not isinstance(given, (list, tuple)):
        raise ArgumentError(f"{file}: {name}_inputs is a list of arrays, one for each parameter.", got=type(given).__name__)
    try:
        arrays = [np.asarray(value) for value in given]
        return [x if x.dtype.kind in "iub" and np.ndim(x) else x.astype(np.float64) for x in arrays]
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{file}: {name}_inputs is a list of arrays of numbers.", got=str(error)) from error


def drawn_inputs(file, function, examples, seed):
    """(inputs for each call, what was assumed about them): lists of arrays, one for each parameter without a default.

    An annotation may be a shape, x: (5,), or a domain that `strategies.arrays` knows, x: "positive".
    """
    draw = strategies()  # says so where Hypothesis is missing
    from hypothesis import strategies as st

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    wanted = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    name = function.__name__
    if not wanted:
        raise ArgumentError(f"{file}: {name} has no parameter to differentiate by.", remedy=f"{name}_inputs = [array, ...]")
    known = [shape_and_domain(p.annotation, function) for p in wanted]
    free = [p.name for p, said in zip(wanted, known, strict=True) if said is None]
    assumed = f"shape {SHAPE} and both signs were assumed for {', '.join(free)}: annotate"
    assumed += f" `x: (4,)` or `x: 'positive'`, or list arrays, `{name}_inputs = [...]`"
    drawn = st.tuples(*(draw.arrays(*said or (SHAPE,)) for said in known)).map(list)
    return draw.examples(drawn, examples, seed), assumed if free else ""


def shape_and_domain(annotation, function):
    """What an annotation says about a parameter; None if nothing.  It may be text, as after `from __future__ import annotations`."""
    if isinstance(annotation, str):
        with contextlib.suppress(Exception):
            annotation = annotation if annotation in strategies().values.DOMAINS else eval(annotation, getattr(function, "__globals__", {}))
    if isinstance(annotation, tuple) and all(isinstance(n, int) for n in annotation):
        return annotation, "real"
    return (SHAPE, annotation) if isinstance(annotation, str) else None


_loaded = {}  # path -> module


def loaded(file):
    """The file as a module, run with its own folder on the path.  Raises ArgumentError, with the line, where it fails."""
    path = pathlib.Path(file).resolve()
    if path in _loaded:
        return _loaded[path]
    if not path.is_file():
        raise ArgumentError(f"there is no file {file}.", remedy="file.py::function")
    spec = importlib.util.spec_from_file_location(path.stem if path.stem not in sys.modules else f"{path.stem}_checked", path)
    if spec is None:
        raise ArgumentError(f"{file} is no Python file.", remedy="file.py::function")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        # the file itself: compiled code beside it may be older, if both were written in one second
        exec(spec.loader.source_to_code(path.read_bytes(), path), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise failed(file, error) from error
    _loaded[path] = module
    return module


def failed(file, error, remedy=None):
    """An error that arose in somebody's file, or in a helper beside it, as an ArgumentError of one line that names the file and the line."""
    if isinstance(error, SyntaxError):
        place = (error.filename, error.lineno) if os.path.isfile(error.filename or "") else None
    else:
        frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        place = next((frame for frame in reversed(frames) if is_beside(file, frame[0])), None)
    text = error.msg if isinstance(error, SyntaxError) else one_line(error) if isinstance(error, TinyaeError) else " ".join(str(error).split())
    what = f"{type(error).__name__}: {text}"
    if place is None:
        return ArgumentError(f"{file}: {what}", remedy=remedy)
    same = pathlib.Path(place[0]).resolve() == pathlib.Path(file).resolve()
    return ArgumentError(f"{file if same else os.path.relpath(place[0])}, line {place[1]}: {what}", remedy=remedy)


def is_beside(file, other):
    """Whether `other` is somebody's file too: it lies in the folder of `file`, or below, and belongs to no library."""
    other, folder = pathlib.Path(other).resolve(), pathlib.Path(file).resolve().parent
    ours = str(other).startswith(PACKAGE) and not str(other).startswith(LESSONS)
    return other.is_file() and other.is_relative_to(folder) and not ours and "site-packages" not in other.parts
