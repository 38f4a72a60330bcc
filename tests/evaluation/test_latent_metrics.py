"""The latent space: active units, rates, and the aggregate posterior, on models and posteriors of which the truth is known."""

import math

import numpy as np
import pytest
from test_likelihood_estimates import TRUTH, exact_model

import tinyae as ta
from tinyae.data import as_dataset
from tinyae.distributions import Normal
from tinyae.errors import ArgumentError
from tinyae.evaluation import latent
from tinyae.evaluation.latent import active_units, aggregate_posterior, code_information, kl_per_dimension, kl_per_level, rate_distortion, squared_mmd


def data(n=3000):
    """Points of the linear-Gaussian truth whose exact posterior `exact_model` has."""
    return as_dataset(TRUTH.sample(n, ta.rng(3).stream("latent"))[0].astype(np.float64))


def posterior(n=3000):
    return latent.posterior_of(exact_model(), data(n), ta.rng(0))


# ---- active units


def dead_and_alive(n=2000):
    """A posterior of which two dimensions tell examples apart, one nearly so, and two are the prior."""
    generator = np.random.default_rng(0)
    mean = generator.normal(size=(n, 5)) * [1.0, 0.3, 0.08, 0.0, 0.0] + [0, 3, 0, 5, 0]
    return Normal(mean, np.broadcast_to(np.log([0.1, 0.5, 0.99, 1.0, 1.0]), mean.shape))


def counts_right(count):
    return count(dead_and_alive()) == 2


def from_samples(q):
    return active_units(q.rsample(np.random.default_rng(1).normal(size=q.mean.shape)))


def test_active_units_are_those_whose_mean_varies():
    assert counts_right(lambda q: active_units(q.mean))
    assert active_units(dead_and_alive().mean, threshold=0.001) == 3
    assert active_units(dead_and_alive().mean, threshold=0.5) == 1


@pytest.mark.parametrize("planted", [from_samples, lambda q: len(q.mean.var(axis=0) > 0.01), lambda q: active_units(q.mean.T[:5])])
def test_counting_samples_or_the_mask_or_the_other_axis_is_seen(planted):
    assert not counts_right(planted)


def test_of_a_linear_model_all_dimensions_are_active():
    assert active_units(latent.codes_of(exact_model(), data(), ta.rng(0))) == 2


# ---- rate and distortion


def test_rate_and_distortion_of_the_exact_posterior_add_up_to_the_exact_likelihood():
    rate, distortion = rate_distortion(exact_model(), data(), ta.rng(0), draws=3)
    np.testing.assert_allclose(rate + distortion, -TRUTH.log_prob(data().images.astype(np.float64)), rtol=1e-5)
    error = rate.std() / math.sqrt(len(rate))
    assert abs(rate.mean() - TRUTH.optimal_kl()) < 5 * error


def test_the_kl_of_the_dimensions_adds_up_to_the_rate():
    q, (rate, _) = posterior(), rate_distortion(exact_model(), data(), ta.rng(0))
    np.testing.assert_allclose(kl_per_dimension(q).sum(), rate.mean(), rtol=1e-9)
    variance = np.exp(q.log_variance[0])
    expected = (np.mean(q.mean**2, axis=0) + variance - np.log(variance) - 1) / 2
    np.testing.assert_allclose(kl_per_dimension(q), expected, rtol=1e-9)


class TwoLevels:
    """z_2 ~ N(0, 1) and z_1 | z_2 ~ N(z_2, 1), q(z_2) = N(1, 1), q(z_1 | z_2) = N(z_2 + 2, 1), p(x | z) = 1: KLs of 1/2 and 2."""

    latent, levels = 2, (1, 1)

    def loss(self, x, noise=None, rng=None):
        raise AssertionError("nobody asks for it")

    def draw_noise(self, n, noise=None, rng=None, draws=()):
        return rng.normal((*draws, n, 2), np.float64)

    def level_kls(self, x, noise):
        return [0 * noise[..., 0] + 0.5, 0 * noise[..., 0] + 2.0]

    def log_weights(self, x, noise):
        z2, z1 = noise[..., 0] + 1, noise[..., 0] + noise[..., 1] + 3
        return (-(z2**2) + (z2 - 1) ** 2 - (z1 - z2) ** 2 + (z1 - z2 - 2) ** 2) / 2


def test_each_level_of_a_hierarchy_has_its_kl():
    x = as_dataset(np.zeros((400, 3)))
    np.testing.assert_allclose(kl_per_level(TwoLevels(), x, ta.rng(0)), np.tile([0.5, 2.0], (400, 1)))
    rate, distortion = rate_distortion(TwoLevels(), x, ta.rng(0), draws=20)
    assert rate.mean() == 2.5
    assert abs(distortion.mean()) < 5 * distortion.std() / 20


# ---- the aggregate posterior


