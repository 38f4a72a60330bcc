"""A KL with another weight, or with a value to meet: identities, exact truth, and errors of public code planted."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae.errors import ArgumentError
from tinyae.models import ELBO
from tinyae.training.trainer import Trainer

X = np.random.default_rng(0).binomial(1, 0.5, (6, 8)).astype(np.float64)
NOISE = np.random.default_rng(1).normal(size=(6, 3))


def made(name, **settings):
    """A small model in float64, its weights far from their initial values."""
    model = ta.models.build({"model": name, "features": 8, "latent": 3, "hidden": (5,), "activation": "tanh"} | settings, ta.rng(0)).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def values(model, x=X, noise=NOISE):
    return {name: term.item() for name, term in model.loss(x, noise=noise)._asdict().items()}


def independent(model):
    """(reconstruction, KL) in plain NumPy from the weights."""
    w = model.state_dict()
    h = np.tanh(X @ w["encoder.0.weight"].T + w["encoder.0.bias"]) @ w["encoder.2.weight"].T + w["encoder.2.bias"]
    mean, log_variance = h[:, :3], h[:, 3:]
    z = mean + np.sqrt(np.exp(log_variance)) * NOISE
    a = np.tanh(z @ w["decoder.0.weight"].T + w["decoder.0.bias"]) @ w["decoder.2.weight"].T + w["decoder.2.bias"]
    p = 1 / (1 + np.exp(-a))
    return -np.log(np.where(X == 1, p, 1 - p)).sum(1).mean(), 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1).mean()


@pytest.mark.parametrize(("name", "settings", "weighted"), [
    ("beta-vae", {"beta": 4}, lambda kl: 4 * kl),
    ("beta-vae", {"beta": 0.5}, lambda kl: 0.5 * kl),
    ("capacity-vae", {"capacity": 1.0, "gamma": 30}, lambda kl: 30 * abs(kl - 1)),
    ("capacity-vae", {"capacity": 90.0, "gamma": 3}, lambda kl: 3 * abs(kl - 90)),
])  # fmt: skip
def test_the_loss_is_its_formula_and_the_bound_stays_the_bound(name, settings, weighted):
    model = made(name, **settings)
    reconstruction, kl = independent(model)
    expected = {"loss": reconstruction + weighted(kl), "negative_elbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}
    assert values(model) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["beta-vae", "capacity-vae"])
def test_the_gradient_of_the_whole_loss_is_its_derivative(name, backend):
    model, x = made(name).to(backend), ta.backend.to_device(X)
    noise = ta.backend.to_device(NOISE)
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6


def test_semcheck_knows_its_beta_and_no_other():
    model = made("beta-vae", beta=3.0)
    assert ta.checks.semcheck(model, X).passed
    assert not ta.checks.semcheck(model, X, beta=1).passed


def test_with_beta_1_it_is_the_vae():
    beta, plain = ta.models.BetaVAE(8, 3, beta=1, rng=ta.rng(0)), ta.models.VAE(8, 3, rng=ta.rng(0))
    assert all(a.item() == b.item() for a, b in zip(beta.loss(X, rng=ta.rng(1)), plain.loss(X, rng=ta.rng(1)), strict=True))


def gaussian_identity(model, plain):
    """reconstruction + beta KL of a Gaussian with variance v = beta (reconstruction + KL) of one with variance beta v, but for constants.

    So a beta-VAE is a VAE of a noisier decoder: of a linear one the truth is known, a direction is used where its variance exceeds beta v.
    """
    plain.load_state_dict(model.state_dict())
    beta, v = model.config["beta"], model.config["variance"]
    constant, of_plain = (4 * math.log(2 * math.pi * variance) for variance in (v, beta * v))
    assert math.isclose(values(model)["loss"] - constant, beta * (values(plain)["loss"] - of_plain), rel_tol=1e-10)


def test_a_gaussian_beta_vae_is_the_vae_with_beta_times_the_variance():
    settings = {"likelihood": "gaussian", "variance": 0.1}
    model, plain = made("beta-vae", beta=5.0, **settings), made("vae", **settings | {"variance": 0.5})
    gaussian_identity(model, plain)
    for planted in (MeanOverPixels, OverTheBatch, Unused):
        model.objective = planted(beta=5.0)
        with pytest.raises(AssertionError):
            gaussian_identity(model, plain)


def test_a_linear_beta_vae_uses_the_directions_above_beta_times_the_variance():
    """x = W z + mean + eps / 2: eigenvalues lambda of its covariance; with beta the KL is sum 1/2 log(lambda / (beta sigma^2)) over them."""
    data = ta.data.toy("linear-gaussian", 4000, ta.rng(0))
    beta, variance = 20.0, 0.25
    model = ta.models.BetaVAE(10, 3, hidden=(), likelihood="gaussian", variance=variance, beta=beta, rng=ta.rng(1))
    ta.fit(model, data, epochs=40, batch_size=100, schedules={"lr": ta.optim.cosine(2e-2, 1e-4, 40)}, progress=False)
    eigenvalues = np.linalg.eigvalsh(np.cov(data.images.T.astype(np.float64)))
    used = eigenvalues[eigenvalues > beta * variance]
    assert 0 < len(used) < 3 < len(eigenvalues[eigenvalues > 0.1])
    kl = ta.evaluation.evaluate(model, data, rng=ta.rng(0))["kl"]
    assert abs(kl - 0.5 * np.log(used / (beta * variance)).sum()) < 0.05


# ---- errors of public code, planted


class MeanOverPixels(ELBO):
    """beta means another thing for images of another size."""

    def __call__(self, log_likelihood, q, prior):
        terms = super().__call__(log_likelihood / 8, q, prior)
        return terms


class OverTheBatch(ELBO):
    """The KL is summed over the batch."""

    def counted(self, kl, q, prior):
        return kl * len(q.mean)


class Unused(ELBO):
    """beta is accepted, and nothing comes of it."""

    def counted(self, kl, q, prior):
        return kl / self.beta


def assert_duplicated_is_the_same(model):
    twice = values(model, np.tile(X, (2, 1)), np.tile(NOISE, (2, 1)))
    assert twice == pytest.approx(values(model), rel=1e-10)


@pytest.mark.parametrize("name", ["beta-vae", "capacity-vae"])
def test_duplicating_the_batch_changes_nothing(name):
    assert_duplicated_is_the_same(made(name))


def test_planted_a_kl_summed_over_the_batch_is_found_by_duplication():
    model = made("beta-vae")
    model.objective = OverTheBatch(beta=4)
    with pytest.raises(AssertionError):
        assert_duplicated_is_the_same(model)


def each_changes_the_loss(name, others, change=lambda model: None):
    first = made(name)
    change(first)
    for setting, value in others.items():
        other = made(name, **{setting: value})
        change(other)
        assert abs(values(other)["loss"] - values(first)["loss"]) > 1e-3, setting
        assert values(other)["negative_elbo"] == values(first)["negative_elbo"]


def test_each_setting_changes_the_loss_and_never_the_bound():
    each_changes_the_loss("beta-vae", {"beta": 2.0})
    each_changes_the_loss("capacity-vae", {"capacity": 7.0, "gamma": 3.0})

    def plant(model):
        model.objective = Unused(model.config["beta"])

    with pytest.raises(AssertionError):
        each_changes_the_loss("beta-vae", {"beta": 2.0}, plant)


# ---- the capacity's schedule


def capacities(epochs=3, rise=2.0):
    """The capacity at each step of a training: 4 steps an epoch."""
    model, seen = made("capacity-vae", capacity=8.0, rise=rise).astype("float32"), []
    model.before_step = lambda: seen.append(model.objective.capacity)
    ta.fit(model, np.tile(X, (4, 1)), epochs=epochs, batch_size=6, progress=False)
    return seen


def test_the_capacity_rises_with_the_epochs_since_the_beginning_of_training():
    assert capacities() == pytest.approx([*np.arange(8) / 8 * 8.0, *[8.0] * 4])
    assert ta.models.CapacityVAE(8, rng=ta.rng(0)).objective.capacity == 5, "a model at rest has the capacity of the end"


def test_planted_a_schedule_of_the_batch_in_its_epoch_is_found(monkeypatch):
    right = Trainer.set_schedules
    monkeypatch.setattr(Trainer, "set_schedules", lambda self, epoch, step: right(self, 1, step))
    with pytest.raises(AssertionError):
        test_the_capacity_rises_with_the_epochs_since_the_beginning_of_training()


def test_a_schedule_that_is_given_comes_before_the_models_own():
    model = made("capacity-vae").astype("float32")
    ta.fit(model, X, epochs=1, batch_size=6, schedules={"capacity": lambda t: 2.5}, progress=False)
    assert model.objective.capacity == 2.5


def test_the_kl_meets_the_capacity():
    digits = ta.data.load("digits", binarisation="threshold")
    model = ta.models.CapacityVAE(64, 2, (32,), capacity=2.0, rise=5, activation="tanh", rng=ta.rng(0))
    ta.fit(model, digits, epochs=12, batch_size=50, lr=3e-3, progress=False)
    assert abs(ta.evaluation.evaluate(model, digits, rng=ta.rng(0))["kl"] - 2) < 0.2


# ---- settings


@pytest.mark.parametrize(("name", "settings"), [
    ("beta-vae", {"beta": 2.5}), ("capacity-vae", {"capacity": 3.0, "gamma": 7.0, "rise": 1.5}), ("sigma-vae", {})
])  # fmt: skip
def test_it_is_built_from_its_configuration(name, settings):
    model = ta.models.build({"model": name, "features": 8, "latent": 3, "hidden": (5, 4)} | settings, ta.rng(0))
    again = ta.models.build(model.config, ta.rng(0))
    assert type(again) is type(model)
    assert again.config == model.config == model.config | settings | {"model": name}
    assert all((again.state_dict()[key] == value).all() for key, value in model.state_dict().items())


def test_the_sigma_vae_is_the_vae_with_the_calibrated_likelihood():
    sigma = ta.models.SigmaVAE(8, 3, rng=ta.rng(0))
    plain = ta.models.VAE(8, 3, likelihood="gaussian-calibrated", rng=ta.rng(0))
    terms = sigma.loss(X, rng=ta.rng(1))
    assert all(a.item() == b.item() for a, b in zip(terms, plain.loss(X, rng=ta.rng(1)), strict=True))
    mse = math.exp(terms.reconstruction.item() / 4 - math.log(2 * math.pi) - 1)
    decoded = sigma.decode(sigma.encode(X).rsample(ta.rng(1).normal((6, 3)))).numpy()
    assert math.isclose(mse, ((decoded - X) ** 2).mean(), rel_tol=1e-5), "D/2 (log(2 pi MSE) + 1), with D = 8"


@pytest.mark.parametrize(("kind", "settings", "says"), [
    ("BetaVAE", {"beta": -1}, "beta: it must be a number"),
    ("BetaVAE", {"beta": math.nan}, "beta: it must be a number"),
    ("CapacityVAE", {"capacity": -1.0}, "capacity: it must be a number"),
    ("CapacityVAE", {"rise": 0}, "rise: it must be a positive number"),
    ("SigmaVAE", {"variance": 0.1}, "only the gaussian"),
])  # fmt: skip
def test_settings_out_of_range_are_refused(kind, settings, says):
    with pytest.raises(ArgumentError, match=says):
        getattr(ta.models, kind)(8, rng=ta.rng(0), **settings)
