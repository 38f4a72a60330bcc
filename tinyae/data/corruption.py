"""Corruption of a batch for denoising autoencoders (Vincent, Larochelle, Lajoie, Bengio & Manzagol 2010, section 3.3).

Each is a function of x and of its noise, which is drawn from the stream `rng` where it is not given: an array of x's shape.
"""

from tinyae.errors import ArgumentError
from tinyae.ops.selection import where


def gaussian_noise(x, rng, amount, noise=None):
    """x + amount * eps, eps from N(0, I), the noise; amount: the standard deviation.  x, result: arrays of one shape."""
    if amount < 0:
        raise ArgumentError("gaussian_noise: the standard deviation must be 0 or more.", got=amount)
    return x + amount * (rng.normal(x.shape, x.dtype) if noise is None else noise)


def masking_noise(x, rng, amount, noise=None):
    """Each value set to 0 with probability `amount`: where the noise, uniform on [0, 1), is below it.  x, result: arrays of one shape."""
    _check_probability("masking_noise", amount)
    return where((rng.uniform(x.shape) if noise is None else noise) < amount, 0, x)


def salt_and_pepper(x, rng, amount, noise=None):
    """Each value set to 0 or to 1, with probability amount / 2 each; the noise is uniform on [0, 1).  x, result: arrays of one shape."""
    _check_probability("salt_and_pepper", amount)
    noise = rng.uniform(x.shape) if noise is None else noise
    return where(noise < amount / 2, 1, where(noise < amount, 0, x))


def _check_probability(name, amount):
    if not 0 <= amount <= 1:
        raise ArgumentError(f"{name}: the amount must be a probability.", expected="0 to 1", got=amount)
