"""What is minimised: the bound with weights, a capacity, free bits; the bound itself stays in its own term."""

import numpy as np
import pytest

import tinyae as ta
from tinyae.errors import ArgumentError
from tinyae.models import ELBO


@pytest.fixture
def model():
    return ta.models.VAE(6, 3, (5,), activation="tanh", rng=ta.rng(0)).astype("float64")


X = np.random.default_rng(0).binomial(1, 0.5, (20, 6)).astype(np.float64)
NOISE = np.random.default_rng(1).normal(size=(20, 3))


def kls(model):
    """The KL of each example and dimension, from the formula."""
    q = model.encode(X)
    mean, log_variance = q.mean.data, q.log_variance.data
    return (mean**2 + np.exp(log_variance) - log_variance - 1) / 2


@pytest.mark.parametrize(("settings", "counted"), [
    ({}, lambda kl: kl.sum(axis=1).mean()),
    ({"beta": 0.3}, lambda kl: 0.3 * kl.sum(axis=1).mean()),
    ({"beta": 5, "capacity": 1.5}, lambda kl: 5 * abs(kl.sum(axis=1).mean() - 1.5)),
    ({"free_bits": 0.04}, lambda kl: np.maximum(kl.mean(axis=0), 0.04).sum()),
    ({"beta": 2, "free_bits": 0.04}, lambda kl: 2 * np.maximum(kl.mean(axis=0), 0.04).sum()),
])  # fmt: skip
def test_each_objective_is_its_formula(model, settings, counted):
    assert 0 < (kls(model).mean(axis=0) < 0.04).sum() < 3, "free bits make a difference here, but not everywhere"
    plain = model.loss(X, noise=NOISE)
    model.objective = ELBO(**settings)
    terms = model.loss(X, noise=NOISE)
    assert terms.negative_elbo.item() == plain.loss.item() == plain.negative_elbo.item()
    np.testing.assert_allclose(terms.loss.item(), terms.reconstruction.item() + counted(kls(model)), rtol=1e-12)
    assert ta.checks.gradcheck(lambda: model.loss(X, noise=NOISE).loss, model).worst < 1e-6


def test_below_the_free_bits_a_dimension_has_no_gradient(model):
    model.objective = ELBO(free_bits=10.0)
    q = model.encode(X)
    counted = model.objective.counted(None, q, model.prior)
    assert counted.item() == 30
    assert not ta.grad(counted, [model.encoder[-1].weight])[0].data.any()


def test_a_weight_of_the_kl_is_what_the_statistics_say(model):
    model.objective = ELBO(beta=0.3)
    assert ta.checks.semcheck(model, X).passed
    assert not ta.checks.semcheck(model, X, beta=1).passed


@pytest.mark.parametrize(
    "settings", [{"beta": -1}, {"beta": float("nan")}, {"free_bits": -0.1}, {"capacity": float("inf")}, {"capacity": 1, "free_bits": 1}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ArgumentError):
        ELBO(**settings)
