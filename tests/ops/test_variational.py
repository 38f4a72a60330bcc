"""KL and reparameterization against samples and closed forms: what a gradient check cannot see."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.errors import ShapeError

N = 400_000


def sampler_z_scores(sampler, mean, log_variance):
    """How many standard errors the sampler's mean and variance are from those of N(mean, exp(log_variance))."""
    noise = np.random.default_rng(0).standard_normal((N, 1))
    draws = sampler(np.full((N, 1), mean), np.full((N, 1), log_variance), noise)[:, 0]
    variance = math.exp(log_variance)
    return abs(draws.mean() - mean) / math.sqrt(variance / N), abs(draws.var() - variance) / (variance * math.sqrt(2 / N))


@pytest.mark.parametrize(("mean", "log_variance"), [(0.7, -1.2), (-2.0, 1.5), (0.0, 0.0)])
def test_draws_have_the_stated_mean_and_variance(mean, log_variance):
    assert max(sampler_z_scores(ops.reparameterize, mean, log_variance)) < 5


def test_a_sampler_whose_standard_deviation_is_the_variance_is_caught():
    def wrong(mean, log_variance, noise):
        return mean + np.exp(log_variance) * noise

    assert max(sampler_z_scores(wrong, 0.7, -1.2)) > 50


def monte_carlo_kl(sampler, mean, log_variance):
    """E_q[log q(z) - log p(z)] with draws from `sampler`, and its standard error."""
    noise = np.random.default_rng(1).standard_normal((N, len(mean)))
    z = sampler(mean, log_variance, noise)
    log_q, log_p = -ops.gaussian_nll(mean, log_variance, z), -ops.gaussian_nll(np.zeros_like(mean), 0.0, z)
    return (log_q - log_p).mean(), (log_q - log_p).std() / math.sqrt(N)


def test_the_closed_kl_agrees_with_samples_of_the_models_own_sampler():
    mean, log_variance = np.array([0.7, -0.4, 1.1]), np.array([-1.2, 0.8, -0.1])
    estimate, error = monte_carlo_kl(ops.reparameterize, mean, log_variance)
    assert abs(estimate - ops.kl_standard_normal(mean, log_variance)) < 5 * error


def test_the_kl_notices_a_sampler_with_the_wrong_spread():
    """The slip of two public implementations: closed 0.4956, sampled 0.7398."""
    mean, log_variance = np.array([0.7]), np.array([-1.2])
    estimate, error = monte_carlo_kl(lambda m, s, noise: m + np.exp(s) * noise, mean, log_variance)
    closed = ops.kl_standard_normal(mean, log_variance)
    assert round(float(closed), 4) == 0.4956
    assert abs(estimate - 0.7398) < 5 * error
    assert abs(estimate - closed) > 50 * error


def test_the_kl_is_zero_only_at_the_prior(rng):
    assert ops.kl_standard_normal(np.zeros((1, 4)), np.zeros((1, 4))) == 0
    mean, log_variance = rng.normal(size=(2, 1000, 3))
    assert (ops.kl_standard_normal(mean, log_variance) > 0).all()


def test_the_kl_agrees_with_quadrature():
    z = np.linspace(-30, 30, 200_001)[:, None]
    mean, log_variance = np.array([0.7]), np.array([0.9])
    log_q, log_p = -ops.gaussian_nll(mean, log_variance, z), -ops.gaussian_nll(np.zeros(1), 0.0, z)
    assert math.isclose(np.trapezoid(np.exp(log_q) * (log_q - log_p), z[:, 0]), ops.kl_standard_normal(mean, log_variance), rel_tol=1e-9)


def test_gradients_are_the_textbook_ones(rng):
    mean, log_variance, noise = (ta.Tensor(x, requires_grad=True) for x in rng.normal(size=(3, 5, 2)))
    ops.kl_standard_normal(mean, log_variance).sum().backward()
    np.testing.assert_allclose(mean.grad, mean.data, rtol=1e-14)
    np.testing.assert_allclose(log_variance.grad, (np.exp(log_variance.data) - 1) / 2, rtol=1e-14)
    mean.grad = log_variance.grad = None
    ops.reparameterize(mean, log_variance, noise).sum().backward()
    np.testing.assert_allclose(mean.grad, np.ones((5, 2)))
    np.testing.assert_allclose(log_variance.grad, noise.data * np.exp(log_variance.data / 2) / 2, rtol=1e-14)


@pytest.mark.parametrize("shapes", [((4, 3), ()), ((4, 3), (1,)), ((4, 3), (4, 1)), ((4, 1), (4, 3))])
def test_latent_dimensions_do_not_broadcast(shapes):
    """The rules would lose a factor J; leading axes may broadcast, and a Python number for all has no gradient to lose."""
    mean, log_variance = (ta.Tensor(np.ones(shape), requires_grad=True) for shape in shapes)
    with pytest.raises(ShapeError, match="last axes do not fit"):
        ops.kl_standard_normal(mean, log_variance)
    assert ops.kl_standard_normal(ta.Tensor(np.ones((4, 3))), 0.0).numpy().tolist() == [1.5] * 4


def test_the_pathwise_gradient_is_the_gradient_of_the_expectation():
    """E[z^2] = mean^2 + variance, whose derivatives are 2 mean and the variance."""
    mean, log_variance = ta.Tensor(np.array([0.7]), requires_grad=True), ta.Tensor(np.array([-0.5]), requires_grad=True)
    noise = np.random.default_rng(3).standard_normal((N, 1))
    z = ops.reparameterize(mean, log_variance, noise)
    (ops.square(z).sum() / N).backward()
    assert abs(mean.grad[0] - 1.4) < 5 * 2 * math.exp(-0.25) / math.sqrt(N)
    assert abs(log_variance.grad[0] - math.exp(-0.5)) < 5 * 2 / math.sqrt(N)


def test_a_fused_kl_that_forgets_its_half_is_not_its_twin(monkeypatch, rng):
    """A planted error in the formula: gradients and value still agree with each other, so only the twin sees it."""
    mean, log_variance = rng.normal(size=(2, 4, 3))
    monkeypatch.setattr(ops.kl_standard_normal, "forward", lambda m, s: (m**2 + np.exp(s) - s - 1).sum(axis=-1))
    assert not np.allclose(ops.kl_standard_normal(mean, log_variance), ops.kl_standard_normal.composed(mean, log_variance))
