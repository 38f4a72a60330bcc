"""The likelihoods: probabilities that sum to one, means in the scale of x, and variances that find themselves."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.autograd import raw
from tinyae.backend import to_device
from tinyae.errors import ArgumentError, DataError
from tinyae.models.likelihoods import HAVE_A_VARIANCE, LIKELIHOODS, BernoulliLikelihood, CalibratedGaussian, LearnedGaussian, likelihood_named

BYTES = ("discretised-logistic", "discretised-logistic-mixture", "categorical")
GAUSSIANS = ("gaussian", "gaussian-learned", "gaussian-per-pixel", "gaussian-calibrated")
REAL = (*GAUSSIANS, "laplace")


def vae(likelihood, features=6, latent=2, seed=0, **settings):
    """A small VAE in float64, its weights far from their initial values."""
    model = ta.models.VAE(features, latent, (5,), likelihood=likelihood, activation="tanh", rng=ta.rng(seed), **settings).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 1.5 + ta.rng(seed + 100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def kept(likelihood):
    """A likelihood as it is in evaluation."""
    return likelihood.eval() if hasattr(likelihood, "eval") else likelihood


def decoded_for(likelihood, features, seed=0, rows=1):
    return np.random.default_rng(seed).normal(size=(rows, likelihood.outputs * features))


def total(likelihood, decoded, x):
    """The sum of the probabilities of all rows of x."""
    return np.exp(raw(likelihood(decoded).log_prob(x))).sum()


def grid_of(name):
    """(points (M, 1), their weight): all values of a feature where they are discrete, else a fine grid."""
    if name == "bernoulli":
        return np.array([[0.0], [1.0]]), 1.0
    if name in BYTES:
        return np.arange(256)[:, None] / 255, 1.0
    low, high = (0, 1) if name == "continuous-bernoulli" else (-40, 40)
    step = (high - low) / 400_000
    return np.arange(low + step / 2, high, step)[:, None], step


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_it_sums_or_integrates_to_one_and_its_mean_is_in_the_scale_of_x(name, seed):
    likelihood = kept(likelihood_named(name))
    decoded, (x, weight) = decoded_for(likelihood, 1, seed), grid_of(name)
    p = np.exp(raw(likelihood(decoded).log_prob(x))) * weight
    assert abs(p.sum() - 1) < 1e-6
    mean = raw(likelihood(decoded).mean).item()
    assert abs(mean - (p * x[:, 0]).sum()) < (0.5 / 255 if name in BYTES else 1e-6)


@pytest.mark.parametrize("name", ["bernoulli", "discretised-logistic"])
def test_it_sums_to_one_over_all_images_of_some_pixels(name):
    likelihood, pixels = likelihood_named(name), 3 if name == "bernoulli" else 2
    images = np.array(list(itertools.product(grid_of(name)[0][:, 0], repeat=pixels)))
    assert abs(total(likelihood, decoded_for(likelihood, pixels), images) - 1) < 1e-9


def test_planted_grey_values_under_a_bernoulli_are_no_probability():
    x, weight = grid_of("continuous-bernoulli")
    assert abs(total(BernoulliLikelihood(), decoded_for(BernoulliLikelihood(), 1), x) * weight - 1) > 0.1


def test_planted_a_logistic_without_its_tails_is_no_probability(monkeypatch):
    def without_tails(self, x):
        inverse = np.exp(-raw(self.log_scale))
        a, b = ((x + side / 255 - raw(self.location)) * inverse for side in (-1, 1))
        return np.log(1 / (1 + np.exp(-b)) - 1 / (1 + np.exp(-a)))

    monkeypatch.setattr(ta.distributions.DiscretisedLogistic, "log_mass", without_tails)
    likelihood = likelihood_named("discretised-logistic")
    assert abs(total(likelihood, decoded_for(likelihood, 1), grid_of("discretised-logistic")[0]) - 1) > 0.01


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_gradient_of_the_whole_loss_is_its_derivative(name, backend):
    model, x, noise = vae(name, features=3).to(backend), ta.rng(1).uniform((4, 3), dtype=np.float64), ta.rng(2).normal((4, 2), np.float64)
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_float32_stays_and_reconstructions_samples_and_draws_have_the_shape_of_x(name, backend):
    model, x = ta.models.VAE(6, 2, (5,), likelihood=name, rng=ta.rng(0)).to(backend), ta.rng(1).uniform((4, 6))
    model.loss(x, rng=ta.rng(0)).loss.backward()
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert model.eval().loss(x, rng=ta.rng(0)).loss.dtype == np.float32
    assert model.reconstruct(x).shape == (4, 6)
    assert model.sample(3, rng=ta.rng(0)).shape == (3, 6)
    assert raw(model.likelihood(model.decode(ta.rng(3).normal((7, 4, 2)))).sample(ta.rng(4))).shape == (7, 4, 6)
    assert model.log_weights(x, ta.rng(3).normal((7, 4, 2))).shape == (7, 4)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_features_twice_double_the_log_probability(name):
    likelihood, x = kept(likelihood_named(name)), np.random.default_rng(1).uniform(size=(3, 4))
    decoded = decoded_for(likelihood, 4, rows=3)
    twice = np.tile(decoded.reshape(3, likelihood.outputs, 4), 2).reshape(3, -1)
    np.testing.assert_allclose(raw(likelihood(twice).log_prob(np.tile(x, 2))), 2 * raw(likelihood(decoded).log_prob(x)), rtol=1e-10)


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if name != "gaussian-calibrated"])
def test_duplicating_the_batch_with_its_noise_changes_nothing(name):
    assert_duplicated_changes_nothing(vae(name))


def assert_duplicated_changes_nothing(model):
    x, noise = ta.rng(1).uniform((4, 6), dtype=np.float64), ta.rng(2).normal((4, 2), np.float64)
    one, two = (model.loss(np.tile(x, (k, 1)), noise=np.tile(noise, (k, 1))) for k in (1, 2))
    np.testing.assert_allclose([t.item() for t in two], [t.item() for t in one], rtol=1e-12)
    gradients = [[g.data for g in ta.grad(terms.loss, model.parameters())] for terms in (one, two)]
    for g, h in zip(*gradients, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12)


def test_decoders_of_two_numbers_give_first_all_means():
    decoded = np.arange(6.0)[None]
    np.testing.assert_array_equal(raw(likelihood_named("gaussian-per-pixel")(decoded).mean), [[0, 1, 2]])
    location = raw(likelihood_named("discretised-logistic")(decoded).levels.location)
    np.testing.assert_array_equal(location, [[0, 1, 2]])


# ---- variances


ERRORS = np.random.default_rng(3).normal(size=(20, 6)) * 0.2


@pytest.mark.parametrize("name", ["gaussian-learned", "laplace"])
def test_a_learned_scale_is_best_at_its_closed_form(name):
    """The mean squared error, or for the Laplace distribution the square of the mean absolute error, twice."""
    best = (ERRORS**2).mean() if name == "gaussian-learned" else 2 * np.abs(ERRORS).mean() ** 2
    slope, value = slope_and_value(likelihood_named(name, variance=best))
    assert abs(slope) < 1e-5
    for factor in (0.9, 1.1):
        assert slope_and_value(likelihood_named(name, variance=best * factor))[1] > value


def slope_and_value(likelihood):
    loss = -likelihood(np.zeros_like(ERRORS)).log_prob(ERRORS).mean()
    return ta.grad(loss, [likelihood.scaled])[0].item(), loss.item()


def test_planted_a_standard_deviation_taken_for_the_variance_is_found(monkeypatch):
    right = LearnedGaussian.log_variance
    monkeypatch.setattr(LearnedGaussian, "log_variance", property(lambda self: right.fget(self) / 2))
    assert abs(slope_and_value(likelihood_named("gaussian-learned", variance=(ERRORS**2).mean()))[0]) > 1


@given(st.floats(0.01, 10), st.integers(0, 1000))
def test_the_calibrated_variance_is_better_than_any_fixed_one_and_equals_the_best(factor, seed):
    x, mean = np.random.default_rng(seed).normal(size=(2, 5, 3))
    best = -raw(CalibratedGaussian()(mean).log_prob(x)).mean()
    mse = ((x - mean) ** 2).mean()
    for variance in (mse, mse * factor):
        fixed = -raw(likelihood_named("gaussian", variance=variance)(mean).log_prob(x)).mean()
        assert fixed >= best - 1e-12
        assert variance != mse or math.isclose(fixed, best, rel_tol=1e-12)
    assert math.isclose(best, 3 / 2 * (math.log(2 * math.pi * mse) + 1), rel_tol=1e-12, abs_tol=1e-12)


def test_the_calibrated_gradient_is_that_of_the_variance_held_fixed():
    mean = ta.Tensor(np.zeros_like(ERRORS), requires_grad=True)
    calibrated, fixed = (
        ta.grad(-likelihood(mean).log_prob(ERRORS).mean(), [mean])[0].data
        for likelihood in (CalibratedGaussian(), likelihood_named("gaussian", variance=(ERRORS**2).mean()))
    )
    np.testing.assert_allclose(calibrated, fixed, rtol=1e-10)


def test_the_calibrated_loss_of_two_batches_is_at_least_the_mean_and_of_a_batch_and_its_copy_the_same():
    assert_duplicated_changes_nothing(vae("gaussian-calibrated"))
    model = vae("gaussian-calibrated")
    batches = [ta.rng(i).uniform((4, 6), dtype=np.float64) * i for i in (1, 2)]
    noise = ta.rng(2).normal((8, 2), np.float64)
    apart = [model.loss(x, noise=n).loss.item() for x, n in zip(batches, (noise[:4], noise[4:]), strict=True)]
    assert model.loss(np.concatenate(batches), noise=noise).loss.item() > np.mean(apart) + 1e-3
    model.eval()  # the variance is kept: now a batch is its examples
    apart = [model.loss(x, noise=n).loss.item() for x, n in zip(batches, (noise[:4], noise[4:]), strict=True)]
    assert math.isclose(model.loss(np.concatenate(batches), noise=noise).loss.item(), np.mean(apart), rel_tol=1e-12)


def test_the_kept_variance_tends_to_that_of_the_batches_and_stays_in_evaluation():
    likelihood = CalibratedGaussian().astype("float64")
    for _ in range(200):
        likelihood(np.zeros_like(ERRORS)).log_prob(ERRORS)
    assert math.isclose(likelihood.variance.item(), (ERRORS**2).mean(), rel_tol=1e-6)
    before = likelihood.eval().variance.item()
    likelihood(np.zeros_like(ERRORS)).log_prob(9 * ERRORS)
    assert likelihood.variance.item() == before
    assert next(iter(vae("gaussian-calibrated").state_dict())) == "likelihood.variance", "it is saved with the weights"


@pytest.mark.parametrize("name", ["gaussian-learned", "gaussian-calibrated"])
def test_both_find_the_known_variance_of_linear_gaussian_data(name):
    """x = W z + mean + sigma eps with sigma = 1/2: a linear VAE's best variance is sigma^2, and its bound is nearly the exact -log p(x)."""
    data = ta.data.toy("linear-gaussian", 4000, ta.rng(0))
    model = ta.models.VAE(10, 3, (), likelihood=name, rng=ta.rng(1))
    ta.fit(model, data, epochs=40, batch_size=100, schedules={"lr": ta.optim.cosine(2e-2, 1e-4, 40)}, progress=False)
    model.eval()
    found = math.exp(model.likelihood.log_variance.item()) if name == "gaussian-learned" else model.likelihood.variance.item()
    assert abs(found - 0.25) < 0.01
    bound = ta.evaluation.evaluate(model, data, rng=ta.rng(0), draws=3)["negative_elbo"]
    assert -0.05 < bound + data.truth.log_prob(data.images).mean() < 0.15  # nats: where z is not yet turned into the main axes


