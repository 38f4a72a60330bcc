"""The code of an operation, for the arrays of one call: what does not depend on their entries is worked out, the rest is NumPy.

An interpreter walks through a forward function or a rule, as Python would.  A shape, an axis, an attribute is a value, and so is all
that follows from it: `if bias is not None` is decided, `count(x.shape, axis)` is a number.  An array is a `Code`: its value, and the
expression with which the program computes it.  What is left are assignments, the `steps`.
"""

import ast
import collections
import inspect
import itertools
import math
import operator

import numpy as np

from tinyae.microscope.unroll.calls import Calls
from tinyae.microscope.unroll.values import Cannot, Code, Function, Method, Named, Step, definition, literal, native, scopes, static, subscript

ABOUT = ("shape", "ndim", "dtype", "size")
COMPARED = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Is: operator.is_, ast.IsNot: operator.is_not, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
OPERATED = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.Pow: operator.pow, ast.MatMult: operator.matmul, ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
    ast.BitXor: operator.xor, ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_,
}  # fmt: skip


class Interpreter(Calls):
    """Runs functions on values and Codes; `steps` are the statements so far.  copies: Copies, for what is not in line."""

    def __init__(self, copies):
        self.copies, self.steps, self.cost, self.count, self.silent = copies, [], 0, itertools.count(1), {}

    def enter(self, function, args, kwargs):
        """The value that a Python function returns for these arguments."""
        node, scope = definition(function), collections.ChainMap({}, *scopes(function))
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            scope[name] = self.bound(value, name)
        return self.body(node, scope)

    def body(self, node, scope):
        """The value that the body of a definition or a lambda returns."""
        if isinstance(node, ast.Lambda):
            return self.evaluate(node.body, scope)
        returned = self.run(node.body, scope)
        return returned[0] if returned else None

    def run(self, statements, scope):
        """The statements, one after another.  Returns (value,) after a `return`, else None."""
        for statement in statements:
            method = getattr(self, f"run_{type(statement).__name__}", None)
            if method is None:
                raise Cannot(f"{type(statement).__name__} statements cannot be unrolled")
            if (returned := method(statement, scope)) is not None:
                return returned
        return None

    def run_Return(self, node, scope):
        return (None if node.value is None else self.evaluate(node.value, scope),)

    def run_Expr(self, node, scope):
        self.evaluate(node.value, scope)

    def run_Pass(self, node, scope):
        """Nothing."""

    def run_Assign(self, node, scope):
        value = self.evaluate(node.value, scope)
        for target in node.targets:
            self.assign(target, value, scope)

    def run_If(self, node, scope):
        return self.run(node.body if self.truth(self.evaluate(node.test, scope)) else node.orelse, scope)

    def run_For(self, node, scope):
        for value in self.items(self.evaluate(node.iter, scope)):
            self.assign(node.target, value, scope)
            self.cost += 2  # a loop is best read as a loop
            if (returned := self.run(node.body, scope)) is not None:
                return returned
        return None

    def run_With(self, node, scope):
        for item in node.items:
            call = item.context_expr
            if not (isinstance(call, ast.Call) and self.evaluate(call.func, scope) is np.errstate):
                raise Cannot("a with statement cannot be unrolled")
            self.silent |= {keyword.arg: self.evaluate(keyword.value, scope) for keyword in call.keywords}
        with np.errstate(**self.silent):
            return self.run(node.body, scope)

    def run_FunctionDef(self, node, scope):
        scope[node.name] = Function(node, scope)

    def run_Raise(self, node, scope):
        raise Cannot("it raises an error")

    def run_AugAssign(self, node, scope):
        new, change = self.evaluate(node.value, scope), OPERATED[type(node.op)]
        if isinstance(node.target, ast.Subscript):
            owner, index = self.evaluate(node.target.value, scope), self.evaluate(node.target.slice, scope)
            part = change(native(owner.value[native(index)]), native(new))
            return self.store(owner, index, part, ast.AugAssign(subscript(owner, index), node.op, literal(new)))
        old = self.evaluate(node.target, scope)
        result = self.operate(node.op, old, new)
        if isinstance(old, Code) and (result.value.dtype, result.value.shape) != (old.value.dtype, old.value.shape):
            raise Cannot("an array is changed in place, in another dtype or shape")
        return self.assign(node.target, result, scope)

    def assign(self, target, value, scope):
        """`target = value`, for a name, several, or a part of an array."""
        if isinstance(target, ast.Name):
            scope[target.id] = self.bound(value, target.id)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(target.elts, list(self.items(value)), scope)
        elif isinstance(target, ast.Subscript) and isinstance(owner := self.evaluate(target.value, scope), list):
            owner[self.evaluate(target.slice, scope)] = value
        elif isinstance(target, ast.Subscript) and isinstance(owner, Code):
            index = self.evaluate(target.slice, scope)
            self.store(owner, index, native(value), ast.Assign([subscript(owner, index)], literal(value), lineno=0))
        else:
            raise Cannot(f"{ast.unparse(target)} is assigned")

    def unpack(self, targets, values, scope):
        """Several targets, one of them perhaps with a star."""
        star = next((i for i, target in enumerate(targets) if isinstance(target, ast.Starred)), None)
        if star is not None:
            after = len(targets) - star - 1
            middle = values[star : len(values) - after]
            values = [*values[:star], middle, *values[len(values) - after :]]
            targets = [getattr(target, "value", target) if i == star else target for i, target in enumerate(targets)]
        for target, value in zip(targets, values, strict=True):
            self.assign(target, value, scope)

    def store(self, owner, index, value, node):
        """A part of an array is overwritten: by the program, and here."""
        self.own(owner)
        owner.value[native(index)] = value
        self.steps.append(Step(None, node, changed=owner.expression.id))

    def own(self, array):
        """Raise Cannot unless an array was made by these steps, so that it may be changed."""
        if not isinstance(array, Code) or getattr(array.expression, "id", None) not in {step.target for step in self.steps if step.target}:
            raise Cannot("an array that came from elsewhere is changed in place")

    def bound(self, value, hint):
        """A value under a name: an array whose expression is more than a name becomes a step."""
        if isinstance(value, (tuple, list)) and not static(value):
            return type(value)(self.bound(item, hint) for item in value)
        if not isinstance(value, Code) or isinstance(value.expression, ast.Name) or value.shorter is not None:
            return value
        return self.step(value, hint)

    def step(self, code, hint, keep=False, note=None):
        """The array as a step with a name of its own."""
        hint = "u" if len(hint) == 1 or hint == "gy" else hint  # x is the data's name in many programs
        target = f"?{next(self.count)}"
        self.steps.append(Step(target, code.expression, getattr(code.value, "shape", None), hint, keep, note))
        return Code(ast.Name(target), code.value)

    def evaluate(self, node, scope):
        """The value, or Code, of an expression."""
        method = getattr(self, f"evaluate_{type(node).__name__}", None)
        if method is None:
            raise Cannot(f"{ast.unparse(node)} cannot be unrolled")
        return method(node, scope)

    def evaluate_Constant(self, node, scope):
        return node.value

    def evaluate_Name(self, node, scope):
        if node.id not in scope:
            raise Cannot(f"the name {node.id} is unknown")
        value = scope[node.id]
        if isinstance(value, np.ndarray):
            raise Cannot(f"the array {node.id} is no argument")
        if node.id.isupper() and type(value) is float and math.isfinite(value):
            number, value = value, Named(value)
            value.name = self.copies.constant(node.id, number)
        return value

    def evaluate_Tuple(self, node, scope):
        return tuple(self.listed(node.elts, scope))

    def evaluate_List(self, node, scope):
        return self.listed(node.elts, scope)

    def listed(self, nodes, scope):
        """The values of several expressions; a starred one gives several."""
        values = []
        for node in nodes:
            starred = isinstance(node, ast.Starred)
            values.extend(self.items(self.evaluate(node.value, scope)) if starred else [self.evaluate(node, scope)])
        return values

    def items(self, value):
        """The values to iterate over."""
        return (self.subscripted(value, i) for i in range(len(value.value))) if isinstance(value, Code) else value

    def evaluate_ListComp(self, node, scope):
        values = []

        def turn(loops, scope):
            if not loops:
                values.append(self.evaluate(node.elt, scope))
                return
            for value in self.items(self.evaluate(loops[0].iter, scope)):
                inner = scope.new_child()
                self.assign(loops[0].target, value, inner)
                if all(self.truth(self.evaluate(test, inner)) for test in loops[0].ifs):
                    turn(loops[1:], inner)

        turn(node.generators, scope)
        return values

    def evaluate_GeneratorExp(self, node, scope):
        return self.evaluate_ListComp(node, scope)

    def evaluate_SetComp(self, node, scope):
        return set(self.evaluate_ListComp(node, scope))

    def evaluate_Lambda(self, node, scope):
        return Function(node, scope)

    def evaluate_Slice(self, node, scope):
        return slice(*(None if part is None else self.evaluate(part, scope) for part in (node.lower, node.upper, node.step)))

    def evaluate_IfExp(self, node, scope):
        return self.evaluate(node.body if self.truth(self.evaluate(node.test, scope)) else node.orelse, scope)

    def evaluate_BoolOp(self, node, scope):
        for part in node.values:
            value = self.evaluate(part, scope)
            if self.truth(value) != isinstance(node.op, ast.And):
                break
        return value

    def truth(self, value):
        """Whether a condition holds; one on the entries of an array is no matter of one call."""
        if isinstance(value, Code):
            raise Cannot("it branches on the entries of an array")
        return bool(value)

    def evaluate_UnaryOp(self, node, scope):
        return self.operate(node.op, self.evaluate(node.operand, scope))

    def evaluate_BinOp(self, node, scope):
        return self.operate(node.op, self.evaluate(node.left, scope), self.evaluate(node.right, scope))

    def operate(self, op, *values):
        """An operator on values and Codes."""
        if not any(isinstance(value, Code) for value in values):
            return OPERATED[type(op)](*map(native, values))
        if isinstance(op, ast.Not):
            self.truth(values[0])
        node = ast.BinOp(literal(values[0]), op, literal(values[-1])) if len(values) == 2 else ast.UnaryOp(op, literal(values[0]))
        return Code(node, OPERATED[type(op)](*map(native, values)))

    def evaluate_Compare(self, node, scope):
        values = [self.evaluate(part, scope) for part in (node.left, *node.comparators)]
        identity = all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
        if identity or not any(isinstance(value, Code) for value in values):
            return all(COMPARED[type(op)](*pair) for op, pair in zip(node.ops, itertools.pairwise(values), strict=True))
        if len(node.ops) > 1:
            raise Cannot("a chain of comparisons of arrays")
        return Code(ast.Compare(literal(values[0]), node.ops, [literal(values[1])]), COMPARED[type(node.ops[0])](*map(native, values)))

    def evaluate_Attribute(self, node, scope):
        owner = self.evaluate(node.value, scope)
        if not isinstance(owner, Code):
            return getattr(owner, node.attr)
        value = getattr(owner.value, node.attr)
        if node.attr in ABOUT:
            return value
        return Code(ast.Attribute(owner.expression, node.attr), value) if isinstance(value, np.ndarray) else Method(owner, node.attr)

    def evaluate_Subscript(self, node, scope):
        return self.subscripted(self.evaluate(node.value, scope), self.evaluate(node.slice, scope))

    def subscripted(self, owner, index):
        """owner[index]."""
        if not isinstance(owner, Code):
            return owner[index]
        return Code(subscript(owner, index), owner.value[native(index)])

    def evaluate_Call(self, node, scope):
        function, args = self.evaluate(node.func, scope), self.listed(node.args, scope)
        kwargs = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value, scope)
            kwargs |= value if keyword.arg is None else {keyword.arg: value}
        return self.call(function, args, kwargs)
