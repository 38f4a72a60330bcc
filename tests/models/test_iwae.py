"""The importance-weighted bound and its two gradients: identities, exact likelihoods, and the errors that public code has made."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import load_with_pixels_twice

import tinyae as ta
from tinyae.autograd import grad
from tinyae.backend import to_device, to_numpy
from tinyae.distributions import kl_divergence
from tinyae.errors import ArgumentError, ShapeError
from tinyae.models import iwae as file
from tinyae.models.iwae import ImportanceBound
from tinyae.ops.softmax import logsumexp, softmax

K, N = 5, 7  # never equal, nor equal to the number of bounds, else a wrong axis does not show


def moved(model, seed=0):
    """The model in float64, its weights far from their initial values."""
    model = model.astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(seed + 100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def iwae(samples=K, latent=3, **settings):
    return moved(ta.models.IWAE(12, latent, (9,), samples=samples, **{"activation": "tanh"} | settings, rng=ta.rng(0)))


def images(n=N, features=12):
    return ta.rng(5).bernoulli(np.full((n, features), 0.4))


def noise_of(*shape):
    return ta.rng(2).normal((*shape, 3), np.float64)


def log_weights_of(model, x, noise):
    """log p(x, z) - log q(z | x), (..., K, N), in plain NumPy from the weights: one tanh layer of encoder and decoder."""
    w = {name: value.astype(np.float64) for name, value in model.state_dict().items()}
    h = np.tanh(x @ w["encoder.0.weight"].T + w["encoder.0.bias"]) @ w["encoder.2.weight"].T + w["encoder.2.bias"]
    mean, log_variance = h[:, :3], h[:, 3:]
    z = mean + np.sqrt(np.exp(log_variance)) * noise
    p = 1 / (1 + np.exp(-(np.tanh(z @ w["decoder.0.weight"].T + w["decoder.0.bias"]) @ w["decoder.2.weight"].T + w["decoder.2.bias"])))
    log_likelihood = np.log(np.where(x == 1, p, 1 - p)).sum(-1)
    return log_likelihood - 0.5 * (z**2).sum(-1) + 0.5 * (noise**2 + log_variance).sum(-1)  # the two log(2 pi) cancel


def gradient(model, loss):
    """The gradient of a loss with respect to all weights, one vector."""
    return np.concatenate([to_numpy(g.data).ravel() for g in grad(loss, model.parameters())])


def value_is_right(model, x, noise):
    """Whether the loss is minus the logarithm of the mean of K weights, by another program."""
    truth = -np.log(np.exp(log_weights_of(model, x, noise)).mean(axis=-2)).mean()
    return math.isclose(model.loss(x, noise=noise).loss.item(), truth, rel_tol=1e-10)


def gradient_is_right(model, x, noise):
    """Whether the gradient of the loss is -sum_k w~_k grad log w_k, the weights held fixed, mean over the batch."""
    log_weights = model.log_weights(x, noise)
    weights = np.exp(log_weights.data) / np.exp(log_weights.data).sum(axis=-2, keepdims=True)
    truth = gradient(model, -(log_weights * weights).sum() / (weights.size / weights.shape[-2]))
    return np.allclose(gradient(model, model.loss(x, noise=noise).loss), truth, rtol=1e-8, atol=1e-10)


# The bound


@given(bounds=st.integers(1, 4), samples=st.sampled_from([1, 2, 3, 6, 9]))
def test_the_loss_is_minus_the_log_of_the_mean_weight_and_its_gradient_is_the_weighted_one(bounds, samples):
    model, noise = iwae(samples), noise_of(bounds, samples, N)
    assert value_is_right(model, images(), noise)
    assert gradient_is_right(model, images(), noise)


def test_with_one_sample_it_is_the_vae_with_the_kl_by_samples():
    model, x, noise = iwae(1), images(), noise_of(N)
    vae = moved(ta.models.VAE(12, 3, (9,), activation="tanh", rng=ta.rng(0)))
    terms, sampled = model.loss(x, noise=noise), -vae.log_weights(x, noise).mean()
    for value in (terms.loss, terms.importance_bound, terms.negative_elbo):
        assert math.isclose(value.item(), sampled.item(), rel_tol=1e-12)
    assert math.isclose(terms.reconstruction.item(), vae.loss(x, noise=noise).reconstruction.item(), rel_tol=1e-12)
    np.testing.assert_allclose(gradient(model, terms.loss), gradient(vae, sampled), rtol=1e-9, atol=1e-12)


def test_the_kl_by_samples_has_the_mean_of_the_closed_form():
    model, x = iwae(1), images()
    kls = [model.loss(x, rng=ta.rng(3).stream("draw", i)).kl.item() for i in range(400)]
    exact = kl_divergence(model.encode(x), model.prior).data.mean()
    assert abs(np.mean(kls) - exact) < 5 * np.std(kls) / math.sqrt(len(kls))


def test_bounds_of_one_sample_are_a_vae_with_so_many_draws_and_one_bound_is_the_iwae():
    x, noise = images(), noise_of(4, K, N)
    draws = noise.reshape(4 * K, 1, N, 3)
    vae = -iwae().log_weights(x, draws).data.mean()
    assert math.isclose(iwae(1).loss(x, noise=draws).loss.item(), vae, rel_tol=1e-12)  # (M, 1)
    apart = [iwae().loss(x, noise=part).loss.item() for part in noise]  # (1, K) each
    assert math.isclose(iwae().loss(x, noise=noise).loss.item(), np.mean(apart), rel_tol=1e-12)
    drawn = ta.rng(1).normal((4, K, N, 3), np.float64)
    assert iwae(bounds=4).loss(x, rng=ta.rng(1)).loss.item() == iwae().loss(x, noise=drawn).loss.item()


def test_convolutions_take_several_draws_as_they_take_one():
    sizes = {"channels": (2, 4), "image_shape": (4, 8), "activation": "tanh"}
    model = moved(ta.models.IWAE(32, 3, (5,), samples=K, **sizes, rng=ta.rng(0)))
    vae = moved(ta.models.VAE(32, 3, (5,), **sizes, rng=ta.rng(0)))
    vae.load_state_dict(model.state_dict())
    x, noise = images(features=32), noise_of(K, N)
    apart = [vae.loss(x, noise=draw) for draw in noise]
    assert math.isclose(vae.loss(x, noise=noise).loss.item(), np.mean([terms.loss.item() for terms in apart]), rel_tol=1e-12)
    log_weights = np.stack([vae.log_weights(x, draw).data for draw in noise])
    np.testing.assert_allclose(model.log_weights(x, noise).data, log_weights, rtol=1e-12)
    bound = math.log(K) - logsumexp(log_weights, axis=0).mean()
    assert math.isclose(model.loss(x, noise=noise).loss.item(), bound, rel_tol=1e-12)
    several, one = (ta.evaluation.log_likelihood(vae, x, samples=K, rng=ta.rng(3), at_once=n) for n in (10**6, 1))
    np.testing.assert_allclose(several[-1], one[-1], rtol=1e-9)


def test_the_terms_belong_together():
    terms = iwae().loss(images(), noise=noise_of(K, N))
    assert terms.loss.item() == terms.importance_bound.item() < terms.negative_elbo.item()
    assert math.isclose(terms.negative_elbo.item(), terms.reconstruction.item() + terms.kl.item(), rel_tol=1e-12)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=9))
def test_the_surrogate_is_below_the_bound_by_the_kl_of_its_weights_to_equal_ones(log_weights):
    """The left side of the inequality is only ever differentiated, never reported."""
    log_weights = np.array(log_weights)[:, None]
    bound = ImportanceBound()(ta.Tensor(log_weights), ta.Tensor(np.zeros_like(log_weights))).loss.item()
    w = np.exp(log_weights - log_weights.max()) / np.exp(log_weights - log_weights.max()).sum()
    kl = (w * np.log(np.where(w > 0, w, 1) * len(w))).sum()
    assert math.isclose(bound + (w * log_weights).sum(), kl, rel_tol=1e-9, abs_tol=1e-9)
    assert kl > -1e-12


def test_weights_far_beyond_the_exponentials_range_are_no_matter():
    log_weights = ta.Tensor(np.array([[-5000.0, 900.0], [-5001.0, 901.0], [-9000.0, -900.0]]), requires_grad=True)
    loss = ImportanceBound()(log_weights, 0 * log_weights.detach()).loss
    assert math.isclose(loss.item(), math.log(3) - (-5000 + 901 + 2 * math.log1p(math.exp(-1))) / 2, rel_tol=1e-12)
    assert np.isfinite(grad(loss, [log_weights])[0].data).all()


# Exact likelihoods: x = W z + b + noise of one variance


def linear(samples, exact=False, **settings):
    """A linear model of five numbers with one latent; exact: the encoder gives the true posterior, N(W.(x - b) / (W.W + v), v / (W.W + v))."""
    model = ta.models.IWAE(5, 1, (), "gaussian", variance=0.4, samples=samples, **settings, rng=ta.rng(0)).astype("float64")
    state = model.state_dict()
    weight, bias = np.array([[0.9], [-0.5], [0.3], [0.8], [-0.2]]), np.array([0.1, -0.2, 0.3, 0.0, 0.5])
    precision = (weight**2).sum() + 0.4
    mean, shift = (weight.T / precision, -(weight[:, 0] @ bias) / precision) if exact else (weight.T * 0.3, 0.2)
    state["decoder.0.weight"], state["decoder.0.bias"] = weight, bias
    state["encoder.0.weight"] = np.concatenate([mean, np.zeros((1, 5))])
    state["encoder.0.bias"] = np.array([shift, math.log(0.4 / precision) + (0 if exact else 0.7)])
    model.load_state_dict(state)
    return model


def exact_nll(x):
    """-log p(x) = -log N(x; b, W W' + v), mean over the batch."""
    state = linear(1).state_dict()
    covariance = state["decoder.0.weight"] @ state["decoder.0.weight"].T + 0.4 * np.eye(5)
    distance = x - state["decoder.0.bias"]
    quadratic = np.einsum("ni,ij,nj->n", distance, np.linalg.inv(covariance), distance).mean()
    return 0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])


