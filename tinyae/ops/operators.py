"""The one table that gives Tensor its operators and methods."""

from tinyae import guards
from tinyae.autograd import Tensor, backward, raw, registry
from tinyae.autograd.graph import state
from tinyae.ops import activations, arithmetic, exponential, indexing, linear_algebra, reductions, selection, shapes


def reflected(operation):
    """The operator for `array <operator> tensor`."""
    return lambda self, other: operation.apply((other, self), {})


def compared(name):
    """A comparison: a plain array of truth values, which has no gradient."""

    def compare(self, other):
        return getattr(self.data, name)(raw(other))

    return compare


def numpy_ufunc(self, ufunc, method, *inputs, out=None, **options):
    """What NumPy asks for `array * tensor` or np.multiply(array, tensor): our operation of that name, and no other function."""
    if method == "__call__" and out is None and not options:
        if ufunc.__name__ in COMPARISONS:
            return ufunc(*map(raw, inputs))
        if ufunc.__name__ in {operation.name for operation in BINARY.values()}:
            return registry[ufunc.__name__](*inputs)
    raise guards.numpy_function(f"np.{ufunc.__name__}{'' if method == '__call__' else '.' + method}{' with out=' if out else ''}")


def setitem(self, index, value):
    """self[index] = value, for a constant only."""
    if self.requires_grad:
        raise guards.part_assigned()
    if state.recording and getattr(value, "requires_grad", False):
        raise guards.gradient_lost("assignment")
    self.data[indexing.fixed(index)] = raw(value)
    self.touch()


def length(self):
    """The length of the first axis."""
    if self.ndim == 0:
        raise TypeError("len() of a Tensor with no axes")
    return self.shape[0]


def number(self):
    """float(self), for a constant only."""
    if self.requires_grad and state.recording:
        raise guards.converted()
    return float(self.item())


def refuse(error):
    """A method that raises an error."""

    def refused(self, *args, **options):
        raise error()

    return refused


def getitem(self, index):
    """self[index], as in NumPy; a Tensor as index stands for its values of the moment."""
    return indexing.getitem.apply((self,), {"index": indexing.fixed(index)})


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
    axes, first, second = list(range(self.ndim)), shapes.axis_of(axis1, self), shapes.axis_of(axis2, self)
    axes[first], axes[second] = second, first
    return shapes.transpose(self, axes=tuple(axes))


def reduction(operation):
    """The method for a reduction along `axis` (None: all; an axis; a tuple)."""

    def reduced(self, axis=None, keepdims=False, **attributes):
        if attributes:
            return operation(self, axis=axis, keepdims=keepdims, **attributes)
        return operation.apply((self,), {"axis": axis, "keepdims": keepdims})

    return reduced


def in_place(operation):
    """The operator for `tensor <operator>= other`: a leaf is overwritten (under no_grad), anything else makes a new Tensor."""

    def operate(self, other):
        if self.node is not None or not self.requires_grad:
            return operation(self, other)
        if state.recording:
            raise guards.changed_while_recording()
        self.assign(operation(self.data, raw(other)))
        return self

    return operate


def operator(operation):
    """The operator for `tensor <operator> other`: operation(self, other), without a look at how many there are."""
    return lambda self, other: operation.apply((self, other), {})


def method(operation):
    """The method for `operation(tensor, **attributes)`; what is wrong with the arguments the operation says."""
    return lambda *args, **attributes: operation(*args, **attributes)


COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
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
OPERATORS |= {
    "__abs__": method(selection.abs),
    "__array__": refuse(lambda: guards.numpy_function("a NumPy function")),
    "__array_ufunc__": numpy_ufunc,
    "__bool__": refuse(guards.truth),
    "__float__": number,
    "__format__": lambda self, spec: format(self.item() if spec else str(self), spec),
    "__getitem__": getitem,
    "__iter__": lambda self: (self[i] for i in range(len(self))),
    "__len__": length,
    "__neg__": lambda self: arithmetic.negative.apply((self,), {}),
    "__setitem__": setitem,
}
METHODS = {
    "T": property(shapes.transpose),
    "astype": astype,
    "backward": backward,
    "clip": method(selection.clip),
    "cumsum": method(reductions.cumsum),
    "exp": method(exponential.exp),
    "log": method(exponential.log),
    "max": reduction(reductions.max),
    "mean": reduction(reductions.mean),
    "min": reduction(reductions.min),
    "prod": reduction(reductions.prod),
    "relu": method(activations.relu),
    "reshape": reshape,
    "sigmoid": method(activations.sigmoid),
    "sqrt": method(exponential.sqrt),
    "squeeze": method(shapes.squeeze),
    "sum": reduction(reductions.sum),
    "swapaxes": swapaxes,
    "tanh": method(activations.tanh),
    "transpose": transpose,
    "var": reduction(reductions.var),
}


def install():
    """Give Tensor the operators and methods of the table."""
    for name, function in (OPERATORS | METHODS).items():
        setattr(Tensor, name, function)
