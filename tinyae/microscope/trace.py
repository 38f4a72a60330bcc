"""A trace: each operation of a forward pass with its source line, then what the backward pass did to it."""

import ast
import collections
import sys

from tinyae.autograd import Tensor, raw
from tinyae.autograd.graph import backward_steps, observed, starting_cotangent
from tinyae.errors import ArgumentError
from tinyae.microscope import names, replay, terms
from tinyae.microscope.lines import Argument, Gradient, Line

ENGINE = ("autograd", "ops")  # rooms whose lines are never the line of an operation
NAMING = (*names.READ, "distributions")  # rooms whose lines name what they read
HELPERS = (*ENGINE, "nn", "distributions", "microscope", "training", "cli.py")  # rooms that are no place to come from


class Trace:
    """The lines of a pass in the order of their operations.  `with record() as trace:` fills it."""

    def __init__(self, model=None, inside=None):
        self.lines, self.leaves, self.model = [], {}, model
        self.result, self.loss, self.terms, self.leaf_terms = None, None, {}, {}
        self._inside = getattr(inside, "__code__", None)
        self._parameters = {} if model is None else {id(p): name for name, p in model.named_parameters()}
        self._made = {}  # id of a Tensor, or node -> Line
        self._owners = {}  # expression -> the leaves that it has stood for
        self._names = collections.Counter()  # how many values have a name
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
        frame, engine_files = sys._getframe(2), []  # above this function and `apply`
        if frame.f_code is type(primitive).__call__.__code__:
            frame = frame.f_back
        while frame.f_code is not self._inside and names.room_of(frame.f_code.co_filename) in ENGINE and frame.f_back is not None:
            engine_files.append(frame.f_code.co_filename)
            frame = frame.f_back
        calls, outer = [], frame
        while outer is not None:
            calls.append(names.call_of(outer))
            outer = None if outer is self._outer else outer.f_back
        place = (primitive, len(args), *map(id, calls))
        if place not in _read:
            _read[place] = reading(primitive, calls, frame, engine_files, len(args))
        call, path, name, written, _ = _read[place]
        arguments = [self._argument(primitive, call, i, arg, written[i] if written else None) for i, arg in enumerate(args)]
        kept = dict(primitive.attributes) | attributes
        line = Line(len(self.lines) + 1, primitive, call, path, self._turns[place], None, arguments, kept, written, result)
        self._call(line, name)
        self._turns[place] += 1
        self._made[id(result)] = line
        if result.node is not None:
            self._made[result.node] = line
        self.lines.append(line)

    def _call(self, line, name):
        """Give a line's value a name."""
        if name is not None:
            self._names[name] += 1
            line.name, line.copy = name, self._names[name]

    def _apart(self, written, leaf):
        """The expression of a leaf; where another one was written so before, in an earlier turn of a loop, with a number."""
        text = ast.unparse(written)
        owners = self._owners.setdefault(text, [])
        if not any(leaf is owner for owner in owners):
            owners.append(leaf)
        place = next(i for i, owner in enumerate(owners, 1) if leaf is owner)
        return written if place == 1 else ast.Name(f"{text}_{place}")

    def _argument(self, primitive, call, position, arg, written):
        """What a line gives an operation, by the name that a reader knows it by."""
        made = self.line_of(arg) if isinstance(arg, Tensor) else None  # by its node: a rule that is recorded gets the value in a Tensor of its own
        plain = isinstance(written, (ast.Name, ast.Attribute, ast.Constant)) and not (made and made.call.node is written)
        shape, role = tuple(getattr(arg, "shape", ())), primitive.inputs[min(position, len(primitive.inputs) - 1)]
        own = written if plain else ast.Name(role)
        if id(arg) in self._parameters:
            expression, kind = ast.Name(self._parameters[id(arg)]), "parameter"
        elif made is not None:
            if plain and made.name is None and call.room in NAMING and not isinstance(written, ast.Constant):
                self._call(made, getattr(written, "attr", None) or written.id)  # a value without a name gets the first one that it is called by
            expression, kind = ast.Name(made.label), "line"
        elif isinstance(arg, Tensor) and arg.requires_grad:
            expression, kind = self._apart(own, arg), "leaf"
        else:
            short = written is not None and len(ast.unparse(written)) <= 40
            literal = ast.Constant(arg) if isinstance(arg, (int, float)) and not written else None
            expression, kind = written if short else literal or own, "constant" if isinstance(arg, Tensor) or hasattr(arg, "shape") else "number"
        argument = Argument(expression, kind, made.number if kind == "line" else None, shape, role, arg)
        if kind in ("parameter", "leaf"):
            argument.version = arg.version[0]
        if kind in ("leaf", "constant") and isinstance(expression, ast.Name):
            self._names[expression.id] = max(self._names[expression.id], 1)
        if kind in ("parameter", "leaf") and id(arg) not in self.leaves:
            taken = {name for name, _ in self.leaves.values()}
            known = [name for name, value in self._outer.f_locals.items() if value is arg and name not in taken] if kind == "leaf" else []
            self.leaves[id(arg)] = (next(iter(known), argument.text), arg)
        return argument

    def line_of(self, made):
        """The Line whose result is this Tensor, or this node; None for a leaf."""
        return self._made.get(made.node or id(made) if isinstance(made, Tensor) else made)

    def backward(self, loss, cotangent=None, *, split=False):
        """`loss.backward()` that notes at each line what came in and what its rules gave.

        split: keep the graph, and note what each term of the loss contributes (see `terms`).
        """
        self.forget()
        self._backward, self.loss = True, loss
        try:
            with observed(self):
                loss.backward(cotangent, retain_graph=split)
        finally:
            self._backward = False
        if split:
            terms.split(self, loss)

    def check(self, line, seed=0):
        """A Proof of the gradient of a line's value by finite differences of all that follows.  line: a Line, its number, or its Tensor."""
        return replay.check(self, line, seed)

    def blame(self, seed=0):
        """The Proof of the first wrong gradient on the way back from the loss, with its line and input; None where all are right."""
        return replay.blame(self, seed)

    def to_record(self, **settings):
        """The trace as plain data for files and viewers: see `record_of` for the settings."""
        from tinyae.microscope.record import record_of

        return record_of(self, **settings)

    def to_html(self, path, **settings):
        """Write the trace as one self-contained page; settings are those of `record_of`.  Returns the path."""
        from tinyae.microscope.page import write_page

        return write_page(self.to_record(**settings), path)

    def forget(self):
        """Take back what a backward pass has noted."""
        for line in self.lines:
            line.cotangent, line.gradients, line.consumers, line.by_term = None, [], [], {}

    def backward_steps(self, loss=None, cotangent=None):
        """The reverse pass, one operation at a time: yields each Line, newest first, with what came in and what its rules give.

        line.cotangent is complete when the line is given, line.gradients and `.grad` of the leaves are what this step gave them.
        To the end it is `loss.backward(retain_graph=True)`; it begins with gradients of the leaves at nothing.
        """
        loss = self.loss if loss is None else loss
        self.forget()
        for _, leaf in self.leaves.values():
            leaf.grad = None
        steps = backward_steps(loss, raw(starting_cotangent(loss, cotangent, "backward_steps")), retain_graph=True)
        while True:
            self._backward = True
            with observed(self):
                step = next(steps, None)
            self._backward = False
            if step is None:
                return
            node, _, gradients = step
            for parent, gradient in gradients:
                if isinstance(parent, Tensor):
                    parent.accumulate(gradient)
            if (line := self.line_of(node)) is not None:
                yield line

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


