"""A trace: each operation of a forward pass with its source line, then what the backward pass did to it."""

import ast
import sys
from dataclasses import dataclass, field

import numpy as np

from tinyae.autograd import Tensor
from tinyae.autograd.graph import observed
from tinyae.backend import to_numpy
from tinyae.microscope import names

ENGINE = ("autograd", "ops")  # rooms whose lines are never the line of an operation
HELPERS = (*ENGINE, "nn", "distributions", "microscope", "training", "cli.py")  # rooms that are no place to come from


def norm(array):
    """The Euclidean norm of all entries, in float64."""
    return float(np.linalg.norm(np.asarray(to_numpy(array), np.float64).ravel()))


@dataclass
class Argument:
    """An input of an operation.  kind: line (the result of line `line`), parameter, leaf, constant (an array without gradient) or number."""

    expression: ast.AST
    kind: str
    line: int | None
    shape: tuple

    @property
    def text(self):
        """The input as its line writes it; a parameter by its dotted name; `y7` for a part of the line computed as line 7."""
        return ast.unparse(self.expression)


@dataclass
class Gradient:
    """What one rule gave one input: `rule` in the line's own names, and the axes that were summed because the input was broadcast."""

    argument: Argument
    rule: str
    shape: tuple
    norm: float
    summed: tuple


@dataclass
class Line:
    """One operation.  call is its source line, path the lines that led to it, outermost first; `number` counts from 1."""

    number: int
    primitive: object
    call: names.Call
    path: list
    name: str | None
    arguments: list
    attributes: dict
    text: str
    value: Tensor
    norm: float
    cotangent_norm: float | None = None  # None: the backward pass did not come here
    gradients: list = field(default_factory=list)
    consumers: list = field(default_factory=list)  # numbers of the lines whose gradients add up to this line's cotangent

    @property
    def label(self):
        """The name of the result in formulas; `y7` where it has none, or one that an input of the line has too."""
        return f"y{self.number}" if self.name is None or any(a.text == self.name for a in self.arguments) else self.name

    @property
    def cotangent(self):
        """The gradient of the loss with respect to the result, as formulas write it."""
        return f"g{self.number}" if self.label == f"y{self.number}" else f"grad[{self.label}]"


