"""Toy sets: points in few dimensions, drawn from a stream; some with a known density (see known.py).

A function of a set returns points (n, D) float32, labels (n,) and factors (n, K) or None, on the host.
"""

import math

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.backend import to_numpy
from tinyae.data.dataset import Dataset
from tinyae.data.known import GaussianMixture, LinearGaussian, Superposition, normal
from tinyae.errors import ArgumentError

SIZES = {"train": 10_000, "test": 2_000}


def two_moons(n, rng, noise=0.1):
    """Two half circles of radius 1 that interlock, with Gaussian noise; labels: which; factors: the angle."""
    labels, angle = rng.permutation(n) % 2, _uniform(rng, n) * math.pi
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.where(labels[:, None] == 0, upper, np.array([1, 0.5]) - upper)
    return _drawn(points + noise * normal(rng, n, 2), labels, angle[:, None])


def swiss_roll(n, rng, noise=0.02):
    """A rolled-up sheet in three dimensions, radius = angle / 10, with Gaussian noise; factors: angle and height."""
    angle, height = 1.5 * math.pi * (1 + 2 * _uniform(rng, n)), 2 * _uniform(rng, n) - 1
    points = np.stack([angle * np.cos(angle) / 10, height, angle * np.sin(angle) / 10], axis=1)
    return _drawn(points + noise * normal(rng, n, 3), np.zeros(n), np.stack([angle, height], axis=1))


def pinwheel(n, rng, arms=5, radial=0.3, tangential=0.1, rate=0.25):
    """Arms around a centre, the more twisted the further out: angle 2 pi label / arms + rate exp(radius).

    Johnson, Duvenaud, Wiltschko, Datta & Adams 2016, section 5.  labels: the arm.
    """
    labels, along, across = rng.permutation(n) % arms, 1 + radial * normal(rng, n), tangential * normal(rng, n)
    angle = labels * (2 * math.pi / arms) + rate * np.exp(along)
    cos, sin = np.cos(angle), np.sin(angle)
    return _drawn(np.stack([along * cos - across * sin, along * sin + across * cos], axis=1), labels)


POINTS = {"two-moons": two_moons, "swiss-roll": swiss_roll, "pinwheel": pinwheel}
TRUTHS = {
    "gaussian-ring": GaussianMixture.ring,
    "gaussian-grid": GaussianMixture.grid,
    "linear-gaussian": LinearGaussian.example,
    "superposition": Superposition.example,
}
FACTOR_NAMES = {"two-moons": ("angle",), "swiss-roll": ("angle", "height")}


def toy(name, n, rng, split="train"):
    """n points of a toy set as a Dataset, image_shape (1, D); `truth` is what is known, an object of known.py or None.

    name: two-moons, swiss-roll, pinwheel, gaussian-ring, gaussian-grid, linear-gaussian, superposition.
    Raises ArgumentError for another name.
    """
    if name not in POINTS and name not in TRUTHS:
        raise ArgumentError(f"unknown toy set {name!r}.", expected="one of " + ", ".join([*POINTS, *TRUTHS]))
    truth = TRUTHS[name]() if name in TRUTHS else None
    points, labels, factors = truth.sample(n, rng) if truth else POINTS[name](n, rng)
    names = FACTOR_NAMES.get(name, ())
    return Dataset(name, split, points, labels, (1, points.shape[1]), 1, factors=factors, factor_names=names, truth=truth)


def load_toy(name, split):
    """The fixed 10,000 points for training, or the 2,000 for the test."""
    return toy(name, SIZES[split], make_rng(0).stream(name, split), split)


def _uniform(rng, n):
    return to_numpy(rng.uniform((n,), dtype=np.float64))


def _drawn(points, labels, factors=None):
    return points.astype(np.float32), labels.astype(np.uint8), None if factors is None else factors.astype(np.float32)
