"""Normalisation: what it promises, what its gradient cannot see, large means in float32, and errors."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.errors import ShapeError


def channels_first(x):
    """(N, C, ...) as (N..., C)."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def reference(x, eps, axis):
    """Normalised in float64, by NumPy."""
    x = x.astype(np.float64)
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5), (2, 3, 4, 5), (1, 3, 2, 2)])
def test_every_channel_gets_mean_bias_and_deviation_weight(shape, rng):
    x, weight, bias = rng.normal(3, 2, size=shape), np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, -1.0])
    y = channels_first(ops.batch_norm(x, weight, bias, eps=0.0))
    np.testing.assert_allclose(y.mean(0), bias, atol=1e-12)
    np.testing.assert_allclose(y.std(0), abs(weight), rtol=1e-12)
    np.testing.assert_allclose(ops.batch_norm(x, np.ones(3), np.zeros(3)), reference(x, 1e-5, (0, *range(2, x.ndim))), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", [(6,), (4, 6), (1, 6), (2, 3, 6), (0, 6)])
def test_every_row_gets_mean_zero_and_variance_one(shape, rng):
    x, weight, bias = rng.normal(3, 2, size=shape), rng.normal(size=6), rng.normal(size=6)
    plain = ops.layer_norm(x)
    np.testing.assert_allclose(plain, reference(x, 1e-5, -1), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(ops.layer_norm(x, weight, bias), weight * plain + bias, rtol=1e-12)
    np.testing.assert_allclose(ops.layer_norm(x, bias=bias), plain + bias, rtol=1e-12)


def test_layer_norm_without_weight_and_bias_has_the_same_gradient(rng):
    x = rng.normal(size=(3, 5))
    assert ta.checks.gradcheck(lambda x: ops.layer_norm(x, eps=0.1), [x]).worst < 1e-6
    assert ta.checks.gradcheck(lambda x, w: ops.layer_norm(x, w), [x, rng.normal(size=5)]).worst < 1e-6
    assert ta.checks.gradcheck(lambda x: ops.layer_norm(x), [x], order=2).worst < 1e-5


@pytest.mark.parametrize("operation", ["layer_norm", "batch_norm"])
def test_the_gradient_does_not_move_what_normalisation_removes(operation, rng):
    """A shift and a stretch of x change nothing, so the gradient is orthogonal to both."""
    x = ta.Tensor(rng.normal(size=(6, 6)), requires_grad=True)
    y = getattr(ops, operation)(x, np.ones(6), np.zeros(6), eps=0.0)
    (gx,) = ta.grad(y, [x], rng.normal(size=(6, 6)))
    axis = -1 if operation == "layer_norm" else 0
    assert abs(gx.numpy()).max() > 0.1
    np.testing.assert_allclose(gx.numpy().sum(axis), 0, atol=1e-14)
    np.testing.assert_allclose((gx.numpy() * y.numpy()).sum(axis), 0, atol=1e-13)


@pytest.mark.parametrize("dropped", ["mean", "variance"])
def test_a_rule_that_takes_mean_or_variance_for_constants_is_caught(dropped, monkeypatch, rng):
    """A planted error: one of the three terms is missing."""
    from tinyae.ops import normalisation

    def wrong(gn, n, scale, average):
        return scale * (gn - average(gn)) if dropped == "variance" else scale * (gn - n * average(gn * n))

    monkeypatch.setattr(normalisation, "standardise_vjp", wrong)
    x, weight, bias = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=3)
    for operation in (ops.layer_norm, ops.batch_norm):
        with pytest.raises(ta.checks.GradientError, match="the gradient of x is wrong"):
            ta.checks.gradcheck(operation, [x, weight, bias])


def errors_at_mean_1000():
    """The largest error of layer_norm and of batch_norm, value and gradient, in float32 for numbers from N(1000, 1)."""
    rng = np.random.default_rng(0)
    x, cotangent = rng.normal(1000, 1, size=(5000, 64)).astype(np.float32), rng.normal(size=(5000, 64)).astype(np.float32)
    found = []
    for operation in (ops.layer_norm, ops.batch_norm):
        results = []
        for dtype in (np.float32, np.float64):
            leaf = ta.Tensor(x.astype(dtype), requires_grad=True)
            y = operation(leaf, np.ones(64, dtype), np.zeros(64, dtype))
            results.append([y.numpy(), ta.grad(y, [leaf], cotangent.astype(dtype))[0].numpy()])
        found += [abs(narrow - wide).max() for narrow, wide in zip(*results, strict=True)]
    return found


def test_a_large_mean_costs_no_digits_in_float32():
    assert max(errors_at_mean_1000()) < 1e-5


def test_centring_once_would_cost_digits(monkeypatch):
    from tinyae.ops import normalisation

    def once(x, average, eps):
        scale = 1 / ops.sqrt(average((x - average(x)) ** 2) + eps)
        return (x - average(x)) * scale, scale

    monkeypatch.setattr(normalisation, "standardise", once)
    assert min(errors_at_mean_1000()) > 5e-5


def test_equal_numbers_become_the_bias_and_keep_a_finite_gradient():
    x, weight, bias = np.full((4, 3), 1e5 + 0.1, np.float32), np.ones(3, np.float32), np.array([1, 2, 3], np.float32)
    for operation in (ops.layer_norm, ops.batch_norm):
        leaf = ta.Tensor(x, requires_grad=True)
        y = operation(leaf, weight, bias)
        assert (y.numpy() == bias).all()
        y.backward(np.arange(12, dtype=np.float32).reshape(4, 3))
        assert np.isfinite(leaf.grad).all()
    assert ops.layer_norm(np.array([[5.0], [7.0]]), np.ones(1), np.array([2.0])).tolist() == [[2], [2]]  # one number: its own mean


def test_batch_norm_treats_further_axes_as_further_examples(rng):
    x, weight, bias = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=3), rng.normal(size=3)
    np.testing.assert_allclose(
        channels_first(ops.batch_norm(x, weight, bias)), ops.batch_norm(channels_first(x), weight, bias), rtol=1e-12, atol=1e-13
    )


