"""MNIST and Fashion-MNIST: four idx files from a local folder, or from a public mirror; always verified."""

import math
import pathlib
from typing import NamedTuple

from tinyae.data import files
from tinyae.data.dataset import Dataset
from tinyae.data.idx import read_idx
from tinyae.errors import DataError, one_line

PARTS = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"), "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}


class Source(NamedTuple):
    """Mirrors and checksums (MD5 of the uncompressed content) of the four idx files of a data set."""

    mirrors: tuple
    checksums: dict


SOURCES = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "fashion-mnist": Source(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        {
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
    ),
}


def load_mnist(name, split):
    """The set "mnist" or "fashion-mnist": 28x28 grey values, 60,000 for training and 10,000 for the test."""
    images, labels = (_part(name, part) for part in PARTS[split])
    return Dataset(name, split, images.reshape(len(images), math.prod(images.shape[1:])), labels, images.shape[1:], 255)


def _part(name, part):
    """The array of one idx file, from the first place that has it."""
    axes, md5 = (3 if "images" in part else 1), SOURCES[name].checksums[part]
    for folder in files.places(name):
        for path in (folder / f"{part}.gz", folder / part):
            if path.exists():
                return read_idx(path, axes, md5)
    return _download(name, part, axes, md5)


def _download(name, part, axes, md5):
    """Fetch one file from the first mirror that gives the right content; a wrong one is not kept."""
    import pooch

    failures = []
    for mirror in SOURCES[name].mirrors:
        path = None
        try:
            # the wrapper differs from mirror to mirror, so the content is checked, not the wrapper
            path = pathlib.Path(pooch.retrieve(f"{mirror}{part}.gz", known_hash=None, fname=f"{part}.part", path=files.cache() / name))
            array = read_idx(path, axes, md5)
            path.replace(path.with_name(f"{part}.gz"))
            return array
        except (OSError, ValueError) as error:
            failures.append(f"{mirror}: {type(error).__name__}: {one_line(error).split(' (')[0]}")
            if path is not None:
                path.unlink(missing_ok=True)
    raise DataError(
        f"{name}: {part}.gz is neither in {' nor in '.join(map(str, files.places(name)))}, nor could it be downloaded.",
        got="; ".join(failures),
        remedy=f"put the four idx files of {name} into a folder DIR/{name} and set TINYAE_DATA=DIR",
    )
