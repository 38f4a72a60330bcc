"""Every data set by its name: where it comes from, how it is loaded, whether it is there."""

import difflib
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from tinyae.data import cifar, files, images, mnist, sprites, toy
from tinyae.data.dataset import Dataset
from tinyae.data.idx import read_idx
from tinyae.errors import ArgumentError


def load_digits(name, split):
    """The first 1,400 images train, the last 397 test: they were written by different halves of the sheet's order."""
    folder = pathlib.Path(__file__).parent / "digits"
    pixels, labels = read_idx(folder / "images-idx3-ubyte.gz", 3), read_idx(folder / "labels-idx1-ubyte.gz", 1)
    return Dataset(name, "train", pixels.reshape(-1, 64), labels, (8, 8), 16).rows(
        slice(None, 1400) if split == "train" else slice(1400, None), split
    )


class Source(NamedTuple):
    """A data set: how it is loaded, its sizes, who made it, its licence; its folders and the files that show it is there.

    downloaded: whether it is fetched at its first use.  counted: a function of the folder found, for its sizes there.
    """

    load: Callable
    train: int
    test: int
    image_shape: tuple
    origin: str
    licence: str
    folders: tuple = ()
    files: tuple = ()
    downloaded: bool = False
    counted: Callable | None = None


_idx_files = ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte")
_ours = {"origin": "generated", "licence": "MIT"}
_points = {"load": toy.load_toy, **toy.SIZES, **_ours}
SOURCES = {
    "digits": Source(load_digits, 1400, 397, (8, 8), "UCI optical digits, embedded", "CC BY 4.0"),
    "mnist": Source(mnist.load_mnist, 60_000, 10_000, (28, 28), "LeCun, Cortes & Burges 1998", "CC BY-SA 3.0", ("mnist",), _idx_files, True),
    "fashion-mnist": Source(mnist.load_mnist, 60_000, 10_000, (28, 28), "Xiao, Rasul & Vollgraf 2017", "MIT", ("fashion-mnist",), _idx_files, True),
    "cifar-10": Source(
        cifar.load_cifar,
        50_000,
        10_000,
        (3, 32, 32),
        "Krizhevsky 2009",
        "none stated",
        cifar.FOLDERS,
        ("data_batch_1.bin", "data_batch_1"),
        counted=cifar.count,
    ),
    "celeba": Source(
        lambda name, split: images.celeba(split=split),
        10_000,
        10_000,
        (3, 64, 64),
        "Liu, Luo, Wang & Tang 2015; the first of each split",
        "non-commercial research only",
        ("celeba",),
        (images.CELEBA["attributes"],),
    ),
    "shapes": Source(sprites.load_shapes, sprites.TRAIN, 912, (16, 16), **_ours),
    "shapes-64": Source(sprites.load_shapes, sprites.TRAIN, 912, (64, 64), **_ours),
    **{name: Source(image_shape=(1, 3 if name == "swiss-roll" else 2), **_points) for name in (*toy.POINTS, "gaussian-ring", "gaussian-grid")},
    "linear-gaussian": Source(image_shape=(1, 10), **_points),
    "superposition": Source(image_shape=(1, 16), **_points),
}
DATASETS = tuple(SOURCES)


def load(name, split="train", binarisation="grey"):
    """The data set `name` (one of DATASETS, or a path to a folder of images, see `own`), split "train" or "test", as a Dataset.

    digits is embedded; shapes and toy sets are drawn, the same each time.  The others are looked for in folders of
    TINYAE_DATA, then in the cache of earlier downloads; mnist and fashion-mnist are then downloaded.
    Raises ArgumentError for an unknown name, DataError for missing or damaged files.
    """
    if split not in ("train", "test"):
        raise ArgumentError(f"unknown split {split!r}.", expected="train or test")
    if name not in SOURCES and (os.sep in str(name) or os.path.isdir(name)):
        return images.own(name, split).binarise(binarisation)
    if name not in SOURCES:
        close = difflib.get_close_matches(str(name), DATASETS, 1)
        remedy = f"did you mean {close[0]}?" if close else None
        raise ArgumentError(f"unknown data set {name!r}.", expected="a folder of images, or one of " + ", ".join(DATASETS), remedy=remedy)
    return SOURCES[name].load(name, split).binarise(binarisation)


class Row(NamedTuple):
    """A line of the table of data sets."""

    name: str
    train: int
    test: int
    image_shape: tuple
    source: str
    licence: str
    places: tuple
    present: bool
    found: pathlib.Path | None
    downloaded: bool


def table():
    """A Row for each data set: sizes, source, licence, the folders in which it is looked for, whether it is there, and in which of them.

    downloaded: whether that happens at the first use.  Nothing is read or downloaded here; what is embedded or generated is always there,
    and looked for nowhere.
    """
    rows = []
    for name, source in SOURCES.items():
        places = tuple(files.places(*source.folders))
        found = next((place for place in places if any((place / file).exists() for file in source.files)), None)
        sizes = source.counted(found) if found and source.counted else (source.train, source.test)
        about = source.image_shape, source.origin, source.licence, places, found is not None or not places, found, source.downloaded
        rows.append(Row(name, *sizes, *about))
    return rows
