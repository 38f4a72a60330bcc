"""semcheck on likelihoods of every kind, and on what a model draws or weighs by itself."""

import numpy as np
import pytest

import tinyae as ta
from tinyae.checks import assert_semantics, semcheck

GREY = ta.rng(2).uniform((60, 6))
BYTES = np.round(GREY * 255) / 255
BINARY = (GREY > 0.5).astype(np.float64)
KINDS = dict.fromkeys(("gaussian", "laplace", "gaussian-per-pixel", "continuous-bernoulli"), GREY)
KINDS |= {"bernoulli": BINARY, "discretised-logistic": BYTES, "discretised-logistic-mixture": BYTES, "categorical": BYTES}


def row(found, check):
    (only,) = [row for row in found if row.check == check]
    return only


@pytest.mark.parametrize("kind", KINDS)
def test_a_vae_of_each_likelihood_passes(kind):
    model = ta.models.VAE(features=6, latent=2, hidden=(8,), likelihood=kind, rng=ta.rng(0))
    found = assert_semantics(model, KINDS[kind])
    assert row(found, "own samples").verdict == row(found, "log_weights").verdict == row(found, "reconstruct").verdict == "ok"
    assert row(found, "likelihood").verdict == ("ok" if KINDS[kind] is not BYTES else "not tested")


def of_function(log_prob, x):
    found = semcheck(x=x, likelihood=log_prob, encode=lambda x: (x[:, :2], x[:, :2] - 1), decode=lambda z: np.tile(z, 3))
    return row(found, "likelihood")


def student(d, x, nu=3.0):
    """Student's t with three degrees of freedom: tails that no box holds."""
    return (np.log(2 / (np.pi * np.sqrt(nu))) - (nu + 1) / 2 * np.log1p((x - d) ** 2 / nu)).sum(axis=1)


RIGHT = {
    "student": (student, GREY),
    "cauchy": (lambda d, x: -np.log(np.pi * (1 + (x - d) ** 2)).sum(axis=1), GREY),
    "laplace": (lambda d, x: -(np.abs(x - d) + np.log(2)).sum(axis=1), GREY),
    "a density on zeros and ones": (lambda d, x: -0.5 * ((x - d) ** 2 + np.log(2 * np.pi)).sum(axis=1), BINARY),
    "bernoulli": (lambda d, x: -(np.logaddexp(0, d) - x * d).sum(axis=1), BINARY),
}
WRONG = {
    "a constant forgotten": (lambda d, x: -0.5 * ((x - d) ** 2).sum(axis=1), GREY),
    "one percent": (lambda d, x: student(d, x) + 0.01, GREY),
    "a scale": (lambda d, x: -(1.05 * np.abs(x - d) + np.log(2)).sum(axis=1), GREY),
    "a mean": (lambda d, x: -(np.logaddexp(0, d) - x * d).mean(axis=1), BINARY),
    "half a density on zeros and ones": (lambda d, x: -0.5 * ((x - d) ** 2 / 2 + np.log(2 * np.pi)).sum(axis=1), BINARY),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_likelihood_is_a_probability(name):
    assert of_function(*RIGHT[name]).verdict == "ok"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_likelihood_is_none(name):
    found = of_function(*WRONG[name])
    assert found.verdict == "FAILED"
    assert "It is no probability" in found.meaning


def test_what_no_grid_can_hold_is_not_judged():
    jagged = of_function(lambda d, x: -(np.abs(x - d) + np.log(2) + 0.5 * np.sign(np.sin(400 * x))).sum(axis=1), GREY)
    assert jagged.verdict == "not tested"


class Timid(ta.models.VAE):
    """Its own draws are too narrow; given noise is taken as it is."""

    def sample(self, n, noise=None, rng=None):
        """Means of p(x | z)."""
        return super().sample(n, noise=0.8 * self.draw_noise(n, rng=rng) if noise is None else noise)


class Shifted(ta.models.VAE):
    """Its importance weights are a nat too large."""

    def log_weights(self, x, noise):
        """log w."""
        return super().log_weights(x, noise) + 1.0


@pytest.mark.parametrize(("kind", "check"), [(Timid, "own samples"), (Shifted, "log_weights")])
def test_what_a_model_does_by_itself_is_tested_too(kind, check):
    found = semcheck(kind(features=6, latent=2, hidden=(8,), rng=ta.rng(0)), BINARY)
    assert [row.check for row in found.failures] == [check]
