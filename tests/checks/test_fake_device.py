"""The fake device refuses what a GPU would, and its list of functions is CuPy's."""

import ast
import pathlib

import numpy as np
import pytest

import tinyae as ta
from tinyae.checks.fake_device import FUNCTIONS, FakeArray, FakeDeviceError, installed, module

PACKAGE = pathlib.Path(ta.__file__).parent


@pytest.fixture
def x():
    return FakeArray(np.arange(6.0).reshape(2, 3))


REFUSED = {
    "float": lambda x: float(x[0, 0]),
    "bool": lambda x: bool(x[0, 0] > 1),
    "int": lambda x: int(x[0, 0]),
    "item": lambda x: x[0, 0].item(),
    "iteration": lambda x: list(x),
    "conversion": lambda x: np.asarray(x),
    "host operand": lambda x: x + np.ones(3),
    "host operand on the left": lambda x: np.ones(3) + x,
    "list operand": lambda x: x * [1.0, 2.0, 3.0],
    "host index": lambda x: x[np.array([0, 1])],
    "host value": lambda x: x.__setitem__(0, np.ones(3)),
    "where=": lambda x: module.exp(x, where=x > 1),
    "a function that CuPy lacks": lambda x: module.nditer(x),
    "host argument": lambda x: module.maximum(x, np.ones(3)),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_a_gpu_refuses_is_refused(x, way):
    with pytest.raises(FakeDeviceError):
        REFUSED[way](x)


def test_numpy_functions_do_not_take_its_arrays(x):
    with pytest.raises(TypeError):
        np.exp(x)


def test_reductions_stay_on_the_device(x):
    assert isinstance(x.sum(), FakeArray)
    assert x.sum().shape == ()


def test_launches_and_copies_are_counted():
    with installed() as counters, ta.using("fake"):
        counters.reset()
        x = ta.backend.to_device(np.ones((2, 3)))
        assert (counters.to_device, counters.launches, counters.to_host) == (1, 1, 0)
        (x + x).sum()
        assert counters.launches == 3
        assert ta.backend.to_numpy(x.reshape(3, 2)).tolist() == [[1, 1]] * 3
        assert (counters.launches, counters.to_host) == (3, 1)


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
            used |= set(names_on_the_array_module(path.read_text()))
    assert {"exp", "maximum", "concatenate"} <= used
    assert used - {"asnumpy"} <= FUNCTIONS


def test_cupy_has_every_function_on_the_list():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    assert {name for name in FUNCTIONS if not hasattr(cupy, name)} == set()
