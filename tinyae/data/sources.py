"""Every data set by its name: where it comes from, how it is loaded, whether it is there."""

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
    """A data set: how it is loaded, its sizes, who made it, its licence; its folders and the files that show it is there."""

    load: Callable
    train: int
    test: int
    image_shape: tuple
    origin: str
    licence: str
    folders: tuple = ()
    files: tuple = ()


_idx_files = ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte")
_ours = {"origin": "generated", "licence": "MIT"}
_points = {"load": toy.load_toy, **toy.SIZES, **_ours}
SOURCES = {
    "digits": Source(load_digits, 1400, 397, (8, 8), "UCI optical digits, embedded", "CC BY 4.0"),
    "mnist": Source(mnist.load_mnist, 60_000, 10_000, (28, 28), "LeCun, Cortes & Burges 1998", "CC BY-SA 3.0", ("mnist",), _idx_files),
    "fashion-mnist": Source(mnist.load_mnist, 60_000, 10_000, (28, 28), "Xiao, Rasul & Vollgraf 2017", "MIT", ("fashion-mnist",), _idx_files),
    "cifar-10": Source(
        cifar.load_cifar, 50_000, 10_000, (3, 32, 32), "Krizhevsky 2009", "none stated", cifar.FOLDERS, ("data_batch_1.bin", "data_batch_1")
    ),
    "celeba": Source(
        lambda name, split: images.celeba(split=split),
        162_770,
        19_962,
        (3, 64, 64),
        "Liu, Luo, Wang & Tang 2015",
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
    """The data set `name` (one of DATASETS), split "train" or "test", as a Dataset.

    digits is embedded; shapes and toy sets are drawn, the same each time.  The others are looked for in folders of
    TINYAE_DATA, then in the cache of earlier downloads; mnist and fashion-mnist are then downloaded.
    Raises ArgumentError for an unknown name, DataError for missing or damaged files.
    """
    if name not in SOURCES:
        raise ArgumentError(f"unknown data set {name!r}.", expected="one of " + ", ".join(DATASETS))
    if split not in ("train", "test"):
        raise ArgumentError(f"unknown split {split!r}.", expected="train or test")
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


def table():
    """A Row for each data set: sizes, source, licence, the folders in which it is looked for, whether it is there.

    Nothing is read or downloaded; what is embedded or generated is always there, and looked for nowhere.
    """
    rows = []
    for name, source in SOURCES.items():
        places = tuple(files.places(*source.folders))
        present = not places or any((place / file).exists() for place in places for file in source.files)
        rows.append(Row(name, source.train, source.test, source.image_shape, source.origin, source.licence, places, present))
    return rows
