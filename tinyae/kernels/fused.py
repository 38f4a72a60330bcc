"""An elementwise function as one launch on a GPU, where each of its operations would be a launch of its own.

The plain function is called once with `Symbol`s, which note what is done to an entry as text that C++ and Python read alike:

    reparameterize(mean, log_variance, noise)   ->   y = (x0 + (exp((x1 / T(2.0))) * x2))

CuPy compiles that text.  What cannot be said so (an axis, a shape, a decision that depends on a value) stays with the plain code, and so
does what is one launch already.  A sum over the last axis may stand at the end.
"""

import functools
import itertools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinyae.autograd.graph import state
from tinyae.backend import array_module, is_array, register

LONGEST = 10_000  # characters
DTYPES = ("float32", "float64")
CONSTANT = {int, bool, str, type(None)}  # types of arguments that a kernel is made for
ENTRY = object()  # stands for an argument whose value a kernel is given
LEAF = re.compile(r"\bx(\d+)(_column)?\b")
# what CUDA's C++ lacks; NaN goes through `larger` and `smaller`, as it does through NumPy's maximum and minimum
PREAMBLE = """
template <typename U> __device__ U larger(U a, U b) { return a != a || a > b ? a : b; }
template <typename U> __device__ U smaller(U a, U b) { return a != a || a < b ? a : b; }
template <typename U> __device__ U choose(bool c, U a, U b) { return c ? a : b; }
template <typename U> __device__ U sign_of(U a) { return a != a ? a : U((a > U(0)) - (a < U(0))); }
__device__ bool negated(bool c) { return !c; }
"""


class Untraceable(Exception):
    """The function does something that is no expression of single entries."""


class Symbol:
    """One entry of an array, or a number, that is known later.  text: how it is computed from the parameters x0, x1, ...

    kind: "number", or "truth".  leaf: the place of the argument that it is, or None.  reduced: the text of what was summed over the last
    axis; in `text` that sum is called a.  steps: a list shared by all symbols of a trace, with one entry for each launch of the plain code.
    """

    __slots__ = ("dtype", "kind", "leaf", "reduced", "steps", "text")
    __hash__ = None

    def __init__(self, text, dtype, steps, kind="number", leaf=None, reduced=None):
        if len(text) > LONGEST:
            raise Untraceable
        self.text, self.dtype, self.steps, self.kind, self.leaf, self.reduced = text, dtype, steps, kind, leaf, reduced

    def made(self, text, *others, kind="number"):
        """The Symbol of a further step."""
        self.steps.append(text)
        symbols = [self, *(other for other in others if isinstance(other, Symbol))]
        reduced = {symbol.reduced for symbol in symbols}
        if len(reduced) > 1:
            raise Untraceable
        return Symbol(text, self.dtype, self.steps, kind, reduced=reduced.pop())

    def __getitem__(self, index):
        """A further axis at the end: seen from a single entry, another view of the same argument."""
        if index != (..., None) or self.leaf is None:
            raise Untraceable
        return Symbol(f"{self.text}_column", self.dtype, self.steps)

    def sum(self, axis=None, dtype=None, keepdims=False):
        """The sum over the last axis."""
        if axis != -1 or dtype is not None or keepdims or self.reduced or self.kind != "number":
            raise Untraceable
        self.steps.append("sum")
        return Symbol("a", self.dtype, self.steps, reduced=self.text)

    def astype(self, dtype):
        """The same number; a truth value becomes 0 or 1."""
        if dtype != self.dtype:
            raise Untraceable
        return self.made(f"T({self.text})") if self.kind == "truth" else self

    def refuse(self, *args):
        """Whatever would need the value."""
        raise Untraceable

    __bool__ = __float__ = __int__ = __index__ = __iter__ = __len__ = refuse


def written(value):
    """An operand's text; numbers are written as numbers of the arrays' type."""
    if isinstance(value, Symbol):
        return value.text
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)) or not math.isfinite(value):
        raise Untraceable
    return f"T({float(value)!r})"


