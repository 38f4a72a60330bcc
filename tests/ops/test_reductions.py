"""Reductions against slow exact arithmetic: precision in float32, ties, zeros in a product, the zero vector, empty axes."""

import itertools
import math
import statistics

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.checks import gradcheck
from tinyae.errors import DtypeError, ShapeError
from tinyae.ops.reductions import count, numbered

AXES = [None, 0, 1, -1, (0, 2), (-1, 1), (0, 1, 2), ()]


def gradient(f, x, cotangent=None):
    """The gradient of f at the array x, for a cotangent of ones if none is given, as a NumPy array."""
    leaf = ta.Tensor(x, requires_grad=True)
    y = f(leaf)
    return to_numpy(ta.grad(y, [leaf], np.ones(y.shape, y.dtype) if cotangent is None else cotangent)[0].data)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
def test_reductions_are_numpys_along_any_axes(axis, keepdims, rng):
    x = rng.normal(size=(3, 4, 2))
    root = lambda x, **where: np.sqrt((x * x).sum(**where))  # noqa: E731
    references = {"sum": np.sum, "mean": np.mean, "var": np.var, "max": np.max, "min": np.min, "prod": np.prod, "norm": root}
    for name, reference in references.items():
        expected = reference(x, axis=axis, keepdims=keepdims)
        found = ops.registry[name](x, axis=axis, keepdims=keepdims)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-13)
        assert gradcheck(lambda x, name=name: ops.registry[name](x, axis=axis, keepdims=keepdims), [x]).worst < 1e-6


def test_helpers_read_axes_as_numpy_does():
    assert numbered(None, 3) == [0, 1, 2]
    assert numbered((-1, 0), 3) == [0, 2]
    assert numbered(-1, 0) == []
    assert count((4, 5, 6), (0, -1)) == 24
    assert count((), None) == 1


@pytest.mark.parametrize("axis", [0, 1])
def test_the_variance_of_float32_numbers_far_from_zero_is_accurate(axis):
    x = np.random.default_rng(0).normal(1000, 1, size=(300_000, 2)).astype(np.float32)
    x = x if axis == 0 else np.ascontiguousarray(x.T)
    wide = x.astype(np.float64)
    exact = wide.var(axis=axis)
    found = ops.var(x, axis=axis)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, rtol=2e-4)
    slope = gradient(lambda x: ops.var(x, axis=axis), x)
    expected = 2 / 300_000 * (wide - wide.mean(axis=axis, keepdims=True))
    np.testing.assert_allclose(slope, expected, atol=2e-4 * np.abs(expected).max())
    assert np.abs(ops.var.composed(x, axis=axis) - exact).max() > 1e-2  # the difference of squares
    if axis == 0:  # sums down a column are the inexact ones
        assert np.abs(x.var(axis=0) - exact).max() > 0.5  # NumPy's: a single rounded mean


def test_the_variance_divides_by_the_number_minus_ddof():
    x = np.array([1.0, 2.0, 4.0])
    assert ops.var(x, ddof=1) == pytest.approx(statistics.variance(x.tolist()), rel=1e-15)
    assert ops.var(x, ddof=0.5) == pytest.approx(np.var(x, ddof=0.5), rel=1e-15)
    assert gradcheck(lambda x: ops.var(x, ddof=1), [x], order=2).worst < 1e-6


@pytest.mark.parametrize(("shape", "ddof"), [((1,), 1), ((2, 3), 3)])
def test_a_variance_with_nothing_to_divide_by_is_refused(shape, ddof):
    with pytest.raises(ShapeError, match=rf"var: the variance of {shape[-1]} entries with ddof={ddof} would divide by 0\."):
        ops.var(ta.Tensor(np.ones(shape)), axis=-1, ddof=ddof)


