"""Where each data set comes from: inside the package, a local folder, or a public mirror; always verified."""

import os
import pathlib
from typing import NamedTuple

from tinyae.data.dataset import Dataset
from tinyae.data.idx import read_idx
from tinyae.errors import ArgumentError, DataError, one_line

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
DATASETS = ("digits", *SOURCES)


def load(name, split="train", binarisation="grey"):
    """The data set `name` ("digits", "mnist", "fashion-mnist"), split "train" or "test", as a Dataset.

    digits is embedded.  The others are looked for in the folder TINYAE_DATA/name, then in the cache of earlier
    downloads, then downloaded.  Raises ArgumentError for an unknown name, DataError for damaged or unreachable files.
    """
    if name not in DATASETS:
        raise ArgumentError(f"unknown data set {name!r}.", expected="one of " + ", ".join(DATASETS))
    if split not in PARTS:
        raise ArgumentError(f"unknown split {split!r}.", expected="train or test")
    if name == "digits":
        return _digits(split, binarisation)
    images, labels = (_part(name, part) for part in PARTS[split])
    return Dataset(name, split, images.reshape(len(images), -1), labels, images.shape[1:], 255, binarisation)


def _digits(split, binarisation):
    """The first 1,400 images train, the last 397 test: they were written by different halves of the sheet's order."""
    folder = pathlib.Path(__file__).parent / "digits"
    images, labels = read_idx(folder / "images-idx3-ubyte.gz", 3), read_idx(folder / "labels-idx1-ubyte.gz", 1)
    rows = slice(None, 1400) if split == "train" else slice(1400, None)
    return Dataset("digits", split, images[rows].reshape(-1, 64), labels[rows], (8, 8), 16, binarisation)


def _part(name, part):
    """The array of one idx file, from the first place that has it."""
    axes, md5 = (3 if "images" in part else 1), SOURCES[name].checksums[part]
    for folder in places(name):
        for path in (folder / f"{part}.gz", folder / part):
            if path.exists():
                return read_idx(path, axes, md5)
    return _download(name, part, axes, md5)


def places(name):
    """The folders in which the files of a data set are looked for."""
    given = os.environ.get("TINYAE_DATA")
    return [*([pathlib.Path(given) / name] if given else []), cache() / name]


def cache():
    """The folder of downloaded files: the system's cache folder, in tinyae/."""
    import pooch

    return pathlib.Path(pooch.os_cache("tinyae"))


def _download(name, part, axes, md5):
    """Fetch one file from the first mirror that gives the right content; a wrong one is not kept."""
    import pooch

    failures = []
    for mirror in SOURCES[name].mirrors:
        path = None
        try:
            # the wrapper differs from mirror to mirror, so the content is checked, not the wrapper
            path = pathlib.Path(pooch.retrieve(f"{mirror}{part}.gz", known_hash=None, fname=f"{part}.part", path=cache() / name))
            array = read_idx(path, axes, md5)
            path.replace(path.with_name(f"{part}.gz"))
            return array
        except (OSError, ValueError) as error:
            failures.append(f"{mirror}: {type(error).__name__}: {one_line(error).split(' (')[0]}")
            if path is not None:
                path.unlink(missing_ok=True)
    raise DataError(
        f"{name}: {part}.gz is neither in {' nor in '.join(map(str, places(name)))}, nor could it be downloaded.",
        got="; ".join(failures),
        remedy=f"put the four idx files of {name} into a folder DIR/{name} and set TINYAE_DATA=DIR",
    )
