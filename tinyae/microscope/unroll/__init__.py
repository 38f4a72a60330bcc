"""A traced pass as a program of its own: one NumPy line after another, forward and backward, without the engine.

with record(model) as trace:
    terms = model.loss(x, noise=noise)
trace.backward(terms.loss)
write(trace, "step.py")
"""

import ast
import io
import os
import runpy
import tempfile
from pathlib import Path

import numpy as np

from tinyae.autograd import raw
from tinyae.errors import ArgumentError
from tinyae.microscope.unroll.code import Interpreter
from tinyae.microscope.unroll.copies import Copies, Names
from tinyae.microscope.unroll.layout import block, heading, page, rule_note, shape_of, value_note
from tinyae.microscope.unroll.tidy import tidy
from tinyae.microscope.unroll.values import Cannot, Code
from tinyae.training.files import write_atomic

LONG = 12  # steps of a rule that are written in line


def unroll(trace, data="step.npz"):
    """The text of a program that computes the same pass and, to the last bit, the same gradients with NumPy alone.

    trace: a Trace after its `backward`.  data: the name of the file, beside the program, with the arrays that it starts from.
    The program was run, and its gradients compared.  Raises ArgumentError where there is no backward pass, or an operation whose code
    cannot be written out.
    """
    return _proved(trace, data)[0]


def write(trace, path):
    """Write the program to `path`, say step.py, and the arrays that it starts from to step.npz beside it.  Returns both paths."""
    path = Path(path)
    data = path.with_suffix(".npz")
    text, arrays = _proved(trace, data.name)
    packed = io.BytesIO()
    _save(packed, arrays)
    write_atomic(data, packed.getvalue())
    write_atomic(path, text)
    return path, data


def _save(file, arrays):
    np.savez(file, **arrays)


def _proved(trace, data):
    """(text, arrays by name) of the program, after a run of it gave the gradients of the trace."""
    program = _Program(trace)
    text = program.text(data)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "step.py").write_text(text, encoding="utf-8")
        _save(Path(folder) / data, program.inputs)
        with np.errstate(all="ignore"):
            try:
                found = runpy.run_path(str(Path(folder) / "step.py"), run_name="step")["gradients"]
            except Exception as error:
                raise ArgumentError(f"unroll: the program does not run alone: {type(error).__name__}: {error}.") from error
    for name, expected in program.expected.items():
        if found[name].tobytes() != expected.tobytes() or found[name].dtype != expected.dtype:
            rule = f"unroll: the gradient of {name} is not that of the engine, so the program is not shown."
            raise ArgumentError(rule, remedy="were values changed since the pass, say by an optimiser?  Unroll before that")
    return text, program.inputs


