"""Toy sets: their geometry, and the densities that are known."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import tinyae as ta
from tinyae.errors import ArgumentError


def of(name, n=20_000, seed=0, **settings):
    """n points of a toy set."""
    return ta.data.toy(name, n, ta.rng(seed))


def test_points_become_batches_as_they_are_on_every_backend(backend):
    moons = of("two-moons", 50)
    batch = next(iter(moons.batches(50)))
    assert (batch.shape, batch.dtype, moons.image_shape) == ((50, 2), np.float32, (1, 2))
    assert (ta.backend.to_numpy(batch) == moons.pixels).all()
    assert moons.pixels.min() < 0


def test_points_are_not_binarised():
    with pytest.raises(ArgumentError, match=r"two-moons: these numbers cannot be binarised(.|\n)*grey"):
        ta.data.load("two-moons", binarisation="dynamic")


def test_an_unknown_toy_set_is_an_error_with_the_names():
    with pytest.raises(ArgumentError, match="two-moons, swiss-roll, pinwheel, gaussian-ring"):
        of("three-moons")


def test_moons_are_half_circles_around_their_centres():
    moons = of("two-moons")
    for label, centre in ((0, (0, 0)), (1, (1, 0.5))):
        points = moons.pixels[moons.labels == label] - centre
        radius = np.hypot(*points.T)
        assert len(points) == 10_000
        assert abs(radius.mean() - 1.005) < 4 * 0.1 / 100  # E sqrt((1 + e)^2 + e'^2) = 1 + sigma^2 / 2
        assert abs(radius.std() - 0.1) < 0.005
        side = points[:, 1] if label == 0 else -points[:, 1]
        assert side.min() > -0.5
        angle = moons.factors[moons.labels == label, 0]
        along = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 if label == 0 else -1)
        assert np.square(points - along).sum(axis=1).mean() == pytest.approx(2 * 0.1**2, rel=0.05)


def test_the_swiss_roll_unrolls_to_its_factors():
    roll = of("swiss-roll")
    angle, height = roll.factors.T
    assert (angle.min() >= 1.5 * np.pi, angle.max() <= 4.5 * np.pi, abs(height).max() <= 1) == (True, True, True)
    x, y, z = roll.pixels.T
    assert abs(np.hypot(x, z) - angle / 10).std() < 0.025
    assert (y - height).std() == pytest.approx(0.02, rel=0.05)
    turned = np.angle((x + 1j * z) * np.exp(-1j * angle))
    assert abs(turned).max() < 0.25


def test_the_pinwheel_untwists_to_its_arms():
    wheel = of("pinwheel")
    radius = np.hypot(*wheel.pixels.T)
    assert np.bincount(wheel.labels).tolist() == [4000] * 5
    for arm in range(5):
        points = wheel.pixels[wheel.labels == arm] @ [1, 1j]
        along = radius[wheel.labels == arm]
        straight = points * np.exp(-1j * (2 * np.pi * arm / 5 + 0.25 * np.exp(along)))
        assert abs(np.median(np.angle(straight))) < 0.02
    assert np.square(radius).mean() == pytest.approx(1 + 0.3**2 + 0.1**2, rel=0.02)


@pytest.mark.parametrize("name", ["gaussian-ring", "gaussian-grid"])
def test_a_mixture_has_the_density_of_its_parts_and_integrates_to_one(name):
    data = of(name)
    truth = data.truth
    parts = [scipy.stats.multivariate_normal(mean, truth.sigma**2).pdf(data.pixels) for mean in truth.means]
    np.testing.assert_allclose(truth.log_prob(data.pixels), np.log(np.mean(parts, axis=0)), rtol=1e-9)
    axis = np.linspace(-4, 4, 401)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(truth.log_prob(grid)).reshape(401, 401)
    assert scipy.integrate.trapezoid(scipy.integrate.trapezoid(density, axis), axis) == pytest.approx(1, abs=1e-6)
    away = data.pixels - truth.means[data.labels]
    assert away.std() == pytest.approx(truth.sigma, rel=0.02)
    assert np.bincount(data.labels).tolist() == [20_000 // len(truth.means)] * len(truth.means)


def test_the_linear_gaussian_likelihood_is_the_normal_density():
    data = of("linear-gaussian")
    truth = data.truth
    reference = scipy.stats.multivariate_normal(truth.mean, truth.weight @ truth.weight.T + truth.sigma**2 * np.eye(10))
    np.testing.assert_allclose(truth.log_prob(data.pixels), reference.logpdf(data.pixels), rtol=1e-9)
    error = (truth.log_prob(data.pixels).mean() + reference.entropy()) / np.sqrt(10 / 2 / len(data))  # the variance of log p is D / 2
    assert abs(error) < 4


def test_points_of_the_linear_gaussian_come_from_their_factors():
    data = of("linear-gaussian")
    rest = data.pixels - data.factors @ data.truth.weight.T - data.truth.mean
    assert rest.std() == pytest.approx(data.truth.sigma, rel=0.01)
    assert data.factors.std() == pytest.approx(1, rel=0.02)
    assert abs(np.corrcoef(np.column_stack([rest, data.factors]).T) - np.eye(13)).max() < 0.04


def test_the_optimal_kl_is_that_of_the_exact_posterior_on_average():
    data = of("linear-gaussian")
    weight, mean, sigma = data.truth.weight, data.truth.mean, data.truth.sigma
    precision = np.eye(3) + weight.T @ weight / sigma**2  # of the posterior of z; Bishop 2006, 12.42
    means = (data.pixels - mean) @ weight @ np.linalg.inv(precision) / sigma**2
    kl = 0.5 * (np.trace(np.linalg.inv(precision)) - 3 + np.linalg.slogdet(precision)[1] + np.square(means).sum(axis=1))
    assert abs(kl.mean() - data.truth.optimal_kl()) < 4 * kl.std() / np.sqrt(len(data))
    assert data.truth.optimal_kl() == pytest.approx(0.5 * np.linalg.slogdet(precision)[1], rel=1e-9)


def test_superposed_features_are_sparse_and_the_points_are_their_sums():
    data = of("superposition")
    dictionary, features = data.truth.dictionary, data.factors
    assert (dictionary.shape, features.shape) == ((16, 32), (20_000, 32))
    np.testing.assert_allclose(np.linalg.norm(dictionary, axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(data.pixels, features @ dictionary.T, atol=1e-6)
    active = features > 0
    assert abs(active.mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / features.size)
    assert abs(features[active].mean() - 0.5) < 4 * np.sqrt(1 / 12 / active.sum())
    assert features.min() == 0
    assert features.max() < 1
    assert (ta.data.load("superposition", split="test").truth.dictionary == dictionary).all()
