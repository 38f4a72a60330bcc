"""A model as a newcomer writes it from the README: residual branch, shared weight, slices, concatenation, broadcasting."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn, ops
from tinyae.backend import to_device


class Mine(nn.Module):
    """A VAE whose decoder uses a slice of the encoder's weight, transposed, and a scale for each pixel."""

    def __init__(self, features, latent, rng):
        self.latent = latent
        self.inner = nn.Linear(features, features, rng=rng)
        self.shared = nn.Linear(features, 2 * latent, rng=rng)
        self.scale = nn.Parameter(rng.uniform((features,), 0.5, 1.5))
        self.head = nn.Linear(features + latent, features, rng=rng)

    def loss(self, x, noise=None, rng=None):
        noise = rng.normal((len(x), self.latent)) if noise is None else noise
        h = x + ops.tanh(self.inner(x))
        statistics = self.shared(h)
        mean, log_variance = statistics[:, : self.latent], statistics[:, self.latent :]
        z = ops.reparameterize(mean, log_variance, noise)
        back = (z @ self.shared.weight[: self.latent]) * self.scale
        logits = self.head(ops.concatenate([back, z], axis=-1))
        reconstruction = (ops.softplus(logits) - x * logits).sum(axis=-1)
        kl = (mean**2 + log_variance.exp() - log_variance - 1).sum(axis=-1) / 2
        return (reconstruction + kl).mean()


def test_it_passes_the_gradient_check(backend):
    model = Mine(12, 2, ta.rng(0)).astype("float64")
    x, noise = ta.rng(1).uniform((3, 12), dtype=np.float64), ta.rng(2).normal((3, 2), np.float64)
    report = ta.checks.gradcheck(lambda: model.loss(x, noise), model)
    assert report.worst < 1e-6
    assert report.compared == sum(p.size for p in model.parameters())


def test_it_trains():
    history = ta.fit(Mine(64, 4, ta.rng(0)), ta.data.load("digits", binarisation="threshold"), epochs=10, progress=False)
    assert history["train_loss"][-1] < history["train_loss"][0] - 10


def test_a_planted_error_in_an_operation_it_uses_is_found(monkeypatch):
    model = Mine(12, 2, ta.rng(0)).astype("float64")
    x, noise = to_device(np.full((3, 12), 0.3)), to_device(np.ones((3, 2)))
    split = ops.concatenate.rules[0]
    monkeypatch.setattr(split, "function", lambda gy, shapes, axis: tuple(np.roll(g, 1, axis=-1) for g in np.split(gy, [shapes[0][axis]], axis)))
    with pytest.raises(ta.checks.GradientError):
        ta.checks.gradcheck(lambda: model.loss(x, noise), model)
