"""The denoising autoencoder: what is corrupted and what is compared, and the exact score of a Gaussian."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import assert_built_again

import tinyae as ta
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, ShapeError
from tinyae.models.denoising import CORRUPTIONS, DenoisingAutoencoder

X = np.random.default_rng(0).uniform(0.1, 0.9, size=(5, 6))


def denoiser(latent=4, hidden=(5,), activation="tanh", **settings):
    model = DenoisingAutoencoder(6, latent, hidden, activation, rng=ta.rng(0), **settings).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def by_hand(model, x, noise):
    """The squared error against the clean x of what is made of the corrupted one, with the corruption written out in NumPy."""
    kind, amount = model.config["noise"], model.config["amount"]
    corrupted = x + amount * noise if kind == "gaussian" else np.where(noise < amount, 0.0, x)
    if kind == "salt-and-pepper":
        corrupted = np.where(noise < amount / 2, 1.0, corrupted)
    return ((model.reconstruct(corrupted) - x) ** 2).sum(axis=1).mean()


@pytest.mark.parametrize("noise", CORRUPTIONS)
def test_the_gradient_of_the_whole_loss_is_its_derivative(noise, backend):
    model, x = denoiser(noise=noise).to(backend), to_device(X)
    drawn = model.draw_noise(5, rng=ta.rng(1))
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=drawn).loss, model).worst < 1e-6


@pytest.mark.parametrize("noise", CORRUPTIONS)
@given(seed=st.integers(0, 1000), amount=st.floats(0, 1))
def test_the_loss_compares_what_is_made_of_the_corrupted_x_with_the_clean_x(noise, seed, amount):
    model = denoiser(noise=noise, amount=amount)
    drawn = model.draw_noise(5, rng=ta.rng(seed))
    terms = model.loss(X, noise=drawn)
    assert math.isclose(terms.loss.item(), by_hand(model, X, drawn), rel_tol=1e-10)
    assert math.isclose(terms.mse.item(), terms.loss.item() / 6, rel_tol=1e-12)


def against_the_corrupted(model, x, noise=None, rng=None):
    """A planted error: the corrupted x on both sides."""
    corrupted = model.corrupt(x, noise, rng)
    return ta.models.autoencoder.AutoencoderTerms(*[model.error(corrupted, model.encode(corrupted))] * 2)


def test_a_loss_against_the_corrupted_x_is_noticed(monkeypatch):
    model = denoiser()
    drawn = model.draw_noise(5, rng=ta.rng(1))
    monkeypatch.setattr(DenoisingAutoencoder, "loss", against_the_corrupted)
    assert ta.checks.gradcheck(lambda: model.loss(X, noise=drawn).loss, model).worst < 1e-6
    assert abs(model.loss(X, noise=drawn).loss.item() / by_hand(model, X, drawn) - 1) > 0.01


def optimal_for_a_gaussian(monkeypatch_loss=None, steps=1500):
    """The slope that a linear denoiser of x ~ N(0, 1) with noise of variance 1/4 learns: 0.8 is the best (Wiener), 1 copies."""
    model = DenoisingAutoencoder(1, 1, (), noise="gaussian", amount=0.5, rng=ta.rng(1)).astype("float64")
    x, adam, rng = ta.rng(2).normal((2000, 1), np.float64), ta.optim.Adam(model.parameters(), lr=0.03), ta.rng(3)
    x = (x - x.mean()) / x.std()
    for step in range(steps // 10):
        adam.zero_grad()
        (monkeypatch_loss or DenoisingAutoencoder.loss)(model, x, rng=rng.stream("noise", step)).loss.backward()
        adam.step()
    return (model.reconstruct(np.array([[1.0]])) - model.reconstruct(np.array([[0.0]]))).item()


def test_the_best_denoiser_of_a_gaussian_is_learnt_and_its_step_is_the_score():
    """The score of N(0, 1 + s^2) is -y / (1 + s^2), so the residual is -y s^2 / (1 + s^2) = -0.2 y."""
    assert abs(optimal_for_a_gaussian() - 0.8) < 0.03
    assert abs(optimal_for_a_gaussian(against_the_corrupted) - 1) < 0.03  # the planted error has no score


def test_without_corruption_it_is_the_plain_autoencoder():
    for noise in CORRUPTIONS:
        model = denoiser(noise=noise, amount=0)
        plain = ta.models.Autoencoder(6, 4, (5,), "tanh", rng=ta.rng(0)).astype("float64")
        plain.load_state_dict(model.state_dict())
        assert model.loss(X, rng=ta.rng(0)).loss.item() == plain.loss(X).loss.item()


def test_only_the_loss_corrupts():
    model = denoiser()
    assert (model.reconstruct(X) == model.reconstruct(X)).all()
    np.testing.assert_array_equal(model.reconstruct(X), model.decode(model.encode(X)).numpy())
    losses = [model.loss(X, rng=ta.rng(seed)).loss.item() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_duplicating_the_batch_with_its_noise_changes_neither_loss_nor_gradients():
    model = denoiser()
    noise = model.draw_noise(5, rng=ta.rng(1))

    def run(x, noise):
        terms = model.loss(x, noise=noise)
        return [t.item() for t in terms], [g.data for g in ta.grad(terms.loss, model.parameters())]

    (one, gradients), (two, doubled) = run(X, noise), run(np.tile(X, (2, 1)), np.tile(noise, (2, 1)))
    np.testing.assert_allclose(one, two, rtol=1e-12)
    for g, h in zip(gradients, doubled, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12)


def test_each_pixel_has_its_own_noise():
    """Noise shared by a row or a column of the batch would be seen in the correlations of what is added."""
    model = denoiser(amount=1.0)
    added = model.corrupt(np.zeros((4000, 6)), rng=ta.rng(0))
    assert np.abs(np.corrcoef(added.T) - np.eye(6)).max() < 5 / math.sqrt(4000)
    assert abs(np.corrcoef(added[:-1].ravel(), added[1:].ravel())[0, 1]) < 5 / math.sqrt(24000)
    assert abs(added.std() - 1) < 5 / math.sqrt(2 * 24000)


def test_each_setting_changes_the_loss():
    losses = [denoiser(**s).loss(X, rng=ta.rng(0)).loss.item() for s in ({}, {"amount": 0.1}, {"noise": "masking"}, {"noise": "salt-and-pepper"})]
    assert len(set(losses)) == 4


def test_a_model_is_built_from_its_configuration():
    assert_built_again(denoiser(noise="masking", amount=0.4), X)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"noise": "uniform"}, "expected  one of gaussian, masking, salt-and-pepper"),
        ({"amount": -0.1}, "amount: it must be a number, 0 or more"),
        ({"noise": "masking", "amount": 1.5}, "masking noise is a probability"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ArgumentError, match=says):
        denoiser(**settings)


def test_noise_is_asked_for_and_looked_at():
    with pytest.raises(ArgumentError, match="noise is an input of a denoising autoencoder"):
        denoiser().loss(X)
    with pytest.raises(ShapeError, match=r"expected  \(5, 6\)"):
        denoiser().loss(X, noise=np.zeros((5, 4)))


@pytest.mark.parametrize("noise", CORRUPTIONS)
def test_float32_stays_float32_on_every_backend(noise, backend):
    model = DenoisingAutoencoder(6, 3, (4,), noise=noise, rng=ta.rng(0)).to(backend)
    x = to_device(X.astype(np.float32).reshape(5, 2, 3))
    terms = model.loss(x, rng=ta.rng(0))
    terms.loss.backward()
    assert {t.dtype for t in terms} | {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert to_numpy(model.reconstruct(x)).shape == (5, 2, 3)
