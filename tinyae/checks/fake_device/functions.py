"""The array module of FakeArray: the functions that NumPy and CuPy share, with the arguments that CuPy knows.

`cupy_names.txt` is the frozen list, one name a line with its arguments ("*" where any go, "=" for a constant or a type).
Made anew, where CuPy is installed, by `python -m tinyae.checks.fake_device.functions > cupy_names.txt`.
"""

import contextlib
import functools
import inspect

import numpy as np

from tinyae import backend
from tinyae.checks.fake_device.array import NAMES, FakeArray, FakeDeviceError, counters, index_on_device, launch, on_device
from tinyae.checks.fake_device.kernels import ElementwiseKernel, ReductionKernel

FUNCTIONS = frozenset(NAMES)
SUBMODULES = ("linalg", "fft", "lib", "lib.stride_tricks")

# these go through files, text or other libraries; a device's array has no business there
LEFT_OUT = """array2string array_repr array_str base_repr binary_repr format_float_positional format_float_scientific from_dlpack frombuffer fromfile
fromiter fromstring genfromtxt get_printoptions load loadtxt printoptions save savetxt savez savez_compressed set_printoptions show_config""".split()
# facts about shapes and types, known on the host
HOST = """broadcast_shapes can_cast common_type finfo iinfo iscomplexobj isdtype isfortran isrealobj isscalar issubdtype iterable may_share_memory
min_scalar_type mintypecode ndim promote_types result_type shape shares_memory size typename""".split()
# the size of the result, or an error, depends on values: these may wait for the device, as CuPy's documentation says
WAITS = """argwhere asarray_chkfinite average bincount choose compress delete extract flatnonzero gradient histogram histogram2d histogramdd
intersect1d mask_indices nanmax nanmedian nanmin nonzero piecewise place ravel_multi_index real_if_close setdiff1d setxor1d trim_zeros union1d
unique unique_all unique_counts unique_inverse unique_values unravel_index""".split()
# made from the host's numbers, so that their first argument need not be an array
MAKES = """apply_along_axis apply_over_axes arange bartlett blackman diag_indices einsum empty eye fft.fftfreq fft.rfftfreq fromfunction full hamming
hanning identity indices kaiser linspace logspace mask_indices ones tri tril_indices triu_indices zeros""".split()
# arguments that the host must know: shapes, axes and counts
KNOWN = """M N axes axis axis1 axis2 ddof decimals destination dtype indices_or_sections k keepdims minlength n new_shape newshape num offset
pad_width repeats reps shape shift source window_shape""".split()
SCATTER = ("add", "bitwise_and", "bitwise_or", "bitwise_xor", "maximum", "minimum", "subtract")  # they have `.at`
COPIES = "array asanyarray asarray asarray_chkfinite ascontiguousarray asfortranarray".split()


class Function:
    """One function of the device's module: counted, its operands and arguments checked."""

    def __init__(self, name):
        self.name, self.arguments = name, NAMES[name]
        self.numpy = functools.reduce(getattr, name.split("."), np)
        self.elementwise = "casting" in self.arguments and "tup" not in self.arguments  # CuPy's ufuncs

    def __call__(self, *args, **kwargs):
        self.check(args, kwargs)
        if self.name in COPIES and not any(isinstance(part, FakeArray) for part in _sequence(args[0])):
            counters.copies_to_device += 1
            return FakeArray(np.array(self.numpy(*args, **kwargs)))  # memory of its own
        if self.name in WAITS or (self.name == "where" and len(args) == 1):
            counters.synchronisations += 1
        operands, given = [on_device(arg, self.name) for arg in args], [*args, kwargs.get("out")]
        kwargs = {key: on_device(value, self.name) for key, value in kwargs.items()}
        if self.name in HOST:
            return self.numpy(*operands, **kwargs)
        if self.name in ("empty", "empty_like"):  # memory alone, no kernel
            return FakeArray(self.numpy(*operands, **kwargs))
        views = [] if self.elementwise or kwargs.get("out") is not None else list(arrays_in(operands))
        result = launch(self.numpy, *operands, may_view=views, **kwargs)
        return same_array(result, given)

    def check(self, args, kwargs):
        """Raise FakeDeviceError for an argument that CuPy does not know, and for data from the host."""
        if self.arguments and not self.elementwise and "*" not in self.arguments and len(args) > len(self.arguments):
            raise FakeDeviceError(f"fake device: {self.name} of {len(args)} arguments does not exist on a GPU.", expected=" ".join(self.arguments))
        unknown = set() if "*" in self.arguments else kwargs.keys() - set(self.arguments)
        if unknown:
            raise FakeDeviceError(
                f"fake device: {self.name}({min(unknown)}=) does not exist on a GPU.",
                expected=" ".join(self.arguments),
                remedy="xp.where on the result, with safe values inside" if "where" in unknown else None,
            )
        given = {} if self.elementwise else dict(zip(self.arguments, args, strict=False))
        for name, value in (given | kwargs).items():
            if (name in KNOWN or self.name == "arange") and any(isinstance(x, FakeArray) for x in _sequence(value)):
                raise FakeDeviceError(f"fake device: {self.name}({name}=) must be known on the host.", got="an array on the device")
        data = args if self.elementwise else args[:1]
        if self.name not in (*HOST, *MAKES, *COPIES) and any(from_host(x, bare=not self.elementwise) for x in data):
            raise FakeDeviceError(f"fake device: an operand from the host in {self.name}.", remedy="ta.backend.to_device(x)")

    def at(self, array, index, value):
        """`add.at` and its like: an entry named twice is changed twice."""
        if self.name not in SCATTER:
            raise FakeDeviceError(f"fake device: {self.name}.at does not exist on a GPU.", expected=", ".join(SCATTER))
        if array.dtype.name in ("bool", "int8", "int16", "int64", "uint8", "uint16"):
            raise FakeDeviceError(f"fake device: {self.name}.at takes no {array.dtype}.", expected="float32, float64, int32")
        launch(self.numpy.at, on_device(array, "at"), index_on_device(index), on_device(value, "at"))


