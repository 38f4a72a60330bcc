"""All parameters of an optimiser in one flat buffer, their gradients in a second: a step is a few fat operations."""

import numpy as np

from tinyae.autograd import Tensor
from tinyae.backend import array_module
from tinyae.errors import DtypeError, GraphError, ShapeError
from tinyae.nn import Parameter


def listed(parameters):
    """The parameters (or groups of them) as a list.  Raises DtypeError for a model."""
    if hasattr(parameters, "named_parameters"):
        raise DtypeError("optimiser: it takes parameters, not a model.", remedy="pass model.parameters()")
    return list(parameters)


def trained(parameter):
    """Whether it has a gradient, and is not frozen."""
    return parameter.grad is not None and parameter.wanted


def no_gradient():
    """A step, or a clipping, before any backward pass."""
    return GraphError("optimiser: no parameter has a gradient.", remedy="call loss.backward() before; a frozen parameter gets none")


class FlatParameters:
    """Parameters packed end to end: each becomes a view of `values`, and its gradient is written into `gradients`."""

    def __init__(self, parameters):
        self.parameters = listed(parameters)
        if not self.parameters:
            raise GraphError("optimiser: there are no parameters to train.", remedy="pass model.parameters()")
        if len({id(p) for p in self.parameters}) < len(self.parameters):
            raise GraphError("optimiser: a parameter is given twice.", remedy="pass model.parameters(), where a shared one comes once")
        for p in self.parameters:
            if not isinstance(p, Tensor) or p.node is not None or not (p.requires_grad or isinstance(p, Parameter)):
                raise GraphError("optimiser: only leaves with requires_grad=True, or an nn.Parameter, can be trained.", got=repr(p))
        first = self.parameters[0].data
        if odd := [p for p in self.parameters if p.dtype != first.dtype or type(p.data) is not type(first)]:
            kinds = f"{type(first).__module__} {first.dtype}", f"{type(odd[0].data).__module__} {odd[0].dtype}"
            raise DtypeError("optimiser: all parameters must have one dtype and backend.", expected=kinds[0], got=kinds[1])
        self.ends = np.cumsum([p.size for p in self.parameters]).tolist()
        self.starts = [0, *self.ends[:-1]]
        self.values, self.gradients = (array_module(first).zeros(self.ends[-1], first.dtype) for _ in range(2))
        self.views, self.buffers = ([None] * len(self.parameters) for _ in range(2))
        self.adopt()

    @property
    def xp(self):
        """The array module of the buffers."""
        return array_module(self.values)

    def __deepcopy__(self, memo):
        raise GraphError(
            "optimiser: it cannot be copied, its parameters are views of its buffer.",
            remedy="copy the model, make a new optimiser, and load_state_dict(old.state_dict())",
        )

    __reduce_ex__ = __deepcopy__

    def adopt(self):
        """Make every parameter a view of the buffer again; one that was given new data is copied in."""
        for i, (p, start, end) in enumerate(zip(self.parameters, self.starts, self.ends, strict=True)):
            if p.data is self.views[i] and p.gradient_buffer is not None:
                continue
            if self.views[i] is not None and p.gradient_buffer is not None and p.gradient_buffer is not self.buffers[i]:
                rule = "optimiser: a parameter belongs to another optimiser, which was made later."
                raise GraphError(rule, got=f"a parameter of shape {p.shape}", remedy="use the later one, or give each its own parameters")
            if p.size != end - start or p.dtype != self.values.dtype or array_module(p.data) is not self.xp:
                raise DtypeError("optimiser: a parameter was moved or converted after the optimiser was made.", remedy="make a new optimiser")
            self.views[i] = self.values[start:end].reshape(p.shape)
            self.views[i][...] = p.data
            p.data = self.views[i]
            p.gradient_buffer = self.buffers[i] = self.gradients[start:end].reshape(p.shape)

    def collect(self):
        """See that every gradient lies in the buffer.  Returns for each parameter whether it is to be stepped.

        The buffer holds stale numbers where a parameter has no gradient.  Raises GraphError where none has one.
        """
        self.adopt()
        present = [trained(p) for p in self.parameters]
        if not any(present):
            raise no_gradient()
        given = [p for p, has in zip(self.parameters, present, strict=True) if has and p.grad is not p.gradient_buffer]
        for p in given:
            if p.grad.shape != p.shape:
                raise ShapeError("optimiser: a gradient must have its parameter's shape.", expected=p.shape, got=p.grad.shape)
        for p in given:
            p.gradient_buffer[...] = p.grad
            p.grad = p.gradient_buffer
        return present

    def runs(self, keys):
        """(start, end, key) of the longest stretches of the buffer whose parameters have one key; None is left out."""
        runs = []
        for start, end, key in zip(self.starts, self.ends, keys, strict=True):
            if key is not None and runs and runs[-1][1:] == (start, key):
                runs[-1] = (runs[-1][0], end, key)
            elif key is not None:
                runs.append((start, end, key))
        return runs