POINTS = np.random.default_rng(3).normal(size=(N, 5))


def test_more_samples_tighten_the_bound_towards_the_exact_likelihood():
    """The same draws in groups of K: each mean in the logarithm is larger than the mean of logarithms, without any error bar."""
    noise = ta.rng(1).normal((20_000, N, 1), np.float64)
    bounds = [linear(samples).loss(POINTS, noise=noise.reshape(-1, samples, N, 1)).loss.item() for samples in (1, 5, 50, 500)]
    assert bounds[0] - 0.05 > bounds[1] > bounds[2] > bounds[3]
    assert bounds[1] - 0.01 > bounds[2]
    assert abs(bounds[3] - exact_nll(POINTS)) < 0.005


@pytest.mark.parametrize("gradient_of", file.GRADIENTS)
def test_with_the_true_posterior_every_draw_is_exact_and_the_second_gradient_has_no_noise(gradient_of):
    """All weights are p(x): the bound is -log p(x) for any K and noise, and the encoder has nothing to learn."""
    model = linear(K, exact=True, gradient=gradient_of)
    loss = model.loss(POINTS, rng=ta.rng(4)).loss
    assert math.isclose(loss.item(), exact_nll(POINTS), rel_tol=1e-12)
    largest = max(abs(g.data).max() for g in grad(loss, model.encoder.parameters()))
    assert (largest < 1e-12) == (gradient_of == "doubly-reparameterized")


