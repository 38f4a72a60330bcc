"""FakeArray: what cupy.ndarray has and an operation might use; and the counters of what it did."""

import pathlib

import numpy as np

from tinyae.errors import TinyaeError

METHODS = """all any argmax argmin argpartition argsort astype clip conj conjugate copy cumprod cumsum diagonal dot fill flatten max mean min
partition prod ravel repeat reshape round searchsorted sort squeeze std sum swapaxes take trace transpose var view""".split()
TAKE_ARRAYS = "clip dot fill searchsorted take".split()  # the others take shapes, axes and numbers, which the host must know
NAMES = {line.split()[0]: line.split()[1:] for line in pathlib.Path(__file__).with_name("cupy_names.txt").read_text().splitlines()}
OWN = {  # arguments of methods that are no functions of the same name, or have other ones there; "*" where any go
    "astype": "dtype order casting subok copy", "clip": "min max out", "conj": "", "conjugate": "", "copy": "order", "fill": "value",
    "flatten": "order", "reshape": "* order", "transpose": "*", "view": "dtype",
}  # fmt: skip
ARITHMETIC = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()

REFLECTED = {  # NumPy's name of an operator -> what a device array on its right does
    "add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__", "floor_divide": "__rfloordiv__",
    "remainder": "__rmod__", "power": "__rpow__", "bitwise_and": "__rand__", "bitwise_or": "__ror__", "bitwise_xor": "__rxor__",
    "left_shift": "__rlshift__", "right_shift": "__rrshift__",
    "less": "__gt__", "less_equal": "__ge__", "greater": "__lt__", "greater_equal": "__le__", "equal": "__eq__", "not_equal": "__ne__",
}  # fmt: skip
COMPARISONS = "__lt__ __le__ __gt__ __ge__ __eq__ __ne__".split()


class FakeDeviceError(TinyaeError, TypeError):
    """Something that a GPU's array would refuse, or do by waiting for the device."""


class Counters:
    """What happened on the device since `reset`.

    launches: calls that start at least one kernel (a view starts none).  synchronisations: how often the host waited for
    the device.  copies_to_device, copies_to_host: arrays that crossed the border.
    """

    def __init__(self):
        self.reset()

    def reset(self):
        """Start counting anew."""
        self.launches = self.synchronisations = self.copies_to_device = self.copies_to_host = 0

    def __repr__(self):
        return "Counters(" + ", ".join(f"{name}={count}" for name, count in vars(self).items()) + ")"


counters = Counters()


class FakeArray:
    """An array on the fake device.  `ta.backend.to_device` makes one, `ta.backend.to_numpy` brings it back."""

    __slots__ = ("_host",)
    __hash__ = None

    def __init__(self, host):
        self._host = np.asarray(host)
        if self._host.dtype.char not in "?bBhHiIlLqQefdFD":
            raise FakeDeviceError(
                f"fake device: no {self._host.dtype} on a GPU.", expected="truth values, integers, floats to float64, complex numbers"
            )

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: FakeArray(self._host.T))
    base = property(lambda self: self._host.base)
    mT = property(lambda self: FakeArray(self._host.mT))
    real = property(lambda self: FakeArray(self._host.real))
    imag = property(lambda self: FakeArray(self._host.imag))

    def __len__(self):
        return len(self._host)

    def __repr__(self):
        return f"FakeArray(shape={self.shape}, dtype={self.dtype})"

    def __format__(self, specification):
        return self.refuse() if specification else repr(self)

    def refuse(self, *args, **kwargs):
        """Every way to the host but `get` and `asnumpy`."""
        raise FakeDeviceError(
            "fake device: hidden synchronisation or conversion to the host.",
            expected="computation that stays on the device",
            remedy="ta.backend.to_numpy(x), where the host must know",
        )

    __float__ = __int__ = __bool__ = __index__ = __complex__ = __round__ = __iter__ = __contains__ = refuse
    __array__ = __array_function__ = item = tolist = tobytes = refuse

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        """NumPy was asked.  `np.float64(2) * x` is an operator, which is ours; for the rest, the array's own module."""
        number, *others = inputs
        if isinstance(number, np.ndarray) and number.ndim == 0 and REFLECTED.get(ufunc.__name__) in COMPARISONS:
            number = number[()]  # as which NumPy hands over the number of `np.float64(2) < x`
        if ufunc.__name__ in REFLECTED and isinstance(number, np.generic) and len(others) == 1 and not kwargs:
            return getattr(self, REFLECTED[ufunc.__name__])(number)
        if any(isinstance(x, np.ndarray) for x in (*inputs, *kwargs.get("out", ()))):
            raise FakeDeviceError(f"fake device: an operand from the host (ndarray) in {ufunc.__name__}.", remedy="ta.backend.to_device(x)")
        raise FakeDeviceError(
            f"fake device: np.{ufunc.__name__} of an array on the device.",
            remedy=f"the array's own module, xp = ta.backend.array_module(x); xp.{ufunc.__name__}(x); or an operation of ta.ops",
        )

    def get(self):
        """A copy on the host, after waiting for the device."""
        counters.copies_to_host += 1
        counters.synchronisations += 1
        return self._host.copy()

    def nonzero(self):
        """The indices of the entries that are not zero, one array an axis.  How many is known only by waiting."""
        counters.synchronisations += 1
        return launch(self._host.nonzero)

    def __getitem__(self, index):
        return launch(self._host.__getitem__, index_on_device(index), may_view=[self._host])

    def __setitem__(self, index, value):
        if isinstance(value, (list, tuple)):
            raise FakeDeviceError("fake device: a list in an assignment.", remedy="ta.backend.to_device(np.array(values))")
        index, value = index_on_device(index), on_device(value, "assignment")
        if any(isinstance(part, np.ndarray) for part in index):
            value = np.array(value)  # it may share memory with what is overwritten
        launch(self._host.__setitem__, index, value)
        if isinstance(value, np.ndarray) and not same_values(self._host[index], value):
            raise FakeDeviceError(
                "fake device: an index stands twice in an assignment, with different values: which one stays is undefined on a GPU.",
                remedy="xp.add.at, xp.maximum.at, or indices without duplicates",
            )


