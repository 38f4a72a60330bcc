"""All parameters of an optimiser in one flat buffer, their gradients in a second: a step is a few fat operations."""

import numpy as np

from tinyae.backend import array_module
from tinyae.errors import DtypeError, GraphError


class FlatParameters:
    """Parameters packed end to end: each becomes a view of `values`, and its gradient is written into `gradients`."""

    def __init__(self, parameters):
        if hasattr(parameters, "named_parameters"):
            raise DtypeError("optimiser: it takes parameters, not a model.", remedy="pass model.parameters()")
        self.parameters = list(parameters)
        if not self.parameters:
            raise GraphError("optimiser: there are no parameters to train.", remedy="pass model.parameters()")
        if len({id(p) for p in self.parameters}) < len(self.parameters):
            raise GraphError("optimiser: a parameter is given twice.", remedy="pass model.parameters(), where a shared one comes once")
        for p in self.parameters:
            if p.node is not None or not p.requires_grad:
                raise GraphError("optimiser: only leaves with requires_grad=True can be trained.", got=repr(p))
        first = self.parameters[0].data
        if odd := [p for p in self.parameters if p.dtype != first.dtype or type(p.data) is not type(first)]:
            kinds = f"{type(first).__module__} {first.dtype}", f"{type(odd[0].data).__module__} {odd[0].dtype}"
            raise DtypeError("optimiser: all parameters must have one dtype and backend.", expected=kinds[0], got=kinds[1])
        self.ends = np.cumsum([p.size for p in self.parameters]).tolist()
        self.starts = [0, *self.ends[:-1]]
        self.values, self.gradients = (array_module(first).zeros(self.ends[-1], first.dtype) for _ in range(2))
        self.views = [None] * len(self.parameters)
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
            if p.data is self.views[i]:
                continue
            if p.size != end - start or p.dtype != self.values.dtype or array_module(p.data) is not self.xp:
                raise DtypeError("optimiser: a parameter was moved or converted after the optimiser was made.", remedy="make a new optimiser")
            self.views[i] = self.values[start:end].reshape(p.shape)
            self.views[i][...] = p.data
            p.data = self.views[i]
            p.gradient_buffer = self.gradients[start:end].reshape(p.shape)

    def collect(self):
        """See that every gradient lies in the buffer.  Returns for each parameter whether it has one."""
        self.adopt()
        for p, start, end in zip(self.parameters, self.starts, self.ends, strict=True):
            if p.grad is not None and p.grad is not p.gradient_buffer:
                self.gradients[start:end] = p.grad.reshape(-1)
        return [p.grad is not None for p in self.parameters]
