"""Data sets: digits (embedded), mnist and fashion-mnist (from files or downloaded and verified)."""

from tinyae.data.dataset import BINARISATIONS, Dataset
from tinyae.data.sources import DATASETS, load

__all__ = ["BINARISATIONS", "DATASETS", "Dataset", "load"]
