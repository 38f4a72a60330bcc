"""Module: a part of a model that owns parameters, by name."""

import numpy as np

from tinyae.autograd import Tensor
from tinyae.backend import array_module, module_named, to_device, to_numpy, using
from tinyae.errors import ArgumentError, DtypeError, ShapeError


class Parameter(Tensor):
    """A Tensor that is trained: a leaf that requires a gradient."""

    __slots__ = ()

    def __init__(self, data, dtype=None):
        super().__init__(data, requires_grad=True, dtype=dtype)
        self.data = array_module(self.data).array(self.data)  # memory of its own


class Module:
    """A part of a model.  What it holds as attributes (parameters, modules, lists of modules) is found by itself.

    A subclass assigns its parts in `__init__` and computes in `forward`; `module(x)` calls it.
    """

    training = True

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        return f"{type(self).__name__}({sum(p.size for p in self.parameters()):,} parameters)"

    def children(self):
        """(name, module or parameter) of the direct parts, in the order of their assignment."""
        for name, value in vars(self).items():
            yield from _parts(name, value)

    def named_parameters(self, prefix="", seen=None):
        """(dotted name, parameter) of every parameter; a shared one comes once, under its first name."""
        seen = set() if seen is None else seen
        for name, part in self.children():
            if isinstance(part, Module):
                yield from part.named_parameters(f"{prefix}{name}.", seen)
            elif id(part) not in seen:
                seen.add(id(part))
                yield prefix + name, part

    def parameters(self):
        """The parameters, a list."""
        return [parameter for _, parameter in self.named_parameters()]

    def modules(self):
        """This module and all below it."""
        yield self
        for _, part in self.children():
            if isinstance(part, Module):
                yield from part.modules()

    def state_dict(self):
        """name -> copy of the values, as NumPy arrays."""
        return {name: np.array(to_numpy(p.data)) for name, p in self.named_parameters()}

    def load_state_dict(self, state):
        """Take the values of `state`.  Raises ShapeError, before anything is changed, where names or shapes differ."""
        own = dict(self.named_parameters())
        if own.keys() != state.keys():
            missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
            raise ShapeError("load_state_dict: the names differ.", expected=f"also {missing}", got=f"unknown {extra}")
        for name, parameter in own.items():
            if np.shape(state[name]) != parameter.shape:
                raise ShapeError(f"load_state_dict: {name} has another shape.", expected=parameter.shape, got=np.shape(state[name]))
        for name, parameter in own.items():
            parameter.assign(_like(state[name], parameter))

    def train(self, mode=True):
        """Switch this module and all below it to training (or, with False, to evaluation)."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Switch this module and all below it to evaluation."""
        return self.train(False)

    def astype(self, dtype):
        """Convert every parameter to `dtype` (float32 or float64).  Make the optimiser afterwards."""
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise DtypeError("astype: parameters are float32 or float64.", got=np.dtype(dtype))
        for parameter in self.parameters():
            self._replace(parameter, parameter.data.astype(dtype))
        return self

    def to(self, backend):
        """Move every parameter to a backend, "numpy" or "cupy".  Make the optimiser afterwards."""
        module_named(backend)
        with using(backend):
            for parameter in self.parameters():
                self._replace(parameter, to_device(to_numpy(parameter.data)))
        return self

    @staticmethod
    def _replace(parameter, data):
        parameter.data, parameter.grad, parameter.gradient_buffer = data, None, None
        parameter.touch()

    def forward(self, *args, **kwargs):
        """What the module computes; every subclass that is called has its own."""
        raise ArgumentError(f"{type(self).__name__} has no forward method.", remedy="define forward(self, x)")


def _parts(name, value):
    """(dotted name, module or parameter) in a value: itself, or in a list, tuple or dict of any depth."""
    if isinstance(value, (Module, Parameter)):
        yield name, value
    elif isinstance(value, (list, tuple, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _parts(f"{name}.{key}", item)


def _like(value, parameter):
    """`value` with the dtype, and on the backend, of the parameter."""
    return array_module(parameter.data).asarray(np.asarray(value).astype(parameter.dtype))