# The two gradients


def draws_of_gradient(model, x, count, seed=6):
    """(encoder's, decoder's) gradients of `count` losses with noise of their own: (count, P) each."""
    drawn = [gradient(model, model.loss(x, rng=ta.rng(seed).stream("draw", i)).loss) for i in range(count)]
    encoder = sum(p.data.size for p in model.encoder.parameters())
    return np.split(np.array(drawn), [encoder], axis=1)


def scores(a, b):
    """How many standard errors the means of two sets of draws differ by, in each entry that varies."""
    error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
    return (a.mean(axis=0) - b.mean(axis=0))[error > 1e-12] / error[error > 1e-12]


def test_the_doubly_reparameterised_gradient_differs_in_the_encoder_only_and_not_in_its_mean():
    plain, double = (draws_of_gradient(linear(3, bounds=8, gradient=name), POINTS, 400) for name in file.GRADIENTS)
    np.testing.assert_allclose(plain[1], double[1], rtol=1e-9, atol=1e-12)
    assert not np.allclose(plain[0], double[0], rtol=0.01)
    assert abs(scores(plain[0], double[0])).max() < 5


def test_both_gradients_of_one_sample_have_the_exact_mean():
    """The ELBO of the linear model in closed form, differentiated: |x - W m - b|^2 + s^2 |W|^2 in place of the samples."""
    model = linear(1)
    q, weight = model.encode(POINTS), model.decoder[0].weight
    error = ((model.decode(q.mean) - POINTS) ** 2).sum(axis=-1) + ta.ops.exp(q.log_variance)[:, 0] * (weight**2).sum()
    elbo = error.mean() / 0.8 + 2.5 * math.log(2 * math.pi * 0.4) + kl_divergence(q, model.prior).mean()
    exact = gradient(model, elbo)
    for name in file.GRADIENTS:
        drawn = np.concatenate(draws_of_gradient(linear(1, bounds=16, gradient=name), POINTS, 200), axis=1)
        assert abs(scores(drawn, exact[None])).max() < 5