def test_a_pixel_that_is_always_black_has_a_bounded_density():
    for name in ("gaussian-per-pixel", "gaussian-calibrated"):
        likelihood = likelihood_named(name)
        decoded = np.concatenate([np.zeros((5, 2)), np.full((5, 2), -1000.0)], axis=1)[:, : 2 * likelihood.outputs]
        nats = raw(likelihood(decoded).log_prob(np.zeros((5, 2))))
        assert np.isfinite(nats).all()
        assert nats.max() < 2 * math.log(255)


# ---- what comes in


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if name not in REAL])
def test_values_outside_the_support_are_refused(name):
    for x in (np.full((2, 6), 1.5), np.full((2, 6), -0.5)):
        with pytest.raises(DataError, match=r"expected +values in \[0, 1\]"):
            vae(name).loss(x, rng=ta.rng(0))


def test_grey_data_have_no_likelihood_under_a_bernoulli_and_are_told_so():
    grey = ta.data.load("digits", split="test")
    with pytest.raises(DataError, match="grey values have no likelihood under a bernoulli"):
        BernoulliLikelihood().check_data(grey)
    BernoulliLikelihood().check_data(grey.binarise("threshold"))
    binary = ta.data.dataset.as_dataset((grey.images > 0.5).astype(np.float32))
    BernoulliLikelihood().check_data(binary)
    for name in LIKELIHOODS:
        if name != "bernoulli":
            likelihood_named(name).check_data(grey)


