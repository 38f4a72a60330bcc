"""The graph and the reverse pass: what a node keeps, and how cotangents flow back through it.

A node is made after its inputs, so the nodes' numbers are a topological order: backward visits the newest first.
"""

import contextlib
import heapq
import itertools
import threading

import numpy as np

from tinyae import guards
from tinyae.autograd.tensor import Tensor, raw
from tinyae.backend import array_module, is_array, ones
from tinyae.errors import TinyaeError


class State(threading.local):
    """What each thread has switched on: (whether gradients are recorded, the observers; see `observed`)."""

    switches = True, ()
    plain = False  # whether kernels are left out
    recording = property(lambda self: self.switches[0])
    observers = property(lambda self: self.switches[1])


state = State()
_numbers = itertools.count(0, -1)  # the newest is the smallest, which a heap gives first


@contextlib.contextmanager
def recording(on):
    """`with recording(on):` records operations, or does not; each thread has its own switch."""
    before, state.switches = state.switches, (on, state.observers)
    try:
        yield
    finally:
        state.switches = before


def no_grad():
    """`with no_grad():` computes without recording; each thread has its own switch."""
    return recording(False)


@contextlib.contextmanager
def observed(observer):
    """`with observed(observer):` tells it of each operation on Tensors.

    on_forward(primitive, args, attributes, result): it was computed.  on_rules(node, gy): its rules are about to run.
    on_sum(parent, shape): a gradient of `shape` is summed to the parent's shape, which was broadcast.
    on_backward(node, gy, gradients): its rules were run.
    """
    before, state.switches = state.switches, (state.recording, (*state.observers, observer))
    try:
        yield observer
    finally:
        state.switches = before


class Node:
    """One recorded operation.  It keeps arrays, not Tensors: no reference cycles, and only what its rules name."""

    __slots__ = ("__weakref__", "dtype", "number", "parents", "plan", "primitive", "saved", "shape", "site", "versions")

    def __init__(self, primitive, plan, parents, site, y):
        self.primitive, self.plan, self.parents, self.site = primitive, plan, parents, site
        self.shape, self.dtype = y.shape, y.dtype
        self.saved, self.versions, self.number = [], [], next(_numbers)

    def pull_back(self, gy, create_graph=False, write=False):
        """The gradients of the inputs for the output's cotangent `gy`: a list of (parent, gradient).

        A parent is the Node that made the input, or the leaf Tensor itself.  Rules run on arrays, or on Tensors
        under `create_graph`.  With `write`, a rule that can do so writes into a leaf's gradient buffer.
        """
        if self.saved is None:
            raise guards.freed(self.primitive.name, self.site)
        for version, count, source in self.versions:
            if version[0] != count:
                raise guards.changed(self.primitive.name, "result" if source.kind == "output" else f"input {source.name}", self.site)
        saved = self.as_tensors() if create_graph else self.saved
        result, parents = [], self.parents
        for rule, positions, slots in self.plan.rules if create_graph or type(gy) is np.ndarray else self.plan.launches:
            arguments = saved if slots is None else [saved[slot] for slot in slots]
            if write and rule.takes_out:
                arguments = self.with_buffer(arguments, parents[positions[0]])
            try:
                gradients = rule.function(gy, *arguments)
            except (TinyaeError, MemoryError):
                raise
            except Exception as error:
                raise guards.rule_failed(self.primitive.name, rule.inputs, error, self.site) from error
            if not rule.joint:
                parent = parents[positions[0]]
                result.append((parent, self.fit(rule, gradients, parent)))
                continue
            if not isinstance(gradients, (tuple, list)) or len(gradients) != len(positions):
                raise guards.miscounted(self.primitive.name, rule.inputs, len(positions), gradients, self.site)
            for position, gradient in zip(positions, gradients, strict=True):
                if (parent := parents[position]) is not None:
                    result.append((parent, self.fit(rule, gradient, parent)))
        return result

    def with_buffer(self, arguments, parent):
        """The arguments of a rule that can write its result into a given array, with that array: a leaf's gradient buffer, if it is free."""
        if isinstance(parent, Tensor) and parent.grad is None and sum(p is parent for p in self.parents) == 1:
            return [*arguments, parent.gradient_buffer]
        return arguments

    def fit(self, rule, gradient, parent):
        """A rule's gradient in the shape and dtype of its input: what was broadcast is summed."""
        try:
            if gradient.shape != parent.shape:
                shape, gradient = gradient.shape, unbroadcast(gradient, parent.shape)
                for observer in state.observers:
                    observer.on_sum(parent, shape)
            if gradient.dtype is not parent.dtype and gradient.dtype != parent.dtype:
                if self.dtype == parent.dtype:
                    raise ValueError
                gradient = gradient.astype(parent.dtype)
            return gradient
        except (ValueError, AttributeError):
            raise guards.misfit(self.primitive.name, rule.inputs, parent, gradient, self.site) from None

    def as_tensors(self):
        """What was kept, as Tensors linked to the graph, so that rules run on them are recorded; other things as they are."""
        versions = {source: version for version, _, source in self.versions}
        return [self.link(value, source, versions.get(source)) for value, source in zip(self.saved, self.plan.sources, strict=True)]

    def link(self, value, source, version):
        """A kept array as the Tensor it was; what was no Tensor as it is."""
        parent = self.parents[source.position] if source.kind == "input" else self
        if isinstance(parent, Tensor) or version is None:
            return value if version is None else parent
        tensor = Tensor.of(value, parent)
        tensor.version = version
        return tensor

    def __reduce_ex__(self, protocol):
        raise guards.not_copied(self.primitive.name)


