"""Generated sprites with known factors, as in dSprites (Matthey, Higgins, Hassabis & Lerchner 2017), drawn by formulas."""

import itertools
import math

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.data.dataset import Dataset
from tinyae.errors import ArgumentError, ShapeError

SHAPES = ("square", "ellipse", "heart")
SIDE = 0.36  # the square root of a sprite's area at scale 1, in widths of the image
FACTORS = {
    "shape": range(3),
    "scale": np.linspace(0.5, 1, 4),
    # an odd number: with an even one, a square or an ellipse turned by 90 or 180 degrees would be in the set twice
    "orientation": np.arange(9) * (2 * math.pi / 9),
    "x": np.linspace(0.3, 0.7, 8),
    "y": np.linspace(0.3, 0.7, 8),
}
TRAIN = 6000  # of the 3 * 4 * 9 * 8 * 8 = 6,912 combinations; the others are the test split
CHUNK = 512


def load_shapes(name, split):
    """Every combination of FACTORS once, "shapes" 16x16 and "shapes-64" 64x64; a fixed random choice is the test split."""
    size = 64 if name == "shapes-64" else 16
    order = make_rng(0).stream("shapes").permutation(math.prod(map(len, FACTORS.values())))
    factors = np.array(list(itertools.product(*FACTORS.values())))[order[:TRAIN] if split == "train" else order[TRAIN:]]
    labels = factors[:, 0].astype(np.uint8)
    return Dataset(name, split, draw_sprites(factors, size), labels, (size, size), 255, factors=factors, factor_names=tuple(FACTORS), classes=SHAPES)


def draw_sprites(factors, size=16):
    """White sprites on black, (N, size * size) bytes; a pixel is as bright as it is covered, but for corners within it.

    factors: (N, 5) of shape (0 square, 1 ellipse, 2 heart), scale, orientation in radians, and the centre of mass x
    (rightwards) and y (downwards) in widths of the image.  A sprite's area is (0.36 scale)^2.  It turns from x to y.
    Raises ShapeError or ArgumentError for other factors.
    """
    factors = np.asarray(factors, dtype=np.float32)
    if factors.ndim != 2 or factors.shape[1] != len(FACTORS):
        raise ShapeError("draw_sprites: the factors.", expected=f"(N, {len(FACTORS)}): {', '.join(FACTORS)}", got=factors.shape)
    if not np.isin(factors[:, 0], range(len(SHAPES))).all():
        raise ArgumentError("draw_sprites: an unknown shape.", expected="0 square, 1 ellipse, 2 heart", got=np.unique(factors[:, 0]))
    pixels = np.empty((len(factors), size, size), np.uint8)
    for kind, distance in enumerate((_square, _ellipse, _heart)):
        rows = np.flatnonzero(factors[:, 0] == kind)
        for part in np.split(rows, range(CHUNK, len(rows), CHUNK)):
            pixels[part] = _draw(distance, factors[part], size)
    return pixels.reshape(len(factors), size * size)


def _draw(distance, factors, size):
    """The sprites of one shape, (N, size, size) bytes; `distance` is that to its outline, at area 1."""
    _, scale, angle, x, y = factors.T[:, :, None, None]
    centres, side = (np.arange(size, dtype=np.float32) + 0.5) / size, SIDE * scale
    right, down = (centres - x) / side, (centres[:, None] - y) / side
    u, v = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    return np.rint(255 * np.clip(0.5 - distance(u, v) * side * size, 0, 1)).astype(np.uint8)


def _square(u, v, side=1.0):
    """The distance of (u, v) to a square around 0, negative inside; each shape has area 1."""
    return np.maximum(abs(u), abs(v)) - side / 2


def _ellipse(u, v, ratio=2.0):
    """Semi-axes a = ratio * b along u and b along v, pi a b = 1.  To first order, |f| / |gradient of f| is the distance."""
    a, b = math.sqrt(ratio / math.pi), 1 / math.sqrt(ratio * math.pi)
    radius = np.sqrt((u / a) ** 2 + (v / b) ** 2 + 1e-12)
    gradient = np.sqrt((u / a**2) ** 2 + (v / b**2) ** 2 + 1e-12) / radius
    return (radius - 1) / gradient


def _heart(u, v):
    """A square on its corner, (2 a)^2, and half discs of radius a on its two upper sides; (4 + pi) a^2 = 1."""
    a = 1 / math.sqrt(4 + math.pi)
    centroid = a * (math.pi / 2 + 2 / 3) / (4 + math.pi)  # of the square, 0, and the half discs, a + 4 a / (3 pi), along a side
    s, t = (u - v) / math.sqrt(2) + centroid, (-u - v) / math.sqrt(2) + centroid  # along the square's sides
    lobes = np.minimum(np.hypot(s - a, t), np.hypot(s, t - a)) - a
    return np.minimum(_square(s, t, 2 * a), lobes)
