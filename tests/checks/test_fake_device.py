"""The fake device refuses what a GPU would, and its list of functions is CuPy's."""

import ast
import functools
import operator
import pathlib

import numpy as np
import pytest

import tinyae as ta
from tinyae.checks.fake_device import FUNCTIONS, FakeArray, FakeDeviceError, fake_gpu, module
from tinyae.checks.fake_device.functions import names_of

PACKAGE = pathlib.Path(ta.__file__).parent


@pytest.fixture
def x():
    return FakeArray(np.arange(6.0).reshape(2, 3))


REFUSED = {
    "a method's argument": lambda x: x.take(module.asarray(np.arange(2)), mode="clip"),
    "a method's positional where": lambda x: x.sum(0, None, None, False, 0.0, True),
    "a positional where": lambda x: module.sum(x, 0, None, None, False, 0, x > 0),
    "a Tensor added in place": lambda x: x.__iadd__(ta.Tensor(x)),
    "a list assigned": lambda x: x.__setitem__(0, [1.0, 2.0, 3.0]),
    "objects": lambda x: module.asarray(np.array([{}, None])),
    "text": lambda x: module.asarray(np.array(["a"])),
    "long doubles": lambda x: module.asarray(np.ones(2, np.longdouble)),
    "to objects": lambda x: x.astype(object),
    "float": lambda x: float(x[0, 0]),
    "bool": lambda x: bool(x[0, 0] > 1),
    "int": lambda x: int(x[0, 0]),
    "item": lambda x: x[0, 0].item(),
    "iteration": lambda x: list(x),
    "conversion": lambda x: np.asarray(x),
    "host operand": lambda x: x + np.ones(3),
    "host operand on the left": lambda x: np.ones(3) + x,
    "list operand": lambda x: x * [1.0, 2.0, 3.0],
    "format": lambda x: f"{x[0, 0]:.3f}",
    "device array as axis": lambda x: x.sum(axis=module.argmax(x)),
    "device array as count": lambda x: module.repeat(x, module.argmax(x)),
    "device array as end of a range": lambda x: module.arange(x.sum()),
    "list of numbers": lambda x: module.maximum(x, [1.0, 2.0, 3.0]),
    "number for an array": lambda x: module.sum(3.0),
    "host array in a sequence": lambda x: module.concatenate([x, np.ones((1, 3))]),
    "host operand of einsum": lambda x: module.einsum("ij,j->i", x, np.ones(3)),
    "initial=": lambda x: module.max(x, initial=0.0),
    "initial= of a method": lambda x: x.max(initial=0.0),
    "random numbers": lambda x: module.random,
    "scatter that CuPy lacks": lambda x: module.multiply.at(x, 0, 2.0),
    "scatter into int64": lambda x: module.add.at(module.zeros(3, int), 0, 1),
    "host value": lambda x: x.__setitem__(0, np.ones(3)),
    "where=": lambda x: module.exp(x, where=x > 1),
    "a function that CuPy lacks": lambda x: module.nditer(x),
    "host argument": lambda x: module.maximum(x, np.ones(3)),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_a_gpu_refuses_is_refused(x, way):
    with pytest.raises(FakeDeviceError):
        REFUSED[way](x)


CALLS = {
    "exp": np.exp,
    "multiply": lambda x: np.multiply(x, 2.0),
    "add.reduce": np.add.reduce,
    "add.at": lambda x: np.add.at(x, 0, 1.0),
    "modf": np.modf,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_numpy_functions_refuse_its_arrays_and_name_the_module_that_has_them(x, call):
    with pytest.raises(FakeDeviceError, match=r"fake device: np\.\w+ of an array on the device.(?s:.*)ta.backend.array_module\(x\)(?s:.*)ta.ops"):
        call(x)


def test_a_numpy_function_with_a_host_array_names_that(x):
    for call in (lambda: np.maximum(np.ones(3), x), lambda: np.exp(np.ones(3), out=x), lambda: np.ones((2, 3)).__iadd__(x)):
        with pytest.raises(FakeDeviceError):
            call()


@pytest.mark.parametrize("name", "add sub mul truediv floordiv mod pow lt le gt ge eq ne".split())
def test_a_number_of_numpy_on_the_left_of_an_operator_is_a_number(name):
    calculate, values = getattr(operator, name), np.array([1.0, 2.0, 5.0], np.float32)
    for number in (np.float64(2), np.float32(3)):
        result = calculate(number, FakeArray(values))
        assert isinstance(result, FakeArray)
        assert result.dtype == calculate(number, values).dtype
        assert (result.get() == calculate(number, values)).all()


def test_a_whole_number_of_numpy_on_the_left_of_a_bitwise_operator_is_a_number():
    values = np.array([1, 2, 5])
    for name in "and_ or_ xor lshift rshift".split():
        calculate = getattr(operator, name)
        assert (calculate(np.int64(6), FakeArray(values)).get() == calculate(np.int64(6), values)).all()


def test_the_refusal_says_what_to_do_instead(x):
    with pytest.raises(FakeDeviceError, match=r"log\(where=\) does not exist on a GPU(?s:.*)remedy    xp.where on the result"):
        module.log(x, where=x > 0)
    with pytest.raises(FakeDeviceError, match="noise comes from the host"):
        _ = module.random


def test_reductions_stay_on_the_device(x):
    assert isinstance(x.sum(), FakeArray)
    assert x.sum().shape == ()


def test_launches_and_copies_are_counted():
    with fake_gpu() as counters:
        x = ta.backend.to_device(np.ones((2, 3)))
        assert (counters.copies_to_device, counters.launches, counters.copies_to_host) == (1, 0, 0)
        (x + x).sum()
        assert (counters.launches, counters.synchronisations) == (2, 0)
        assert ta.backend.to_numpy(x.reshape(3, 2)).tolist() == [[1, 1]] * 3
        assert (counters.launches, counters.copies_to_host, counters.synchronisations) == (2, 1, 1)


VIEWS = {
    "reshape": lambda xp, x: x.reshape(3, 2),
    "transpose": lambda xp, x: xp.transpose(x),
    "slice": lambda xp, x: x[:, 1:],
    "one entry": lambda xp, x: x[0, 1],
    "empty": lambda xp, x: x[:0],
    "squeeze": lambda xp, x: x[None].squeeze(),
    "diagonal": lambda xp, x: x.diagonal(),
    "split": lambda xp, x: xp.split(x, 3, axis=1)[0],
    "windows": lambda xp, x: xp.lib.stride_tricks.sliding_window_view(x, 2, axis=1),
    "broadcast": lambda xp, x: xp.broadcast_to(x, (4, 2, 3)),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 0, 1),
}
KERNELS = {
    "reshape of a transpose": lambda xp, x: x.T.reshape(6),
    "flatten": lambda xp, x: x.flatten(),
    "copy": lambda xp, x: xp.array(x),
    "integer indices": lambda xp, x: x[xp.asarray([1, 0])],
    "operator": lambda xp, x: 2 - x,
    "in place": lambda xp, x: x.__iadd__(1),
    "out=": lambda xp, x: xp.exp(x, out=x),
    "method with out=": lambda xp, x: x.cumsum(axis=0, out=x),
    "concatenate": lambda xp, x: xp.concatenate([x, x]),
    "solve": lambda xp, x: xp.linalg.solve(x[:, :2], x),
    "assignment": lambda xp, x: x.__setitem__(0, 1.0),
    "scatter-add": lambda xp, x: xp.add.at(x, xp.asarray([0, 0]), x),
    "several results": lambda xp, x: xp.modf(x),
    "sort": lambda xp, x: x.sort(),
}
WAITS = {
    "mask": lambda xp, x: x[x > 2],
    "assignment to a mask": lambda xp, x: x.__setitem__(x > 2, 0.0),
    "nonzero": lambda xp, x: xp.nonzero(x),
    "nonzero of the array": lambda xp, x: x.nonzero(),
    "where of a condition": lambda xp, x: xp.where(x > 2),
    "unique": lambda xp, x: xp.unique(x),
}


@pytest.mark.parametrize(
    ("what", "launches", "waits"),
    [(f, 0, 0) for f in VIEWS.values()] + [(f, 1, 0) for f in KERNELS.values()] + [(f, None, 1) for f in WAITS.values()],
)
def test_views_kernels_and_waiting_are_told_apart(what, launches, waits):
    with fake_gpu() as counters:
        x = FakeArray(np.array([[5.0, 1.0, 2.0], [1.0, 4.0, 0.0]]))
        what(module, x)
        assert counters.synchronisations == waits
        assert launches is None or counters.launches == launches
        assert counters.copies_to_host == 0


def test_an_index_from_the_host_costs_a_copy(x):
    with fake_gpu() as counters:
        assert x[np.array([1, 1, 0])].shape == (3, 3)
        assert x[:, [0, 2]].shape == (2, 2)
        assert (counters.copies_to_device, counters.launches) == (2, 2)


def test_a_view_shares_memory_and_an_out_argument_is_returned(x):
    x[1, 2][...] = 7.0
    assert module.asnumpy(x)[1, 2] == 7
    assert module.add(x, x, out=x) is x
    assert module.asarray(x) is x


def test_an_index_that_stands_twice_must_not_bring_different_values(x):
    twice = module.asarray([0, 0])
    x[twice] = 5.0
    x[twice] = module.ones((2, 3))
    x[module.asarray([1, 0])] = x  # overlapping memory, but no index twice
    assert module.asnumpy(x).tolist() == [[3, 4, 5], [1, 1, 1]]
    with pytest.raises(FakeDeviceError, match="stands twice in an assignment"):
        x[twice] = module.asarray([[1.0], [2.0]])


def test_a_numpy_number_widens_float32_as_on_a_gpu_and_a_python_number_does_not(x):
    x = x.astype("float32")
    assert (x * np.float64(2)).dtype == (np.float64(2) * x).dtype == np.float64
    assert (x * 2.0).dtype == (2.0 * x).dtype == np.float32


def test_a_gpu_gives_no_warnings(x):
    assert module.isinf(1 / x).any().shape == ()
    assert module.log(x - 1).shape == (2, 3)


def test_fake_gpu_leaves_a_backend_that_was_installed_before():
    with fake_gpu():
        with fake_gpu():
            pass
        assert isinstance(ta.backend.to_device(np.ones(2)), FakeArray)
    with pytest.raises(ta.errors.BackendError):
        ta.backend.use("fake")


def test_the_whole_list_can_be_called():
    for name in FUNCTIONS:
        found = functools.reduce(getattr, name.split("."), module)
        assert callable(found) or isinstance(found, float), name


def test_host_and_device_share_no_memory():
    with fake_gpu():
        host = np.ones(3)
        device = ta.backend.to_device(host)
        device += 1
        assert host.tolist() == [1, 1, 1]
        host[0] = 7
        assert ta.backend.to_numpy(device).tolist() == [2, 2, 2]


def names_on_the_array_module(source):
    """The functions that a source calls on the array module, which the house calls `xp`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "xp":
            yield node.attr
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "array_module":
            yield node.attr


def test_every_name_used_on_the_array_module_is_on_the_list():
    used = set()
    for room in ("ops", "autograd", "nn", "optim", "distributions", "models", "checks"):
        for path in (PACKAGE / room).rglob("*.py"):
            if "fake_device" not in path.parts:
                used |= set(names_on_the_array_module(path.read_text()))
    assert {"exp", "maximum", "concatenate"} <= used
    assert used - {"asnumpy", "linalg", "lib"} <= FUNCTIONS


def test_the_frozen_list_is_what_cupy_has():
    cupy = pytest.importorskip("cupy", minversion="14.2", reason="CuPy 14.2 or newer is not installed")
    lines = (PACKAGE / "checks" / "fake_device" / "cupy_names.txt").read_text().splitlines()
    found = list(names_of(cupy))
    assert len(found) > 400
    if cupy.__version__.startswith("14.2"):
        assert found == lines
    assert {line.split()[0] for line in lines} <= {line.split()[0] for line in found}
