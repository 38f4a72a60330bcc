"""Tensor: an array that remembers how it was made.  Its operators and methods come from `ops/operators.py`."""

import numpy as np

from tinyae.backend import array_module, as_array, to_numpy
from tinyae.errors import DtypeError, GraphError, ShapeError, caller, show


class Tensor:
    """An array with a place in the graph.

    data: an array of any backend; lists and Python numbers become float32.  requires_grad: whether a gradient is wanted.
    Change the values through `assign` or an optimiser: a graph that still needs the old ones then refuses to run backward.
    What is written straight into `data` is not seen.
    grad: after `backward()`, the gradient as an array of data's shape and dtype (None before).
    """

    __slots__ = ("__weakref__", "data", "grad", "gradient_buffer", "node", "requires_grad", "version")
    __array_ufunc__ = None  # so that `ndarray @ tensor` and `ndarray * tensor` come to us

    def __init__(self, data, requires_grad=False, dtype=None):
        if isinstance(data, Tensor):
            raise DtypeError("Tensor: this is a Tensor already.", remedy="use it as it is, or tensor.detach()")
        self.data = as_array(data, dtype)
        if requires_grad and self.data.dtype.kind != "f":
            raise DtypeError(
                "Tensor: only floating-point numbers have a gradient.",
                expected="dtype float32 or float64",
                got=f"dtype {self.data.dtype}",
                at=show(caller()),
                remedy="tensor = ta.Tensor(array.astype('float32'), requires_grad=True)",
            )
        self.requires_grad = requires_grad
        self.grad = None
        self.node = None  # the Node that made it; None for a leaf
        self.version = [0]  # counts changes of data made through our interface; shared by tensors that share data
        self.gradient_buffer = None  # where an optimiser wants the gradient written

    @classmethod
    def of(cls, data, node):
        """A Tensor made by `node`, without checks: the fast way for the engine."""
        tensor = cls.__new__(cls)
        tensor.data, tensor.node, tensor.requires_grad = data, node, node is not None
        tensor.grad = tensor.gradient_buffer = None
        tensor.version = [0]
        return tensor

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
            raise GraphError(
                "assign: a computed Tensor cannot be overwritten; its inputs would no longer give its value.",
                expected="a leaf (made from data)",
                got=f"the result of {self.node.primitive.name}",
                at=show(caller()),
                remedy="detach() it, or make a new Tensor",
            )
        value = value.data if isinstance(value, Tensor) else value
        shape = value.shape if hasattr(value, "shape") else np.shape(value)
        if shape not in (self.shape, ()):
            raise ShapeError("assign: shapes differ.", expected=self.shape, got=shape, at=show(caller()))
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

    def __setitem__(self, index, value):
        if self.node is not None or self.requires_grad:
            raise GraphError(
                "assignment to a part of a Tensor is not recorded, so its gradient would be wrong.",
                at=show(caller()),
                remedy="build the result with ta.ops.concatenate, or change a constant Tensor",
            )
        self.data[index] = value.data if isinstance(value, Tensor) else value
        self.touch()

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len() of a Tensor with no axes")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        raise DtypeError(
            "bool(tensor): a branch on a value is not part of the graph.",
            at=show(caller()),
            remedy="compare the data: tensor.data > 0, or tensor.item() > 0",
        )

    def __array__(self, dtype=None, copy=None):
        raise DtypeError(
            "a Tensor met a NumPy function; the graph would be lost.",
            at=show(caller()),
            remedy="use the operation in ta.ops, or tensor.numpy() for the values",
        )

    def __float__(self):
        return float(self.item())

    def __repr__(self):
        values = np.array2string(self.numpy(), precision=4, threshold=20, edgeitems=2, prefix="Tensor(")
        origin = f", made by {self.node.primitive.name}" if self.node is not None else ", requires_grad" if self.requires_grad else ""
        return f"Tensor({values}, shape {self.shape}, {self.dtype}{origin})"


def raw(value):
    """The array behind a Tensor; anything else as it is.  For what has no gradient: a mask, an order, a largest entry."""
    return value.data if isinstance(value, Tensor) else value
