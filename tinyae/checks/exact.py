"""Formulas in 120-digit arithmetic: the exact value that a float32 result is compared with.

The reference is not our code run again with more digits, but the formula that is displayed, on Python's decimal numbers.  These are
enough digits for log(1 + exp(x)) at x = -100, or exp(x) - x - 1 at x = 1e-40, straight from the textbook.
"""

import ast
import decimal
import math

import numpy as np

from tinyae import formula as formulas
from tinyae.ops.reductions import count, spread

DIGITS = decimal.Context(prec=120, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[])
PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651328230664709384461"


HUGE = 2**60  # the exponential of more is no decimal number; it is NaN here, and so is what depends on it


def elementwise(function):
    """A function of one decimal number as one of arrays of them."""
    return np.frompyfunc(lambda x: function(decimal.Decimal(x)), 1, 1)


def by_float(function):
    """A function of math's: for a float32 argument its float64 result has 29 bits more than are asked for."""
    return elementwise(lambda x: decimal.Decimal(function(float(x)) if x.is_finite() else math.nan))


def softmax(x, axis):
    """exp(x), divided by its sum along `axis`."""
    e = FUNCTIONS["exp"](x)
    return e / e.sum(axis=axis, keepdims=True)


FUNCTIONS = {
    "exp": elementwise(lambda x: x.exp() if x < HUGE or x.is_infinite() else decimal.Decimal("NaN")),
    "log": elementwise(lambda x: (+x).ln()),
    "sqrt": elementwise(lambda x: x.sqrt()),
    "tanh": elementwise(lambda x: 1 - 2 / (FUNCTIONS["exp"](2 * x) + 1)),
    "cosh": elementwise(lambda x: (FUNCTIONS["exp"](x) + FUNCTIONS["exp"](-x)) / 2),
    "sigmoid": elementwise(lambda x: 1 / (1 + FUNCTIONS["exp"](-x))),
    "sin": by_float(math.sin),
    "cos": by_float(math.cos),
    "arctan": by_float(math.atan),
    "abs": np.abs,
    "sign": elementwise(lambda x: (x > 0) - (x < 0)),
    "round": elementwise(lambda x: x.to_integral_value()),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": np.where,
    "sum": np.sum,
    "softmax": softmax,
    "spread": spread,
    "count": count,
    "Decimal": decimal.Decimal,
    "pi": decimal.Decimal(PI),
}


def evaluate(formula, values, shape):
    """The value of a formula for arrays and numbers by name: an array of `shape` of decimal numbers.

    Raises NameError where the formula has a name that neither `values` nor FUNCTIONS know.
    """
    with decimal.localcontext(DIGITS):
        known = FUNCTIONS | {name: decimals(value) for name, value in values.items()}
        found = formulas.evaluate(Constants().visit(formulas.parse(formulas.text(formula))), known, shape)
        return np.broadcast_to(elementwise(lambda x: x)(np.asarray(found, dtype=object)), shape)


def decimals(value):
    """A floating-point number or array in decimal numbers; truth values, integers and decimal arrays as they are."""
    if isinstance(value, np.ndarray):
        return elementwise(lambda x: x)(value.astype(object)) if value.dtype.kind == "f" else value
    return decimal.Decimal(repr(value)) if isinstance(value, float) else value


def floats(values):
    """Decimal numbers as float64; those too large for it become infinite."""
    return np.asarray(values, dtype=np.float64)


class Constants(ast.NodeTransformer):
    """A formula's constants such as 0.044715 as decimal numbers."""

    def visit_Constant(self, node):
        return ast.parse(f"Decimal('{node.value}')").body[0].value if isinstance(node.value, float) else node


def terms(formula):
    """The formula with all its outer terms taken positive: of x * (a - b), |x| * (|a| + |b|).

    That is the size of what is rounded where the terms cancel.  Powers and functions stay: there a cancellation would be an error.
    """
    formula = formulas.parse(formulas.text(formula))
    if formulas.is_indexed(formula):
        formula.value = absolute(formula.value)
        return ast.fix_missing_locations(formula)
    return ast.fix_missing_locations(absolute(formula))


def absolute(node):
    """The sum of the absolute terms of an expression, as an expression."""
    if isinstance(node, ast.UnaryOp):
        return absolute(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        return ast.BinOp(absolute(node.left), ast.Add(), absolute(node.right))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return ast.BinOp(absolute(node.left), ast.Mult(), absolute(node.right))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return ast.BinOp(absolute(node.left), ast.Div(), ast.Call(ast.Name("abs", ast.Load()), [node.right], []))
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "sum":
        return ast.Call(node.func, [absolute(node.args[0]), *node.args[1:]], node.keywords)
    return ast.Call(ast.Name("abs", ast.Load()), [node], [])
