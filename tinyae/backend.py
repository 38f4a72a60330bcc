"""The array backend: NumPy or CuPy, chosen per call from the arrays; random streams; host and device copies.

`use` and `using` only say where *new* arrays are made.  An operation always asks `array_module` of what it was given.
"""

import contextlib
import contextvars
import functools
import numbers
import operator
import threading

import numpy as np

from tinyae.errors import BackendError, DtypeError

BACKENDS = ("numpy", "cupy")
_default = "numpy"  # what `use` said, for every thread
_current = contextvars.ContextVar("tinyae_backend", default=None)  # what an enclosing `using` says
_modules = {np.ndarray: np}  # array type -> its module; `register` adds to it


def register(array_type, module):
    """Make `module` the array module of `array_type` (the fake device of the tests is one such type)."""
    _modules[array_type] = module


def unregister(array_type):
    """Forget an array type."""
    _modules.pop(array_type, None)
    ones.made = {kind: made for kind, made in ones.made.items() if kind[0] is not array_type}


def cupy_module():
    """CuPy, after making sure that a GPU answers.  Raises BackendError that says which of the two is missing."""
    try:
        import cupy
    except ImportError as error:
        raise BackendError("cupy: CuPy is not installed.", remedy="pip install 'tinyae[cuda12]' (or cuda13), or use the numpy backend") from error
    try:
        answers = cupy.is_available()
    except Exception:  # a broken driver raises whatever it likes
        answers = False
    if not answers:
        raise BackendError("cupy: CuPy is installed, but no GPU answers.", remedy="check the driver with nvidia-smi, or use the numpy backend")
    return cupy


def use(name):
    """Make new arrays on `name`: "numpy" or "cupy".  Raises BackendError where that is not possible."""
    global _default
    module_named(name)
    _default = name


@contextlib.contextmanager
def using(name):
    """`with using("cupy"):` makes new arrays there, and goes back afterwards."""
    module_named(name)
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)


def current():
    """The name of the backend on which new arrays are made."""
    return _current.get() or _default


def module_named(name):
    """The array module of a backend's name."""
    if name == "numpy":
        return np
    if name == "cupy":
        return cupy_module()
    for module in _modules.values():
        if getattr(module, "backend_name", None) == name:  # the fake device of the tests
            return module
    raise BackendError(f"unknown backend {name!r}.", expected="one of " + ", ".join(BACKENDS))


def array_module(x):
    """The module (numpy, cupy, ...) whose functions work on the array `x`; NumPy for Python and NumPy numbers."""
    kind = type(x)
    try:
        return _modules[kind]
    except KeyError:
        pass
    if isinstance(x, (np.ndarray, np.generic, numbers.Number)):
        return np
    if kind.__module__.split(".")[0] == "cupy":
        register(kind, cupy_module())
        return _modules[kind]
    raise DtypeError("not an array.", expected="an array or a number", got=kind.__name__, remedy="wrap it: ta.Tensor(...)")


def is_array(x):
    """Whether `x` is an array of a known backend."""
    return type(x) in _modules or isinstance(x, np.ndarray) or type(x).__module__.split(".")[0] == "cupy"


def as_array(value, dtype=None):
    """`value` as an array on the backend in use; an array that lies on a device stays there.

    Python floats become float32, so that a constant never widens a float32 network; NumPy arrays keep their dtype.
    """
    if is_array(value) and not isinstance(value, np.ndarray):
        return value if dtype is None or value.dtype == dtype else value.astype(dtype)
    array = np.asarray(value, dtype=dtype)
    if dtype is None and array.dtype == np.float64 and not isinstance(value, (np.ndarray, np.generic)):
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise DtypeError("not numeric.", expected="numbers", got=f"{type(value).__name__} of dtype {array.dtype}")
    return to_device(array)


def to_device(array):
    """A NumPy array as an array of the backend in use."""
    xp = module_named(current())
    return array if xp is np else xp.asarray(array)


def to_numpy(x):
    """The array `x` as a NumPy array on the host; on a GPU this waits for it."""
    if isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(x)
    return array_module(x).asnumpy(x) if is_array(x) else np.asarray(x)


class Ones(threading.local):
    """Ones that nobody has had yet, many made at a time: each alone would be a launch on a GPU.  Whoever writes into his own harms no other."""

    many = 1000

    def __init__(self):
        self.made = {}

    def like(self, y):
        """1, in an array like y, which has one entry."""
        kind = type(y), y.dtype
        row, given = self.made.get(kind, ((), 0))
        if given == len(row):
            row, given = array_module(y).ones((self.many, 1), y.dtype), 0
        self.made[kind] = row, given + 1
        return row[given].reshape(y.shape)


