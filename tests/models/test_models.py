"""The models: their loss against independent statistics, identities, shapes, and what they refuse."""

import math

import numpy as np
import pytest
from small_models import load_with_pixels_twice

import tinyae as ta
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, DataError, DtypeError, ShapeError


def vae(features=12, latent=3, hidden=(9,), seed=0, **settings):
    """A small VAE in float64, its weights far from their initial values, so that logits have both signs and size."""
    model = ta.models.VAE(features, latent, hidden, rng=ta.rng(seed), **settings).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(seed + 100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def binary(n, features=12, seed=5):
    return ta.rng(seed).bernoulli(np.full((n, features), 0.4))


def monte_carlo_elbo(model, x, draws, log_likelihood, seed=11):
    """An independent negative ELBO: plain NumPy from the weights, log q - log p by their densities.  (mean, standard error)."""
    generator, weights = np.random.default_rng(seed), model.state_dict()
    activation = np.tanh if model.config["activation"] == "tanh" else lambda a: np.where(a > 0, a, 0)

    def network(name, h):
        layers = sorted({int(key.split(".")[1]) for key in weights if key.startswith(name)})
        for layer in layers:
            h = h @ weights[f"{name}.{layer}.weight"].T + weights[f"{name}.{layer}.bias"]
            h = h if layer == layers[-1] else activation(h)
        return h

    h = network("encoder", x)
    mean, log_variance = h[:, : model.latent], h[:, model.latent :]
    totals = []
    for _ in range(draws):
        z = generator.normal(mean, np.sqrt(np.exp(log_variance)))
        log_q = -0.5 * (np.log(2 * np.pi) + log_variance + (z - mean) ** 2 / np.exp(log_variance)).sum(1)
        log_p = -0.5 * (np.log(2 * np.pi) + z**2).sum(1)
        totals.append((log_q - log_p - log_likelihood(network("decoder", z), x)).mean())
    return np.mean(totals), np.std(totals) / math.sqrt(draws)


def bernoulli_log_likelihood(logits, x):
    p = 1 / (1 + np.exp(-logits))
    return (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)


def gaussian_log_likelihood(mean, x, variance=0.5):
    return (-0.5 * np.log(2 * np.pi * variance) - 0.5 * (x - mean) ** 2 / variance).sum(1)


def z_score(model, x, log_likelihood):
    """How many standard errors the model's loss is from the independent negative ELBO."""
    losses = [model.loss(x, rng=ta.rng(1).stream("loss", i)).loss.item() for i in range(400)]
    truth, error = monte_carlo_elbo(model, x, 400, log_likelihood)
    return (np.mean(losses) - truth) / math.hypot(error, np.std(losses) / math.sqrt(len(losses)))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_loss_is_the_negative_elbo_of_an_independent_estimate(activation):
    assert abs(z_score(vae(activation=activation), binary(20), bernoulli_log_likelihood)) < 5
    x = ta.rng(3).normal((20, 12), np.float64)
    assert abs(z_score(vae(likelihood="gaussian", activation=activation), x, gaussian_log_likelihood)) < 5


def test_a_model_with_the_wrong_sampler_passes_gradcheck_but_not_the_estimate(monkeypatch):
    model, x, noise = vae(), binary(20), ta.rng(2).normal((20, 3), np.float64)
    monkeypatch.setattr(ta.distributions.Normal, "rsample", lambda q, noise: q.mean + ta.ops.exp(q.log_variance) * noise)
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6
    assert abs(z_score(model, x, bernoulli_log_likelihood)) > 8


@pytest.mark.parametrize("settings", [{}, {"likelihood": "gaussian"}, {"hidden": (7, 5), "activation": "softplus"}, {"latent": 1}])
def test_the_gradient_of_the_whole_loss_is_its_derivative(settings, backend):
    model, x = vae(**settings).to(backend), to_device(binary(4))
    noise = ta.rng(2).normal((4, model.latent), np.float64)
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6


def test_the_autoencoders_gradient_is_its_derivative(backend):
    model = ta.models.Autoencoder(6, 2, (4,), activation="tanh", rng=ta.rng(0)).astype("float64").to(backend)
    x = to_device(np.linspace(0, 1, 18).reshape(3, 6))
    assert ta.checks.gradcheck(lambda: model.loss(x).loss, model).worst < 1e-6


def test_the_autoencoders_loss_is_the_summed_squared_error():
    model, x = ta.models.Autoencoder(6, 2, rng=ta.rng(0)), np.linspace(0, 1, 18, dtype=np.float32).reshape(3, 6)
    error = ((model.reconstruct(x) - x) ** 2).sum(1).mean()
    terms = model.loss(x)
    assert math.isclose(terms.loss.item(), error, rel_tol=1e-5)
    assert math.isclose(terms.mse.item(), error / 6, rel_tol=1e-5)


def test_gaussian_loss_is_squared_error_plus_kl_up_to_its_constant():
    model, x, noise = vae(likelihood="gaussian"), ta.rng(3).normal((5, 12), np.float64), ta.rng(4).normal((5, 3), np.float64)
    terms = model.loss(x, noise=noise)
    error = ((model.decode(model.encode(x).rsample(noise)).numpy() - x) ** 2).sum(1).mean()
    assert math.isclose(terms.reconstruction.item(), error + 12 / 2 * math.log(math.pi), rel_tol=1e-12)
    assert math.isclose(terms.loss.item(), terms.reconstruction.item() + terms.kl.item(), rel_tol=1e-12)


def test_duplicating_the_batch_with_its_noise_changes_nothing():
    model, x, noise = vae(), binary(6), ta.rng(2).normal((6, 3), np.float64)

    def run(x, noise):
        for p in model.parameters():
            p.grad = None
        terms = model.loss(x, noise=noise)
        terms.loss.backward()
        return [t.item() for t in terms], [p.grad for p in model.parameters()]

    (one, gradients), (two, doubled) = run(x, noise), run(np.tile(x, (2, 1)), np.tile(noise, (2, 1)))
    np.testing.assert_allclose(one, two, rtol=1e-12)
    for g, h in zip(gradients, doubled, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12)


def test_the_mean_over_several_draws_is_the_mean_of_the_losses():
    model, x, noise = vae(), binary(6), ta.rng(2).normal((7, 6, 3), np.float64)
    together = model.loss(x, noise=noise)
    apart = np.mean([[t.item() for t in model.loss(x, noise=n)] for n in noise], axis=0)
    np.testing.assert_allclose([t.item() for t in together], apart, rtol=1e-12)


def test_tiling_the_pixels_doubles_the_reconstruction_and_leaves_the_kl():
    model, x, noise = vae(), binary(6), ta.rng(2).normal((6, 3), np.float64)
    wide = ta.models.VAE(24, 3, (9,), rng=ta.rng(0)).astype("float64")
    load_with_pixels_twice(wide, model)
    one, two = model.loss(x, noise=noise), wide.loss(np.tile(x, 2), noise=noise)
    assert math.isclose(two.reconstruction.item(), 2 * one.reconstruction.item(), rel_tol=1e-12)
    assert math.isclose(two.kl.item(), one.kl.item(), rel_tol=1e-12)


def test_a_dead_latent_changes_nothing():
    model, x, noise = vae(), binary(6), ta.rng(2).normal((6, 4), np.float64)
    more = ta.models.VAE(12, 4, (9,), rng=ta.rng(0)).astype("float64")
    state = model.state_dict()
    for name in ("encoder.2.weight", "encoder.2.bias"):
        state[name] = np.insert(state[name], [3, 6], 0.0, axis=0)  # mean 0 and log-variance 0 for the fourth
    state["decoder.0.weight"] = np.insert(state["decoder.0.weight"], 3, 0.0, axis=1)
    more.load_state_dict(state)
    for a, b in zip(model.loss(x, noise=noise[:, :3]), more.loss(x, noise=noise), strict=True):
        assert math.isclose(a.item(), b.item(), rel_tol=1e-12)


def test_each_row_has_its_own_noise():
    """One noise for the whole batch is unbiased; only the spread of the batch's loss shows it."""
    model, x = vae(), np.tile(binary(1), (400, 1))
    losses = [model.loss(x, rng=ta.rng(i)).reconstruction.item() for i in range(60)]
    shared = [model.loss(x, noise=np.tile(ta.rng(i).normal((1, 3), np.float64), (400, 1))).reconstruction.item() for i in range(60)]
    assert np.std(shared) > 10 * np.std(losses)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("shape", [(4, 63), (1, 63), (3, 7, 9), (2, 3, 3, 7)])
def test_a_reconstruction_has_the_shape_of_its_input(shape, likelihood, backend):
    model = ta.models.VAE(63, 2, (5, 4), likelihood=likelihood, rng=ta.rng(0)).to(backend)
    x = ta.rng(1).uniform(shape)
    assert model.reconstruct(x).shape == shape
    auto = ta.models.Autoencoder(63, 2, rng=ta.rng(0)).to(backend)
    assert auto.reconstruct(x).shape == shape
    assert to_numpy(model.sample(5, rng=ta.rng(2))).shape == (5, 63)


def test_reconstructions_and_bernoulli_samples_are_probabilities_and_deterministic():
    model, x = vae(), binary(6)
    image, sample = model.reconstruct(x), model.sample(50, rng=ta.rng(0))
    assert (image == model.reconstruct(x)).all()
    assert (sample == model.sample(50, rng=ta.rng(0))).all()
    for values in (image, sample):
        assert values.min() > 0
        assert values.max() < 1
    mean = model.likelihood(model.decode(model.encode(x).mean)).mean.numpy()
    np.testing.assert_array_equal(image, mean)


def test_any_depth_and_width_of_both_networks():
    model = ta.models.VAE(10, 3, hidden=(8, 6, 5), rng=ta.rng(0))
    shapes = [p.shape for name, p in model.named_parameters() if name.endswith("weight")]
    assert shapes == [(8, 10), (6, 8), (5, 6), (6, 5), (5, 3), (6, 5), (8, 6), (10, 8)]
    assert ta.models.VAE(10, 3, hidden=(), rng=ta.rng(0)).loss(binary(2, 10), rng=ta.rng(0)).loss.shape == ()


def test_float64_images_do_not_widen_a_float32_model():
    model = ta.models.VAE(12, 2, rng=ta.rng(0))
    terms = model.loss(binary(3).astype(np.float64), rng=ta.rng(0))
    terms.loss.backward()
    assert terms.loss.dtype == np.float32
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (np.zeros((3, 11), np.float32), ShapeError, r"expected  \(N, 12\)"),
        (np.zeros(12, np.float32), ShapeError, "does not fit"),
        (np.full((3, 12), 1.5, np.float32), DataError, "values from 1.5 to 1.5"),
        (np.full((3, 12), -0.1, np.float32), DataError, "outside the support"),
        (np.full((3, 12), np.nan, np.float32), DataError, "NaN"),
        (np.full((3, 12), np.inf, np.float32), DataError, "infinite"),
        ([[0.0] * 12], DtypeError, "takes an array"),
        (np.zeros((0, 12), np.float32), ShapeError, "does not fit"),
        (np.zeros((3, 12), np.complex64), DtypeError, "real numbers"),
    ],
)
def test_images_that_do_not_fit_are_refused(x, error, says):
    model = ta.models.VAE(12, 2, rng=ta.rng(0))
    for call in (lambda: model.loss(x, rng=ta.rng(0)), lambda: model.reconstruct(x), lambda: model.encode(x)):
        with pytest.raises(error, match=says):
            call()