def nodes_of(y):
    """The nodes that a Tensor was computed through, oldest first."""
    found, stack = {}, [y.node]
    while stack:
        node = stack.pop()
        if node is not None and not isinstance(node, Tensor) and node.number not in found:
            found[node.number] = node
            stack.extend(node.parents)
    return [found[number] for number in sorted(found, reverse=True)]


def unbroadcast(gradient, shape):
    """Sum `gradient` over the axes along which an input of `shape` was broadcast.  Raises ValueError if it cannot be."""
    extra = len(gradient.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1)
    if extra < 0 or any(n not in (1, gradient.shape[extra + i]) for i, n in enumerate(shape)):
        raise ValueError
    return gradient.sum(axis=axes).reshape(shape)


def backward_steps(y, gy, *, create_graph=False, retain_graph=False, write=False):
    """The reverse pass, one operation at a time: yields (node, cotangent, [(parent, gradient), ...]), newest first.

    With `write` the gradients of leaves are added to their `.grad`.
    """
    cotangents, queue = {y.node: gy}, [(y.node.number, y.node)]
    observers, pop, push = state.observers, heapq.heappop, heapq.heappush
    while queue:
        node = pop(queue)[1]
        gy = cotangents.pop(node)
        for observer in observers:
            observer.on_rules(node, gy)
        gradients = node.pull_back(gy, create_graph, write)
        for observer in observers:
            observer.on_backward(node, gy, gradients)
        yield node, gy, gradients
        for parent, gradient in gradients:
            if type(parent) is not Node:
                if write:
                    parent.accumulate(gradient)
            elif parent in cotangents:
                cotangents[parent] = cotangents[parent] + gradient
            else:
                cotangents[parent] = gradient
                push(queue, (parent.number, parent))
        if not retain_graph:  # forget what was kept, and the way back
            node.saved, node.parents = None, ()


def starting_cotangent(y, cotangent, name):
    """The cotangent to begin with, an array like `y`; ones where `y` has a single entry and none was given."""
    if not (isinstance(y, Tensor) and y.requires_grad):
        raise guards.nothing_wants(name)
    if cotangent is None:
        if y.size != 1:
            raise guards.several_entries(name, y.shape)
        return ones.like(y.data)
    if isinstance(cotangent, (int, float, np.generic)):
        cotangent = array_module(y.data).asarray(cotangent, dtype=y.dtype)
    value = raw(cotangent)
    if not is_array(value) or value.shape != y.shape or value.dtype != y.dtype:
        raise guards.unlike(name, y, value)
    return cotangent


def backward(y, cotangent=None, retain_graph=False):
    """Add the gradient of `y` to `.grad` of every leaf that it depends on (`Tensor.backward` says more)."""
    gy = raw(starting_cotangent(y, cotangent, "backward"))
    if y.node is None:
        y.accumulate(gy)
        return
    for _ in backward_steps(y, gy, retain_graph=retain_graph, write=True):
        pass
