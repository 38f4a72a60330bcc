"""The importance-weighted log-likelihood against exact ones, by its identities, and with the known errors planted."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae.backend import to_device
from tinyae.errors import ArgumentError, ShapeError, one_line
from tinyae.evaluation import log_likelihood

SIGMA = 0.7
WEIGHT = np.array([[1.2, 0.0], [0.0, 0.8], [-0.9, 0.0], [0.0, 1.5]])  # orthogonal columns: the exact posterior is diagonal
TRUTH = ta.data.LinearGaussian(WEIGHT, np.array([0.3, -1.0, 0.5, 2.0]), SIGMA)


def exact_model(wrong=0.0):
    """A VAE whose decoder is TRUTH and whose posterior is the exact one; `wrong` is added to its log-variance."""
    model = ta.models.VAE(4, 2, (), likelihood="gaussian", variance=SIGMA**2, rng=ta.rng(0)).astype("float64")
    precision = 1 + (WEIGHT**2).sum(axis=0) / SIGMA**2
    model.decoder[0].weight.assign(WEIGHT)
    model.decoder[0].bias.assign(TRUTH.mean)
    to_mean = (WEIGHT / SIGMA**2 / precision).T
    model.encoder[0].weight.assign(np.concatenate([to_mean, np.zeros((2, 4))]))
    model.encoder[0].bias.assign(np.concatenate([-to_mean @ TRUTH.mean, wrong - np.log(precision)]))
    return model


def points(n=11, purpose="points"):
    return TRUTH.sample(n, ta.rng(3).stream(purpose))[0].astype(np.float64)


def digits_model(seed=0):
    """A small VAE of 2 latent dimensions, its decoder's weights far from their initial values."""
    model = ta.models.VAE(12, 2, (9,), activation="tanh", rng=ta.rng(seed)).astype("float64")
    for i, p in enumerate(model.decoder.parameters()):
        p.assign(p.data * 2 + ta.rng(seed + 100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def binary(n, seed=5):
    return ta.rng(seed).bernoulli(np.full((n, 12), 0.4))


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_with_the_exact_posterior_every_weight_is_the_likelihood_itself(samples):
    x = points()
    found = log_likelihood(exact_model(), x, samples, rng=ta.rng(0))
    np.testing.assert_allclose(found.log_prob, TRUTH.log_prob(x), rtol=1e-9)
    assert math.isclose(found.nll, -TRUTH.log_prob(x).mean(), rel_tol=1e-9)
    assert math.isclose(found.effective_samples, samples, rel_tol=1e-9)
    assert found.samples == samples
    assert math.isclose(found.standard_error, TRUTH.log_prob(x).std(ddof=1) / math.sqrt(11), rel_tol=1e-9)


def test_with_another_posterior_the_estimate_falls_to_the_exact_value():
    x, model = points(200), exact_model(wrong=0.8)
    gaps = [log_likelihood(model, x, k, rng=ta.rng(0)).nll + TRUTH.log_prob(x).mean() for k in (1, 5, 50, 500)]
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]
    assert abs(gaps[3]) < 0.01
    assert gaps[0] == pytest.approx(math.exp(0.8) - 1 - 0.8, abs=0.25), "the KL of the two posteriors, 1/2 (r - 1 - log r) in each dimension"


def quadrature(model, x, side=301, width=9.0):
    """log p(x) by the trapezoid rule on a grid of z."""
    axis = np.linspace(-width, width, side)
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    logits = ta.autograd.raw(model.decode(z))
    log_p = x @ logits.T - np.logaddexp(0, logits).sum(axis=1) - (z**2).sum(axis=1) / 2 - math.log(2 * math.pi)
    return np.logaddexp.reduce(log_p, axis=1) + 2 * math.log(axis[1] - axis[0])


def test_bounds_of_two_dimensions_come_down_to_the_quadrature_in_order():
    model, x = digits_model(), binary(60)
    exact = -quadrature(model, x).mean()
    found = [log_likelihood(model, x, k, rng=ta.rng(1)) for k in (1, 5, 50, 500)]
    nll = [one.nll for one in found]
    assert nll[0] > nll[1] > nll[2] > nll[3]
    assert abs(nll[3] - exact) < 0.1
    assert all(1 <= one.effective_samples <= k for one, k in zip(found, (1, 5, 50, 500), strict=True))


def test_one_draw_gives_the_negative_elbo_on_average():
    model, x = digits_model(), binary(40)
    single = [log_likelihood(model, x, 1, rng=ta.rng(i)).nll for i in range(200)]
    elbo = ta.evaluation.evaluate(model, x, rng=ta.rng(0), draws=200)["negative_elbo"]
    assert abs(np.mean(single) - elbo) < 5 * np.std(single) / math.sqrt(100)


@pytest.mark.parametrize(("batch_size", "at_once"), [(1, 1), (7, 12 * 7 * 3), (1000, 1), (4, 10**9)])
def test_whatever_is_computed_at_once_the_numbers_are_the_same(batch_size, at_once):
    model, x = digits_model(), binary(23)
    whole = log_likelihood(model, x, 10, rng=ta.rng(2), batch_size=23, at_once=10**9)
    parts = log_likelihood(model, x, 10, rng=ta.rng(2), batch_size=batch_size, at_once=at_once)
    np.testing.assert_allclose(parts.log_prob, whole.log_prob, rtol=1e-12)
    assert (parts.samples, math.isclose(parts.effective_samples, whole.effective_samples, rel_tol=1e-12)) == (10, True)


class Weights:
    """A model whose log-weights are its noise times x, beside a large constant."""

    def __init__(self):
        self.seen = []

    def loss(self, x, rng=None):
        raise AssertionError("nobody asks for it")

    def draw_noise(self, n, noise=None, rng=None, draws=()):
        self.seen.append(rng.normal((*draws, n, 1), np.float64))
        return self.seen[-1]

    def log_weights(self, x, noise):
        return x[:, 0] * noise[..., 0] - 1e5


def test_the_mean_of_weights_and_the_effective_sample_size_are_as_defined():
    model, x = Weights(), np.array([[0.0], [1.0], [3.0]])
    found = log_likelihood(model, x, 6, rng=ta.rng(0))
    w = np.exp(x[:, 0] * np.stack(model.seen)[..., 0])
    np.testing.assert_allclose(found.log_prob + 1e5, np.log(w.mean(axis=0)), atol=1e-9)
    normal = w / w.sum(axis=0)
    assert math.isclose(found.effective_samples, (1 / (normal**2).sum(axis=0)).mean(), rel_tol=1e-9)
    assert len(model.seen) == 6, "as many draws as were asked for"


def test_it_runs_on_every_backend(backend):
    model = digits_model().to(backend)
    found = log_likelihood(model, binary(9), 5, rng=ta.rng(0), batch_size=4)
    assert isinstance(found.log_prob, np.ndarray)
    with ta.using("numpy"):
        np.testing.assert_allclose(found.log_prob, log_likelihood(digits_model(), binary(9), 5, rng=ta.rng(0)).log_prob, rtol=1e-9)


def test_a_conditional_model_has_the_labels_of_each_batch():
    class Conditional:
        def loss(self, x, labels, noise=None, rng=None):
            raise AssertionError("nobody asks for it")

        def given(self, labels):
            model = Weights()
            model.log_weights = lambda x, noise: 0 * noise[..., 0] + to_device(labels.astype(np.float64))
            return model

    data = ta.data.as_dataset(np.zeros((5, 3)))
    data.labels = np.arange(5)
    assert log_likelihood(Conditional(), data, 3, rng=ta.rng(0), batch_size=2).log_prob == pytest.approx(np.arange(5))


# ---- planted errors: each is seen by one of the checks


def plus_log_p(model, x, samples, rng):
    found = log_likelihood(model, x, samples, rng=rng)
    return found._replace(nll=-found.nll)


def batch_for_samples(model, x, samples, rng):
    return log_likelihood(model, x, 3, rng=rng)._replace(samples=samples)


def by_batches(model, x, samples, rng):
    return [log_likelihood(model, x[i : i + 4], samples, rng=rng.stream("batch", i)) for i in range(0, len(x), 4)]


def first_batch_over_their_number(model, x, samples, rng):
    parts = by_batches(model, x, samples, rng)
    return parts[0]._replace(nll=parts[0].nll / len(parts))


def one_batch_too_few(model, x, samples, rng):
    parts = by_batches(model, x, samples, rng)[:-1]
    return parts[0]._replace(nll=np.mean([part.nll for part in parts]))


def short_batch_as_a_full_one(model, x, samples, rng):
    parts = by_batches(model, x, samples, rng)
    return parts[0]._replace(nll=np.mean([part.nll for part in parts]))


def training_split(model, x, samples, rng):
    return log_likelihood(model, points(11, "training"), samples, rng=rng)


def mean_of_log_weights(model, x, samples, rng):
    return log_likelihood(model, x, 1, rng=rng)._replace(samples=samples, effective_samples=float(samples))


def is_right(estimate):
    """Whether an estimate is exact where the posterior is, counts its draws, and is lower than the ELBO where the posterior is another."""
    x, exact = points(), exact_model()
    found = estimate(exact, x, 5, ta.rng(0))
    equal = math.isclose(found.nll, -TRUTH.log_prob(x).mean(), rel_tol=1e-9) and math.isclose(found.effective_samples, 5, rel_tol=1e-9)
    wide = estimate(exact_model(wrong=1.5), x, 400, ta.rng(0))
    return equal and found.samples == 5 and abs(wide.nll + TRUTH.log_prob(x).mean()) < 0.15


def test_the_check_passes_what_is_right():
    assert is_right(lambda model, x, samples, rng: log_likelihood(model, x, samples, rng=rng, batch_size=4))


@pytest.mark.parametrize(
    "estimate",
    [plus_log_p, batch_for_samples, first_batch_over_their_number, one_batch_too_few, short_batch_as_a_full_one, training_split, mean_of_log_weights],
)
def test_the_check_sees_a_planted_error(estimate):
    assert not is_right(estimate)


# ---- what is refused


def refusal(*args, **settings):
    with pytest.raises(ArgumentError) as error:
        log_likelihood(*args, **settings, rng=ta.rng(0))
    return one_line(error.value)


def test_what_has_no_likelihood_is_refused_in_one_line():
    assert refusal(digits_model(), binary(3), 0) == "log_likelihood: samples (K) is out of range. (expected: a whole number, 1 or more; got: 0)"
    grey = refusal(digits_model(), np.full((2, 12), 0.5))
    assert grey.startswith("log_likelihood: grey values have no probability under a Bernoulli likelihood, which is of zeros and ones: no nll.")
    assert "remedy: train on binarised data" in grey
    assert "model has none. (expected: a variational model; got: Autoencoder)" in refusal(ta.models.Autoencoder(12), binary(3))
    digits = ta.data.load("digits", split="test")
    model = ta.models.VAE(64, rng=ta.rng(0))
    assert "Dataset('digits', 'test'" in refusal(model, digits)
    assert log_likelihood(model, digits.rows(slice(0, 3)).binarise("threshold"), 1, rng=ta.rng(0)).nll > 0


def test_weights_of_another_shape_are_refused():
    model = Weights()
    model.log_weights = lambda x, noise: np.zeros(len(x))
    with pytest.raises(ShapeError, match=r"one for each draw and example(.|\n)*\(4, 2\)(.|\n)*\(2,\)"):
        log_likelihood(model, np.zeros((2, 1)), 4, rng=ta.rng(0))


def test_a_single_example_has_no_standard_error():
    assert math.isnan(log_likelihood(digits_model(), binary(1), 2, rng=ta.rng(0)).standard_error)