@pytest.mark.parametrize("name", ["mean", "var", "max", "min"])
def test_an_empty_axis_is_refused_and_an_empty_result_is_not(name):
    operation = ops.registry[name]
    for axis in (0, None, (0, 1)):
        with pytest.raises(ShapeError) as caught:
            operation(ta.Tensor(np.zeros((0, 3))), axis=axis)
        assert str(caught.value).startswith(f"{name}: there are no entries along axis={axis} of shape (0, 3).")
        assert "x (0, 3)" in str(caught.value)
        assert "test_reductions.py" in str(caught.value)
        with pytest.raises(ValueError, match="there are no entries"):
            operation(np.zeros((0, 3)), axis=axis)
    x = ta.Tensor(np.zeros((0, 3)), requires_grad=True)
    y = operation(x, axis=1)
    assert y.shape == (0,)
    y.sum().backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize(("name", "value"), [("sum", 0), ("prod", 1), ("norm", 0)])
def test_what_is_defined_for_nothing_has_its_value(name, value):
    x = ta.Tensor(np.zeros((2, 0, 3)), requires_grad=True)
    for keepdims, shape in ((False, (2, 3)), (True, (2, 1, 3))):
        y = ops.registry[name](x, axis=1, keepdims=keepdims)
        np.testing.assert_array_equal(y.numpy(), np.full(shape, float(value)))
        assert ta.grad(y.sum(), [x])[0].shape == x.shape


@pytest.mark.parametrize(("operation", "best"), [(ops.max, 7.0), (ops.min, -7.0)])
def test_ties_share_the_gradient_equally(operation, best, backend):
    x = np.array([[best, 0.0, best], [1.0, best, 2.0], [best, best, best]])
    leaf = ta.Tensor(to_device(x), requires_grad=True)
    for keepdims in (False, True):
        y = operation(leaf, axis=1, keepdims=keepdims)
        cotangent = to_device(np.array([6.0, 10.0, 12.0]).reshape(y.shape))
        assert ta.grad(y, [leaf], cotangent)[0].numpy().tolist() == [[3, 0, 3], [0, 10, 0], [4, 4, 4]]
    assert (ta.grad(operation(leaf), [leaf])[0].numpy() == (x == best) / 6).all()


@pytest.mark.parametrize("operation", [ops.max, ops.min])
def test_a_shared_gradient_lies_between_the_slopes_on_both_sides(operation):
    assert gradcheck(lambda x: operation(x, axis=1), [np.array([[2.0, 2.0], [1.0, 3.0]])]).kinks == 2


def derivative_of_a_product(x, entries):
    """The derivative of the product of x, once with respect to each of these different entries, in whole numbers."""
    return math.prod(v for i, v in enumerate(x) if i not in entries)


@pytest.mark.parametrize("x", [[3], [0], [2, 3, 5], [2, 0, 5, -7], [0, 3, 0, 5, 2], [0, 0, 0, 4], [4, 0, 0, 3, 2, 5, 7, 2]])
def test_the_gradients_of_a_product_are_exact_with_any_number_of_zeros(x, backend):
    n = len(x)
    leaf = ta.Tensor(to_device(np.array(x, float)), requires_grad=True)
    (first,) = ta.grad(ops.prod(leaf), [leaf], create_graph=True)
    assert first.numpy().tolist() == [derivative_of_a_product(x, [i]) for i in range(n)]
    for i in range(n):
        second, expected = [0.0] * n, [0.0 if i == j else derivative_of_a_product(x, [i, j]) for j in range(n)]
        if first[i].requires_grad and n > 1:
            (found,) = ta.grad(first[i], [leaf], create_graph=True)
            second = found.numpy().tolist()
        assert second == expected


def test_the_third_derivative_of_a_product_with_three_zeros_is_the_product_of_the_rest():
    leaf = ta.Tensor(np.array([0.0, 0.0, 0.0, 4.0, 5.0]), requires_grad=True)
    y = ops.prod(leaf)
    for i in range(3):
        y = ta.grad(y, [leaf], create_graph=True)[0][i]
    assert y.item() == 20


