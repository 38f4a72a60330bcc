"""Tensor: an array that remembers how it was made.  Its operators and methods come from `ops/operators.py`."""

import numpy as np

from tinyae import guards
from tinyae.backend import array_module, as_array, to_numpy
from tinyae.errors import DtypeError

new = object.__new__


class Tensor:
    """An array with a place in the graph.

    data: an array of any backend, which is used as it is (and copied where a gradient is wanted); Python floats become float32.
    requires_grad: whether a gradient is wanted, of the operations from then on.
    Change the values through `assign` or an optimiser: a graph that still needs the old ones then refuses to run backward.
    What is written straight into `data` is seen under `detect_anomaly` only.
    grad: after `backward()`, the gradient as an array of data's shape and dtype (None before).
    """

    __slots__ = ("__weakref__", "data", "grad", "gradient_buffer", "node", "version", "wanted")

    def __init__(self, data, requires_grad=False, dtype=None):
        if isinstance(data, Tensor):
            raise DtypeError("Tensor: this is a Tensor already.", remedy="use it as it is, or tensor.detach()")
        self.data = as_array(data, dtype)
        if requires_grad:
            self.data = array_module(self.data).array(self.data)
        self.node = None  # the Node that made it; None for a leaf
        self.requires_grad = requires_grad
        self.grad = None
        self.version = [0]  # counts changes of data made through our interface; shared by tensors that share data
        self.gradient_buffer = None  # where an optimiser wants the gradient written

    @staticmethod
    def of(data, node):
        """A Tensor made by `node`, without checks: the fast way for the engine."""
        tensor = new(Tensor)
        tensor.data, tensor.node, tensor.wanted = data, node, node is not None
        tensor.grad = tensor.gradient_buffer = None
        tensor.version = [0]
        return tensor

    @property
    def requires_grad(self):
        """Whether a gradient is wanted; may be set on a leaf of floating-point numbers."""
        return self.wanted

    @requires_grad.setter
    def requires_grad(self, wanted):
        if self.node is not None:
            raise guards.computed("requires_grad is set on leaves only.", self.node.primitive.name, "detach() it")
        if wanted and self.data.dtype.kind != "f":
            raise guards.integers(self.data.dtype)
        self.wanted = bool(wanted)

    @property
    def shape(self):
        """The shape of data, a tuple."""
        return self.data.shape

    @property
    def ndim(self):
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self):
        """The number of entries."""
        return self.data.size

    @property
    def dtype(self):
        """The dtype of data."""
        return self.data.dtype

    def detach(self):
        """The same data as a constant: no gradient flows through it."""
        tensor = Tensor.of(self.data, None)
        tensor.version = self.version
        return tensor

    def numpy(self):
        """The values as a NumPy array on the host (on a GPU this waits for it)."""
        return to_numpy(self.data)

    def item(self):
        """The single value as a Python number (on a GPU this waits for it)."""
        return self.numpy().item()

    def assign(self, value):
        """Overwrite the values in place; a graph that still needs the old ones will refuse to run backward.

        value: an array of the same shape.  Raises GraphError on a computed Tensor, ShapeError on another shape.
        """
        if self.node is not None:
            rule = "assign: a computed Tensor cannot be overwritten; its inputs would no longer give its value."
            raise guards.computed(rule, self.node.primitive.name, "detach() it, or make a new Tensor")
        if getattr(value, "node", None) is not None:
            raise guards.gradient_lost("assign")
        value = raw(value)
        shape = value.shape if hasattr(value, "shape") else np.shape(value)
        if shape not in (self.shape, ()):
            raise guards.other_shape("assign", self.shape, shape)
        self.data[...] = value
        self.touch()

    def touch(self):
        """Say that `data` was changed in place, so that a graph which still needs the old values notices."""
        self.version[0] += 1

    def accumulate(self, gradient):
        """Add an array to `.grad`; the first one is copied, so that no two gradients share memory."""
        if self.grad is not None:
            self.grad += gradient
        elif self.gradient_buffer is None:
            self.grad = array_module(self.data).array(gradient)
        else:
            if gradient is not self.gradient_buffer:
                self.gradient_buffer[...] = gradient
            self.grad = self.gradient_buffer

    def __repr__(self):
        values = np.array2string(self.numpy(), precision=4, threshold=20, edgeitems=2, prefix="Tensor(")
        origin = f", made by {self.node.primitive.name}" if self.node is not None else ", requires_grad" if self.wanted else ""
        return f"Tensor({values}, shape {self.shape}, {self.dtype}{origin})"


def raw(value):
    """The array behind a Tensor; anything else as it is.  For what has no gradient: a mask, an order, a largest entry."""
    return value.data if isinstance(value, Tensor) else value
