"""CuPy's ElementwiseKernel and ReductionKernel on the fake device, for bodies that are C and Python at once: `p -= T(2.0) * exp(x)`."""

import numpy as np

from tinyae.checks.fake_device.array import FakeArray, FakeDeviceError, counters

FUNCTIONS = {name: getattr(np, name) for name in "exp expm1 fabs log log1p sin cos sqrt tanh".split()} | {"atan": np.arctan, "pow": np.power}
DEFINED = {"larger": np.maximum, "smaller": np.minimum, "choose": np.where, "sign_of": np.sign, "negated": np.logical_not}  # by a preamble


class Kernel:
    """What both kinds share: parameters "T x, T y", with one type for all."""

    def __init__(self, in_params, out_params, name, preamble):
        inputs, outputs = ([part.split() for part in params.split(",")] for params in (in_params, out_params))
        if odd := [" ".join(part) for part in inputs + outputs if len(part) != 2 or part[0] != "T"]:
            raise FakeDeviceError(f"fake device: the kernel {name} knows parameters of one type.", expected="T x", got=odd[0])
        self.name, self.inputs, self.outputs = name, [name for _, name in inputs], [name for _, name in outputs]
        self.functions = {"__builtins__": {}} | FUNCTIONS | {own: call for own, call in DEFINED.items() if f" {own}(" in preamble}

    def values(self, names, args):
        """name -> NumPy array or number, in the one dtype of all arrays, which is called T.  Raises for what a GPU would refuse."""
        given = dict(zip(names, args, strict=True))
        if strange := [name for name, value in given.items() if isinstance(value, np.ndarray)]:
            raise FakeDeviceError(f"fake device: an operand from the host in {self.name}: {strange[0]}.", remedy="ta.backend.to_device(x)")
        dtypes = {value.dtype for value in given.values() if isinstance(value, FakeArray)}
        if len(dtypes) != 1:
            raise FakeDeviceError(f"fake device: the arrays of the kernel {self.name} have one dtype.", got=", ".join(sorted(map(str, dtypes))))
        T = dtypes.pop().type
        return {name: value._host if isinstance(value, FakeArray) else T(value) for name, value in given.items()} | {"T": T}

    def run(self, code, known):
        """Execute statements with these names; what they assign is added."""
        with np.errstate(all="ignore"):
            exec(code, self.functions, known)


def statements(text):
    """C's statements as Python's."""
    return compile("\n".join(part.strip() for part in text.split(";")), "kernel", "exec")


class ElementwiseKernel(Kernel):
    """operation: what happens to one entry; inputs broadcast.  One launch a call."""

    def __init__(self, in_params, out_params, operation, name, preamble=""):
        super().__init__(in_params, out_params, name, preamble)
        self.operation = statements(operation)

    def __call__(self, *args):
        """Numbers or device arrays, and the outputs, which are changed in place, last; without them there are new ones.  Returns them."""
        outputs = args[len(self.inputs) :]
        if missing := [type(array).__name__ for array in outputs if not isinstance(array, FakeArray)]:
            raise FakeDeviceError(f"fake device: the kernel {self.name} writes into device arrays.", got=missing[0])
        known = self.values(self.inputs + self.outputs[: len(outputs)], args)
        shape = np.broadcast_shapes(*(np.shape(known[name]) for name in self.inputs))
        outputs = outputs or [FakeArray(np.empty(shape, known["T"])) for _ in self.outputs]
        if any(array.shape != shape for array in outputs):
            raise FakeDeviceError(f"fake device: the results of the kernel {self.name} have the shape of its inputs.", expected=shape)
        known |= {name: array._host.copy() for name, array in zip(self.outputs, outputs, strict=True)}
        self.run(self.operation, known)
        for name, array in zip(self.outputs, outputs, strict=True):
            array._host[...] = known[name]
        counters.launches += 1
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


class ReductionKernel(Kernel):
    """map_expr: of one entry, inputs broadcast; its values are added up; post_map_expr: what is made of the sum `a`.  One launch a call."""

    def __init__(self, in_params, out_params, map_expr, reduce_expr, post_map_expr, identity, name, preamble=""):
        super().__init__(in_params, out_params, name, preamble)
        if (reduce_expr, identity) != ("a + b", "0"):
            raise FakeDeviceError("fake device: ReductionKernel knows sums.", expected="a + b, from 0", got=f"{reduce_expr}, from {identity}")
        self.map_expr, self.post_map_expr = statements(f"a = {map_expr}"), statements(post_map_expr)

    def __call__(self, *args, axis):
        """Numbers or device arrays; the axis that is summed over.  Returns a new array."""
        known = self.values(self.inputs, args)
        self.run(self.map_expr, known)
        shape = np.broadcast_shapes(*(np.shape(known[name]) for name in self.inputs))
        known["a"] = np.broadcast_to(known["a"], shape).sum(axis=axis)
        self.run(self.post_map_expr, known)
        counters.launches += 1
        return FakeArray(known[self.outputs[0]].astype(known["T"]))