def looks_like_the_prior(q, samples=True):
    """Whether the aggregate is N(0, I) within five standard errors; from the means, as an error has it, where samples is False."""
    found = aggregate_posterior(q if samples else Normal(q.mean, q.log_variance - 60), ta.rng(1))
    n = len(q.mean)
    return bool(
        (abs(found.mean) < 5 / math.sqrt(n)).all()
        and (abs(found.variance - 1) < 5 * math.sqrt(2 / n)).all()
        and abs(found.squared_mmd.value) < 5 * found.squared_mmd.standard_error
    )


def test_the_aggregate_of_exact_posteriors_is_the_prior_and_that_of_their_means_is_not():
    assert looks_like_the_prior(posterior())
    assert not looks_like_the_prior(posterior(), samples=False)


def test_moments_and_their_kl_are_those_of_the_samples():
    q = Normal(np.full((4000, 2), [1.0, 0.0]), np.full((4000, 2), [0.0, math.log(4)]))
    found = aggregate_posterior(q, ta.rng(0))
    np.testing.assert_allclose(found.mean, [1, 0], atol=0.2)
    np.testing.assert_allclose(found.variance, [1, 4], rtol=0.15)
    np.testing.assert_allclose(found.moment_kl, [0.5, (4 - math.log(4) - 1) / 2], rtol=0.15)
    assert found.squared_mmd.value > 10 * found.squared_mmd.standard_error


def slow_mmd(x, y):
    def k(a, b):
        return math.exp(-((a - b) ** 2).sum() / (2 * len(a)))

    inside = [np.mean([k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)]
    return sum(inside) - 2 * np.mean([k(a, b) for a in x for b in y])


def test_the_squared_mmd_is_its_double_loop_in_any_order(rng):
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 1
    assert squared_mmd(x, y) == pytest.approx(slow_mmd(x, y), rel=1e-10)
    assert squared_mmd(x[::-1], y[[2, 0, 1, 4, 3]]) == pytest.approx(squared_mmd(x, y), rel=1e-10)
    assert squared_mmd(y, x) == pytest.approx(squared_mmd(x, y), rel=1e-10)


def test_the_squared_mmd_of_equal_distributions_is_zero_on_average(rng):
    found = [squared_mmd(rng.normal(size=(12, 2)), rng.normal(size=(9, 2))) for _ in range(400)]
    assert abs(np.mean(found)) < 5 * np.std(found) / 20
    with_diagonal = np.array(found) + 1 / 12  # the V-statistic of x keeps k(x_i, x_i) = 1
    assert abs(np.mean(with_diagonal)) > 5 * np.std(found) / 20


# ---- mutual information of index and code


def test_codes_far_apart_tell_which_example_it_was_and_equal_ones_nothing():
    apart = code_information(Normal(100.0 * np.arange(50)[:, None], np.zeros((50, 1))), ta.rng(0))
    assert apart.mutual_information.value == pytest.approx(math.log(50)) == pytest.approx(apart.ceiling)
    same = code_information(Normal(np.ones((50, 2)), np.zeros((50, 2))), ta.rng(0))
    assert same.mutual_information.value == pytest.approx(0, abs=1e-12)
    assert abs(same.aggregate_kl.value - 1.0) < 5 * same.aggregate_kl.standard_error


def test_of_a_gaussian_channel_the_mutual_information_is_known():
    means = np.random.default_rng(0).normal(size=(2000, 1)) * math.sqrt(0.75)
    found = code_information(Normal(means, np.full_like(means, math.log(0.25))), ta.rng(0))
    assert abs(found.mutual_information.value - math.log(2)) < 5 * found.mutual_information.standard_error
    assert abs(found.aggregate_kl.value) < 5 * found.aggregate_kl.standard_error + 0.01


def test_both_parts_add_up_to_the_rate(monkeypatch):
    q = posterior(900)
    whole, rate = code_information(q, ta.rng(0)), kl_per_dimension(q).sum()
    error = math.hypot(whole.mutual_information.standard_error, whole.aggregate_kl.standard_error)
    assert abs(whole.mutual_information.value + whole.aggregate_kl.value - rate) < 5 * error
    monkeypatch.setattr(latent, "CODES", 30)  # a smaller batch: a lower ceiling
    assert code_information(q, ta.rng(0)).ceiling == math.log(30)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: active_units(np.zeros(3)), r"active_units: means has another shape(.|\n)*\(N, J\)"),
    (lambda: active_units(np.zeros((3, 2)), -1), r"the threshold is a variance(.|\n)*0 or more(.|\n)*-1"),
    (lambda: squared_mmd(np.zeros((3, 2)), np.zeros((3, 1))), r"squared_mmd: two samples or more"),
    (lambda: squared_mmd(np.zeros((1, 2)), np.zeros((3, 2))), r"squared_mmd: two samples or more"),
])  # fmt: skip
def test_bad_input_is_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
