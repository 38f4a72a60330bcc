"""Values of the operations at the edges, and what users meet: operators on both sides, methods, errors."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.errors import DtypeError, ShapeError

EXTREMES = np.array([-1e4, -200.0, -90.0, -20.0, -1.0, 0.0, 1.0, 20.0, 90.0, 200.0, 1e4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_softplus_are_accurate_everywhere_without_warnings(dtype):
    x = EXTREMES.astype(dtype)
    tiny = np.finfo(dtype).tiny
    np.testing.assert_allclose(ops.sigmoid(x), scipy.special.expit(EXTREMES), rtol=1e-6, atol=tiny)
    np.testing.assert_allclose(ops.softplus(x), np.logaddexp(0, EXTREMES), rtol=1e-6, atol=tiny)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_bce_with_logits_is_finite_and_exact_at_huge_logits(dtype, x):
    logits = ta.Tensor(EXTREMES.astype(dtype)[:, None], requires_grad=True)
    target = np.full((len(EXTREMES), 1), x, dtype)
    y = ops.bce_with_logits(logits, target)
    np.testing.assert_allclose(y.numpy(), np.logaddexp(0, EXTREMES) - x * EXTREMES, rtol=1e-6, atol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(logits.grad[:, 0], scipy.special.expit(EXTREMES) - x, atol=1e-6)


def test_relu_has_slope_zero_at_zero():
    x = ta.Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    ops.relu(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 1]


def test_operators_work_with_the_tensor_on_either_side(backend):
    a = to_device(np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32))
    t = ta.Tensor(to_device(np.array([[5.0, 6.0], [7.0, 8.0]], dtype=np.float32)), requires_grad=True)
    host, other = to_numpy(a), t.numpy()
    cases = [
        (a + t, host + other), (a - t, host - other), (a * t, host * other), (a / t, host / other), (a @ t, host @ other), (a**t, host**other),
        (t + a, other + host), (t - a, other - host), (t * a, other * host), (t / a, other / host), (t @ a, other @ host), (t**a, other**host),
        (2.0 + t, 2 + other), (2.0 - t, 2 - other), (2.0 * t, 2 * other), (2.0 / t, 2 / other), (2.0**t, 2**other),
        (t + 2, other + 2), (t - 2, other - 2), (t * 2, other * 2), (t / 2, other / 2), (t**2, other**2), (-t, -other),
    ]  # fmt: skip
    for found, expected in cases:
        assert isinstance(found, ta.Tensor)
        assert found.requires_grad
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_methods_are_the_operations():
    t = ta.Tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True)
    values = t.numpy()
    np.testing.assert_allclose(t.T.numpy(), values.T)
    np.testing.assert_allclose(t.sum(0).numpy(), values.sum(0))
    np.testing.assert_allclose(t.mean(axis=1, keepdims=True).numpy(), values.mean(1, keepdims=True))
    np.testing.assert_allclose(t.reshape(3, -1).numpy(), values.reshape(3, -1))
    np.testing.assert_allclose(t.reshape((6,)).numpy(), values.reshape(6))
    np.testing.assert_allclose(t.transpose(1, 0).numpy(), values.T)
    np.testing.assert_allclose(t.exp().log().sqrt().numpy(), np.sqrt(values))
    np.testing.assert_allclose([row.sum().item() for row in t], values.sum(1))
    assert (t > 2).tolist() == (values > 2).tolist()
    assert (t == 2).tolist() == (values == 2).tolist()
    assert (t != t).tolist() == [[False] * 3] * 2
    assert len({t, t}) == 1


def test_a_tensor_may_be_an_index():
    t = ta.Tensor(np.arange(5.0), requires_grad=True)
    assert t[ta.Tensor([3, 1, 3], dtype=np.int64)].numpy().tolist() == [3, 1, 3]


def test_an_entry_named_twice_gets_both_gradients(backend):
    t = ta.Tensor(to_device(np.zeros(3)), requires_grad=True)
    t[to_device(np.array([0, 2, 0]))].backward(to_device(np.array([1.0, 10.0, 100.0])))
    assert to_numpy(t.grad).tolist() == [101, 0, 10]


def test_linear_takes_leading_axes_and_no_bias(rng):
    x, weight = rng.normal(size=(4, 5, 3)), rng.normal(size=(2, 3))
    report = ta.checks.gradcheck(lambda x, w, b: ops.linear(x, w, b), [x, weight, rng.normal(size=2)])
    assert report.worst < 1e-6
    assert ta.checks.gradcheck(lambda x, w: ops.linear(x, w), [x, weight]).worst < 1e-6
    np.testing.assert_allclose(ops.linear(x, weight), x @ weight.T)


def test_inputs_may_be_given_by_name():
    mean, log_variance = ta.Tensor(np.ones((2, 3)), requires_grad=True), np.zeros((2, 3))
    assert ops.kl_standard_normal(log_variance=log_variance, mean=mean).numpy().tolist() == [1.5, 1.5]


def test_shapes_that_do_not_fit_are_explained_with_the_users_line():
    a, b = ta.Tensor(np.zeros((2, 3)), requires_grad=True), np.zeros((4, 5))
    with pytest.raises(ShapeError) as caught:
        ops.matmul(a, b)
    text = str(caught.value)
    assert text.startswith("matmul: ")
    assert "matmul: matmul" not in text
    assert "got       a (2, 3), b (4, 5)" in text
    assert "test_values.py:" in text
    assert "ops.matmul(a, b)" in text


def test_a_list_as_operand_is_refused_with_a_remedy():
    with pytest.raises(DtypeError, match=r"ta\.Tensor"):
        ops.exp([1.0, 2.0])


def test_gaussian_nll_is_the_log_density(rng):
    mean, log_variance, x = rng.normal(size=(3, 4, 5))
    expected = -scipy.stats.norm(mean, np.exp(log_variance / 2)).logpdf(x).sum(-1)
    np.testing.assert_allclose(ops.gaussian_nll(mean, log_variance, x), expected, rtol=1e-12)


def test_bernoulli_probabilities_sum_to_one_over_all_images(rng):
    logits = rng.normal(size=3) * 3
    images = np.array([[i >> k & 1 for k in range(3)] for i in range(8)], dtype=float)
    assert math.isclose(np.exp(-ops.bce_with_logits(logits, images)).sum(), 1, rel_tol=1e-12)


def test_the_gaussian_density_integrates_to_one():
    x = np.linspace(-40, 40, 20_001)[:, None]
    density = np.exp(-ops.gaussian_nll(np.array([0.7]), np.array([1.1]), x))
    assert math.isclose(np.trapezoid(density, x[:, 0]), 1, rel_tol=1e-9)


def test_a_tensor_with_one_entry_can_be_formatted():
    assert f"{ta.Tensor([1.25]).sum():.1f} {ta.Tensor([1.0])}" == "1.2 Tensor([1.], shape (1,), float32)"