def operator(sign, kind="number", reflected=False):
    """A Python operator between entries."""

    def operate(self, other):
        kinds = {self.kind, getattr(other, "kind", "number")}
        if (kinds != {"number"} and sign not in "*&|") or (kinds != {"truth"} and sign in "&|"):
            raise Untraceable
        first, second = (written(other), self.text) if reflected else (self.text, written(other))
        return self.made(f"({first} {sign} {second})", other, kind="truth" if kinds == {"truth"} else kind)

    return operate


def function(name, kind="number"):
    """A function of entries; NumPy's name, and the one that C++ knows."""

    def call(*operands):
        conditions = 1 if name in ("choose", "negated") else 0
        if any(getattr(operand, "kind", "number") == "truth" for operand in operands[conditions:]):
            raise Untraceable
        symbol = next(operand for operand in operands if isinstance(operand, Symbol))
        return symbol.made(f"{name}({', '.join(map(written, operands))})", *operands, kind=kind)

    return staticmethod(call)


def power(self, exponent):
    """x ** 2 is a product, and no function call."""
    if not isinstance(exponent, Symbol) and exponent == 2:
        return self.made(f"({self.text} * {self.text})")
    return self.made(f"pow({self.text}, {written(exponent)})", exponent)


class Entries:
    """The array module of Symbols."""

    abs, sign, maximum, minimum, where = map(function, "fabs sign_of larger smaller choose".split())
    exp, expm1, log, log1p, sqrt, sin, cos, tanh = map(function, "exp expm1 log log1p sqrt sin cos tanh".split())
    arctan, logical_not = function("atan"), function("negated", "truth")
    square = staticmethod(lambda x: x**2)

    @staticmethod
    def clip(x, low, high):
        """Each bound may be None."""
        x = x if low is None else Entries.maximum(x, low)
        return x if high is None else Entries.minimum(x, high)


for _name, _sign in {"add": "+", "sub": "-", "mul": "*", "truediv": "/"}.items():
    setattr(Symbol, f"__{_name}__", operator(_sign))
    setattr(Symbol, f"__r{_name}__", operator(_sign, reflected=True))
for _name, _sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=", "and": "&", "or": "|"}.items():
    setattr(Symbol, f"__{_name}__", operator(_sign, "truth"))
Symbol.__pow__, Symbol.__neg__, Symbol.__abs__ = power, lambda self: self.made(f"(-{self.text})"), Entries.abs
Symbol.__invert__ = Entries.logical_not
register(Symbol, Entries)


HERE = {np.ndarray, Symbol}  # what the plain code is for


def trace(function, dtype, given, positional, names, least=2):
    """([text of an entry] of each result, text of the terms that are summed or None, [(place, "" or "_column")]).

    given: for each argument of the function ENTRY, or the value that the text is made for.  positional: how many of them have no name;
    names: of the others.  None where it is no expression of entries, or fewer launches than `least`: then none would be saved.
    """
    steps = []
    symbols = [Symbol(f"x{place}", dtype, steps, leaf=place) if value is ENTRY else value for place, value in enumerate(given)]
    try:
        y = function(*symbols[:positional], **dict(zip(names, symbols[positional:], strict=True)))
        results = y if isinstance(y, tuple) else (y,)
        texts, terms, kinds = [y.text for y in results], results[0].reduced, {y.kind for y in results}
    except Exception:  # a Symbol can do little of what an array can; whatever was missing, the plain code knows
        return None
    if len(steps) < least or kinds != {"number"} or (len(results) > 1 and any(y.reduced for y in results)):
        return None
    return texts, terms, sorted({(int(place), column) for place, column in LEAF.findall(f"{texts} {terms}")})


def fused(function, name, otherwise):
    """A function that does what `function()` does, as one launch; `otherwise`, called alike, where arguments lie on the host or none can do it.

    The kernel is made at the first call with arrays of a dtype, and for each choice of the arguments that are neither arrays nor floats.
    """
    known = {}

    def call(*args, **attributes):
        if type(args[0]) in HERE or state.plain:
            return otherwise(*args, **attributes)
        values = [*args, *attributes.values()]
        array = next((value for value in values if is_array(value)), None)
        given = tuple(value if type(value) in CONSTANT else ENTRY for value in values)
        if array is None or not all(v is w or type(v) is float or alike(v, array) for v, w in zip(values, given, strict=True)):
            return otherwise(*args, **attributes)
        key = (function(), type(array), array.dtype, *attributes, given)
        if key not in known:
            found = trace(function(), array.dtype, given, len(args), attributes)
            known[key] = found and launch(array_module(array), name, *found)
        return known[key](values) if known[key] else otherwise(*args, **attributes)

    return call