_read = {}  # what was read off the source, for each operation and the calls that led to it: a training step has the same ones each time


def reading(primitive, calls, frame, engine_files, count):
    """(the innermost Call, the path to it, the name of the result, the expressions of the inputs, all calls, which keeps them alive)."""
    if len(_read) > 10_000:
        _read.clear()
    written = names.inputs_written(primitive, calls[0], frame, engine_files, count)
    innermost = calls[0] if written else calls[0]._replace(node=None)
    path = [call for call, inner in reversed(list(zip(calls[1:], calls, strict=False))) if call.room not in HELPERS and call.site != inner.site]
    return innermost, path, names.target([innermost, *calls[1:]]), written, calls


def summed_axes(raw, shape):
    """The axes of a gradient of shape `raw` that were summed to fit an input of `shape`."""
    extra = len(raw) - len(shape)
    return (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and raw[extra + i] != 1)) if raw != shape else ()


def record(model=None):
    """`with record() as trace:` notes each operation on Tensors in the block; afterwards `trace.backward(loss)`.

    model: a Module whose parameters are then called by their dotted names.
    """
    return Trace(model)


def trace(f, *args, model=None, **settings):
    """The trace of f(*args, **settings), forward and backward, with what each term of the loss contributes.

    f: gives the loss, a Tensor with one entry, or terms with a `loss` (a named tuple, or a dict).  model: a Module whose parameters are
    called by their dotted names (that of a bound method by itself).  `.grad` of the leaves is that of this pass, whatever it was before.
    Raises ArgumentError where f gives no loss that depends on a Tensor with requires_grad.
    """
    model = getattr(f, "__self__", None) if model is None else model
    with Trace(model if hasattr(model, "named_parameters") else None) as found:
        found.result = f(*args, **settings)
    loss = found.result["loss"] if isinstance(found.result, dict) and "loss" in found.result else getattr(found.result, "loss", found.result)
    if not (isinstance(loss, Tensor) and loss.requires_grad and loss.size == 1 and found.line_of(loss) is not None):
        name = getattr(f, "__name__", type(f).__name__)
        expected = "a Tensor with one entry, computed from a Tensor with requires_grad, or terms with such a loss"
        raise ArgumentError(f"trace: {name} gives no loss.", expected=expected, got=repr(loss))
    for _, leaf in found.leaves.values():
        leaf.grad = None
    found.backward(loss, split=True)
    return found
