"""What semcheck cannot test is told in words; what a grid cannot hold is not judged."""

import re

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn
from tinyae.checks import semcheck, semcheck_distribution
from tinyae.distributions import Normal
from tinyae.errors import ArgumentError

X = ta.rng(2).bernoulli(np.full((60, 6), 0.3))


STANDARD = Normal(np.zeros((1, 1)), np.zeros((1, 1)))


def pair(x):
    return x[:, :2], x[:, :2] - 1.0


def tiled(z):
    return np.tile(z, 3)


def vae(**changed):
    model = ta.models.VAE(features=6, latent=2, hidden=(8,), rng=ta.rng(0))
    for name, value in changed.items():
        setattr(model, name, value)
    return model


def normed():
    model = vae()
    model.encoder = nn.Sequential(nn.BatchNorm1d(6), model.encoder)
    return model


REFUSED = {
    r"encode gives the posterior(.|\n)*3 arrays": lambda: semcheck(x=X, encode=lambda x: (x, x, x), decode=tiled, likelihood="bernoulli"),
    r"encode gives the posterior(.|\n)*ndarray": lambda: semcheck(x=X, encode=lambda x: x, decode=tiled, likelihood="bernoulli"),
    r"mean and log_variance of one shape": lambda: semcheck(x=X, encode=lambda x: (x, x[:, :2]), decode=tiled, likelihood="bernoulli"),
    r"decode gives a number for each feature(.|\n)*6 for an example(.|\n)*4": lambda: semcheck(
        x=X, encode=pair, decode=lambda z: np.tile(z, 2), likelihood="bernoulli"
    ),
    r"variance of a gaussian likelihood is above 0": lambda: semcheck(x=X, encode=pair, decode=tiled, likelihood="gaussian", variance=-1.0),
    r"the model's likelihood is no function": lambda: semcheck(vae(likelihood="bernoulli"), X),
    r"a batch norm couples(.|\n)*model\.eval": lambda: semcheck(normed(), X),
    r"semcheck: the data": lambda: semcheck(vae(), np.zeros((60, 0))),
    r"the divergence is missing": lambda: semcheck_distribution(STANDARD, others=[STANDARD]),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_tested_is_refused_in_words(message):
    with pytest.raises(ArgumentError) as caught:
        REFUSED[message]()
    assert re.search(message, str(caught.value))


def test_infinite_logits_fail_without_an_error():
    found = semcheck(x=X, encode=pair, decode=lambda z: tiled(z) * np.inf, likelihood="bernoulli", loss=lambda x, noise: float(x.mean()))
    assert found.failures


def test_a_batch_norm_in_evaluation_is_tested_and_kept():
    model = normed()
    model.eval()
    before = model.state_dict()
    assert semcheck(model, X).passed
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


class FarApart:
    """Half N(-far, 1), half N(far, 1): on a grid between them nothing can be seen."""

    support = (-np.inf, np.inf)

    def __init__(self, far):
        self.far = far

    def log_prob(self, x):
        """(..., 1) to (...,)."""
        logs = [-0.5 * ((x[..., 0] - centre) ** 2 + np.log(2 * np.pi)) for centre in (-self.far, self.far)]
        return np.logaddexp(*logs) - np.log(2)

    def sample(self, rng, draws=()):
        """(*draws, 1, 1)."""
        return rng.normal((*draws, 1, 1), np.float64) + self.far * (2 * rng.bernoulli(np.full((*draws, 1, 1), 0.5)) - 1)


def test_draws_are_not_judged_on_a_grid_that_is_too_coarse():
    found = semcheck_distribution(FarApart(1000.0))
    assert not found.failures
    assert {row.check for row in found.where("not tested")} >= {"sum", "draws"}
    assert semcheck_distribution(FarApart(1.0)).passed


class Arcsine:
    """Beta(1/2, 1/2): its density is infinite at both ends."""

    support = (0.0, 1.0)
    mean = np.array([[0.5]])

    def log_prob(self, x):
        """(..., 1) to (...,)."""
        return -(np.log(np.pi) + 0.5 * np.log(x) + 0.5 * np.log1p(-x))[..., 0]

    def sample(self, rng, draws=()):
        """(*draws, 1, 1)."""
        return np.sin(np.pi / 2 * rng.uniform((*draws, 1, 1), dtype=np.float64)) ** 2


def test_a_density_that_is_infinite_at_the_ends_is_summed():
    found = {row.check: row.verdict for row in semcheck_distribution(Arcsine())}
    assert found["sum"] == found["mean"] == found["draws: variance"] == "ok"
