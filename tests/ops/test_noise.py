"""Dropout: what is kept, what it is on average, and errors."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.errors import ArgumentError, DtypeError, ShapeError


def test_dropped_entries_are_zero_forward_and_backward_and_the_others_scaled_up():
    x = ta.Tensor(np.array([1.0, -2.0, 3.0, 4.0]), requires_grad=True)
    y = ops.dropout(x, noise=np.array([0.0, 0.2, 0.1999, 0.9]), rate=0.2)
    np.testing.assert_allclose(y.numpy(), [0, -2.5, 0, 5])
    y.sum().backward()
    np.testing.assert_allclose(x.grad, [0, 1.25, 0, 1.25])


def mean_over_the_noise(scaled, rate, n=200_000):
    """How many standard errors the mean of dropped-out ones is from 1."""
    noise = ta.rng(0).uniform(n, dtype=np.float64)
    y = ops.dropout(np.ones(n), noise=noise, rate=rate) * (1 if scaled else 1 - rate)
    return abs(y.mean() - 1) / (math.sqrt(rate / (1 - rate)) / math.sqrt(n))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_mean_over_the_noise_is_the_input(rate):
    assert mean_over_the_noise(True, rate) < 5
    assert mean_over_the_noise(False, rate) > 50  # without the scale


def test_rate_zero_changes_nothing(rng):
    x = rng.normal(size=(3, 4))
    assert (ops.dropout(x, noise=np.zeros((3, 4)), rate=0) == x).all()


def test_the_same_noise_drops_the_same_entries(rng):
    x, noise = rng.normal(size=(2, 20, 5)), rng.uniform(size=(20, 5))
    first, second = (ops.dropout(part, noise=noise) for part in x)
    assert ((first == 0) == (second == 0)).all()
    assert 0 < (first == 0).mean() < 1


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, math.nan])
def test_a_rate_that_is_no_probability_or_drops_everything_is_refused(rate):
    with pytest.raises(ArgumentError, match=r"expected  0 <= rate < 1\n  got       (-0.1|1|1.5|nan)\n  at        test_noise.py:"):
        ops.dropout(ta.Tensor(np.ones(3)), noise=np.zeros(3), rate=rate)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 1), (), (4, 3, 1)])
def test_noise_is_not_shared_by_broadcasting(shape):
    with pytest.raises(ShapeError) as caught:
        ops.dropout(ta.Tensor(np.ones((4, 3))), noise=np.zeros(shape))
    assert f"dropout: every entry of x has its own noise.\n  expected  noise (4, 3)\n  got       noise {shape}\n" in str(caught.value)
    assert "rng.uniform(x.shape)" in str(caught.value)


def test_noise_left_out_is_named():
    with pytest.raises(DtypeError, match="noise"):
        ops.dropout(ta.Tensor(np.ones(3)))
