"""A trace: each operation of a forward pass with its source line, then what the backward pass did to it."""

import ast
import collections
import sys

from tinyae.autograd import Tensor
from tinyae.autograd.graph import observed
from tinyae.microscope import names
from tinyae.microscope.lines import Argument, Gradient, Line

ENGINE = ("autograd", "ops")  # rooms whose lines are never the line of an operation
HELPERS = (*ENGINE, "nn", "distributions", "microscope", "training", "cli.py")  # rooms that are no place to come from


class Trace:
    """The lines of a pass in the order of their operations.  `with record() as trace:` fills it."""

    def __init__(self, model=None, inside=None):
        self.lines, self.leaves, self.model = [], {}, model
        self._inside = getattr(inside, "__code__", None)
        self._parameters = {} if model is None else {id(p): name for name, p in model.named_parameters()}
        self._made = {}  # id of a Tensor, or node -> Line
        self._turns = collections.Counter()  # how often the same calls led to an operation
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
        while frame.f_code is not self._inside and names.room_of(frame.f_code.co_filename) in ENGINE and frame.f_back is not None:
            engine_files.append(frame.f_code.co_filename)
            frame = frame.f_back
        calls, outer = [], frame
        while outer is not None:
            calls.append(names.call_of(outer))
            outer = None if outer is self._outer else outer.f_back
        call = calls[0]
        written = names.inputs_written(primitive, call, frame, engine_files, len(args))
        place = tuple(map(id, calls))
        calls[0] = call = call if written else call._replace(node=None)
        arguments = [self._argument(primitive, i, arg, written[i] if written else None) for i, arg in enumerate(args)]
        kept = dict(primitive.attributes) | attributes
        path = [c for c, inner in reversed(list(zip(calls[1:], calls, strict=False))) if c.room not in HELPERS and c.site != inner.site]
        line = Line(len(self.lines) + 1, primitive, call, path, self._turns[place], names.target(calls), arguments, kept, written, result)
        self._turns[place] += 1
        self._made[id(result)] = line
        if result.node is not None:
            self._made[result.node] = line
        self.lines.append(line)

    def _argument(self, primitive, position, arg, written):
        """What a line gives an operation, by the name that a reader knows it by."""
        made = self._made.get(id(arg)) if isinstance(arg, Tensor) else None
        plain = isinstance(written, (ast.Name, ast.Attribute, ast.Constant)) and not (made and made.call.node is written)
        shape, role = tuple(getattr(arg, "shape", ())), primitive.inputs[min(position, len(primitive.inputs) - 1)]
        own = written if plain else ast.Name(role)
        if id(arg) in self._parameters:
            expression, kind = ast.Name(self._parameters[id(arg)]), "parameter"
        elif made is not None:
            expression, kind = own if plain else ast.Name(made.label if written is None else f"y{made.number}"), "line"
        elif isinstance(arg, Tensor) and arg.requires_grad:
            expression, kind = own, "leaf"
        else:
            short = written is not None and len(ast.unparse(written)) <= 40
            literal = ast.Constant(arg) if isinstance(arg, (int, float)) and not written else None
            expression, kind = written if short else literal or own, "constant" if isinstance(arg, Tensor) or hasattr(arg, "shape") else "number"
        argument = Argument(expression, kind, made.number if kind == "line" else None, shape, role, arg)
        if kind in ("parameter", "leaf"):
            known = self._outer.f_locals.items() if kind == "leaf" and id(arg) not in self.leaves else ()
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
        line.cotangent = gy
        served = [(rule, position) for rule, positions, _ in node.plan.rules for position in positions if node.parents[position] is not None]
        for (rule, position), (parent, gradient) in zip(served, gradients, strict=True):
            axes = summed_axes(summed.get(id(parent), gradient.shape), gradient.shape)
            value = gradient.copy() if gradient is getattr(parent, "gradient_buffer", None) else gradient  # others may be added to it
            line.gradients.append(Gradient(line, position, rule, value, axes))
            if parent in self._made and line.number not in self._made[parent].consumers:
                self._made[parent].consumers.append(line.number)


def summed_axes(raw, shape):
    """The axes of a gradient of shape `raw` that were summed to fit an input of `shape`."""
    extra = len(raw) - len(shape)
    return (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and raw[extra + i] != 1)) if raw != shape else ()


def record(model=None):
    """`with record() as trace:` notes each operation on Tensors in the block; afterwards `trace.backward(loss)`.

    model: a Module whose parameters are then called by their dotted names.
    """
    return Trace(model)