def test_only_some_have_a_variance_and_others_say_so():
    for name in LIKELIHOODS:
        if name in HAVE_A_VARIANCE:
            likelihood_named(name, 0.1)
            with pytest.raises(ArgumentError, match="positive"):
                likelihood_named(name, 0.0)
        else:
            with pytest.raises(ArgumentError, match="only the gaussian, gaussian-learned and laplace likelihoods"):
                likelihood_named(name, 0.1)
    with pytest.raises(ArgumentError, match="continuous-bernoulli"):
        likelihood_named("poisson")


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_model_learns_with_it_is_saved_and_built_again(name):
    data = ta.data.load("digits").binarise("threshold" if name == "bernoulli" else "grey").rows(slice(0, 200))
    model = ta.models.VAE(64, 2, (8,), likelihood=name, rng=ta.rng(0))
    history = ta.fit(model, data, epochs=3, batch_size=20, lr=3e-3, progress=False)
    assert history["train_loss"][-1] < history["train_loss"][0]
    again = ta.models.build(model.config, ta.rng(5))
    again.load_state_dict(model.state_dict())
    x, noise = to_device(data.images[:5]), ta.rng(1).normal((5, 2))
    assert again.eval().loss(x, noise=noise).loss.item() == model.eval().loss(x, noise=noise).loss.item()
