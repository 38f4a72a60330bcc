"""Formulas read off the code: the `return` expression of a function, with its local names put in; or stated beside it.

A formula is Python over the operations of `ops`; pages typeset it, and a test evaluates it against the code.  Two forms:

    gy * exp(x)                                                    an expression on whole arrays
    y[n, i] = sum(x[n, stride * i + k] * weight[k], over=k)        one entry, for every n and i: index notation

In index notation an entry outside its array is zero, an index in `over=` runs along the axis where it stands alone, and a
comparison is one where it holds and zero elsewhere.
"""

import ast
import functools
import inspect
import itertools
import textwrap

import numpy as np


class Formulated:
    """A function with a formula: stated apart, or the code itself."""

    def __init__(self, code, formula):
        self._code, self._formula = code, formula

    @property
    def formula(self):
        """The formula, an ast expression (an assignment in index notation): stated, or read off the code (see `formula_of`)."""
        return parse(self._formula) if self._formula else formula_of(self._code)

    @property
    def stated(self):
        """Whether the formula was stated apart from the code."""
        return self._formula is not None


def formula_of(function):
    """The formula of a function of straight-line code, as an ast expression.

    `xp.exp(x)` reads exp(x), whatever the array module `xp`.  Returns None where the source is not at hand.
    Raises ValueError where the code has no single expression: then the formula must be stated.
    """
    formula = _read(function)
    return None if formula is None else parse(formula)


@functools.cache
def _read(function):
    """The text of `formula_of`; finding a function's source is slow."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None
    definition = next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    names = {}
    for statement in definition.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # the docstring
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
            names[statement.targets[0].id] = substitute(statement.value, names)
        elif isinstance(statement, ast.Return) and statement.value is not None:
            return text(substitute(statement.value, names))
        else:
            break
    raise ValueError(f"{function.__qualname__}: not a straight line to one return; state its formula=")


def parse(formula):
    """A stated formula as an ast expression, or as an assignment where it is in index notation."""
    statement = ast.parse(formula).body[0]
    return statement.value if isinstance(statement, ast.Expr) else statement


def copied(node):
    """A copy of a syntax tree: its fields and places in the source.

    `copy.deepcopy` would follow what others have hung on nodes: `executing` links each to its parent, also the one Load() that all trees share.
    """
    if isinstance(node, list):
        return [copied(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    return ast.copy_location(type(node)(**{name: copied(value) for name, value in ast.iter_fields(node)}), node)


def is_indexed(formula):
    """Whether a formula is in index notation."""
    return isinstance(formula, ast.Assign)


def substitute(formula, names):
    """A copy of `formula` in which each name found in `names` is replaced by its expression, and `xp.` is dropped."""
    return ast.fix_missing_locations(_Substitute(names).visit(parse(ast.unparse(formula))))


def text(formula):
    """The formula as Python text; spaces around products and sums as in the code."""
    return ast.unparse(formula)


def evaluate(formula, values, shape=None):
    """The value of a formula, given its names as a dict; in index notation an array of `shape`, by plain loops.

    A formula in fewer indices than `shape` has axes is one along `values["axis"]`, the same for all other axes.
    """
    if not is_indexed(formula):
        code = compile(ast.fix_missing_locations(ast.Expression(formula)), "<formula>", "eval")
        return eval(code, dict(values))
    indices = _elements(formula.targets[0].slice)
    if len(indices) == len(shape):
        return _entries(formula, values, shape)
    axis, result = values["axis"], np.empty(shape)
    others = [range(n) for i, n in enumerate(shape) if i != axis % len(shape)]
    for place in itertools.product(*others):
        line = list(place)
        line.insert(axis % len(shape), slice(None))
        lines = {k: v[tuple(line)] if getattr(v, "ndim", 0) == len(shape) else v for k, v in values.items()}
        result[tuple(line)] = _entries(formula, lines, (shape[axis],))
    return result


def _entries(formula, values, shape):
    """Every entry of a formula in index notation, by plain loops."""
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    body = ast.fix_missing_locations(_Loops({name: array.shape for name, array in arrays.items()}).visit(parse(text(formula))).value)
    code = compile(ast.Expression(body), "<formula>", "eval")
    names = [index.id for index in _elements(formula.targets[0].slice)]
    known = values | {name: _ZeroOutside(array) for name, array in arrays.items()} | {"sum": sum, "max": max, "min": min, "range": range}
    result = np.empty(shape)
    for place in np.ndindex(*shape):
        result[place] = eval(code, known | dict(zip(names, place, strict=True)))
    return result


def _elements(node):
    return node.elts if isinstance(node, ast.Tuple) else [node]


class _ZeroOutside:
    """An array whose entries outside its shape are zero."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __getitem__(self, index):
        place = index if isinstance(index, tuple) else (index,)
        return self.array[place] if all(0 <= i < n for i, n in zip(place, self.shape, strict=True)) else 0.0


class _Loops(ast.NodeTransformer):
    """`sum(term, over=(c, k))` as the loops sum(term for c in range(..) for k in range(..)); also max and min."""

    def __init__(self, shapes):
        self.shapes = shapes

    def visit_Call(self, node):
        self.generic_visit(node)
        over = next((k.value for k in node.keywords if k.arg == "over"), None)
        if over is None:
            return node
        loops = [
            ast.comprehension(ast.Name(i.id, ast.Store()), ast.parse(f"range({self.length(node, i.id)})").body[0].value, [], 0)
            for i in _elements(over)
        ]
        return ast.Call(node.func, [ast.GeneratorExp(node.args[0], loops)], [])

    def length(self, node, index):
        """The length of the axis along which `index` stands alone."""
        for part in ast.walk(node):
            if isinstance(part, ast.Subscript) and getattr(part.value, "id", None) in self.shapes:
                for axis, place in enumerate(_elements(part.slice)):
                    if isinstance(place, ast.Name) and place.id == index:
                        return self.shapes[part.value.id][axis]
        raise ValueError(f"formula: the index {index} stands alone nowhere, so its range is unknown")


class _Substitute(ast.NodeTransformer):
    def __init__(self, names):
        self.names = names

    def visit_Name(self, node):
        return self.names.get(node.id, node)

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id == "xp":
            return ast.Name(node.attr, ast.Load())
        return self.generic_visit(node)
