"""Data sets: digits (embedded), mnist and fashion-mnist (from files or downloaded and verified)."""

from tinyae.data.dataset import BINARISATIONS, Dataset, as_dataset
from tinyae.data.sources import DATASETS, load

__all__ = ["BINARISATIONS", "DATASETS", "Dataset", "as_dataset", "load"]
