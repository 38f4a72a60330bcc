"""Corruption of a batch for denoising autoencoders (Vincent, Larochelle, Lajoie, Bengio & Manzagol 2010, section 3.3)."""

from tinyae.backend import array_module
from tinyae.errors import ArgumentError


def gaussian_noise(x, rng, amount):
    """x + amount * eps, eps from N(0, I); amount: the standard deviation.  x, result: arrays of one shape."""
    if amount < 0:
        raise ArgumentError("gaussian_noise: the standard deviation must be 0 or more.", got=amount)
    return x + amount * rng.normal(x.shape, x.dtype)


def masking_noise(x, rng, amount):
    """Each value set to 0 with probability `amount`.  x, result: arrays of one shape."""
    _check_probability("masking_noise", amount)
    return x * (rng.uniform(x.shape) >= amount)


def salt_and_pepper(x, rng, amount):
    """Each value set to 0 or to 1, with probability amount / 2 each.  x, result: arrays of one shape."""
    _check_probability("salt_and_pepper", amount)
    draw = rng.uniform(x.shape)
    return array_module(x).where(draw < amount, draw < amount / 2, x)


def _check_probability(name, amount):
    if not 0 <= amount <= 1:
        raise ArgumentError(f"{name}: the amount must be a probability.", expected="0 to 1", got=amount)