def test_more_samples_drown_the_encoders_gradient_unless_it_is_doubly_reparameterised():
    """Signal to noise falls as K^(-1/2), and rises as K^(1/2): Rainforth et al. 2018, Tucker et al. 2019."""
    found = {}
    for name in file.GRADIENTS:
        for samples in (4, 256):
            drawn = draws_of_gradient(linear(samples, gradient=name), POINTS, 300)[0]
            found[name, samples] = np.median(abs(drawn.mean(axis=0)) / drawn.std(axis=0))
    assert found["reparameterized", 256] < 0.7 * found["reparameterized", 4]
    assert found["doubly-reparameterized", 256] > 2 * found["doubly-reparameterized", 4]


@pytest.mark.parametrize("settings", [{}, {"bounds": 2}, {"likelihood": "gaussian", "activation": "softplus"}, {"samples": 1}])
def test_the_plain_gradient_is_the_derivative_of_the_bound(settings, backend):
    model, x = iwae(**settings).to(backend), to_device(images(4))
    noise = to_device(noise_of(model.bounds, model.samples, 4))
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6


def test_the_other_gradient_has_the_same_value_and_is_the_same_on_both_backends(backend):
    with ta.using("numpy"):
        model, x, noise = iwae(gradient="doubly-reparameterized"), images(), noise_of(K, N)
        here = model.loss(x, noise=noise).loss
        assert here.item() == iwae().loss(x, noise=noise).loss.item()
        slopes = gradient(model, here)
    x, noise = to_device(x), to_device(noise)
    np.testing.assert_allclose(gradient(model.to(backend), model.loss(x, noise=noise).loss), slopes, rtol=1e-10, atol=1e-13)
    with ta.no_grad():
        assert not model.loss(x, noise=noise).loss.requires_grad


# Metamorphic, settings, errors


