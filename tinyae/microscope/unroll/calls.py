"""The calls in an operation's code: functions of NumPy as they are, primitives and helpers in line or, where they are long, as copies."""

import ast
import builtins
import functools
import inspect
import itertools
import math
import types

import numpy as np

from tinyae.autograd import Primitive, raw
from tinyae.backend import array_module, is_array
from tinyae.microscope.unroll.tidy import WIDTH
from tinyae.microscope.unroll.values import Cannot, Code, Function, Method, Step, literal, native, of_numpy, same, static

MOST = 8  # steps that a function may be in line; a longer one is called, and its definition copied
QUESTIONS = (isinstance, hasattr, getattr, len, type, is_array, np.shape, np.ndim)  # not about the entries of an array
CONTAINERS = (tuple, list, zip, enumerate, reversed, iter, slice, itertools.chain, itertools.pairwise)


class Calls:
    """The half of the Interpreter that calls.  steps: the statements so far; copies: Copies, for what is not in line."""

    def call(self, function, args, kwargs):
        """A function, a method, a primitive or a class called with values and Codes."""
        if isinstance(function, Method):
            return self.call_method(*function, args, kwargs)
        if isinstance(function, Function):
            names = [argument.arg for argument in function.node.args.args]
            return self.body(function.node, function.scope.new_child({n: self.bound(v, n) for n, v in zip(names, args, strict=True)}))
        if function is array_module:
            return np
        if function is raw:
            return args[0]
        if function in QUESTIONS:
            return function(*native(args), **kwargs)
        if function in CONTAINERS:
            result = function(*args, **kwargs)
            return result if isinstance(result, (tuple, list, slice)) else list(result)
        if function is next:
            return next(iter(args[0]), *args[1:])
        if function is map:
            return [self.call(args[0], turn, {}) for turn in zip(*map(self.items, args[1:]), strict=False)]
        if function is builtins.sum:
            return functools.reduce(lambda a, b: self.operate(ast.Add(), a, b), self.items(args[0]), kwargs.get("start", 0))
        if static((args, kwargs)) and static(result := function(*native(args), **native(kwargs))):
            return result
        return (self.call_numpy if of_numpy(function) else self.call_named)(function, args, kwargs)

    def call_method(self, owner, name, args, kwargs):
        """A method of an array."""
        value = getattr(owner.value, name)(*native(args), **native(kwargs))
        if not isinstance(value, (np.ndarray, np.generic)):
            raise Cannot(f".{name}() is no array")
        if name == "reshape" and value.shape == owner.value.shape:
            return owner
        if name == "swapaxes" and value.ndim == 2 and (args[0] - args[1]) % 2:
            return Code(ast.Attribute(owner.expression, "T"), value)
        code = Code(self.written(ast.Attribute(owner.expression, name), args, shortened(getattr(np, name, None), kwargs)), value)
        if name == "reshape" and value.shape == (1,) * (value.ndim - owner.value.ndim) + owner.value.shape:
            code.shorter = owner  # which broadcasts alike
        return code

    def call_numpy(self, function, args, kwargs):
        """A function of NumPy."""
        if function is np.broadcast_to:
            if np.shape(native(args[0])) == args[1]:
                return args[0]
            shorter = getattr(args[0], "shorter", None)
            args = args if shorter is None else [shorter, *args[1:]]
        if isinstance(getattr(function, "__self__", None), np.ufunc) and function.__name__ == "at":
            self.own(args[0])
            function(*native(args))
            return self.steps.append(Step(None, ast.Expr(self.written(of_numpy(function), args, kwargs)), changed=args[0].expression.id))
        if "out" in kwargs and kwargs["out"] is not None:
            raise Cannot("a result is written in place")
        value = function(*native(args), **native(kwargs))
        if not isinstance(value, (np.ndarray, np.generic)):
            raise Cannot(f"np.{function.__name__} gives no array")
        return Code(self.written(of_numpy(function), args, kwargs), value)

    def written(self, function, args, kwargs):
        """The expression of a call."""
        return ast.Call(function, [literal(arg) for arg in args], [ast.keyword(name, literal(value)) for name, value in kwargs.items()])

    def call_named(self, function, args, kwargs, first=False):
        """A primitive or a Python function: its code in line, or a call of a copy where that is long.

        first: it is the operation itself, not one that another calls.
        """
        code = function.forward if isinstance(function, Primitive) else function
        if getattr(function, "variadic", False) and len(args) == 1 and isinstance(args[0], (list, tuple)):
            args = args[0]
        outer, cost = (self.steps, self.cost), 0
        self.steps, self.cost = [], 0
        try:
            if isinstance(function, type):
                raise Cannot(f"{function.__name__} is a class")
            if isinstance(function, types.MethodType):
                code, args = function.__func__, [function.__self__, *args]
            result = self.enter(code, args, kwargs)
            cost = self.cost + len(self.steps) + len(ast.unparse(literal(result))) // WIDTH
        except Exception:  # what cannot be followed, here or in the user's code, is copied
            cost = math.inf
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
            value = getattr(function, "function", function)(*native(args), **native(kwargs))
        code = Code(self.written(ast.Name(self.copies.name(function)), args, kwargs), value)
        if isinstance(value, (tuple, list)):
            code = self.step(code, getattr(function, "__name__", "parts"))
            return type(value)(Code(ast.Subscript(code.expression, ast.Constant(i)), part) for i, part in enumerate(value))
        if not isinstance(value, (np.ndarray, np.generic)):
            raise Cannot(f"{function.__name__} gives no array")
        return code


def shortened(function, kwargs):
    """The keywords of a reduction as one writes them: no axis=None, no keepdims=False, axis=0 for axis=(0,)."""
    try:
        default = inspect.signature(function).parameters["axis"].default
    except (TypeError, ValueError, KeyError):
        return kwargs
    kept = {k: v for k, v in kwargs.items() if not (k == "axis" and v is None and default is None) and not (k == "keepdims" and v is False)}
    return {k: v[0] if k == "axis" and isinstance(v, tuple) and len(v) == 1 else v for k, v in kept.items()}