def on_device(value, where):
    """The NumPy array behind an operand, also within tuples and lists.  Raises FakeDeviceError for an array from the host."""
    if isinstance(value, FakeArray):
        return value._host
    if isinstance(value, (tuple, list)):
        return type(value)(on_device(part, where) for part in value)
    if isinstance(value, np.ndarray):
        raise FakeDeviceError(f"fake device: an operand from the host (ndarray) in {where}.", remedy="ta.backend.to_device(x)")
    return value


def index_on_device(index):
    """An index for NumPy.  Like CuPy it may be a list or an array from the host, at the price of a copy; a mask waits."""
    parts = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, (list, np.ndarray)):
            counters.copies_to_device += 1
            part = np.array(part, dtype=None if np.size(part) else int)
        else:
            part = on_device(part, "an index")
        if getattr(part, "dtype", np.dtype(int)).kind == "b":
            counters.synchronisations += 1  # the size of the result depends on the values
        parts.append(part)
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)  # so that one entry is a view too, and not a NumPy number
    return tuple(parts)


def same_values(array, value):
    """Whether an array holds `value`, up to its own dtype and broadcasting."""
    with np.errstate(all="ignore"):
        value = np.broadcast_to(value[(0,) * max(value.ndim - array.ndim, 0)], array.shape).astype(array.dtype)
    return np.array_equal(array, value, equal_nan=array.dtype.kind in "fc")


def launch(function, *args, may_view=(), **kwargs):
    """Run a NumPy function as a kernel, its result left on the device: counted unless it is a view of the arrays `may_view`."""
    with np.errstate(all="ignore"):  # a GPU gives no warnings
        result = function(*args, **kwargs)
    several = isinstance(result, (tuple, list))
    if not may_view or not all(is_view(part, may_view) for part in (result if several else [result])):
        counters.launches += 1
    if several:
        return (list if isinstance(result, list) else tuple)(map(FakeArray, result))
    return None if result is None else FakeArray(result)


def is_view(result, arrays):
    """Whether a result took no kernel: it is empty, or shares memory with one of `arrays`."""
    return np.size(result) == 0 or any(np.may_share_memory(result, array) for array in arrays)


def method(name):
    """A method of device arrays, by NumPy's method of that name."""
    known = OWN[name].split() if name in OWN else NAMES[name][1:]

    def call(self, *args, **kwargs):
        if "*" not in known and (len(args) > len(known) or kwargs.keys() - set(known)):
            refused = min(kwargs.keys() - set(known), default=f"{len(args)} arguments")
            raise FakeDeviceError(f"fake device: {name}({refused}=) does not exist on a GPU.", expected=" ".join(known) or "no argument")
        out = kwargs.pop("out", None)
        if name not in TAKE_ARRAYS and any(isinstance(value, FakeArray) for value in (*args, *kwargs.values())):
            self.refuse()
        args = [on_device(arg, name) for arg in args]
        kwargs = {key: on_device(value, name) for key, value in kwargs.items()}
        if out is None:
            return launch(getattr(self._host, name), *args, may_view=[self._host], **kwargs)
        launch(getattr(self._host, name), *args, out=on_device(out, name), **kwargs)
        return out

    call.__name__, call.__doc__ = name, f"`cupy.ndarray.{name}`."
    return call


def operator(name, in_place=False):
    """A Python operator on device arrays."""

    def operate(self, other):
        if isinstance(other, (np.ndarray, list)):
            raise FakeDeviceError(f"fake device: an operand from the host ({type(other).__name__}) in {name}.", remedy="ta.backend.to_device(x)")
        if not isinstance(other, (FakeArray, int, float, complex, np.generic)):
            if in_place:  # CuPy does not ask the other operand
                raise FakeDeviceError(f"fake device: {name} of an array and a {type(other).__name__}.", remedy="an array on the device")
            return NotImplemented
        result = launch(getattr(self._host, name), on_device(other, name))
        return self if in_place else result

    return operate


def prefixed(name):
    """A Python operator with a device array alone."""
    return lambda self: launch(getattr(self._host, name))


for _name in METHODS:
    setattr(FakeArray, _name, method(_name))
for _name in ARITHMETIC:
    for _prefix in ("", "r", "i"):
        setattr(FakeArray, f"__{_prefix}{_name}__", operator(f"__{_prefix}{_name}__", in_place=_prefix == "i"))
for _name in COMPARISONS:
    setattr(FakeArray, _name, operator(_name))
for _name in "__neg__ __pos__ __abs__ __invert__".split():
    setattr(FakeArray, _name, prefixed(_name))