class _Program:
    """The parts of the program.  inputs: the arrays that it starts from; expected: the gradients of the trace."""

    def __init__(self, trace):
        reached = [line for line in trace.lines if line.cotangent is not None]
        if not reached:
            raise ArgumentError("unroll: there is no backward pass.", remedy="trace.backward(loss) before")
        self.trace, self.loss = trace, reached[-1]
        self.names = Names()
        self.copies = Copies(self.names)
        self.inputs, self.views, self.codes, self.leaves, self.expected, self.cotangents = {}, {}, {}, {}, {}, {}
        self.silent = {}
        self.lines = self.needed(reached)
        for line in self.lines:
            for argument in line.arguments:
                if argument.kind in ("parameter", "leaf"):
                    self.leaf(argument.given, trace.leaves[id(argument.given)][0])
        for line in self.lines:
            for argument in line.arguments:
                if argument.kind == "constant":
                    self.wrap(argument.given, argument.text if _is_name(argument.expression) else argument.role)
        self.labels = {line.number: self.names.unique(_name(line, trace.lines)) for line in self.lines}
        self.forward = [part for line in self.lines for part in self.forward_of(line)]
        self.backward = self.start() + [part for line in reversed(reached) for part in self.backward_of(line)]

    def leaf(self, tensor, name):
        """A Tensor that wants a gradient.  Its name in the table of gradients is its own; of two with one name, the variable's."""
        variable = self.wrap(tensor, name.removeprefix("self.")).expression.id
        if id(tensor) not in self.leaves:
            self.leaves[id(tensor)] = variable if name in self.leaves.values() else name

    def needed(self, reached):
        """The lines on which the loss depends, in their order."""
        numbers, made = set(), {id(line.value.data): line for line in self.trace.lines}
        stack = list(reached)
        while stack:
            line = stack.pop()
            if line.number not in numbers:
                numbers.add(line.number)
                stack.extend(made[id(raw(a.given))] for a in line.arguments if id(raw(a.given)) in made and made[id(raw(a.given))] is not line)
        return [line for line in self.trace.lines if line.number in numbers]

    def wrap(self, value, name):
        """A value of the trace as the program has it: its arrays are Codes, those that no line made are inputs."""
        value = raw(value)
        if isinstance(value, (tuple, list)):
            return type(value)(self.wrap(item, name) for item in value)
        if isinstance(value, slice):
            return slice(*(self.wrap(part, name) for part in (value.start, value.stop, value.step)))
        if isinstance(value, np.ndarray) and id(value) not in self.codes:
            variable = self.names.unique(name)
            if (other := next((known for known, array in self.inputs.items() if is_reshaped(value, array)), None)) is not None:
                self.views[variable] = other, value.shape
            else:
                self.inputs[variable] = value
            self.codes[id(value)] = Code(ast.Name(variable), value)
        return self.codes[id(value)] if isinstance(value, np.ndarray) else value

    def arguments(self, line):
        """The inputs of a line."""
        return [self.wrap(argument.given, argument.role) for argument in line.arguments]

    def attributes(self, line):
        """The attributes of a line."""
        return {name: self.wrap(value, name) for name, value in line.attributes.items()}

    def written(self, line, what, make):
        """(steps, result) of what `make` does with an Interpreter; an error says of which operation, and where."""
        interpreter = Interpreter(self.copies)
        try:
            result = make(interpreter)
        except Exception as error:  # whatever the user's code does when it is followed
            at = f"{os.path.basename(line.call.file)}:{line.call.line}   {line.call.source}"
            raise ArgumentError(f"unroll: {what} cannot be written out: {error}.", at=at) from None
        self.silent |= interpreter.silent
        return interpreter.steps, result

    def forward_of(self, line):
        """What stands for a line of the forward pass."""
        args, attributes = self.arguments(line), self.attributes(line)
        steps, result = self.written(line, line.primitive.name, lambda run: run.call_named(line.primitive, args, attributes, first=True))
        label = self.labels[line.number]
        self.codes[id(line.value.data)] = Code(ast.Name(label), result.value)
        yield heading(line)
        yield from block(*tidy(steps, [result]), [label], [value_note(line)], self.names)

    def start(self):
        """The gradient of the loss with respect to itself: one, or what `backward` was given."""
        label = self.names.unique(f"d_{self.labels[self.loss.number]}")
        cotangent = self.cotangents[self.loss.number] = label
        one = self.loss.cotangent
        if one.size == 1 and one.item() == 1:
            node = ast.parse(f"np.ones({one.shape}, np.{one.dtype})", mode="eval").body
        else:
            node = self.wrap(one, "cotangent").expression
        return [*block([], [Code(node, one)], [cotangent], [f"{shape_of(one)}  the gradient of the loss with respect to itself"], self.names)]

    def backward_of(self, line):
        """What stands for a line of the backward pass."""
        gradients = list(line.gradients)
        while gradients:
            rule = gradients[0].vjp
            group = [gradient for gradient in gradients if gradient.vjp is rule]
            gradients = gradients[len(group) :]
            steps, results = self.rule(line, rule)
            positions = range(len(line.arguments)) if line.primitive.variadic else [line.primitive.inputs.index(name) for name in rule.inputs]
            found = [results[list(positions).index(gradient.position)] for gradient in group]
            steps, found = tidy(steps, [fitted(code, gradient) for code, gradient in zip(found, group, strict=True)])
            targets = []
            for i, gradient in enumerate(group):
                target, new = self.target(gradient)
                for step in steps:
                    if step.target == getattr(found[i].expression, "id", None) is not None:
                        step.hint = target  # a second one, with a number
                found[i] = found[i] if new else Code(ast.BinOp(ast.Name(target), ast.Add(), found[i].expression), None)
                targets.append(target)
            yield from block(steps, found, targets, [rule_note(gradient) for gradient in group], self.names)

    def rule(self, line, rule):
        """(steps, gradients) of a rule."""
        args, attributes = self.arguments(line), self.attributes(line)
        shapes = [argument.shape for argument in line.arguments]
        given = [Code(ast.Name(self.cotangents[line.number]), line.cotangent)]
        for kind, name, position in rule.sources:
            if kind == "shape":
                given.append(tuple(shapes) if line.primitive.variadic else shapes[position])
            else:
                given.append(args[position] if kind == "input" else attributes[name] if kind == "attribute" else self.codes[id(line.value.data)])

        def make(interpreter):
            try:
                result = interpreter.enter(rule.function, given, {})
                if len(interpreter.steps) <= LONG:
                    return result
            except Cannot:
                pass
            interpreter.steps = []
            return interpreter.call_copy(rule, given, {})

        steps, result = self.written(line, f"the rule of {line.primitive.name} for {', '.join(rule.inputs)}", make)
        return steps, list(result) if rule.joint else [result]

    def target(self, gradient):
        """(the variable that a gradient is added to, whether it is the first one)."""
        argument = gradient.argument
        key = argument.line or id(argument.given)
        if argument.kind != "line":
            name = self.leaves[key]
            before = self.expected.get(name)
            self.expected[name] = np.array(gradient.value) if before is None else before + gradient.value
        if key in self.cotangents:
            return self.cotangents[key], False
        of = self.labels[argument.line] if argument.kind == "line" else self.codes[id(raw(argument.given))].expression.id
        self.cotangents[key] = self.names.unique(f"d_{of}")
        return self.cotangents[key], True

    def text(self, data):
        """The program."""
        gradients = {name: self.cotangents[key] for key, name in self.leaves.items() if key in self.cotangents}
        return page(self, data, gradients)


