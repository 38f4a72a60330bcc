"""The clean image from one with noise of standard deviation 0.3, by a model that never saw noise."""

from denoising import BASELINE, LOWER, METRIC, UNIT, against_plain

__all__ = ["BASELINE", "LOWER", "METRIC", "UNIT", "measure"]


def measure(seed):
    """The error of both; further that of an autoencoder of the same size, and all of them without noise."""
    return against_plain("contractive-autoencoder", seed, "--latent 64 --hidden --epochs 150 --lr 0.003")