def _sequence(value):
    return value if isinstance(value, (list, tuple)) else (value,)


def arrays_in(values):
    """The arrays among operands, also within lists and tuples."""
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from arrays_in(value)


def from_host(value, bare):
    """Whether data lies on the host: an array, a list of numbers; with `bare` also a number, for functions that want an array."""
    if isinstance(value, (list, tuple)):
        return any(from_host(part, bare=True) for part in value)
    return isinstance(value, np.ndarray) or (bare and isinstance(value, (int, float, np.generic)))


def same_array(result, operands):
    """The operand itself where the result is nothing but it (`out=`, `asarray`), else the result."""
    for operand in operands:
        if isinstance(operand, FakeArray) and isinstance(result, FakeArray) and operand._host is result._host:
            return operand
    return result


class FakeModule:
    """`xp` for FakeArray: FakeDeviceError for every name that CuPy lacks."""

    def __init__(self, prefix=""):
        self._prefix = prefix

    backend_name = "fake"
    ndarray, ElementwiseKernel, ReductionKernel = FakeArray, ElementwiseKernel, ReductionKernel
    newaxis = None

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        name = self._prefix + name
        if name in SUBMODULES:
            found = FakeModule(name + ".")
        elif name not in NAMES:
            remedy = "noise comes from the host, the same for every backend: ta.rng(seed)" if name == "random" else None
            raise FakeDeviceError(f"fake device: xp.{name} is not in the list of functions that CuPy has; see FUNCTIONS.", remedy=remedy)
        else:
            found = getattr(np, name) if NAMES[name] == ["="] else Function(name)
        setattr(self, name.removeprefix(self._prefix), found)  # the next time Python finds it by itself
        return found

    @staticmethod
    def asnumpy(array):
        """A copy on the host: counted, and a synchronisation."""
        return array.get() if isinstance(array, FakeArray) else np.asarray(array)


module = FakeModule()


@contextlib.contextmanager
def installed():
    """`with installed():` makes the backend "fake" known: ta.using("fake") then makes new arrays on it."""
    known = backend.is_array(FakeArray(0))  # installed before: leave it so afterwards
    backend.register(FakeArray, module)
    try:
        yield counters
    finally:
        if not known:
            backend.unregister(FakeArray)


@contextlib.contextmanager
def fake_gpu():
    """`with fake_gpu() as counters:` makes new arrays on the fake device, and counts from zero what happens there."""
    with installed(), backend.using("fake"):
        counters.reset()
        yield counters


def names_of(cupy):
    """The lines of the list, from CuPy itself: functions that NumPy has too, with CuPy's arguments; constants and types."""
    for prefix in ("", *(f"{name}." for name in SUBMODULES)):
        theirs, ours = (functools.reduce(getattr, prefix.split(".")[:-1], xp) for xp in (cupy, np))
        for name in sorted(set(dir(theirs)) & set(dir(ours)) - set(LEFT_OUT)):
            found, known = getattr(theirs, name), getattr(ours, name)
            if name.startswith("_") or inspect.ismodule(found) or getattr(found, "__module__", "").startswith("typing"):
                continue
            if type(found).__name__ in ("ufunc", "_GUFunc"):
                yield f"{prefix}{name} axis axes casting dtype keepdims out" if name == "matmul" else f"{prefix}{name} casting dtype out"
            elif inspect.isroutine(found) or known in (np.finfo, np.iinfo):
                yield f"{prefix}{name} {' '.join(arguments_of(found))}".rstrip()
            elif isinstance(known, float) or (isinstance(known, type) and issubclass(known, (np.generic, np.dtype))):
                yield f"{prefix}{name} ="


def arguments_of(function):
    """The names of a function's arguments; "*" where it takes any, or does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ["*"]
    return ["*" if p.kind == p.VAR_KEYWORD else p.name for p in parameters if p.kind != p.VAR_POSITIONAL]


if __name__ == "__main__":
    import cupy

    print("\n".join(names_of(cupy)))
