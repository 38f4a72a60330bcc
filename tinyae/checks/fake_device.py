"""A fake GPU: arrays that compute with NumPy but refuse, more strictly than CuPy, whatever a GPU would not do.

It refuses NumPy functions on its arrays, operands from the host, `where=`, and hidden synchronisation (float, bool, len of
values, iteration, printing); it counts launches, copies and synchronisations.  It proves discipline, not values.
"""

import contextlib

import numpy as np

from tinyae import backend
from tinyae.errors import TinyaeError

# what CuPy has too; a test compares this list with CuPy where it is installed
FUNCTIONS = frozenset(
    "abs add arange array asarray broadcast_to concatenate divide empty exp log log1p matmul maximum minimum multiply ones "
    "sign sqrt subtract tanh where zeros zeros_like".split()
)


class FakeDeviceError(TinyaeError, TypeError):
    """Something that a GPU's array would refuse, or do by waiting for the device."""


class Counters:
    """What happened on the device since `reset`."""

    def __init__(self):
        self.reset()

    def reset(self):
        """Start counting anew."""
        self.launches = self.to_device = self.to_host = 0


counters = Counters()


class FakeArray:
    """An array on the fake device."""

    __array_ufunc__ = None
    __slots__ = ("_host",)
    __hash__ = None

    def __init__(self, host):
        self._host = np.asarray(host)

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    nbytes = property(lambda self: self._host.nbytes)
    T = property(lambda self: FakeArray(self._host.T))

    def __len__(self):
        return len(self._host)

    def __repr__(self):
        return f"FakeArray(shape={self.shape}, dtype={self.dtype})"

    def refuse(self, *args, **kwargs):
        """Every way to the host but `asnumpy`."""
        raise FakeDeviceError("fake device: hidden synchronisation or conversion to the host; use backend.to_numpy")

    __float__ = __int__ = __bool__ = __index__ = __iter__ = __array__ = __array_function__ = item = tolist = __contains__ = refuse

    def __getitem__(self, index):
        return FakeArray(self._host[on_device(index, "index")])

    def __setitem__(self, index, value):
        counters.launches += 1
        self._host[on_device(index, "index")] = on_device(value, "assignment")

    def reshape(self, *shape):
        """A view or copy in another shape."""
        return FakeArray(self._host.reshape(*shape))

    def transpose(self, *axes):
        """A view with the axes in another order."""
        return FakeArray(self._host.transpose(*axes))

    def swapaxes(self, axis1, axis2):
        """A view with two axes exchanged."""
        return FakeArray(self._host.swapaxes(axis1, axis2))

    def astype(self, dtype):
        """A converted copy."""
        return launch(self._host.astype, dtype)

    def sum(self, axis=None, keepdims=False):
        """The sum; an array on the device, also where nothing but a number is left."""
        return launch(self._host.sum, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        """The mean; an array on the device, also where nothing but a number is left."""
        return launch(self._host.mean, axis=axis, keepdims=keepdims)


def launch(function, *args, **kwargs):
    """One kernel: counted, its result on the device."""
    counters.launches += 1
    with np.errstate(all="ignore"):  # a GPU gives no warnings
        return FakeArray(function(*args, **kwargs))


def on_device(value, where):
    """The NumPy array behind an operand.  Raises FakeDeviceError for arrays and lists from the host."""
    if isinstance(value, FakeArray):
        return value._host
    if isinstance(value, tuple):
        return tuple(on_device(part, where) for part in value)
    if isinstance(value, (np.ndarray, list)):
        raise FakeDeviceError(f"fake device: an operand from the host ({type(value).__name__}) in {where}")
    return value


def operator(name, in_place=False):
    """A Python operator on device arrays."""

    def operate(self, other):
        if not isinstance(other, (FakeArray, int, float, np.generic, np.ndarray, list)):
            return NotImplemented
        operand = on_device(other, name)
        if not in_place:
            return launch(getattr(self._host, name), operand)
        counters.launches += 1
        getattr(self._host, name)(operand)
        return self

    return operate


for _name in "add sub mul truediv pow matmul".split():
    for _prefix in ("", "r", "i"):
        setattr(FakeArray, f"__{_prefix}{_name}__", operator(f"__{_prefix}{_name}__", in_place=_prefix == "i"))
for _name in "__lt__ __le__ __gt__ __ge__ __eq__ __ne__".split():
    setattr(FakeArray, _name, operator(_name))
FakeArray.__neg__ = lambda self: launch(self._host.__neg__)


class _Add:
    """The ufunc `add`, with `at` for scatter-add."""

    def __call__(self, *args, **kwargs):
        return module_function("add")(*args, **kwargs)

    @staticmethod
    def at(array, index, value):
        """Add `value` at `index`, an entry named twice twice."""
        counters.launches += 1
        np.add.at(on_device(array, "add.at"), on_device(index, "add.at"), on_device(value, "add.at"))


def module_function(name):
    """A function of the device's module: counted, its operands checked; only the keywords that CuPy takes."""
    function = getattr(np, name)

    def call(*args, out=None, **kwargs):
        if "where" in kwargs:
            raise FakeDeviceError(f"fake device: {name}(where=) does not exist on a GPU")
        copies_in = name in ("asarray", "array")
        if copies_in and not isinstance(args[0], FakeArray):
            counters.to_device += 1
        elif name == "concatenate":
            args = (tuple(args[0]), *args[1:])
        args = args if copies_in and not isinstance(args[0], FakeArray) else [on_device(arg, name) for arg in args]
        if out is None:
            return launch(function, *args, **kwargs)
        counters.launches += 1
        function(*args, out=on_device(out, name), **kwargs)
        return out

    return call


class FakeModule:
    """The array module of FakeArray: the functions that CuPy has too."""

    backend_name = "fake"
    add = _Add()

    def __getattr__(self, name):
        if name not in FUNCTIONS:
            raise FakeDeviceError(f"fake device: xp.{name} is not in the list of functions that CuPy has; see FUNCTIONS")
        return module_function(name)

    @staticmethod
    def asnumpy(array):
        """A copy on the host: the one way back, and a synchronisation."""
        counters.to_host += 1
        return array._host.copy()


module = FakeModule()


@contextlib.contextmanager
def installed():
    """`with installed():` makes the backend "fake" known: ta.using("fake") then makes new arrays on it."""
    backend.register(FakeArray, module)
    try:
        yield counters
    finally:
        backend.unregister(FakeArray)
