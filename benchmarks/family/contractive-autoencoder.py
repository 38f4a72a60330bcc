"""The clean image from one with noise of standard deviation 0.3, by a model that never saw noise."""

import family
from denoising import error_at

METRIC, UNIT, LOWER = "squared error against the clean image, input with noise 0.3", "per pixel of digits", True
BASELINE = "linear autoencoder with a code of 12, the best plain one at this noise in benchmarks/denoising.md"


def measure(seed):
    """The error of both; further that of an autoencoder of the same size, and all of them without noise."""
    size = "--latent 64 --hidden --epochs 150 --lr 0.003"
    others = {"baseline": "--latent 12 --hidden --epochs 150 --lr 0.003", "same_size": size}
    models = {"model": family.trained("contractive-autoencoder", seed)[0]}
    models |= {name: family.trained("autoencoder", seed, *options.split())[0] for name, options in others.items()}
    return error_at(models, 0.3, seed) | {f"{name}_no_noise": value for name, value in error_at(models, 0.0, seed).items()}