ones = Ones()


def keep_freed_memory():
    """Let the C library keep memory that is freed for the arrays to come, up to 64 MiB.

    Else it goes back to the system, and every page of the next large array is a fault: a quarter of a convolutional network's
    step (benchmarks/convolutions.md).  glibc keeps blocks up to the size of the largest that was freed, if that is no more than 32 MiB (mallopt(3),
    M_MMAP_THRESHOLD).  So one of nearly this size is freed; nothing was written to it, so it never took memory.  Other
    C libraries do not mind.
    """
    np.empty(2**25 - 2**14, np.uint8)


keep_freed_memory()


@functools.cache
def _key_class():
    """A seed sequence that is the key itself: `Philox(key=...)` would first draw a seed from the system, and throw it away."""

    class Key(np.random.bit_generator.ISeedSequence):
        def __init__(self, digest):
            self.words = np.frombuffer(digest, "<u8").astype(np.uint64)

        def generate_state(self, n_words, dtype=np.uint32):
            return self.words

    return Key


class Rng:
    """A random stream: the same seed and path give the same numbers, whatever else was drawn elsewhere.

    Philox (Salmon et al. 2011), keyed by the seed and a path of purposes and numbers:
    `rng.stream("noise", epoch, step)` is a stream of its own, so neither the order of use nor an interruption changes it.
    Numbers are drawn on the host and copied, so every backend gets the same ones.
    """

    def __init__(self, seed=0, path=()):
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
            raise DtypeError("rng: the seed must be a whole number, 0 or more.", got=repr(seed))
        self.seed, self.path = int(seed), tuple(part if isinstance(part, str) else operator.index(part) for part in path)
        import hashlib  # here, as `import tinyae` alone does not need it

        digest = hashlib.blake2b(repr((self.seed, *self.path)).encode(), digest_size=16).digest()
        self._generator = np.random.Generator(np.random.Philox(_key_class()(digest)))

    def __repr__(self):
        return f"rng({', '.join(map(repr, (self.seed, *self.path)))})"

    def stream(self, purpose, *which):
        """A stream of its own for a purpose ("weights", "noise", ...) and any names and whole numbers (epoch, step)."""
        return Rng(self.seed, (*self.path, purpose, *which))

    def normal(self, shape, dtype=np.float32):
        """Independent draws from N(0, 1).  Returns an array of `shape`."""
        return to_device(self._generator.standard_normal(shape, dtype=dtype))

    def uniform(self, shape, low=0.0, high=1.0, dtype=np.float32):
        """Independent draws, uniform on [low, high).  Returns an array of `shape`."""
        draw = self._generator.random(shape, dtype=dtype)
        return to_device(draw if (low, high) == (0.0, 1.0) else draw * (high - low) + low)

    def bernoulli(self, probability):
        """0 or 1 for each entry of an array of probabilities.  Returns an array like it."""
        xp = array_module(probability)
        draw = self._generator.random(probability.shape, dtype=np.float32)
        return ((draw if xp is np else xp.asarray(draw)) < probability).astype(probability.dtype)

    def permutation(self, n):
        """A random order of 0, ..., n - 1, as a NumPy array (batches are cut on the host)."""
        return self._generator.permutation(n)

    def state(self):
        """Where the stream stands, as plain numbers and lists that JSON can hold."""
        return {"seed": self.seed, "path": list(self.path), "philox": _plain(self._generator.bit_generator.state)}

    @classmethod
    def from_state(cls, state):
        """The stream that `state()` described, at the same place."""
        return cls().restore(state)

    def restore(self, state):
        """Become the stream that `state()` described, at the same place."""
        self.__init__(state["seed"], state["path"])
        self._generator.bit_generator.state = _unplain(state["philox"])
        return self


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _unplain(value):
    if isinstance(value, dict):
        return {key: _unplain(item) for key, item in value.items()}
    return np.array(value, dtype=np.uint64) if isinstance(value, list) else value


def check_rng(stream):
    """The random stream as it is.  Raises DtypeError for anything else: a seed, or another library's generator."""
    if not isinstance(stream, Rng):
        raise DtypeError("rng: not a random stream of tinyae.", got=type(stream).__name__, remedy="rng=ta.rng(seed)")
    return stream


def rng(seed=0):
    """A random stream from a seed: normal(shape), uniform(shape), bernoulli(p), permutation(n), stream(purpose, ...)."""
    return Rng(seed)