def test_a_gaussian_likelihood_takes_any_finite_value():
    model = ta.models.VAE(12, 2, likelihood="gaussian", rng=ta.rng(0))
    assert math.isfinite(model.loss(np.full((2, 12), 7.0, np.float32), rng=ta.rng(0)).loss.item())
    with pytest.raises(DataError, match="NaN"):
        model.loss(np.full((2, 12), np.nan, np.float32), rng=ta.rng(0))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"latent": 0}, "latent: a size"),
        ({"latent": 1.5}, "latent: a size"),
        ({"hidden": (4, 0)}, "hidden: a size"),
        ({"hidden": 8}, r"expected  hidden=\(64,\)"),
        ({"likelihood": "poisson"}, "unknown likelihood 'poisson'"),
        ({"variance": 0.1}, "only the gaussian"),
        ({"likelihood": "gaussian", "variance": 0.0}, "positive"),
        ({"activation": "swish"}, "unknown activation"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ArgumentError, match=says):
        ta.models.VAE(12, rng=ta.rng(0), **settings)


def test_noise_is_asked_for_and_looked_at():
    model = ta.models.VAE(12, 2, rng=ta.rng(0))
    with pytest.raises(ArgumentError, match="noise is an input"):
        model.loss(binary(3).astype(np.float32))
    with pytest.raises(ArgumentError, match=r"remedy +rng=ta\.rng\(0\), a stream"):
        model.sample(3)
    for wrong in (3, np.random.default_rng(0)):
        with pytest.raises(DtypeError, match=r"rng=ta\.rng\(seed\)"):
            model.loss(binary(3).astype(np.float32), rng=wrong)
    with pytest.raises(ArgumentError, match="n: a size"):
        model.sample(-1, rng=ta.rng(0))
    with pytest.raises(ShapeError, match=r"\(\.\.\., 3, 2\)"):
        model.loss(binary(3).astype(np.float32), noise=np.zeros((2, 2), np.float32))


def test_a_model_is_built_from_its_configuration():
    model = ta.models.VAE(12, 2, hidden=(4, 3), likelihood="gaussian", variance=0.1, rng=ta.rng(0))
    again = ta.models.build(model.config, ta.rng(0))
    assert all((again.state_dict()[name] == value).all() for name, value in model.state_dict().items())
    with pytest.raises(ArgumentError, match="one of autoencoder, "):
        ta.models.build({"model": "gan"}, ta.rng(0))
