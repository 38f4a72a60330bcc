"""The code of an operation, for the arrays of one call: what does not depend on their entries is worked out, the rest is NumPy.

An interpreter walks through a forward function or a rule, as Python would.  A shape, an axis, an attribute is a value, and so is all
that follows from it: `if bias is not None` is decided, `count(x.shape, axis)` is a number.  An array is a `Code`: its value, and the
expression with which the program computes it.  What is left are assignments, the `steps`.
"""

import ast
import builtins
import collections
import inspect
import itertools
import math
import operator
import types

import numpy as np

from tinyae.autograd import Primitive, raw
from tinyae.backend import array_module, is_array
from tinyae.microscope.unroll_helpers import Cannot, definition, dotted

MOST = 8  # steps that a function may be in line; a longer one is called, and its definition copied
WIDTH = 88  # characters of an expression into which a value that is used once may be put
QUESTIONS = (isinstance, hasattr, getattr, len, type, is_array, np.shape, np.ndim)  # not about the entries of an array
CONTAINERS = (tuple, list, zip, enumerate, reversed, iter, next, slice, itertools.chain, itertools.pairwise)
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


class Code:
    """An array of the program: the expression that gives it, and its value."""

    def __init__(self, expression, value):
        self.expression, self.value = expression, value


class Method(collections.namedtuple("Method", "owner name")):
    """A method of an array of the program."""


class Named(float):
    """A number that its module gives a name, such as LOG_2_PI."""

    name = None


class Step:
    """A statement: `target = node`, or where there is no target a statement that changes the array `changed`.

    hint: a name for the target.  keep: it stays a line of its own.  note: what it computes, if more than its code says.
    """

    def __init__(self, target, node, value=None, hint=None, keep=False, note=None, changed=None):
        self.target, self.node, self.value, self.hint, self.keep, self.note, self.changed = target, node, value, hint, keep, note, changed


