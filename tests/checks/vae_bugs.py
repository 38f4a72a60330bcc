"""Eight classic errors in a VAE's loss, each in one line; every one passes the gradient check.

The lines are written with `ta.ops`, which takes Tensors and arrays alike: so they serve in a model of ours, `model(...)`, and in a
loss of plain NumPy arrays, `functions(...)`.
"""

from types import SimpleNamespace

import numpy as np

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_numpy

RIGHT = {
    "noise": lambda noise: noise,
    "deviation": lambda log_variance: ops.exp(log_variance / 2),
    "decoded": lambda decoded: decoded,
    "reconstruction": lambda nats, features: nats,
    "kl": lambda mean, log_variance: ops.kl_standard_normal(mean, log_variance),
}

BUGS = {
    "std = exp(log_variance)": {"deviation": ops.exp},
    "KL mean over latents": {"kl": lambda mean, log_variance: ops.kl_standard_normal(mean, log_variance) / mean.shape[-1]},
    "KL without 1/2": {"kl": lambda mean, log_variance: 2 * ops.kl_standard_normal(mean, log_variance)},
    "reconstruction mean over pixels": {"reconstruction": lambda nats, features: nats / features},
    "KL sign flipped": {"kl": lambda mean, log_variance: -ops.kl_standard_normal(mean, log_variance)},
    "no noise in training": {"noise": lambda noise: 0 * noise},
    "double sigmoid": {"decoded": ops.sigmoid},
    "one noise for the batch": {"noise": lambda noise: noise[..., :1, :] + 0 * noise},
}


def wrong_kl(factor):
    """A KL that is wrong by a factor."""
    return {"kl": lambda mean, log_variance: factor * ops.kl_standard_normal(mean, log_variance)}


def wrong_deviation(factor):
    """A standard deviation that is wrong by a factor."""
    return {"deviation": lambda log_variance: factor * ops.exp(log_variance / 2)}


class Patched(ta.models.VAE):
    """A VAE whose loss is made of exchangeable lines."""

    lines = RIGHT

    def loss(self, x, noise=None, rng=None):
        """The terms, see ta.models.VAE."""
        x, lines = self.rows(x), self.lines
        noise = lines["noise"](self.draw_noise(len(x), noise, rng))
        q = self.encode(x)
        z = q.mean + lines["deviation"](q.log_variance) * noise
        nats = -self.likelihood(lines["decoded"](self.decode(z))).log_prob(x)
        reconstruction = lines["reconstruction"](nats, self.features).mean()
        kl = lines["kl"](q.mean, q.log_variance).mean()
        total = reconstruction + kl
        return ta.models.Terms(loss=total, negative_elbo=total, reconstruction=reconstruction, kl=kl)


def model(bug=None, *, features=64, latent=2, hidden=(64,), seed=0, **settings):
    """A VAE with the lines of a bug: a name, or lines; None for the right one."""
    made = Patched(features, latent, hidden, rng=ta.rng(seed), **settings)
    made.lines = RIGHT | (BUGS[bug] if isinstance(bug, str) else bug or {})
    return made


def functions(bug=None, *, features=64, latent=2, hidden=32, seed=0, likelihood="bernoulli", variance=None, own_noise=False, parts=False):
    """The arguments of semcheck for a VAE of plain NumPy functions.

    own_noise: its loss(x) draws noise.  parts: its loss takes encode= and decode=.
    """
    lines, generator = SimpleNamespace(**(RIGHT | (BUGS[bug] if isinstance(bug, str) else bug or {}))), np.random.default_rng(seed)
    shapes = (features, hidden), (hidden, 2 * latent), (latent, hidden), (hidden, features)
    w = [generator.standard_normal(shape) * 1.5 / np.sqrt(shape[0]) for shape in shapes]

    def encode(x):
        h = np.tanh(x @ w[0]) @ w[1]
        return h[:, :latent], h[:, latent:]

    def decode(z):
        return np.tanh(z @ w[2]) @ w[3]

    def nats(decoded, x):
        if likelihood == "bernoulli":
            return (np.logaddexp(0, decoded) - x * decoded).sum(axis=-1)
        return 0.5 * ((x - decoded) ** 2 / variance + np.log(2 * np.pi * variance)).sum(axis=-1)

    def with_parts(x, noise, encode=encode, decode=decode):
        mean, log_variance = encode(x)
        decoded = lines.decoded(decode(mean + lines.deviation(log_variance) * lines.noise(noise)))
        return float((lines.reconstruction(nats(decoded, x), x.shape[1]) + lines.kl(mean, log_variance)).mean())

    def drawing(x, encode=encode, decode=decode):
        return with_parts(x, generator.standard_normal((len(x), encode(x)[0].shape[1])), encode, decode)

    loss = drawing if own_noise else with_parts
    loss = loss if parts else (lambda x: drawing(x)) if own_noise else (lambda x, noise: with_parts(x, noise))
    return {"loss": loss, "encode": encode, "decode": decode, "likelihood": likelihood, "variance": variance}


def binary_images(n=120, features=64, seed=0):
    """Zeros and ones, (n, features), float32."""
    return to_numpy(ta.rng(seed).bernoulli(ta.rng(seed + 1).uniform((n, features), 0.1, 0.9)))
