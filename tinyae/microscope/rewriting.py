"""Expressions rewritten as a textbook would write them, before they are typeset."""

import ast
import functools


class Deviations(ast.NodeTransformer):
    """exp(log_variance) as the variance, exp(log_variance / 2) as the standard deviation, which are small signs and not tall powers."""

    def visit_Call(self, node):
        node = self.generic_visit(node)
        return (self.power(node.args[0]) if ast.unparse(node.func) == "exp" else None) or node

    def visit_BinOp(self, node):
        node = self.generic_visit(node)
        match node:
            case ast.BinOp(left, ast.Mult(), ast.BinOp(ast.Constant(1), ast.Div(), ast.Name() as under)):
                return ast.BinOp(left, ast.Div(), under)
        return node

    def power(self, exponent):
        """e to such an exponent; None for another one."""
        match exponent:
            case ast.Name(name) if name.endswith("log_variance"):
                return ast.Name(name.replace("log_variance", "variance"))
            case ast.BinOp(ast.Name(name), ast.Div(), ast.Constant(2)) if name.endswith("log_variance"):
                return ast.Name(name.replace("log_variance", "standard_deviation"))
            case ast.BinOp(ast.UnaryOp(ast.USub(), x), ast.Div(), half):
                return self.quotient(ast.Constant(1), self.power(ast.BinOp(x, ast.Div(), half)))
            case ast.UnaryOp(ast.USub(), x):
                return self.quotient(ast.Constant(1), self.power(x))
            case ast.BinOp(a, ast.Sub(), b):
                return self.quotient(self.power(a), self.power(b))
        return None

    def quotient(self, over, under):
        """over / under, where both are known."""
        return ast.BinOp(over, ast.Div(), under) if over and under else None


def chain(node):
    """The products and quotients that follow each other from the left, the last one first."""
    while isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        yield node
        node = node.left


def factors(node):
    """The factors of such a chain above and below the fraction's line."""
    over, under = [], []
    for part in chain(node):
        (over if isinstance(part.op, ast.Mult) else under).insert(0, part.right)
        first = part.left
    return [first, *over], under


def product(factors):
    """The product of some factors, numbers first."""
    factors = sorted(factors, key=lambda factor: not isinstance(factor, ast.Constant))
    return functools.reduce(lambda a, b: ast.BinOp(a, ast.Mult(), b), factors)
