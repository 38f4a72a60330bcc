"""The graph and the reverse pass: what a node keeps, and how cotangents flow back through it.

A node is made after its inputs, so the nodes' numbers are a topological order: backward visits the newest first.
"""

import contextlib
import heapq
import itertools
import threading

from tinyae.autograd.tensor import Tensor
from tinyae.backend import array_module, is_array
from tinyae.errors import GraphError, ShapeError, caller, show


class _State(threading.local):
    """What each thread has switched on: recording of gradients, and for the microscope an observer of operations and a
    dict that takes the shapes of gradients before what was broadcast is summed."""

    recording = True
    observer = None
    summed = None


state = _State()
_numbers = itertools.count()


@contextlib.contextmanager
def no_grad():
    """`with no_grad():` computes without recording; each thread has its own switch."""
    before, state.recording = state.recording, False
    try:
        yield
    finally:
        state.recording = before


class Node:
    """One recorded operation.  It keeps arrays, not Tensors: no reference cycles, and only what its rules name."""

    __slots__ = ("dtype", "guards", "number", "parents", "plan", "primitive", "saved", "shape", "site")

    def __init__(self, primitive, plan, parents, site):
        self.primitive, self.plan, self.parents, self.site = primitive, plan, parents, site
        self.number = next(_numbers)

    def pull_back(self, gy, create_graph=False, write=False):
        """The gradients of the inputs for the output's cotangent `gy`: a list of (parent, gradient).

        A parent is the Node that made the input, or the leaf Tensor itself.  Rules run on arrays, or on Tensors
        under `create_graph`.  With `write`, a rule that can do so writes into a leaf's gradient buffer.
        """
        if self.saved is None:
            raise GraphError(
                f"{self.primitive.name}: backward went through this operation before, and its arrays are freed.",
                at=show(self.site),
                remedy="call backward once, or the first time with retain_graph=True",
            )
        for tensor_name, version, count in self.guards:
            if version[0] != count:
                raise GraphError(
                    f"{self.primitive.name}: its input {tensor_name} was changed after the forward pass, which still needs the old values.",
                    at=show(self.site),
                    remedy="run backward before the optimiser's step (or other change in place), or run the forward pass again",
                )
        saved = self.as_tensors() if create_graph else self.saved
        result = []
        for rule, positions, slots, takes_out in self.plan.rules:
            arguments = [saved[slot] for slot in slots]
            if takes_out and write:
                parent = self.parents[positions[0]]
                if isinstance(parent, Tensor) and parent.grad is None and sum(p is parent for p in self.parents) == 1:
                    arguments.append(parent.gradient_buffer)
            gradients = rule.function(gy, *arguments)
            if not rule.joint:
                gradients = (gradients,)
            for position, gradient in zip(positions, gradients, strict=True):
                parent = self.parents[position]
                if parent is not None:
                    result.append((parent, self.fit(rule, gradient, parent)))
        return result

    def fit(self, rule, gradient, parent):
        """A rule's gradient in the shape and dtype of its input: what was broadcast is summed."""
        try:
            if gradient.shape != parent.shape:
                if state.summed is not None:
                    state.summed[id(parent)] = gradient.shape
                gradient = unbroadcast(gradient, parent.shape)
            if gradient.dtype != parent.dtype:
                if self.dtype == parent.dtype:
                    raise ValueError
                gradient = gradient.astype(parent.dtype)
            return gradient
        except (ValueError, AttributeError):
            raise ShapeError(
                f"{self.primitive.name}: its rule for {', '.join(rule.inputs)} returned a gradient that does not fit the input.",
                expected=f"shape {parent.shape}, {parent.dtype}",
                got=f"shape {getattr(gradient, 'shape', None)}, {getattr(gradient, 'dtype', type(gradient).__name__)}",
                at=show(self.site),
            ) from None

    def as_tensors(self):
        """What was kept, as Tensors linked to the graph, so that rules run on them are recorded."""
        return [self.link(value, source) for value, source in zip(self.saved, self.plan.sources, strict=True)]

    def link(self, value, source):
        """A kept array as the Tensor it was; attributes, shapes and constants as they are."""
        if source.kind == "output":
            return Tensor.of(value, self)
        parent = self.parents[source.position] if source.kind == "input" else None
        if parent is None:
            return value
        return parent if isinstance(parent, Tensor) else Tensor.of(value, parent)

    def release(self):
        """Forget what was kept, and the way back."""
        self.saved, self.parents = None, ()


def unbroadcast(gradient, shape):
    """Sum `gradient` over the axes along which an input of `shape` was broadcast.  Raises ValueError if it cannot be."""
    extra = len(gradient.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1)
    if extra < 0 or any(n not in (1, gradient.shape[extra + i]) for i, n in enumerate(shape)):
        raise ValueError
    return gradient.sum(axis=axes).reshape(shape)