class Interpreter:
    """Runs functions on values and Codes; `steps` are the statements so far.  helpers: a Helpers, for what is not in line."""

    def __init__(self, helpers):
        self.helpers, self.steps, self.cost, self.count, self.silent = helpers, [], 0, itertools.count(1), {}

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
        scope[node.name] = (node, scope)

    def run_Raise(self, node, scope):
        raise Cannot("it raises an error")

    def run_AugAssign(self, node, scope):
        new, change = self.evaluate(node.value, scope), OPERATED[type(node.op)]
        if isinstance(node.target, ast.Subscript):
            owner, index = self.evaluate(node.target.value, scope), self.evaluate(node.target.slice, scope)
            part = change(native(owner.value[native(index)]), native(new))
            return self.store(owner, index, part, ast.AugAssign(subscript(owner, index, self.literal), node.op, self.literal(new)))
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
        elif isinstance(target, ast.Subscript) and isinstance(owner := self.evaluate(target.value, scope), Code):
            index = self.evaluate(target.slice, scope)
            self.store(owner, index, native(value), ast.Assign([subscript(owner, index, self.literal)], self.literal(value), lineno=0))
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
        if not (isinstance(owner, Code) and isinstance(owner.expression, ast.Name)) or owner.expression.id not in {s.target for s in self.steps}:
            raise Cannot("an array that came from elsewhere is changed in place")
        owner.value[native(index)] = value
        self.steps.append(Step(None, node, changed=owner.expression.id))

    def bound(self, value, hint):
        """A value under a name: an array whose expression is more than a name becomes a step."""
        if isinstance(value, (tuple, list)) and not static(value):
            return type(value)(self.bound(item, hint) for item in value)
        if not isinstance(value, Code) or isinstance(value.expression, ast.Name):
            return value
        return self.step(value, hint)

    def step(self, code, hint, keep=False, note=None):
        """The array as a step with a name of its own."""
        target = f"?{next(self.count)}"
        self.steps.append(Step(target, code.expression, code.value, hint, keep, note))
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
            value = Named(value)
            value.name = node.id
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
        return iter(self.evaluate_ListComp(node, scope))

    def evaluate_SetComp(self, node, scope):
        return set(self.evaluate_ListComp(node, scope))

    def evaluate_Lambda(self, node, scope):
        return node, scope

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
            return OPERATED[type(op)](*map(plain, values))
        if isinstance(op, ast.Not):
            self.truth(values[0])
        node = ast.BinOp(self.literal(values[0]), op, self.literal(values[-1])) if len(values) == 2 else ast.UnaryOp(op, self.literal(values[0]))
        return Code(node, OPERATED[type(op)](*map(native, values)))

    def evaluate_Compare(self, node, scope):
        values = [self.evaluate(part, scope) for part in (node.left, *node.comparators)]
        identity = all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
        if identity or not any(isinstance(value, Code) for value in values):
            return all(COMPARED[type(op)](*pair) for op, pair in zip(node.ops, itertools.pairwise(values), strict=True))
        if len(node.ops) > 1:
            raise Cannot("a chain of comparisons of arrays")
        return Code(ast.Compare(self.literal(values[0]), node.ops, [self.literal(values[1])]), COMPARED[type(node.ops[0])](*map(native, values)))

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
        return Code(subscript(owner, index, self.literal), owner.value[native(index)])

    def evaluate_Call(self, node, scope):
        function, args = self.evaluate(node.func, scope), self.listed(node.args, scope)
        kwargs = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value, scope)
            kwargs |= value if keyword.arg is None else {keyword.arg: value}
        return self.call(function, args, kwargs)

    def call(self, function, args, kwargs):
        """A function, a method, a primitive or a class called with values and Codes."""
        if isinstance(function, Method):
            return self.call_method(*function, args, kwargs)
        if function is array_module:
            return np
        if function is raw:
            return args[0]
        if isinstance(function, tuple) and isinstance(function[0], (ast.Lambda, ast.FunctionDef)):
            node, scope = function
            scope = scope.new_child({a.arg: self.bound(v, a.arg) for a, v in zip(node.args.args, args, strict=True)})
            return self.body(node, scope)
        if function in QUESTIONS:
            return function(*map(native, args), **kwargs)
        if function in CONTAINERS:
            return function(*args, **kwargs)
        if function is map:
            return [self.call(args[0], turn, {}) for turn in zip(*map(self.items, args[1:]), strict=False)]
        if static((args, kwargs)) and not static(result := self.known(function, args, kwargs)):
            return self.call_numpy(function, args, kwargs) if from_numpy(function) else self.call_named(function, args, kwargs)
        if static((args, kwargs)):
            return result
        if function is builtins.sum:
            parts = [kwargs.get("start", 0), *self.items(args[0])]
            return functools_reduce(lambda a, b: self.operate(ast.Add(), a, b), parts)
        if from_numpy(function):
            return self.call_numpy(function, args, kwargs)
        return self.call_named(function, args, kwargs)

    def known(self, function, args, kwargs):
        """The result for arguments that are no arrays of the program; an array in it is one that the program has to make."""
        args, kwargs = native(args), native(kwargs)
        return function(*args, **kwargs)

    def call_method(self, owner, name, args, kwargs):
        """A method of an array."""
        value = getattr(owner.value, name)(*native(args), **native(kwargs))
        if not isinstance(value, (np.ndarray, np.generic)):
            raise Cannot(f".{name}() is no array")
        same = name == "reshape" and value.shape == owner.value.shape
        return owner if same else Code(self.written(ast.Attribute(owner.expression, name), args, kwargs), value)

    def call_numpy(self, function, args, kwargs):
        """A function of NumPy."""
        if function is np.broadcast_to and args[0].value.shape == args[1]:
            return args[0]
        if isinstance(getattr(function, "__self__", None), np.ufunc) and function.__name__ == "at":
            function(*native(args))
            return self.steps.append(Step(None, ast.Expr(self.written(dotted(function), args, kwargs)), changed=args[0].expression.id))
        if "out" in kwargs and kwargs["out"] is not None:
            raise Cannot("a result is written in place")
        value = function(*native(args), **native(kwargs))
        if not isinstance(value, (np.ndarray, np.generic)):
            raise Cannot(f"np.{function.__name__} gives no array")
        return Code(self.written(dotted(function), args, kwargs), value)

    def written(self, function, args, kwargs):
        """The expression of a call."""
        return ast.Call(function, [self.literal(arg) for arg in args], [ast.keyword(name, self.literal(value)) for name, value in kwargs.items()])

    def call_named(self, function, args, kwargs, first=False):
        """A primitive or a Python function: its code in line, or a call of a copy where that is long.

        first: it is the operation itself, not one that another calls.
        """
        code = function.forward if isinstance(function, Primitive) else function
        outer, cost = (self.steps, self.cost), 0
        self.steps, self.cost = [], 0
        try:
            if isinstance(function, type):
                raise Cannot(f"{function.__name__} is a class")
            if isinstance(function, types.MethodType):
                code, args = function.__func__, [function.__self__, *args]
            result = self.enter(code, args, kwargs)
            cost = self.cost + len(self.steps) + len(ast.unparse(self.literal(result))) // WIDTH
        except (Cannot, OSError, TypeError) as error:
            cost, reason = math.inf, error
        (self.steps, self.cost), steps = outer, self.steps
        if cost > MOST:
            self.cost += cost  # so the function around it is too long as well
            if isinstance(function, types.MethodType) or not isinstance(function, (Primitive, types.FunctionType)):
                raise Cannot(f"{getattr(function, '__qualname__', function)} is no function that can be copied")
            return self.call_copy(function, args, kwargs)
        self.steps += steps
        simple = first or not isinstance(result, Code) or sum(isinstance(n, (ast.Call, ast.BinOp)) for n in ast.walk(result.expression)) <= 2
        if simple:
            return result
        inputs = [arg.expression.id for arg in args if isinstance(arg, Code) and isinstance(arg.expression, ast.Name)]
        hint = "_".join([code.__name__, *(name for name in inputs if not name.startswith("?"))])
        return self.step(result, hint, keep=True, note=function if isinstance(function, Primitive) else None)

    def call_copy(self, function, args, kwargs):
        """The call of a function whose definition the program has a copy of."""
        if isinstance(function, Primitive):
            kwargs = {name: value for name, value in kwargs.items() if not same(value, function.attributes.get(name, inspect.Parameter.empty))}
        with np.errstate(**self.silent):
            value = function(*native(args), **native(kwargs))
        code = Code(self.written(ast.Name(self.helpers.name(function)), args, kwargs), value)
        if isinstance(value, (tuple, list)):
            code = self.step(code, getattr(function, "__name__", "parts"))
            return [Code(ast.Subscript(code.expression, ast.Constant(i)), part) for i, part in enumerate(value)]
        if not isinstance(value, (np.ndarray, np.generic)):
            raise Cannot(f"{function.__name__} gives no array")
        return code

    def literal(self, value):
        """The expression of a value."""
        if isinstance(value, Code):
            return value.expression
        if isinstance(value, Named):
            return ast.Name(self.helpers.constant(value.name, float(value)))
        return written_out(value, self.literal)