def fitted(code, gradient):
    """A rule's gradient in the shape and dtype of its input: what was broadcast is summed, as the engine does it."""
    shape, dtype = gradient.shape, gradient.value.dtype
    if not isinstance(code, Code):
        raise ArgumentError(f"unroll: a rule of {gradient.line.primitive.name} gives no array.")
    if code.value.shape != shape:
        extra = code.value.ndim - len(shape)
        axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1)
        axis = axes[0] if len(axes) == 1 else axes
        call = ast.parse(f"y.sum(axis={axis})", mode="eval").body
        call.func.value = code.expression
        code = Code(call, code.value.sum(axis=axes))
        if code.value.shape != shape:
            call = ast.parse(f"y.reshape({shape})", mode="eval").body
            call.func.value = code.expression
            code = Code(call, code.value.reshape(shape))
    if code.value.dtype != dtype:
        code = Code(ast.Call(ast.Attribute(code.expression, "astype"), [ast.parse(f"np.{dtype}", mode="eval").body], []), code.value.astype(dtype))
    return code


def is_reshaped(a, b):
    """Whether two arrays are the same memory in two shapes."""
    alike = a.dtype == b.dtype and a.size == b.size > 0 and a.flags.c_contiguous and b.flags.c_contiguous
    return alike and a.__array_interface__["data"] == b.__array_interface__["data"]


def _is_name(node):
    return isinstance(node, (ast.Name, ast.Attribute))


def _name(line, lines):
    """What a reader calls the result of a line: its own name, else that of a consumer who is no layer, else y7."""
    if line.name is not None:
        return line.name.split(".")[-1]
    for consumer in (lines[number - 1] for number in line.consumers):
        for argument in consumer.arguments:
            if argument.line == line.number and consumer.call.room != "nn" and _is_name(argument.expression) and consumer.written:
                name = argument.text.split(".")[-1]
                if name != f"y{line.number}":
                    return name
    return f"y{line.number}"
