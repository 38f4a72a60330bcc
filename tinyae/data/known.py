"""Distributions of data whose truth is known: a mixture, a linear-Gaussian model, sparse features in superposition.

Each has `sample(n, rng)`, which returns points (n, D) float32, labels (n,) and factors (n, K) or None, on the host.
Exact numbers are computed there too, in float64.
"""

import math

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.backend import to_numpy
from tinyae.ops.softmax import logsumexp


def normal(rng, *shape):
    """Draws from N(0, 1), float64 on the host."""
    return to_numpy(rng.normal(shape, np.float64))


class GaussianMixture:
    """Equal parts of N(mean_k, sigma^2 I).  means: (K, D)."""

    def __init__(self, means, sigma):
        self.means, self.sigma = np.asarray(means, np.float64), sigma

    @classmethod
    def ring(cls, parts=8, sigma=0.15):
        """Parts on the circle of radius 2, D = 2."""
        angle = np.arange(parts) * (2 * math.pi / parts)
        return cls(2 * np.stack([np.cos(angle), np.sin(angle)], axis=1), sigma)

    @classmethod
    def grid(cls, side=5, sigma=0.1):
        """Parts on a square grid with distance 1, D = 2."""
        steps = np.arange(side) - (side - 1) / 2
        return cls(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2), sigma)

    def sample(self, n, rng):
        """n points; labels: the part that each is from."""
        labels = rng.permutation(n) % len(self.means)
        return (self.means[labels] + self.sigma * normal(rng, n, self.means.shape[1])).astype(np.float32), labels.astype(np.uint8), None

    def log_prob(self, x):
        """log p(x) = log mean_k N(x; mean_k, sigma^2 I), in nats.  x: (N, D).  Returns (N,) float64."""
        k, d = self.means.shape
        squares = np.square(to_numpy(x)[:, None].astype(np.float64) - self.means).sum(axis=-1)
        return logsumexp(-squares / (2 * self.sigma**2), axis=-1) - math.log(k) - d / 2 * math.log(2 * math.pi * self.sigma**2)


class LinearGaussian:
    """x = W z + mean + sigma eps, z and eps from N(0, I): what a linear VAE can learn exactly.

    weight W: (D, J).  mean: (D,).  Then x is N(mean, C), C = W W^T + sigma^2 I.  Tipping & Bishop 1999.
    """

    def __init__(self, weight, mean, sigma):
        self.weight, self.mean, self.sigma = np.asarray(weight, np.float64), np.asarray(mean, np.float64), sigma

    @classmethod
    def example(cls, features=10, latent=3, sigma=0.5):
        """Fixed draws of W and mean from N(0, 1)."""
        rng = make_rng(0).stream("linear-gaussian")
        return cls(normal(rng, features, latent), normal(rng, features), sigma)

    @property
    def covariance(self):
        """C = W W^T + sigma^2 I, (D, D)."""
        return self.weight @ self.weight.T + self.sigma**2 * np.eye(len(self.mean))

    def sample(self, n, rng):
        """n points; factors: their z, (n, J)."""
        z = normal(rng, n, self.weight.shape[1])
        x = z @ self.weight.T + self.mean + self.sigma * normal(rng, n, len(self.mean))
        return x.astype(np.float32), np.zeros(n, np.uint8), z.astype(np.float32)

    def log_prob(self, x):
        """log N(x; mean, C), in nats.  x: (N, D).  Returns (N,) float64."""
        values, vectors = np.linalg.eigh(self.covariance)
        along = (to_numpy(x).astype(np.float64) - self.mean) @ vectors
        return -0.5 * (np.square(along) / values + np.log(2 * math.pi * values)).sum(axis=-1)

    def optimal_kl(self):
        """The KL of the exact posterior from the prior, on average over x: 1/2 sum_i log(lambda_i / sigma^2), in nats.

        lambda_i: the eigenvalues of C; those that W does not raise above sigma^2 add 0.  Lucas et al. 2019.
        """
        return 0.5 * np.log(np.linalg.eigvalsh(self.covariance) / self.sigma**2).sum()


class Superposition:
    """x = dictionary f: more features F than dimensions D, but few of them at a time.

    dictionary: (D, F), unit vectors.  Each f_i is 0, or with the given probability uniform on [0, 1).
    Elhage et al. 2022, "Toy models of superposition"; Sharkey, Braun & Millidge 2022.
    """

    def __init__(self, dictionary, probability):
        self.dictionary, self.probability = np.asarray(dictionary, np.float64), probability

    @classmethod
    def example(cls, dimensions=16, features=32, probability=0.05):
        """A fixed dictionary of random directions."""
        directions = normal(make_rng(0).stream("superposition"), dimensions, features)
        return cls(directions / np.linalg.norm(directions, axis=0), probability)

    def sample(self, n, rng):
        """n points; factors: their features f, (n, F)."""
        shape = (n, self.dictionary.shape[1])
        f = to_numpy(rng.uniform(shape, dtype=np.float64)) * (to_numpy(rng.uniform(shape)) < self.probability)
        return (f @ self.dictionary.T).astype(np.float32), np.zeros(n, np.uint8), f.astype(np.float32)
