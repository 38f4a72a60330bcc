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
    with pytest.raises(ShapeError, match=r"axes called j have lengths|too few axes"):
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


def kl_by_samples(mean, log_variance, prior_mean, prior_log_variance):
    """E_q[log q(z) - log p(z)] and its standard error."""
    z = ops.reparameterize(mean, log_variance, np.random.default_rng(2).standard_normal((N, len(mean))))
    ratio = ops.gaussian_nll(prior_mean, prior_log_variance, z) - ops.gaussian_nll(mean, log_variance, z)
    return ratio.mean(), ratio.std() / math.sqrt(N)


def test_the_kl_of_two_normals_agrees_with_samples_and_not_when_they_change_places():
    q, p = (np.array([0.7, -0.4, 1.1]), np.array([-1.2, 0.8, -0.1])), (np.array([0.2, 0.5, 0.0]), np.array([0.3, -0.5, 1.0]))
    estimate, error = kl_by_samples(*q, *p)
    assert abs(estimate - ops.kl_normal_normal(*q, *p)) < 5 * error
    assert abs(estimate - ops.kl_normal_normal(*p, *q)) > 50 * error


def test_the_kl_of_two_normals_agrees_with_quadrature():
    z = np.linspace(-30, 30, 200_001)[:, None]
    q, p = (np.array([0.7]), np.array([0.9])), (np.array([-0.4]), np.array([1.6]))
    log_q, log_p = -ops.gaussian_nll(*q, z), -ops.gaussian_nll(*p, z)
    assert math.isclose(np.trapezoid(np.exp(log_q) * (log_q - log_p), z[:, 0]), ops.kl_normal_normal(*q, *p), rel_tol=1e-9)


def test_a_kl_that_forgets_the_prior_variance_is_wrong_where_no_standard_prior_could_show_it(rng):
    """The slip of a public two-level autoencoder."""
    mean, log_variance, prior_mean, prior_log_variance = rng.normal(size=(4, 6, 3))

    def forgetful(prior_log_variance):
        difference = log_variance - prior_log_variance
        return (np.exp(difference) + (mean - prior_mean) ** 2 - difference - 1).sum(-1) / 2

    np.testing.assert_allclose(ops.kl_normal_normal(mean, log_variance, prior_mean, 0 * mean), forgetful(0), rtol=1e-12)
    assert (abs(ops.kl_normal_normal(mean, log_variance, prior_mean, prior_log_variance) - forgetful(prior_log_variance)) > 1e-3).all()


def test_the_kl_of_two_normals_is_that_to_the_standard_prior_in_its_units(rng):
    """The KL does not change when z is shifted and stretched so that the prior becomes N(0, 1)."""
    mean, log_variance, prior_mean, prior_log_variance = rng.normal(size=(4, 6, 3))
    standard = ops.kl_standard_normal((mean - prior_mean) / np.exp(prior_log_variance / 2), log_variance - prior_log_variance)
    np.testing.assert_allclose(ops.kl_normal_normal(mean, log_variance, prior_mean, prior_log_variance), standard, rtol=1e-12)
    np.testing.assert_allclose(ops.kl_normal_normal(mean, log_variance, 0.0, 0.0), ops.kl_standard_normal(mean, log_variance), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_kl_of_two_normals_is_zero_only_where_they_are_equal(dtype, rng):
    prior_mean, prior_log_variance = rng.normal(size=(2, 1000, 3)).astype(dtype)
    assert (ops.kl_normal_normal(prior_mean, prior_log_variance, prior_mean, prior_log_variance) == 0).all()
    mean, log_variance = prior_mean + dtype(1e-5), prior_log_variance + dtype(1e-5) * rng.normal(size=(1000, 3)).astype(dtype)
    found = ops.kl_normal_normal(mean, log_variance, prior_mean, prior_log_variance)
    assert (found > 0).all()
    m, s, pm, ps = (x.astype(np.longdouble) for x in (mean, log_variance, prior_mean, prior_log_variance))
    exact = (np.expm1(s - ps) - (s - ps) + (m - pm) ** 2 / np.exp(ps)).sum(-1) / 2
    np.testing.assert_allclose(found, exact.astype(float), rtol=2e-2 if dtype is np.float32 else 1e-10)


@pytest.mark.parametrize(("dtype", "far"), [(np.float32, 85.0), (np.float64, 700.0)])
def test_the_kl_of_two_normals_overflows_no_earlier_than_it_must(dtype, far):
    """exp(far) is near the largest number there is, and its square is beyond it: no quotient of variances is formed."""
    one = np.ones(1, dtype)
    for log_variance, prior_log_variance in [(far, far), (-far, -far), (-far, far), (-2 * far, far), (far / 2, -far / 2)]:
        inputs = [ta.Tensor(x * one, requires_grad=True) for x in (0.0, log_variance, 0.0, prior_log_variance)]
        y = ops.kl_normal_normal(*inputs)
        difference = dtype(log_variance) - dtype(prior_log_variance)
        assert math.isclose(y.item(), (math.expm1(difference) - float(difference)) / 2, rel_tol=1e-6)
        y.backward()
        slope = math.expm1(difference) / 2
        np.testing.assert_allclose([x.grad[0] for x in inputs], [0, slope, 0, -slope], rtol=1e-6)


def test_the_kl_is_never_negative_in_float32_and_keeps_its_digits_near_the_prior(rng):
    mean, log_variance = (rng.normal(size=(2, 2000, 1)) * 1e-4).astype(np.float32)
    found = ops.kl_standard_normal(mean, log_variance)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    np.testing.assert_allclose(found, ops.kl_standard_normal(mean.astype(np.float64), log_variance.astype(np.float64)), rtol=2e-2)