def test_a_product_that_is_divided_by_its_entries_has_no_gradient_at_a_zero(monkeypatch):
    """The usual shortcut, y / x: what the tests above are for."""
    (rule,) = ops.prod.rules
    monkeypatch.setattr(rule, "function", lambda gy, x, x_shape, axis, keepdims: gy * raw_product(x) / x)

    def raw_product(x):
        return x.prod()

    with np.errstate(invalid="ignore"):
        assert np.isnan(gradient(ops.prod, np.array([0.0, 2.0]))[0])


def test_a_long_product_underflows_nowhere_in_its_gradient():
    x = np.array([1e-200, 1e200, 1e-200, 1e200, 0.0])
    assert gradient(ops.prod, x)[-1] == pytest.approx(1, rel=1e-14)


def test_the_running_sum_is_that_of_itertools_and_its_gradient_runs_back(rng):
    x = rng.integers(-9, 9, size=(2, 3, 4)).astype(float)
    for axis in (0, 1, -1):
        lines = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
        sums = np.array([list(itertools.accumulate(line)) for line in lines]).reshape(np.moveaxis(x, axis, -1).shape)
        np.testing.assert_array_equal(ops.cumsum(x, axis=axis), np.moveaxis(sums, -1, axis))
    assert gradient(lambda x: ops.cumsum(x, axis=0), np.zeros(3), np.array([1.0, 10.0, 100.0])).tolist() == [111, 110, 100]
    assert ops.cumsum(np.zeros((2, 0)), axis=1).shape == (2, 0)


def test_a_running_sum_needs_its_one_axis():
    x = ta.Tensor(np.ones((2, 3)))
    for axis in (None, (0, 1)):
        with pytest.raises(ShapeError, match="cumsum: it runs along one axis"):
            ops.cumsum(x, axis=axis)
    with pytest.raises(DtypeError, match="axis"):
        ops.cumsum(x)


def test_the_length_of_the_zero_vector_has_gradient_zero(backend):
    x = ta.Tensor(to_device(np.array([[0.0, 0.0], [3.0, 4.0]])), requires_grad=True)
    y = ops.norm(x, axis=1)
    (first,) = ta.grad(y.sum(), [x], create_graph=True)
    assert y.numpy().tolist() == [0, 5]
    np.testing.assert_allclose(first.numpy(), [[0, 0], [0.6, 0.8]], rtol=1e-15)
    (second,) = ta.grad(first.sum(), [x])
    np.testing.assert_allclose(second.numpy(), [[0, 0], [0.032, -0.024]], rtol=1e-12)
    assert gradcheck(ops.norm, [np.zeros(3)]).kinks == 3


@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float64, 1e200), (np.float64, 1e-200), (np.float64, 5e-324), (np.float32, 1e30), (np.float32, 1e-30)]
)
def test_a_length_neither_overflows_nor_underflows(dtype, size):
    x = np.array([3, -4], dtype) * dtype(size)
    found = ops.norm(x)
    assert found.dtype == dtype
    assert float(found) == pytest.approx(math.dist(x.astype(float) / size, [0, 0]) * size, rel=1e-6, abs=0)
    np.testing.assert_allclose(gradient(ops.norm, x), [0.6, -0.8], rtol=1e-6)


def test_a_length_with_an_infinite_entry_is_infinite():
    assert ops.norm(np.array([1.0, -math.inf])) == math.inf


def test_numbers_without_axes_reduce_to_themselves():
    x = np.array(-3.0)
    for name, value, slope in [("max", -3, 1), ("min", -3, 1), ("prod", -3, 1), ("norm", 3, -1), ("var", 0, 0), ("mean", -3, 1)]:
        assert ops.registry[name](ta.Tensor(x)).item() == value
        assert gradient(ops.registry[name], x) == slope