def backward_steps(y, gy, *, create_graph=False, retain_graph=False, write=False):
    """The reverse pass, one operation at a time: yields (node, cotangent, [(parent, gradient), ...]), newest first."""
    cotangents = {y.node: gy}
    queue = [(-y.node.number, y.node)]
    while queue:
        node = heapq.heappop(queue)[1]
        gy = cotangents.pop(node)
        gradients = node.pull_back(gy, create_graph, write)
        yield node, gy, gradients
        for parent, gradient in gradients:
            if isinstance(parent, Tensor):
                continue
            if parent in cotangents:
                cotangents[parent] = cotangents[parent] + gradient
            else:
                cotangents[parent] = gradient
                heapq.heappush(queue, (-parent.number, parent))
        if not retain_graph:
            node.release()


def starting_cotangent(y, cotangent, name):
    """The cotangent to begin with, an array like `y`; ones where `y` has a single entry and none was given."""
    if not (isinstance(y, Tensor) and y.requires_grad):
        raise GraphError(f"{name}: nothing here requires a gradient.", remedy="make the leaf with requires_grad=True, outside no_grad")
    if cotangent is None:
        if y.size != 1:
            raise GraphError(
                f"{name}: the result has more than one entry, so a cotangent is needed.",
                expected="a single entry, or a cotangent of the same shape",
                got=f"shape {y.shape} and no cotangent",
                at=show(y.node.site) if y.node else None,
                remedy="take .sum() or .mean(), or pass an array of that shape",
            )
        return array_module(y.data).ones(y.shape, y.dtype)
    value = cotangent.data if isinstance(cotangent, Tensor) else cotangent
    if not is_array(value) or value.shape != y.shape or value.dtype != y.dtype:
        got = f"{getattr(value, 'shape', type(value).__name__)} {getattr(value, 'dtype', '')}"
        raise ShapeError(f"{name}: the cotangent must be an array like the result.", expected=f"{y.shape} {y.dtype}", got=got)
    return cotangent


def backward(y, cotangent=None, retain_graph=False):
    """Add the gradient of `y` to `.grad` of every leaf that it depends on (`Tensor.backward` says more)."""
    gy = starting_cotangent(y, cotangent, "backward")
    gy = gy.data if isinstance(gy, Tensor) else gy
    if y.node is None:
        y.accumulate(gy)
        return
    for _, _, gradients in backward_steps(y, gy, retain_graph=retain_graph, write=True):
        for parent, gradient in gradients:
            if isinstance(parent, Tensor):
                parent.accumulate(gradient)


def grad(y, inputs, cotangent=None, *, create_graph=False, retain_graph=None):
    """The gradients of `y` with respect to `inputs`, as Tensors; no `.grad` is touched.

    y: a Tensor with a single entry, or of any shape with `cotangent` of that shape.  inputs: a list of Tensors, leaves
    or computed.  Returns: a list of Tensors of the inputs' shapes (zeros where `y` does not depend on one).
    With `create_graph=True` they can be differentiated again.
    """
    if isinstance(inputs, Tensor):
        raise GraphError("grad: the inputs are a list.", got="a Tensor", remedy="ta.grad(y, [x])")
    inputs = list(inputs)
    if fixed := [x for x in inputs if not x.requires_grad]:
        raise GraphError("grad: an input does not require a gradient.", got=repr(fixed[0]), at=show(caller()), remedy="requires_grad=True")
    retain_graph = create_graph if retain_graph is None else retain_graph
    gy = starting_cotangent(y, cotangent, "grad")
    if create_graph and not isinstance(gy, Tensor):
        gy = Tensor.of(gy, None)
    elif not create_graph and isinstance(gy, Tensor):
        gy = gy.data
    wanted = {id(x if x.node is None else x.node): None for x in inputs}
    if id(y if y.node is None else y.node) in wanted:
        wanted[id(y if y.node is None else y.node)] = gy
    if y.node is not None:
        for _, _, gradients in backward_steps(y, gy, create_graph=create_graph, retain_graph=retain_graph):
            for parent, gradient in gradients:
                if id(parent) in wanted:
                    before = wanted[id(parent)]
                    wanted[id(parent)] = gradient if before is None else before + gradient
    found = [wanted[id(x if x.node is None else x.node)] for x in inputs]
    return [_as_gradient(g, x) for g, x in zip(found, inputs, strict=True)]


def _as_gradient(gradient, x):
    """A found gradient as a Tensor like `x`, its memory its own; zeros where there is none."""
    if isinstance(gradient, Tensor):
        return gradient
    xp = array_module(x.data)
    return Tensor.of(xp.zeros(x.shape, x.dtype) if gradient is None else xp.array(gradient), None)