class Trace:
    """The lines of a pass in the order of their operations.  `with record() as trace:` fills it."""

    def __init__(self, model=None):
        self.lines, self.leaves, self.model = [], {}, model
        self._parameters = {} if model is None else {id(p): name for name, p in model.named_parameters()}
        self._made = {}  # id of a Tensor, or node -> Line
        self._calls = {}  # (code, instruction) -> Call, so that a loop is looked up once
        self._summed = {}  # id of a parent -> shape of a gradient before it was summed to the parent's
        self._outer = self._observed = None
        self._backward = False  # whether gradients are noted

    def __enter__(self):
        self._outer, self._observed = sys._getframe(1), observed(self)
        self._observed.__enter__()
        return self

    def __exit__(self, *error):
        self._outer = None
        self._observed.__exit__(*error)

    def on_forward(self, primitive, args, attributes, result):
        """The engine says: one operation was recorded, and the line that did so is on the stack."""
        frame, engine_files = sys._getframe(3), []  # above this function, `record` and `__call__`
        while names.room_of(frame.f_code.co_filename) in ENGINE and frame.f_back is not None:
            engine_files.append(frame.f_code.co_filename)
            frame = frame.f_back
        calls, outer = [], frame
        while outer is not None:
            place = outer.f_code, outer.f_lasti
            if place not in self._calls:
                self._calls[place] = names.look(outer)
            calls.append(self._calls[place])
            outer = None if outer is self._outer else outer.f_back
        call = calls[0]
        written = names.inputs_written(primitive, call, frame, engine_files, len(args))
        calls[0] = call = call if written else call._replace(node=None)
        arguments = [self._argument(primitive, i, arg, written[i] if written else None) for i, arg in enumerate(args)]
        new = {id(node): argument.expression for node, argument in zip(written or (), arguments, strict=False)}
        text = names.text_of(call.node, new) if written else f"{primitive.name}({', '.join(a.text for a in arguments)})"
        kept = dict(primitive.attributes) | attributes
        path = [c for c, inner in reversed(list(zip(calls[1:], calls, strict=False))) if c.room not in HELPERS and c.site != inner.site]
        line = Line(len(self.lines) + 1, primitive, call, path, names.target(calls), arguments, kept, text, result, norm(result.data))
        self._made[id(result)] = line
        if result.node is not None:
            self._made[result.node] = line
        self.lines.append(line)

    def _argument(self, primitive, position, arg, written):
        """What a line gives an operation, by the name that a reader knows it by."""
        made = self._made.get(id(arg)) if isinstance(arg, Tensor) else None
        plain = isinstance(written, (ast.Name, ast.Attribute, ast.Constant)) and not (made and made.call.node is written)
        shape = tuple(getattr(arg, "shape", ()))
        own = written if plain else ast.Name(primitive.inputs[min(position, len(primitive.inputs) - 1)])
        if id(arg) in self._parameters:
            argument = Argument(ast.Name(self._parameters[id(arg)]), "parameter", None, shape)
        elif made is not None:
            argument = Argument(own if plain else ast.Name(made.label if written is None else f"y{made.number}"), "line", made.number, shape)
        elif isinstance(arg, Tensor) and arg.requires_grad:
            argument = Argument(own, "leaf", None, shape)
        else:
            short = written is not None and len(ast.unparse(written)) <= 40
            literal = ast.Constant(arg) if isinstance(arg, (int, float)) and not written else None
            kind = "constant" if isinstance(arg, Tensor) or hasattr(arg, "shape") else "number"
            argument = Argument(written if short else literal or own, kind, None, shape)
        if argument.kind in ("parameter", "leaf"):
            known = self._outer.f_locals.items() if argument.kind == "leaf" and id(arg) not in self.leaves else ()
            self.leaves.setdefault(id(arg), (next((name for name, value in known if value is arg), argument.text), arg))
        return argument

    def backward(self, loss, cotangent=None):
        """`loss.backward()` that notes at each line what came in and what its rules gave."""
        self._backward = True
        try:
            with observed(self):
                loss.backward(cotangent)
        finally:
            self._backward = False

    def on_rules(self, node, gy):
        """The engine says: the rules of a node are about to run."""

    def on_sum(self, parent, shape):
        """The engine says: a gradient of `shape` is summed to the parent's shape."""
        self._summed[id(parent)] = shape

    def on_backward(self, node, gy, gradients):
        """The engine says: these gradients are what the rules of a node gave."""
        line, summed, self._summed = self._made.get(node), self._summed, {}
        if line is None or not self._backward:
            return
        line.cotangent_norm = norm(gy)
        served = [(rule, position) for rule, positions, _ in node.plan.rules for position in positions if node.parents[position] is not None]
        for (rule, position), (parent, gradient) in zip(served, gradients, strict=True):
            argument = line.arguments[position]
            axes = summed_axes(summed.get(id(parent), gradient.shape), gradient.shape)
            line.gradients.append(Gradient(argument, self._rule(line, rule, position), gradient.shape, norm(gradient), axes))
            if parent in self._made and line.number not in self._made[parent].consumers:
                self._made[parent].consumers.append(line.number)

    def _rule(self, line, rule, position):
        """The text of a rule with the names of the line."""
        inputs = line.primitive.inputs
        arguments = dict(zip(inputs, line.arguments, strict=False)) if not line.primitive.variadic else {}
        shapes = {name: argument.shape for name, argument in arguments.items()} | {"y": line.value.shape, rule.cotangent: line.value.shape}
        constants = {name: a.expression.value for name, a in arguments.items() if isinstance(a.expression, ast.Constant)}
        constants |= line.attributes | {f"{name}_shape": argument.shape for name, argument in arguments.items()}
        if line.primitive.variadic:
            constants[f"{inputs[0]}_shape"] = tuple(argument.shape for argument in line.arguments)
        expressions = {name: argument.expression for name, argument in arguments.items()}
        expressions |= {"y": ast.Name(line.label), rule.cotangent: ast.Name(line.cotangent)}
        if isinstance(line.call.node, ast.Subscript):
            expressions["index"] = ast.Name(ast.unparse(ast.Subscript(ast.Name(""), line.call.node.slice)))
            constants.pop("index", None)
        return names.rule_text(rule, position if line.primitive.variadic else rule.inputs.index(inputs[position]), constants, shapes, expressions)


def summed_axes(raw, shape):
    """The axes of a gradient of shape `raw` that were summed to fit an input of `shape`."""
    extra = len(raw) - len(shape)
    return (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and raw[extra + i] != 1)) if raw != shape else ()


def record(model=None):
    """`with record() as trace:` notes each operation on Tensors in the block; afterwards `trace.backward(loss)`.

    model: a Module whose parameters are then called by their dotted names.
    """
    return Trace(model)