def test_batch_norm_couples_the_examples_and_layer_norm_does_not(rng):
    x, other = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    other[0] = x[0]
    assert (ops.layer_norm(x)[0] == ops.layer_norm(other)[0]).all()
    assert (ops.batch_norm(x, np.ones(3), np.zeros(3))[0] != ops.batch_norm(other, np.ones(3), np.zeros(3))[0]).all()
    twice = np.concatenate([x, x])
    np.testing.assert_allclose(ops.batch_norm(twice, np.ones(3), np.zeros(3))[:4], ops.batch_norm(x, np.ones(3), np.zeros(3)), rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1), (0, 3)])
def test_a_channel_with_one_number_is_an_error_with_a_remedy(shape):
    with pytest.raises(ShapeError) as caught:
        ops.batch_norm(ta.Tensor(np.zeros(shape)), np.ones(3), np.zeros(3))
    text = str(caught.value)
    assert text.startswith("batch_norm: one number has no variance, so a channel needs two or more.")
    assert f"got       x {shape}" in text
    assert "test_normalisation.py:" in text
    assert "layer_norm" in text


@pytest.mark.parametrize(("shape", "weight"), [((4, 3), (4,)), ((4, 3), (1,)), ((4, 3), (3, 1)), ((4, 3), ()), ((3,), (3,))])
def test_weights_that_do_not_fit_the_channels_are_explained(shape, weight):
    with pytest.raises(ShapeError, match=r"batch_norm: weight and bias must have one entry for each channel, axis 1 of x\.\n  expected(.|\n)*got"):
        ops.batch_norm(ta.Tensor(np.zeros(shape)), np.ones(weight), np.zeros(3))


def test_weights_that_do_not_fit_the_rows_are_explained():
    with pytest.raises(ShapeError, match=r"layer_norm: (.|\n)*weight \(2,\)"):
        ops.layer_norm(ta.Tensor(np.zeros((4, 3))), np.ones(2), np.zeros(3))
