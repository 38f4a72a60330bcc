"""What the unroller knows of a value: whether it is an array of the program, and the expression that writes it."""

import ast
import functools
import inspect
import math
import textwrap
import types
from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, raw

SHORT = {"absolute": "abs"}  # as one writes it


class Cannot(Exception):
    """What cannot be written in line, and why."""


class Code:
    """An array of the program: the expression that gives it, and its value.  shorter: another one that broadcasts alike."""

    def __init__(self, expression, value):
        self.expression, self.value, self.shorter = expression, value, None

    def __bool__(self):
        raise Cannot("it branches on the entries of an array")


class Method(NamedTuple):
    """A method of an array of the program."""

    owner: Code
    name: str


class Function(NamedTuple):
    """A lambda, or a function defined inside another: its definition, and the names that it sees."""

    node: ast.AST
    scope: dict


class Named(float):
    """A number that its module gives a name, such as LOG_2_PI."""

    name = None


class Step:
    """A statement: `target = node`, or where there is no target a statement that changes the array `changed`.

    hint: a name for the target.  keep: it stays a line of its own.  note: the operation that it is, where the line does not say.
    """

    def __init__(self, target, node, shape=None, hint=None, keep=False, note=None, changed=None):
        self.target, self.node, self.shape, self.hint, self.keep, self.note, self.changed = target, node, shape, hint, keep, note, changed


def static(value):
    """Whether a value holds no array: it is known for all calls of these shapes."""
    if isinstance(value, (tuple, list)):
        return all(map(static, value))
    if isinstance(value, dict):
        return all(map(static, value.values()))
    if isinstance(value, slice):
        return static((value.start, value.stop, value.step))
    return not isinstance(value, (Code, Method, np.ndarray, Tensor))


def native(value):
    """The value itself, each array of the program by its numbers."""
    if isinstance(value, tuple) and type(value) is not tuple:
        return value  # a named tuple
    if isinstance(value, (tuple, list)):
        return type(value)(map(native, value))
    if isinstance(value, dict):
        return {key: native(item) for key, item in value.items()}
    if isinstance(value, Named):
        return float(value)
    return raw(value.value if isinstance(value, Code) else value)


def same(a, b):
    """Whether two attributes are alike."""
    return type(a) is type(b) and isinstance(a, (int, float, str, tuple, type(None))) and static((a, b)) and a == b


def literal(value):
    """The expression that writes a value.  Raises Cannot where there is none."""
    if isinstance(value, Code):
        return value.expression
    if isinstance(value, (tuple, list)):
        kind = ast.Tuple if isinstance(value, tuple) else ast.List
        return kind([literal(item) for item in value], ast.Load())
    if isinstance(value, slice):
        return ast.Call(ast.Name("slice"), [literal(part) for part in (value.start, value.stop, value.step)], [])
    if isinstance(value, Named):
        return ast.Name(value.name)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return ast.Attribute(ast.Name("np"), np.dtype(value).name)
    if isinstance(value, np.generic):
        return ast.parse(repr(value), mode="eval").body
    if value is ...:
        return ast.Constant(...)
    if value is None or isinstance(value, (bool, int, float, str)):
        text = repr(value) if not isinstance(value, float) or math.isfinite(value) else repr(value).replace("inf", "np.inf").replace("nan", "np.nan")
        return ast.parse(text, mode="eval").body
    raise Cannot(f"{value!r} has no literal")


def subscript(owner, index):
    """The expression owner[index]."""

    def part(item):
        if isinstance(item, slice):
            return ast.Slice(*(None if bound is None else literal(bound) for bound in (item.start, item.stop, item.step)))
        return literal(item)

    parts = ast.Tuple([part(item) for item in index], ast.Load()) if isinstance(index, tuple) else part(index)
    return ast.Subscript(owner.expression, parts, ast.Load())


def of_numpy(function):
    """The expression of a function of NumPy, `np.linalg.solve`; None for any other."""
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return ast.Attribute(of_numpy(function.__self__), function.__name__)
    for path in ("np", "np.linalg"):
        module = np if path == "np" else np.linalg
        if getattr(module, getattr(function, "__name__", ""), None) is function:
            return ast.parse(f"{path}.{SHORT.get(function.__name__, function.__name__)}", mode="eval").body
    return None


@functools.lru_cache(10_000)
def source_of(function):
    """(text, syntax tree) of a function's or a class's definition.  Raises Cannot where its source is not at hand."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        return text, ast.parse(text)
    except (OSError, TypeError, SyntaxError):
        raise Cannot(f"the source of {getattr(function, '__qualname__', function)} is not at hand") from None


def definition(function):
    """The syntax tree of a function.  Raises Cannot where its source is not at hand, or it is a lambda among others."""
    tree = source_of(function)[1]
    kind = ast.Lambda if function.__name__ == "<lambda>" else ast.ClassDef if isinstance(function, type) else ast.FunctionDef
    found = [node for node in ast.walk(tree) if isinstance(node, kind)]
    if not found or (kind is ast.Lambda and len(found) > 1):
        raise Cannot(f"the source of {function.__qualname__} is not at hand")
    return found[0]


def scopes(function):
    """Where a function finds its names besides its arguments: what encloses it, its module, Python itself."""
    closure = inspect.getclosurevars(function).nonlocals if isinstance(function, types.FunctionType) else {}
    builtins = function.__globals__["__builtins__"]
    return closure, function.__globals__, builtins if isinstance(builtins, dict) else vars(builtins)
