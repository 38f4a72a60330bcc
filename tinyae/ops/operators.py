"""The one table that gives Tensor its operators and methods."""

from tinyae.autograd import Tensor, backward
from tinyae.autograd.graph import state
from tinyae.errors import GraphError, caller, show
from tinyae.ops import activations, arithmetic, exponential, indexing, linear_algebra, reductions, shapes


def reflected(operation):
    """The operator for `array <operator> tensor`."""
    return lambda self, other: operation(other, self)


def compared(name):
    """A comparison: a plain array of truth values, which has no gradient."""

    def compare(self, other):
        return getattr(self.data, name)(other.data if isinstance(other, Tensor) else other)

    return compare


def getitem(self, index):
    """self[index], as in NumPy; a Tensor as index stands for its data."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(part.data if isinstance(part, Tensor) else part for part in parts)
    return indexing.getitem(self, index=parts if isinstance(index, tuple) else parts[0])


def reshape(self, *shape):
    """The same entries in another shape: reshape(2, 3) or reshape((2, 3))."""
    return shapes.reshape(self, shape=shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)


def astype(self, dtype):
    """The same numbers as float32 or float64."""
    return shapes.astype(self, dtype=dtype)


def transpose(self, *axes):
    """The axes in another order; reversed if none is given."""
    if len(axes) == 1 and not isinstance(axes[0], int):
        axes = axes[0]
    return shapes.transpose(self, axes=axes or None)


def swapaxes(self, axis1, axis2):
    """Two axes exchanged."""
    axes = list(range(self.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return shapes.transpose(self, axes=tuple(axes))


def sum(self, axis=None, keepdims=False):
    """The sum along `axis` (None: all; an axis; a tuple)."""
    return reductions.sum(self, axis=axis, keepdims=keepdims)


def mean(self, axis=None, keepdims=False):
    """The mean along `axis` (None: all; an axis; a tuple)."""
    return reductions.mean(self, axis=axis, keepdims=keepdims)


def in_place(operation):
    """The operator for `tensor <operator>= other`: a leaf is overwritten (under no_grad), anything else makes a new Tensor."""

    def operate(self, other):
        if self.node is not None or not self.requires_grad:
            return operation(self, other)
        if state.recording:
            raise GraphError(
                "a leaf that requires a gradient was changed in place while operations are recorded.",
                at=show(caller()),
                remedy="with ta.no_grad(): p -= lr * p.grad; or write p = p - ... for a new Tensor",
            )
        self.assign(operation(self.data, other.data if isinstance(other, Tensor) else other))
        return self

    return operate


def operator(operation):
    """The operator for `tensor <operator> other`."""
    return lambda self, other: operation(self, other)


def method(operation):
    """The method for `operation(tensor)`."""
    return lambda self: operation(self)


BINARY = {
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "mul": arithmetic.multiply,
    "truediv": arithmetic.divide,
    "pow": arithmetic.power,
    "matmul": linear_algebra.matmul,
}
OPERATORS = {f"__{name}__": operator(operation) for name, operation in BINARY.items()}
OPERATORS |= {f"__r{name}__": reflected(operation) for name, operation in BINARY.items()}
OPERATORS |= {f"__i{name}__": in_place(operation) for name, operation in BINARY.items()}
OPERATORS |= {name: compared(name) for name in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")}
OPERATORS |= {"__neg__": method(arithmetic.negative), "__getitem__": getitem}
METHODS = {
    "T": property(shapes.transpose),
    "astype": astype,
    "backward": backward,
    "exp": method(exponential.exp),
    "log": method(exponential.log),
    "mean": mean,
    "relu": method(activations.relu),
    "reshape": reshape,
    "sigmoid": method(activations.sigmoid),
    "sqrt": method(exponential.sqrt),
    "sum": sum,
    "swapaxes": swapaxes,
    "tanh": method(activations.tanh),
    "transpose": transpose,
}


def install():
    """Give Tensor the operators and methods of the table."""
    for name, function in (OPERATORS | METHODS).items():
        setattr(Tensor, name, function)
