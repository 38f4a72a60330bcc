"""Distributions: densities, draws, divergences."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae.distributions import Bernoulli, Normal, StandardNormal, kl_divergence
from tinyae.errors import ArgumentError


def test_a_normal_density_integrates_to_one():
    x = np.linspace(-30, 30, 60_001)[:, None]
    assert math.isclose(np.trapezoid(np.exp(Normal(np.array([1.0]), np.array([0.5])).log_prob(x)), x[:, 0]), 1, rel_tol=1e-9)


def test_normal_draws_have_its_moments():
    n, q = 200_000, Normal(np.full((200_000, 2), 0.7), np.full((200_000, 2), -1.2))
    draws = q.sample(ta.rng(0))
    assert np.abs(draws.mean(0) - 0.7).max() < 5 * math.sqrt(math.exp(-1.2) / n)
    assert np.abs(draws.var(0) / math.exp(-1.2) - 1).max() < 5 * math.sqrt(2 / n)
    assert abs(np.corrcoef(draws.T)[0, 1]) < 5 / math.sqrt(n)
    np.testing.assert_allclose(q.standard_deviation, math.exp(-0.6))


def test_bernoulli_probabilities_sum_to_one_and_draws_follow_them():
    logits = np.array([0.3, -2.0])
    images = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    assert math.isclose(np.exp(Bernoulli(logits).log_prob(images)).sum(), 1, rel_tol=1e-12)
    n = 100_000
    draws = Bernoulli(np.tile(logits, (n, 1))).sample(ta.rng(0))
    assert np.abs(draws.mean(0) - Bernoulli(logits).mean).max() < 5 * 0.5 / math.sqrt(n)


def test_the_divergence_to_the_prior_is_the_closed_form():
    q = Normal(np.array([[0.7]]), np.array([[-1.2]]))
    assert round(kl_divergence(q, StandardNormal()).item(), 4) == 0.4956


def test_a_pair_without_closed_form_is_an_error_that_names_it():
    with pytest.raises(ArgumentError, match="Bernoulli, StandardNormal"):
        kl_divergence(Bernoulli(np.zeros(2)), StandardNormal())
