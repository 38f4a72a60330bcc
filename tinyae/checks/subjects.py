"""What `tinyae check` is asked to check: an operation by its name, or a function in a file, with inputs to call it with."""

import ast
import contextlib
import difflib
import functools
import importlib.util
import inspect
import pathlib
import sys
import traceback
from typing import NamedTuple

import numpy as np

from tinyae.autograd import Primitive, registry
from tinyae.errors import ArgumentError

SHAPE = (3, 4)  # of a parameter about which nothing is said
BACKWARDS = ("{}_backward", "{}_vjp", "{}_grad")  # names of a hand-written backward of a function


class Subject(NamedTuple):
    """A function to check.  calls: (function of the inputs, a list of float64 arrays), one for each example.

    backward: the hand-written one (gy, *inputs), or None where the engine differentiates.  primitive: the Primitive, or None.
    file: where it stands, if it is not ours.
    """

    name: str
    calls: list
    backward: object = None
    primitive: object = None
    file: str = ""


def subject(name, examples, seed):
    """The subject of a name: an operation's, or "file.py::function".  Raises ArgumentError where there is none."""
    file, separator, function = name.rpartition("::")
    if separator:
        return of_file(file, function, examples, seed)
    if name not in registry:
        raise ArgumentError(
            f"no operation is called {name!r}.", remedy=meant(name, registry, "tinyae ops lists them all; file.py::function for yours")
        )
    return of_primitive(registry[name], examples, seed)


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


def of_file(file, name, examples, seed):
    """A function in a file: a @primitive, a function of arrays with a backward beside it, or a function of Tensors."""
    module = loaded(file)
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    function = getattr(module, name, None)
    if not callable(function):
        raise ArgumentError(f"{file}: there is no function {name!r}.", remedy=meant(name, functions, f"it has {', '.join(functions) or 'none'}"))
    given = given_inputs(file, module, name)
    if isinstance(function, Primitive):
        return of_primitive(function, examples, seed, given, file)
    backward = next((getattr(module, b.format(name)) for b in BACKWARDS if hasattr(module, b.format(name))), None)
    inputs = [given] if given else strategies().examples(drawn_inputs(file, function), examples, seed)
    return Subject(name, [(function, values) for values in inputs], backward, file=file)


def given_inputs(file, module, name):
    """The arrays in `NAME_inputs` of the module as a list, floating-point ones in float64; None where there are none."""
    given = getattr(module, f"{name}_inputs", None)
    if given is None:
        return None
    if not isinstance(given, (list, tuple)):
        raise ArgumentError(f"{file}: {name}_inputs is a list of arrays, one for each parameter.", got=type(given).__name__)
    arrays = [np.asarray(value) for value in given]
    return [x if x.dtype.kind in "iub" and np.ndim(x) else x.astype(np.float64) for x in arrays]


def drawn_inputs(file, function):
    """A strategy for the inputs of a function: a list of arrays, one for each parameter without a default.

    An annotation may be a shape, x: (5,), or a domain that `strategies.arrays` knows, x: "positive".
    """
    from hypothesis import strategies as st

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    wanted = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not wanted:
        raise ArgumentError(f"{file}: {function.__name__} has no parameter to differentiate by.", remedy=f"{function.__name__}_inputs = [array, ...]")
    return st.tuples(*(strategies().arrays(*shape_and_domain(p.annotation)) for p in wanted)).map(list)


def shape_and_domain(annotation):
    """What an annotation says about a parameter; it may be text, as after `from __future__ import annotations`."""
    if isinstance(annotation, str):
        with contextlib.suppress(SyntaxError, ValueError):
            annotation = ast.literal_eval(annotation)
    if isinstance(annotation, tuple) and all(isinstance(n, int) for n in annotation):
        return annotation, "real"
    return SHAPE, annotation if annotation in ("positive", "nonzero", "unit", "boolean", "binary") else "real"


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
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise failed(file, error) from error
    _loaded[path] = module
    return module


def failed(file, error):
    """An error that arose in somebody's file as an ArgumentError of one line, with the line of the file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if pathlib.Path(frame.filename) == pathlib.Path(file).resolve()]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    what = f"{type(error).__name__}: {' '.join((error.msg if isinstance(error, SyntaxError) else str(error)).split())}"
    return ArgumentError(f"{file}, line {line}: {what}" if line else f"{file}: {what}")
