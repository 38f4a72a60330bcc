"""A model's loss and gradients played back: Python runs once, afterwards only the functions on arrays, in the same order, on new data.

It is what a just-in-time compiler begins with, and has a compiler's danger: whatever Python decided stays decided.  So a program is made
for each shape, dtype, mode of the modules and setting of the objective; what cannot be played back is refused; and the first calls on new
data, then every hundredth, are computed by the engine as well and must agree to the last bit.  What is saved is the engine's own cost, a
few microseconds an operation: much of a small model's step, nothing of a large one's (benchmarks/speed.md).
"""

import inspect
from operator import attrgetter, is_

import numpy as np

from tinyae.autograd import Tensor, raw
from tinyae.autograd.graph import observed, ones, state, unbroadcast
from tinyae.backend import array_module, is_array, to_numpy
from tinyae.errors import ArgumentError, GraphError
from tinyae.evaluation.terms import as_named

WANTED = attrgetter("wanted")
EVERY, MOST = 100, 20  # calls from one check to the next; programs that are kept


class Replay:
    """A function (x, noise) that does what `model.loss(x, noise=noise)` and its `backward()` do, without the engine.

    model: a Module whose loss draws no random numbers of its own (dropout) and changes no buffer (batch norm in training).
    x: (N, D), noise: arrays in the weights' dtype, as for the loss; noise is left out where it takes none.
    The function adds to `.grad` of the parameters and returns the terms of the loss, name -> array ().  Between its checks nobody
    looks at the data: NaN, and values outside the likelihood's support, go through.

        step = ta.Replay(model)
        adam.zero_grad()
        terms = step(x, model.draw_noise(len(x), rng=rng))
        adam.step()

    calls: how many there were; checked: how many of these the engine made too.  Raises GraphError for what cannot be played back, and
    where a check finds another value than the engine's.
    """

    def __init__(self, model):
        takes = inspect.signature(model.loss).parameters
        self.model, self.calls, self.checked, self.programs = model, 0, 0, {}
        self.names = [name for i, (name, p) in enumerate(takes.items()) if i == 0 or name == "noise" or p.default is p.empty]
        self.modules = [module for _, module in model.named_modules()]

    def __call__(self, *arrays):
        if len(arrays) != len(self.names) or not all(is_array(array) for array in arrays):
            got = ", ".join(type(array).__name__ for array in arrays)
            raise ArgumentError("replay: it takes the arrays of the loss.", expected=", ".join(self.names), got=got)
        self.calls += 1
        if state.switches != (True, ()):  # nothing is recorded, or somebody looks on
            return self.by_engine(arrays)
        objective = repr(vars(self.model.objective)) if hasattr(self.model, "objective") else ""
        key = (*((a.shape, a.dtype, type(a)) for a in arrays), *[module.training for module in self.modules], objective, state.plain)
        program = self.programs.get(key)
        if program is None and len(self.programs) < MOST:
            terms, self.programs[key] = self.record(arrays)
            return terms
        if program is None:  # settings that change all the time
            return self.by_engine(arrays)
        if program.due(arrays):
            self.checked += 1
            return self.check(program, arrays)
        return program(arrays)

    def loss(self, arrays):
        """The terms, a dict of Tensors."""
        return as_named(self.model.loss(arrays[0], **dict(zip(self.names[1:], arrays[1:], strict=True))))

    def by_engine(self, arrays):
        """The terms, by the engine; where it records, with gradients."""
        terms = self.loss(arrays)
        if state.recording:
            terms["loss"].backward()
        return {name: raw(term) for name, term in terms.items()}

    def record(self, arrays):
        """(terms, the Program) of a call by the engine.  Raises GraphError where the same operations would not do the same again."""
        weights = next((p.dtype for p in self.model.parameters()), None)
        if other := [array.dtype for array in arrays if array.dtype.kind == "f" and array.dtype != weights]:
            raise ArgumentError("replay: arrays have the dtype of the weights.", expected=weights, got=other[0], remedy="x.astype")
        streams, buffers = ([part for _, part in find()] for find in (self.model.named_streams, self.model.named_buffers))
        drawn, changed = [stream.state() for stream in streams], [buffer.version[0] for buffer in buffers]
        values, program = [array_module(buffer.data).array(buffer.data) for buffer in buffers], Program(arrays)
        with observed(program):  # which is told below what the backward pass sums
            terms = self.loss([Tensor.of(array, None) for array in arrays])  # constants whose way into the operations is seen
        if drawn != [stream.state() for stream in streams] or changed != [buffer.version[0] for buffer in buffers]:
            for stream, was in zip(streams, drawn, strict=True):
                stream.restore(was)
            for buffer, was in zip(buffers, values, strict=True):
                buffer.assign(was)
            rule = "replay: the loss draws random numbers of its own, or changes a buffer (dropout, batch norm in training)."
            raise GraphError(rule, remedy="model.loss(x, noise=noise).loss.backward()")
        with observed(program):
            terms["loss"].backward(retain_graph=True)
        program.finish(terms, self.names)
        return {name: raw(term) for name, term in terms.items()}, program

    def check(self, program, arrays):
        """The terms, by the program and by the engine.  Raises GraphError where they, or the gradients, differ in a bit."""
        found, leaves = [], {f"the gradient of {name}": parameter for name, parameter in self.model.named_parameters()}
        before = [None if p.grad is None else array_module(p.grad).array(p.grad) for p in leaves.values()]
        for way in (program, self.by_engine):
            for leaf in leaves.values():
                leaf.grad = None
            terms = way(arrays)
            found.append(terms | {name: np.array(to_numpy(p.grad)) for name, p in leaves.items() if p.grad is not None})
        for name, value in found[1].items():
            if to_numpy(value).tobytes() != to_numpy(found[0].get(name, ())).tobytes():
                rule = f"replay: {name} is no longer what the engine computes."
                remedy = "numbers that change belong into the objective or into arrays; make a new Replay after a change of the model"
                raise GraphError(rule, expected="a loss that does the same operations for all data", remedy=remedy)
        for p, earlier in zip(leaves.values(), before, strict=True):
            if earlier is not None:
                p.accumulate(earlier)
        return {name: found[1][name] for name in terms}