def alike(value, array):
    """Whether a value is an array that a kernel takes together with `array`."""
    return type(value) is type(array) is not np.ndarray and value.dtype == array.dtype and value.dtype.name in DTYPES


def launch(xp, name, texts, terms, used):
    """A function of the list of all arguments that calls the kernel.  Several results get one shape: that of the cotangent, as each alone."""
    parameters = ", ".join(f"T x{place}{column}" for place, column in used)
    outputs = [f"y{i}" for i in range(len(texts))]
    entry = "; ".join(f"{y} = {text}" for y, text in zip(outputs, texts, strict=True))
    if terms:
        kernel = xp.ReductionKernel(parameters, "T y0", terms, "a + b", entry, "0", name, preamble=PREAMBLE)
    else:
        kernel = xp.ElementwiseKernel(parameters, ", ".join(f"T {y}" for y in outputs), entry, name, preamble=PREAMBLE)
    axis = {"axis": -1} if terms else {}

    return lambda values: kernel(*(values[place][..., None] if column else values[place] for place, column in used), **axis)


class Fused(NamedTuple):
    """What stands for rules of a primitive on a GPU."""

    inputs: tuple
    function: Callable
    joint: bool
    takes_out: bool = False


def joined(name, run):
    """One entry of a Plan's rules for several, [(rule, positions, slots), ...], whose functions are expressions of entries."""
    rules = [rule for rule, _, _ in run]
    inputs, positions = tuple(name for rule in rules for name in rule.inputs), [position for _, some, _ in run for position in some]
    slots = [range(len(rule.arguments)) if some is None else some for rule, _, some in run]
    kept = list(dict.fromkeys(slot for some in slots for slot in some))

    @functools.cache
    def all_of(*functions):
        """The functions as one of (gy, *kept), which returns a tuple of their results; of a single one the result."""
        if len(functions) == 1:
            return functions[0]
        calls = [(function, [kept.index(slot) for slot in some]) for function, some in zip(functions, slots, strict=True)]
        return lambda gy, *saved: tuple(function(gy, *(saved[i] for i in places)) for function, places in calls)

    names = [f"{name}_{rule.inputs[0]}" for rule in rules]
    alone = [lambda *args, rule=rule: rule.function(*args) for rule in rules]
    if len(rules) > 1:
        alone = [fused(lambda rule=rule: rule.function, *rest) for rule, *rest in zip(rules, names, alone, strict=True)]
    function = fused(lambda: all_of(*(rule.function for rule in rules)), "_".join([names[0], *inputs[1:]]), all_of(*alone))
    return Fused(inputs, function, len(rules) > 1), positions, kept


def attach(primitive):
    """Let a primitive and its rules run fused: those that can, by their arguments' names and the attributes' defaults."""
    defaults = {name: value for name, value in primitive.attributes.items() if name not in primitive.required}
    name = f"tinyae_{primitive.name}"

    def can(function, names, *attributes, least=2):
        given = [defaults.get(name, ENTRY) for name in (*names, *attributes)]
        return trace(function, np.dtype(np.float32), given, len(names), attributes, least)

    def entrywise(rule, least=1):
        """Whether a rule is an expression of entries, and so many launches by itself."""
        found = not rule.joint and not rule.takes_out and can(rule.function, [rule.cotangent, *rule.arguments], least=least)
        return bool(found) and not found[1]

    def fuse(rules):
        """The rules of a plan as they run on a GPU: neighbours that are expressions of entries are one launch."""
        result = []
        for fusible, run in itertools.groupby(rules, lambda entry: entrywise(entry[0])):
            run = list(run)
            result += [joined(name, run)] if fusible and (len(run) > 1 or entrywise(run[0][0], least=2)) else run
        return result

    if can(primitive.forward, primitive.inputs, *primitive.attributes):
        primitive.fast = fused(lambda: primitive.forward, name, primitive.fast or (lambda *args, **attributes: NotImplemented))
    primitive.fuse = fuse
