"""Data sets: embedded, generated with known truth, or read from files; batches, and their corruption."""

from tinyae.data.corruption import gaussian_noise, masking_noise, salt_and_pepper
from tinyae.data.dataset import BINARISATIONS, Dataset, as_dataset
from tinyae.data.images import celeba, folder
from tinyae.data.known import GaussianMixture, LinearGaussian, Superposition
from tinyae.data.sources import DATASETS, load, table
from tinyae.data.sprites import draw_sprites
from tinyae.data.toy import toy

__all__ = [
    "BINARISATIONS",
    "DATASETS",
    "Dataset",
    "GaussianMixture",
    "LinearGaussian",
    "Superposition",
    "as_dataset",
    "celeba",
    "draw_sprites",
    "folder",
    "gaussian_noise",
    "load",
    "masking_noise",
    "salt_and_pepper",
    "table",
    "toy",
]
