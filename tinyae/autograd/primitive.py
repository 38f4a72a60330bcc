"""`@primitive`: a function on arrays with hand-derived rules for its gradients, bound to it by name.

A rule's signature says what is kept for the reverse pass: after the cotangent it names inputs, the output (`y`),
keyword-only attributes, the shape of an input (`x_shape`), and `out` where it can write its result into a given array.
"""

import inspect
from typing import NamedTuple

import numpy as np

from tinyae import guards
from tinyae.autograd.graph import Node, state
from tinyae.autograd.tensor import Tensor
from tinyae.backend import array_module
from tinyae.errors import ArgumentError, caller
from tinyae.formula import Formulated

INPUTS = {np.ndarray, np.float32, np.float64, float, int, bool, type(None)}  # what an input mostly is; anything else is looked at
DOMAINS = ("real", "nonzero", "positive", "unit", "boolean")


class Source(NamedTuple):
    """Where an argument of a rule comes from: kind is input, output, attribute or shape."""

    kind: str
    name: str
    position: int | None


class Plan(NamedTuple):
    """For one pattern of inputs that need a gradient: what to keep, and the rules to run with it."""

    sources: list  # of Source, one for each array (or shape, or attribute) kept
    rules: list  # of (rule, positions of its inputs, slots of its arguments in what was kept; None: all of it, in order)
    launches: list  # the same on a GPU, where several rules may be one launch


class Rule(Formulated):
    """A vector-Jacobian product: the gradients of `inputs` from the cotangent of the output."""

    def __init__(self, primitive, inputs, function, formula):
        super().__init__(function, formula)
        self.primitive, self.function = primitive, function
        self.inputs = tuple(name.lstrip("*") for name in inputs)
        self.joint = len(inputs) > 1 or primitive.variadic
        self.cotangent, *self.arguments = inspect.signature(function).parameters or [None]
        self.takes_out = "out" in self.arguments
        self.arguments = [name for name in self.arguments if name != "out"]
        self.sources = [primitive.source(name, self) for name in self.arguments]


