"""semcheck for distributions: right ones pass for every seed, wrong ones fail, and what cannot be tested is said."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae import distributions as d
from tinyae.checks import SemanticsError, assert_distribution, semcheck_distribution
from tinyae.errors import ArgumentError


def some(random):
    """Distributions with random parameters, and others for their divergences."""
    a = lambda *shape: random.normal(size=shape)  # noqa: E731
    yield d.Normal(a(3, 1), a(3, 1)), [d.StandardNormal(), d.Normal(a(3, 1), a(3, 1))]
    yield d.Bernoulli(2 * a(3, 2)), [d.Bernoulli(a(3, 2))]
    yield d.ContinuousBernoulli(4 * a(3, 1)), [d.ContinuousBernoulli(a(3, 1))]
    yield d.Categorical(2 * a(2, 4)), [d.Categorical(a(2, 4))]
    yield d.Concrete(a(2, 2), random.uniform(0.3, 2)), []
    yield d.Laplace(a(2, 1), a(2, 1)), [d.Laplace(a(2, 1), a(2, 1))]
    yield d.Uniform(a(2, 1), 5 + a(2, 1)), [d.Uniform(-9.0, 11.0), d.Uniform(1.0, 11.0)]
    yield d.DiscretisedLogistic(a(2, 1), a(2, 1) - 2.5), []
    yield d.Mixture(a(2, 3), d.Normal(2 * a(2, 3, 1), a(2, 3, 1))), []
    yield d.Normal(a(2, 1).astype(np.float32), a(2, 1).astype(np.float32)), [d.StandardNormal()]


@pytest.mark.parametrize("seed", range(4))
def test_a_right_distribution_is_never_accused(seed):
    for q, others in some(np.random.default_rng(seed)):
        table = assert_distribution(q, others=others, kl=d.kl_divergence, draws=30_000, seed=seed)
        assert not table.where("not tested"), table


class Exponential:
    """Somebody's distribution, on NumPy alone: an exponential one, cut off at 3, with D features."""

    support = (0.0, 3.0)
    total = 1 - math.exp(-3)

    def log_prob(self, x):
        return (-x - math.log(self.total)).sum(axis=-1)

    def sample(self, rng, draws=()):
        return -np.log1p(-self.total * rng.uniform((*draws, 2, 1), dtype=np.float64))

    @property
    def mean(self):
        return np.full((2, 1), 1 - 3 * math.exp(-3) / self.total)


def test_it_takes_anybodys_distribution_and_says_what_is_wrong(monkeypatch):
    table = assert_distribution(Exponential(), draws=50_000)
    assert {row.check for row in table} >= {"sum", "mean", "draws: variance"}
    monkeypatch.setattr(Exponential, "mean", 1.0)
    with pytest.raises(SemanticsError, match=r"It is 1, where the sum over the density is 0\.8"):
        assert_distribution(Exponential(), draws=20_000)


@pytest.mark.parametrize(("change", "row"), [
    ({"log_prob": lambda self, x: -x.sum(axis=-1)}, "sum"),
    ({"log_prob": lambda self, x: -x - math.log(self.total)}, "shapes"),
    ({"sample": lambda self, rng, draws=(): 1.01 * Exponential.sample(self, rng, draws)}, "draws: mean"),
    ({"sample": lambda self, rng, draws=(): np.repeat(Exponential.sample(self, rng, draws)[..., :1, :], 2, axis=-2)}, "draws: independence"),
    ({"sample": lambda self, rng, draws=(): np.sort(Exponential.sample(self, rng, draws), axis=0)}, "draws: independence"),
    ({"sample": lambda self, rng, draws=(): Exponential.sample(self, rng, draws).astype(np.float32)}, "shapes"),
])  # fmt: skip
def test_a_small_error_is_found(change, row):
    table = semcheck_distribution(type("Wrong", (Exponential,), change)())
    assert row in [failure.check for failure in table.failures], table


def test_a_wrong_divergence_is_found():
    q, p = d.Laplace(np.array([0.3]), np.array([0.1])), d.Laplace(np.array([0.5]), np.array([-0.4]))
    table = semcheck_distribution(q, others=[p], kl=lambda q, p: 1.001 * d.kl_divergence(q, p), draws=10_000)
    assert [row.check for row in table.failures] == ["KL to Laplace"]


def test_what_no_grid_can_hold_is_refused():
    with pytest.raises(ArgumentError, match="no grid can hold so many features"):
        semcheck_distribution(d.Normal(np.zeros(3), 0.0))
    with pytest.raises(ArgumentError, match="an interval is finite, or all numbers"):
        semcheck_distribution(d.Normal(np.zeros(1), 0.0), support=(0.0, math.inf))
    with pytest.raises(ArgumentError, match="the support"):
        semcheck_distribution(d.Normal(np.zeros(1), 0.0), support="line")


def test_a_density_with_more_kinks_than_the_grid_sees_is_not_accused():
    table = semcheck_distribution(d.Laplace(np.array([[0.0, 0.3]]), -1.0), draws=20_000)
    assert not table.failures
    assert "too coarse" in str(table)


def test_the_same_seed_gives_the_same_table():
    q = d.Bernoulli(np.array([0.3, 1.0]))
    assert str(semcheck_distribution(q, draws=2000, seed=3)) == str(semcheck_distribution(q, draws=2000, seed=3))
    assert str(semcheck_distribution(q, draws=2000, seed=3)) != str(semcheck_distribution(q, draws=2000, seed=4))
    assert ta.checks.semcheck_distribution is semcheck_distribution