class Program:
    """The operations of one call, observed, and the way back: lines of Python, compiled once.  Called with other arrays, it runs them.

    text: the lines, a call of a function or a rule each.  leaves: the parameters.
    """

    def __init__(self, arrays):
        self.names = {id(array): f"x{i}" for i, array in enumerate(arrays)}  # array -> the variable that holds it
        self.kept, self.leaves, self.lines, self.operations = [*arrays], [], [], {}
        self.space = {"unbroadcast": unbroadcast, "asarray": np.asarray, "one_like": ones.like}
        self.first, self.calls, self.fresh, self.summed = arrays, 0, set(), set()

    def on_forward(self, primitive, args, attributes, result):
        """The engine says: an operation was computed."""
        function, inputs = primitive.forward, [self.name(arg) for arg in args]
        if primitive.fast is not None and not state.plain and primitive.fast(*map(raw, args), **attributes) is not NotImplemented:
            function = primitive.fast
        call = f"{self.constant(function)}({', '.join(inputs)}{f', **{self.constant(attributes)}' if attributes else ''})"
        out = self.names[id(result.data)] = f"y{len(self.kept)}"
        self.kept.append(result.data)  # so that no other array gets its id
        self.lines.append(f"{out} = asarray({call})" if type(result.data) is np.ndarray and not result.ndim else f"{out} = {call}")
        if result.node is not None:
            self.operations[result.node] = args, attributes, inputs, out

    def on_sum(self, parent, shape):
        """The engine says: a gradient is summed to its parent's shape."""
        self.summed.add(id(parent))

    def on_rules(self, *_):
        """Nothing to see: the rest of the way back is read off the graph."""

    on_backward = on_rules

    def constant(self, value):
        """The name of something that stays as it is."""
        name = f"c{len(self.space)}"
        self.space[name] = value
        return name

    def name(self, arg):
        """The name of an operation's input: known, or a parameter, or a constant."""
        if not is_array(array := raw(arg)):
            return self.constant(array)
        if id(array) not in self.names:
            if isinstance(arg, Tensor) and arg.node is not None:
                raise GraphError("replay: the loss uses a Tensor that was computed before it.", remedy="compute it in the loss")
            self.kept.append(array)
            if isinstance(arg, Tensor) and arg.wanted:
                self.names[id(array)] = f"p{len(self.leaves)}"
                self.leaves.append(arg)
            else:
                self.names[id(array)] = self.constant(array)
        return self.names[id(array)]

    def finish(self, terms, names):
        """Read the way back off the graph, before it is gone.  Raises GraphError where an input has no part in it."""
        loss, forward = terms["loss"], "\n".join(self.lines)
        if unused := [name for i, name in enumerate(names) if f"x{i}" not in forward]:
            raise GraphError(f"replay: no operation is given {unused[0]} itself.", expected="a loss that takes a Tensor")
        cotangents = {loss.node: "g"}
        self.lines.append(f"g = one_like({self.names[id(loss.data)]})")
        for node in sorted(self.operations, key=lambda node: node.number):  # the newest first
            if node in cotangents:
                for rule, positions, slots in node.plan.rules if isinstance(loss.data, np.ndarray) else node.plan.launches:
                    self.rule(node, rule, positions, slots, cotangents)
        result = ", ".join(f"{name!r}: {self.name(term)}" for name, term in terms.items())
        given = [f"{', '.join(names)}, = {source}" for names, source in ((self.variables("x"), "arrays"), (self.variables("p"), "leaves")) if names]
        self.text = "\n    ".join(["def run(arrays, leaves):", *given, *self.lines, f"return {{{result}}}"])
        exec(compile(self.text, "<replay>", "exec"), self.space)
        self.data, self.shapes = [], [(leaf.shape, leaf.dtype, True) for leaf in self.leaves]
        del self.kept, self.operations, self.names, self.summed

    def variables(self, letter):
        """The names of the inputs, x, or of the parameters, p."""
        return [f"{letter}{i}" for i in range(len(self.first if letter == "x" else self.leaves))]

    def rule(self, node, rule, positions, slots, cotangents):
        """The lines of a rule of a node: the call, and where its gradients go."""
        arguments = [self.argument(source, node) for source in node.plan.sources]
        arguments = arguments if slots is None else [arguments[slot] for slot in slots]
        first = node.parents[positions[0]]
        if rule.takes_out and isinstance(first, Tensor) and sum(p is first for p in node.parents) == 1:
            leaf = self.constant(first)
            arguments.append(f"out={leaf}.gradient_buffer if {leaf}.grad is None else None")
        parts = [f"{cotangents[node]}_{position}" for position in positions]
        self.lines.append(f"{', '.join(parts)}{',' * rule.joint} = {self.constant(rule.function)}({', '.join([cotangents[node], *arguments])})")
        for part, parent in zip(parts, (node.parents[position] for position in positions), strict=True):
            if parent is None:
                continue
            if id(parent) in self.summed:
                shape = self.constant(parent.shape)
                self.lines.append(f"if {part}.shape != {shape}: {part} = unbroadcast({part}, {shape})")
            if node.dtype != parent.dtype:
                self.lines.append(f"{part} = {part}.astype({self.constant(parent.dtype)}, copy=False)")
            if isinstance(parent, Tensor):
                self.lines.append(f"{self.constant(parent)}.accumulate({part})")
            else:
                known = parent in cotangents
                name = cotangents.setdefault(parent, f"g{len(cotangents)}")
                self.lines.append(f"{name} = {name} + {part}" if known else f"{name} = {part}")

    def argument(self, source, node):
        """What a rule is given: the name of an input, of the output, or of a constant: an attribute, a shape."""
        args, attributes, inputs, out = self.operations[node]
        if source.kind in ("input", "output"):
            return out if source.kind == "output" else inputs[source.position]
        if source.kind == "attribute":
            return self.constant(attributes.get(source.name, node.primitive.attributes.get(source.name)))
        shapes = tuple(getattr(arg, "shape", ()) for arg in args)
        return self.constant(shapes if node.primitive.variadic else shapes[source.position])

    def due(self, arrays):
        """Whether this call is to be checked: until each input was another one than in the recording, ten times at most; then now and again."""
        self.calls += 1
        if self.calls <= 10 and len(self.fresh) < len(arrays):
            self.fresh |= {i for i, (a, b) in enumerate(zip(arrays, self.first, strict=True)) if not np.array_equal(to_numpy(a), to_numpy(b))}
            return True
        return self.calls % EVERY == 0

    def __call__(self, arrays):
        data = [leaf.data for leaf in self.leaves]
        if not all(map(is_, data, self.data)) or not self.data:  # arrays that were not seen yet
            self.data = data if [(leaf.shape, leaf.dtype, leaf.wanted) for leaf in self.leaves] == self.shapes else []
        if not self.data or not all(map(WANTED, self.leaves)):
            raise GraphError("replay: a parameter was converted or frozen since the recording.", remedy="make a new Replay")
        return self.space["run"](arrays, data)