@pytest.mark.parametrize("gradient_of", file.GRADIENTS)
def test_the_batch_twice_with_its_noise_changes_nothing(gradient_of):
    model, x, noise = iwae(gradient=gradient_of), images(), noise_of(2, K, N)
    one, two = model.loss(x, noise=noise), model.loss(np.tile(x, (2, 1)), noise=np.tile(noise, (2, 1)))
    np.testing.assert_allclose([t.item() for t in one], [t.item() for t in two], rtol=1e-12)
    np.testing.assert_allclose(gradient(model, one.loss), gradient(model, two.loss), rtol=1e-9, atol=1e-12)


def test_the_pixels_twice_double_the_reconstruction_and_leave_the_kl():
    model, x, noise = iwae(), images(), noise_of(K, N)
    wide = ta.models.IWAE(24, 3, (9,), activation="tanh", samples=K, rng=ta.rng(0)).astype("float64")
    load_with_pixels_twice(wide, model)
    one, two = model.loss(x, noise=noise), wide.loss(np.tile(x, 2), noise=noise)
    assert math.isclose(two.reconstruction.item(), 2 * one.reconstruction.item(), rel_tol=1e-12)
    assert math.isclose(two.kl.item(), one.kl.item(), rel_tol=1e-12)


def test_statistics_find_nothing_wrong_with_one_sample():
    ta.checks.assert_semantics(iwae(1), images(60))


def test_a_model_is_built_from_its_configuration_and_every_setting_counts():
    settings = {"samples": 3, "bounds": 2, "gradient": "doubly-reparameterized"}
    model, x = ta.models.IWAE(12, 3, (9,), **settings, rng=ta.rng(0)), images().astype(np.float32)
    again = ta.models.build(model.config, ta.rng(0))
    assert type(again) is ta.models.IWAE
    one, two = (m.loss(x, rng=ta.rng(1)).loss for m in (model, again))
    assert one.item() == two.item()
    assert one.dtype == np.float32
    assert (gradient(model, one) == gradient(again, two)).all()
    for change in ({"samples": 4}, {"bounds": 1}, {"gradient": "reparameterized"}):
        other = ta.models.build(model.config | change, ta.rng(0))
        assert not np.array_equal(gradient(other, other.loss(x, rng=ta.rng(1)).loss), gradient(model, model.loss(x, rng=ta.rng(1)).loss)), change


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"samples": 0}, "samples: a size must be a whole number, 1 or more"),
        ({"samples": 2.5}, "samples: a size"),
        ({"bounds": 0}, "bounds: a size"),
        ({"gradient": "score"}, "unknown gradient 'score'"),
        ({"likelihood": "gaussian-calibrated", "gradient": "doubly-reparameterized"}, "log-weights that depend on their own draw alone"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ArgumentError, match=says):
        ta.models.IWAE(12, **settings, rng=ta.rng(0))


def test_what_couples_the_draws_would_give_the_doubly_reparameterised_gradient_another_mean():
    """Why the calibrated variance is refused: the mean over many draws is not that of the bound's own gradient."""
    x = np.random.default_rng(0).uniform(size=(3, 4))
    model = ta.models.IWAE(4, 2, (), "gaussian", samples=3, rng=ta.rng(0)).astype("float64")
    for likelihood, differ in ((model.likelihood, False), (ta.models.likelihoods.CalibratedGaussian(), True)):
        model.likelihood, drawn = likelihood, []
        for model.gradient in file.GRADIENTS:
            drawn.append(draws_of_gradient(model, x, 400)[0])
        assert (abs(scores(*drawn)).max() > 8) == differ


@pytest.mark.parametrize("shape", [(N,), (K - 1, N), (K, 2, N)])
def test_the_number_of_samples_is_never_silently_another(shape):
    with pytest.raises(ShapeError, match=r"bound of K draws needs the noise of K[^$]*expected  \(\.\.\., 5, 7, 3\)"):
        iwae().loss(images(), noise=noise_of(*shape))


# Planted errors: each has been made in public code


