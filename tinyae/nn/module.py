"""Module: a part of a model that owns parameters, buffers and random streams, by name."""

import numpy as np

from tinyae.autograd import Tensor
from tinyae.backend import Rng, array_module, module_named, to_device, to_numpy, using
from tinyae.errors import ArgumentError, DtypeError, ShapeError


class Parameter(Tensor):
    """A Tensor that is trained: a leaf that requires a gradient."""

    __slots__ = ()

    def __init__(self, data, dtype=None):
        super().__init__(data, requires_grad=True, dtype=dtype)
        self.data = array_module(self.data).array(self.data)  # memory of its own


class Buffer(Tensor):
    """A Tensor that is kept, moved and converted with the model and never trained: a running mean, a mask."""

    __slots__ = ()

    def __init__(self, data, dtype=None):
        super().__init__(data, dtype=dtype)
        self.data = array_module(self.data).array(self.data)


class Module:
    """A part of a model.  What it holds as attributes (parameters, buffers, modules, streams, lists of them) is found by itself.

    A subclass assigns its parts in `__init__` and computes in `forward`; `module(x)` calls it.
    """

    training = True

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        return f"{type(self).__name__}({sum(p.size for p in self.parameters()):,} parameters)"

    def children(self):
        """(name, part) of the direct parts, in the order of their assignment."""
        for name, value in vars(self).items():
            yield from _parts(name, value)

    def named_parts(self, kind, prefix="", seen=None):
        """(dotted name, part) of every part of a kind, at any depth; a shared one comes once, under its first name."""
        seen = set() if seen is None else seen
        for name, part in self.children():
            if id(part) not in seen:
                seen.add(id(part))
                if isinstance(part, kind):
                    yield prefix + name, part
                if isinstance(part, Module):
                    yield from part.named_parts(kind, f"{prefix}{name}.", seen)

    def named_parameters(self):
        """(dotted name, parameter) of every parameter, the frozen ones too."""
        return self.named_parts(Parameter)

    def named_buffers(self):
        """(dotted name, buffer) of every buffer."""
        return self.named_parts(Buffer)

    def named_streams(self):
        """(dotted name, Rng) of every random stream that a module holds: their states belong into a checkpoint."""
        return self.named_parts(Rng)

    def named_modules(self):
        """(dotted name, module) of this module, whose name is empty, and of all below it."""
        yield "", self
        yield from self.named_parts(Module)

    def parameters(self):
        """The parameters, a list."""
        return [parameter for _, parameter in self.named_parameters()]

    def modules(self):
        """This module and all below it, a list."""
        return [module for _, module in self.named_modules()]

    def state_dict(self):
        """name -> copy of the values of every parameter and buffer, as NumPy arrays."""
        return {name: np.array(to_numpy(t.data), order="C") for name, t in self.named_parts((Parameter, Buffer))}

    def load_state_dict(self, state):
        """Take the values of `state`.  Raises ShapeError, before anything is changed, where names or shapes differ."""
        own = dict(self.named_parts((Parameter, Buffer)))
        if own.keys() != state.keys():
            missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
            raise ShapeError("load_state_dict: the names differ.", expected=f"also {missing}", got=f"unknown {extra}")
        for name, tensor in own.items():
            if np.shape(state[name]) != tensor.shape:
                raise ShapeError(f"load_state_dict: {name} has another shape.", expected=tensor.shape, got=np.shape(state[name]))
        for name, tensor in own.items():
            tensor.assign(_like(state[name], tensor))

    def train(self, mode=True):
        """Switch this module and all below it to training (or, with False, to evaluation)."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Switch this module and all below it to evaluation."""
        return self.train(False)

    def freeze(self):
        """Take no gradients of the parameters, so that optimisers leave them alone.  Running statistics go on: `eval` stops them."""
        for parameter in self.parameters():
            parameter.requires_grad, parameter.grad = False, None
        return self

    def unfreeze(self):
        """Train the parameters again."""
        for parameter in self.parameters():
            parameter.requires_grad = True
        return self

    def astype(self, dtype):
        """Convert parameters and buffers to `dtype` (float32 or float64), integers excepted.  Make the optimiser afterwards."""
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise DtypeError("astype: parameters are float32 or float64.", got=np.dtype(dtype))
        for _, tensor in self.named_parts((Parameter, Buffer)):
            if tensor.dtype.kind == "f":
                self._replace(tensor, tensor.data.astype(dtype))
        return self

    def to(self, backend):
        """Move parameters and buffers to a backend, "numpy" or "cupy".  Make the optimiser afterwards."""
        module_named(backend)
        with using(backend):
            for _, tensor in self.named_parts((Parameter, Buffer)):
                self._replace(tensor, to_device(to_numpy(tensor.data)))
        return self

    @staticmethod
    def _replace(tensor, data):
        tensor.data, tensor.grad, tensor.gradient_buffer = data, None, None
        tensor.touch()

    def forward(self, *args, **kwargs):
        """What the module computes; every subclass that is called has its own."""
        raise ArgumentError(f"{type(self).__name__} has no forward method.", remedy="define forward(self, x)")


def _parts(name, value):
    """(dotted name, part) in a value: itself, or in a list, tuple or dict of any depth."""
    if isinstance(value, (Module, Parameter, Buffer, Rng)):
        yield name, value
    elif isinstance(value, (list, tuple, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _parts(f"{name}.{key}", item)


def _like(value, tensor):
    """`value` with the dtype, and on the backend, of the tensor."""
    return array_module(tensor.data).asarray(np.asarray(value).astype(tensor.dtype))
