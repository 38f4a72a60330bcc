"""CuPy's ElementwiseKernel on the fake device, for bodies that are C and Python at once: `m = m * beta + g; p -= m * rate`."""

import numpy as np

from tinyae.checks.fake_device.array import FakeArray, FakeDeviceError, counters

FUNCTIONS = {name: getattr(np, name) for name in "abs exp expm1 log log1p sqrt tanh".split()} | {"max": np.maximum, "min": np.minimum}


class ElementwiseKernel:
    """in_params, out_params: "T x, T y", names with one type for all.  operation: what happens to one entry.  One launch a call."""

    def __init__(self, in_params, out_params, operation, name):
        inputs, outputs = ([part.split() for part in params.split(",")] for params in (in_params, out_params))
        if odd := [" ".join(part) for part in inputs + outputs if len(part) != 2 or part[0] != "T"]:
            raise FakeDeviceError(f"fake device: ElementwiseKernel {name} knows parameters of one type.", expected="T x", got=odd[0])
        self.name, self.inputs, self.outputs = name, [name for _, name in inputs], [name for _, name in outputs]
        self.body = compile("\n".join(part.strip() for part in operation.split(";")), name, "exec")

    def __call__(self, *args):
        """Numbers or device arrays, the outputs last; these are changed in place.  Returns them."""
        names = self.inputs + self.outputs
        values = dict(zip(names, args, strict=True))
        arrays = {name: value for name, value in values.items() if isinstance(value, FakeArray)}
        if missing := [name for name in self.outputs if name not in arrays]:
            raise FakeDeviceError(f"fake device: ElementwiseKernel {self.name} writes into device arrays.", got=type(values[missing[0]]).__name__)
        if strange := [name for name, value in values.items() if isinstance(value, np.ndarray)]:
            raise FakeDeviceError(f"fake device: an operand from the host in {self.name}: {strange[0]}.", remedy="ta.backend.to_device(x)")
        if len({(array.dtype, array.shape) for array in arrays.values()}) > 1:
            raise FakeDeviceError(f"fake device: the arrays of ElementwiseKernel {self.name} have one dtype and shape.")
        dtype = next(iter(arrays.values())).dtype
        known = {name: value._host.copy() if name in arrays else dtype.type(value) for name, value in values.items()}
        with np.errstate(all="ignore"):
            exec(self.body, {"__builtins__": {}} | FUNCTIONS, known)
        for name in self.outputs:
            arrays[name]._host[...] = known[name]
        counters.launches += 1
        found = [arrays[name] for name in self.outputs]
        return found[0] if len(found) == 1 else tuple(found)