class Primitive(Formulated):
    """A differentiable operation.  Called with arrays it computes; called with a Tensor it also records.

    Its registry data: domain (input -> one of DOMAINS or an open interval (low, high)), kinks (where it is not smooth, or None),
    surrogate (a gradient that is not the derivative), analytic, view (the result shares the first input's memory), shapes (a
    signature such as "(n,k),(k,m)->(n,m)", or None for mutually broadcastable shapes), twin (the same function made of simple
    operations, or None).
    """

    def __init__(self, forward, *, formula=None, shapes=None, domain=None, kinks=None, surrogate=False, analytic=True, view=False):
        super().__init__(forward, formula)
        self.forward, self.name, self.__doc__ = forward, forward.__name__, forward.__doc__
        self.__name__, self.__module__, self.__wrapped__ = forward.__name__, forward.__module__, forward
        self.signature = inspect.signature(forward)
        kinds = {name: p.kind for name, p in self.signature.parameters.items()}
        self.attributes = {n: self.signature.parameters[n].default for n, kind in kinds.items() if kind == inspect.Parameter.KEYWORD_ONLY}
        self.inputs = [name for name in kinds if name not in self.attributes]
        self.required = {name for name, default in self.attributes.items() if default is inspect.Parameter.empty}
        self.variadic = any(kind == inspect.Parameter.VAR_POSITIONAL for kind in kinds.values())
        self.count = None if self.variadic or self.required else len(self.inputs)  # of the arguments of a call that needs no second look
        self.shapes, self.kinks, self.surrogate, self.analytic, self.view = shapes, kinks, surrogate, analytic, view
        self.core = guards.core_axes(shapes)
        self.domain = {name: (domain or {}).get(name, "real") for name in self.inputs}
        self.composed, self.fast, self.fuse, self.rules, self._plans = None, None, list, [], {}
        guards.check_primitive(self, inspect.Parameter.VAR_KEYWORD in kinds.values(), domain or {}, DOMAINS)

    def __call__(self, *args, **attributes):
        if attributes or len(args) != self.count:
            args, attributes = self.bind(args, attributes)
        return self.apply(args, attributes)

    def bind(self, args, attributes):
        """(inputs, attributes): what was given by keyword, in a list or not at all, in its place.  Raises DtypeError where the call does not fit."""
        if self.variadic and len(args) == 1 and isinstance(args[0], (list, tuple)):
            args = args[0]
        if (self.variadic or len(args) == len(self.inputs)) and self.required <= attributes.keys() <= self.attributes.keys():
            return args, attributes
        try:
            bound = self.signature.bind(*args, **attributes)
        except TypeError as error:
            raise guards.miscalled(self.name, self.signature, error) from None
        bound.apply_defaults()
        return bound.args, bound.kwargs

    def apply(self, args, attributes):
        """Compute on arrays; where there is a Tensor among them, give a Tensor, and note in the graph how to come back."""
        arrays, parents, dtype, mask, bit = [], [], None, 0, 1  # mask: a bit for each input, set where it needs a gradient
        for arg in args:
            array, parent = arg, None
            if isinstance(arg, Tensor):
                array = arg.data
                dtype = array.dtype if dtype is None or dtype is array.dtype else False
                if arg.wanted:
                    parent = arg.node or arg
                    mask |= bit
            elif type(arg) not in INPUTS:
                guards.check_input(self.name, arg)
            arrays.append(array)
            parents.append(parent)
            bit += bit
        if attributes and dtype is not None:
            guards.check_attributes(self.name, attributes)
        try:
            if self.core:
                guards.check_core(*self.core, arrays)
            y = NotImplemented if self.fast is None or state.plain else self.fast(*arrays, **attributes)
            if y is NotImplemented:
                y = self.forward(*arrays, **attributes)
        except (ValueError, IndexError, TypeError, AttributeError) as error:
            raise guards.explained(self, error, arrays, attributes) from error
        if dtype is None:  # a Python number stays one: as a NumPy float64 it would widen float32 arrays
            return y.item() if type(y) is np.float64 and not any(hasattr(arg, "dtype") for arg in args) else y
        if type(y) is not np.ndarray or y.dtype is not dtype:
            y = np.asarray(y) if isinstance(y, np.generic) else y
            if getattr(y, "dtype", None) is not dtype:
                guards.check_result(self, y, args)
        recording, observers = state.switches
        result = Tensor.of(y, None)
        if mask and recording and (y.dtype is dtype or y.dtype.kind in "fc"):
            self.keep(result, args, attributes, parents, mask | bit)
        if self.view or y is arrays[0] or y.base is not None:
            self.share(result, args, arrays)
        for observer in observers:
            observer.on_forward(self, args, attributes, result)
        return result

    def keep(self, result, args, attributes, parents, key):
        """Give the result a node with exactly what the rules of its plan name.  key: that of the plan."""
        plan = self._plans.get(key) or self.plan(key)
        result.node = node = Node(self, plan, parents, caller(4), result.data)
        result.wanted = True
        saved, versions = node.saved, node.versions
        for source in plan.sources:
            kind, name, position = source
            if kind == "input" or kind == "output":
                kept = args[position] if kind == "input" else result
                if isinstance(kept, Tensor):
                    saved.append(kept.data)
                    versions.append((kept.version, kept.version[0], source))
                else:
                    saved.append(kept)
            elif kind == "attribute":
                saved.append(attributes[name] if name in attributes else self.attributes[name])
            else:
                saved.append(tuple(map(_shape, args)) if self.variadic else _shape(args[position]))

    def share(self, result, args, arrays):
        """A result that is a view of a Tensor's memory changes with it."""
        for arg, array in zip(args, arrays, strict=True):
            if isinstance(arg, Tensor) and array_module(result.data).may_share_memory(result.data, array):
                result.version = arg.version
                break

    def vjp(self, *inputs, formula=None):
        """Register a rule for `inputs` (names; "*arrays" for a variadic input).  Several names: it returns a tuple."""

        def register(function):
            rule = Rule(self, inputs, function, formula)
            guards.check_rule(self, rule)
            self.rules[:] = [known for known in self.rules if known.inputs != rule.inputs] + [rule]  # a cell may be run again
            self._plans.clear()
            return function

        return register

    def twin(self, function):
        """Register the composed twin: the same function made of simple operations (a decorator)."""
        self.composed = function
        return function

    def kernel(self, function):
        """Register the same function on arrays, only faster; it returns NotImplemented where it is not.  `plain()` leaves it out."""
        self.fast = function
        return function

    def source(self, name, rule):
        """Where a rule's argument comes from, by its name.  Raises ArgumentError for a name that means nothing here."""
        base = name.removesuffix("_shape")
        if name == "y":
            return Source("output", name, None)
        if name in self.attributes:
            return Source("attribute", name, None)
        if base in self.inputs:
            position = None if self.variadic else self.inputs.index(base)
            if not (self.variadic and base == name):
                return Source("input" if base == name else "shape", name, position)
        known = [*self.inputs, *(f"{n}_shape" for n in self.inputs), "y", *self.attributes, "out"]
        raise ArgumentError(f"{self.name}: its rule for {', '.join(rule.inputs)} asks for {name!r}.", expected=", ".join(known))

    def plan(self, key):
        """What to keep and which rules to run.  key: a bit for each input, set where it needs a gradient, and a bit above them."""
        count = key.bit_length() - 1
        mask, sources, rules, served = key ^ 1 << count, [], [], 0
        for rule in self.rules:
            positions = range(count) if self.variadic else [self.inputs.index(name) for name in rule.inputs]
            if any(mask >> position & 1 for position in positions):
                served |= sum(1 << position for position in positions)
                sources.extend(source for source in rule.sources if source not in sources)
                rules.append((rule, positions, [sources.index(source) for source in rule.sources]))
        rules = [(*rule, None if slots == list(range(len(sources))) else slots) for *rule, slots in rules]
        for position, name in enumerate(self.inputs):
            if mask & ~served & 1 << position or (self.variadic and not self.rules):
                raise guards.no_rule(self.name, name)
        plan = self._plans[key] = Plan(sources, rules, self.fuse(rules))
        return plan

    def __repr__(self):
        return f"<primitive {self.name}{self.signature}>"


def _shape(value):
    return getattr(value, "shape", ())


class Registry(dict):
    """name -> Primitive.  A name taken twice is an error."""

    def add(self, item):
        """Enter a primitive under its name."""
        if item.name in self:
            raise ArgumentError(f"primitive {item.name!r} exists already.", remedy=f"another name, or: del ta.ops.user_registry[{item.name!r}]")
        self[item.name] = item


registry = Registry()  # ours
user_registry = Registry()  # everybody else's


def primitive(function=None, **data):
    """Make a function on arrays a primitive: `@primitive`, or `@primitive(formula=..., domain=..., kinks=...)`.

    Positional parameters are inputs, keyword-only ones attributes.  The keywords are the registry data of `Primitive`.
    """
    if function is None:
        return lambda f: primitive(f, **data)
    made = Primitive(function, **data)
    (registry if (function.__module__ or "").startswith("tinyae.ops") else user_registry).add(made)
    return made