class Planted(ImportanceBound):
    """An objective whose `loss` is replaced by a mistake, a function of the log weights (..., K, N)."""

    def __init__(self, mistake):
        self.mistake = mistake

    def __call__(self, log_likelihood, log_ratio):
        return super().__call__(log_likelihood, log_ratio)._replace(loss=self.mistake(log_likelihood - log_ratio))


def bound(log_weights):
    return math.log(K) - logsumexp(log_weights, axis=-2).mean()


def undetached(log_weights):
    """The true value, but a surrogate whose weights carry a gradient too."""
    surrogate = -(softmax(log_weights, axis=-2) * log_weights).sum(axis=-2).mean()
    return bound(log_weights).detach() + (surrogate - surrogate.detach())


MISTAKES = {  # what is differentiated, and whether the value and the gradient are wrong
    "the weights favour the worst sample": (lambda a: -(softmax(-a, axis=-2).detach() * a).sum(axis=-2).mean(), True, True),
    "the logarithm of the sum over the batch": (lambda a: math.log(N) - logsumexp(a, axis=-1).mean(), True, True),
    "the logarithm of the sum over the bounds": (lambda a: math.log(a.shape[0]) - logsumexp(a, axis=0).mean(), True, True),
    "the weights are not detached": (undetached, False, True),
    "the surrogate is logged as the bound": (lambda a: -(softmax(a, axis=-2).detach() * a).sum(axis=-2).mean(), True, False),
    "no division by K": (lambda a: -logsumexp(a, axis=-2).mean(), True, False),
    "the sign": (lambda a: -bound(a), True, True),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_error_in_the_bound_is_found(name):
    mistake, value, slope = MISTAKES[name]
    model, x, noise = iwae(), images(), noise_of(2, K, N)
    assert value_is_right(model, x, noise)
    assert gradient_is_right(model, x, noise)
    model.objective = Planted(mistake)
    assert value_is_right(model, x, noise) != value
    assert gradient_is_right(model, x, noise) != slope


def test_the_wrong_axis_hides_where_there_are_as_many_bounds_as_samples():
    """Why M and K are never equal here: with one bound the wrong axis gives the VAE's loss, and with M = K numbers that look right."""
    model, noise = iwae(), noise_of(1, K, N)
    model.objective = Planted(MISTAKES["the logarithm of the sum over the bounds"][0])
    terms = model.loss(images(), noise=noise)
    assert math.isclose(terms.loss.item(), terms.negative_elbo.item(), rel_tol=1e-12)


def test_weights_made_with_the_analytic_kl_are_found_though_gradcheck_passes():
    model, x, noise = iwae(), images(), noise_of(K, N)
    model.objective = lambda log_likelihood, log_ratio: ImportanceBound()(log_likelihood, kl_divergence(model.encode(x), model.prior) + 0 * log_ratio)
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6
    assert not value_is_right(model, x, noise)
    assert not gradient_is_right(model, x, noise)


def first_power(model, monkeypatch):
    """w~ in place of w~^2."""
    honest = file.softmax
    monkeypatch.setattr(file, "softmax", lambda *a, **k: honest(*a, **k) ** 0.5)


def moving_density(model, monkeypatch):
    """The parameters inside log q get a gradient too."""
    seen, encode = [], model.encode
    model.encode = lambda x: seen.append(encode(x)) or seen[-1]
    monkeypatch.setattr(file, "Normal", lambda mean, log_variance: seen[-1])


@pytest.mark.parametrize("plant", [first_power, moving_density])
def test_a_planted_error_in_the_doubly_reparameterised_gradient_moves_its_mean(plant, monkeypatch):
    plain = draws_of_gradient(linear(3, bounds=8), POINTS, 200)[0]
    model = linear(3, bounds=8, gradient="doubly-reparameterized")
    plant(model, monkeypatch)
    assert abs(scores(plain, draws_of_gradient(model, POINTS, 200)[0])).max() > 8
