"""Formulas read off the code: the `return` expression of a function, with its local names put in.

A formula is a Python expression over the operations of `ops`; pages typeset it, and a test evaluates it against the code.
"""

import ast
import inspect
import textwrap


class Formulated:
    """A function with a formula: stated apart, or the code itself."""

    def __init__(self, code, formula):
        self._code, self._formula = code, formula

    @property
    def formula(self):
        """The formula, an ast expression: stated, or read off the code (see `formula_of`)."""
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
            return substitute(statement.value, names)
        else:
            break
    raise ValueError(f"{function.__qualname__}: not a straight line to one return; state its formula=")


def parse(formula):
    """A stated formula as an ast expression."""
    return ast.parse(formula, mode="eval").body


def substitute(expression, names):
    """A copy of `expression` in which each name found in `names` is replaced by its expression, and `xp.` is dropped."""
    return ast.fix_missing_locations(_Substitute(names).visit(ast.parse(ast.unparse(expression), mode="eval").body))


def text(expression):
    """The expression as Python text; spaces around products and sums as in the code."""
    return ast.unparse(expression)


def evaluate(expression, values):
    """The value of a formula, given its names as a dict."""
    code = compile(ast.fix_missing_locations(ast.Expression(expression)), "<formula>", "eval")
    return eval(code, dict(values))


class _Substitute(ast.NodeTransformer):
    def __init__(self, names):
        self.names = names

    def visit_Name(self, node):
        return self.names.get(node.id, node)

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id == "xp":
            return ast.Name(node.attr, ast.Load())
        return self.generic_visit(node)
