"""A data set: images kept as bytes, turned into numbers when a batch is drawn."""

import dataclasses
import functools
from typing import Any

import numpy as np

from tinyae.backend import check_rng, to_device
from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError, DataError

BINARISATIONS = {
    "threshold": "1 where the grey value is above 0.5",
    "dynamic": "1 with the grey value as its probability, drawn anew for each batch",
    "static": "1 with the grey value as its probability, drawn once, the same for every run",
    "grey": "not binarised; values of images in [0, 1]",
}


@dataclasses.dataclass(eq=False, repr=False)
class Dataset:
    """Images (or points) with labels, and the truth about them where it is known.

    pixels: (N, D) numbers from 0 to `scale`, whole ones as bytes; points of a toy set: any numbers, scale 1.
    labels: (N,) classes, `classes` their names.  image_shape: (height, width), (channels, height, width), or (1, D).
    binarisation: what `batches` makes of the grey values (see BINARISATIONS); every number computed from it says so.
    factors: (N, K) what each image was made from, or its attributes, `factor_names` their names; None if unknown.
    truth: what is known about the whole set (a GaussianMixture, LinearGaussian, Superposition), or None.
    """

    name: str
    split: str
    pixels: np.ndarray
    labels: np.ndarray
    image_shape: tuple
    scale: float
    binarisation: str = "grey"
    factors: np.ndarray | None = None
    factor_names: tuple = ()
    classes: tuple = ()
    truth: Any = None

    def __post_init__(self):
        if self.binarisation not in BINARISATIONS:
            raise ArgumentError(f"unknown binarisation {self.binarisation!r}.", expected="one of " + ", ".join(BINARISATIONS))
        if not len(self.pixels):
            raise DataError(f"{self.name} {self.split}: there are no examples.")
        if len(self.pixels) != len(self.labels):
            got = f"{len(self.pixels)} examples, {len(self.labels)} labels"
            raise DataError(f"{self.name} {self.split}: as many labels as examples are needed.", got=got)
        self.image_shape = tuple(self.image_shape)
        bounded = self.pixels.dtype == np.uint8 and self.scale >= 255
        if self.binarisation != "grey" and not bounded and not (self.pixels.min() >= 0 and self.pixels.max() <= self.scale):
            expected, got = f"values from 0 to {self.scale:.6g}", f"values from {self.pixels.min():.3g} to {self.pixels.max():.3g}"
            remedy = 'for points binarisation="grey" (--binarisation grey) and a gaussian likelihood; for bytes, pixels / 255'
            raise ArgumentError(f"{self.name}: these numbers cannot be binarised.", expected=expected, got=got, remedy=remedy)

    def __len__(self):
        return len(self.pixels)

    def __repr__(self):
        return f"Dataset({self.name!r}, {self.split!r}, {len(self)} examples of {self.image_shape}, {self.binarisation})"

    @property
    def features(self):
        """The number of pixels D of an image."""
        return self.pixels.shape[1]

    @functools.cached_property
    def images(self):
        """All images as grey values, (N, D) float32 in [0, 1], on the host; points as they are."""
        return self.pixels.astype(np.float32) / np.float32(self.scale)

    def binarise(self, binarisation):
        """The same images with another binarisation."""
        return dataclasses.replace(self, binarisation=binarisation)

    def rows(self, rows, split=None):
        """The images `rows` (a slice or indices) as a Dataset of their own; `split` names it."""
        factors = None if self.factors is None else self.factors[rows]
        found = dataclasses.replace(self, split=split or self.split, pixels=self.pixels[rows], labels=self.labels[rows], factors=factors)
        if self.binarisation == "static":  # drawn once: an image keeps its pixels in whatever part it is
            found._static = self._static[rows]
        return found

    def hold_out(self, amount, rng=None):
        """Two Datasets, (train, validation): `amount` images taken out at random, each part in its old order.

        amount: a fraction between 0 and 1, or a whole number of images.  rng: a stream for the choice; without one it
        is the same each time.  Raises ArgumentError where nothing would be left on one side.
        """
        count = round(amount * len(self)) if 0 < amount < 1 else amount
        if count not in range(1, len(self)):
            expected = f"a fraction between 0 and 1, or a whole number below {len(self)}"
            raise ArgumentError("hold_out: some examples must go, and some must stay.", expected=expected, got=amount)
        rng = make_rng(0).stream("hold out", self.name, self.split) if rng is None else check_rng(rng)
        order = rng.permutation(len(self))
        return self.rows(np.sort(order[int(count) :])), self.rows(np.sort(order[: int(count)]), "validation")

    def batches(self, size, rng=None, shuffle=None, labels=False):
        """All images once, in batches (B, D) float32 on the backend in use; the last one may be shorter.

        rng: a stream for the order (unless shuffle=False) and for dynamic binarisation.  Without one the order is kept
        and the same pixels are drawn each time.  labels: pairs (images, labels (B,)) instead.
        """
        if size < 1:
            raise ArgumentError("batches: the size must be 1 or more.", got=size)
        shuffle = rng is not None if shuffle is None else shuffle
        rng = make_rng(0).stream("batches", self.name, self.split) if rng is None else check_rng(rng)
        order = rng.permutation(len(self)) if shuffle else None
        for start in range(0, len(self), size):
            rows = slice(start, start + size) if order is None else order[start : start + size]
            x = to_device(self.take(rows, rng))
            yield (x, to_device(self.labels[rows])) if labels else x

    def take(self, rows, rng):
        """The images `rows` (a slice or indices) as (B, D) float32 on the host, binarised."""
        if self.binarisation == "threshold":
            half = self.scale / 2 if self.pixels.dtype.kind == "f" else int(self.scale // 2)  # beside a float, bytes would be compared as float64
            return (self.pixels[rows] > half).astype(np.float32)
        if self.binarisation == "static":
            return self._static[rows].astype(np.float32)
        grey = (self.pixels[rows] * np.float32(1 / self.scale)).astype(np.float32, copy=False)
        return rng.bernoulli(grey) if self.binarisation == "dynamic" else grey

    @functools.cached_property
    def _static(self):
        rng = make_rng(0).stream("static binarisation", self.name, self.split)
        return rng.bernoulli(self.images).astype(np.uint8)


def as_dataset(data, split="train"):
    """A Dataset as it is; an array (N, ...) of numbers as a Dataset without labels, its values kept as they are."""
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, np.ndarray) or data.ndim < 2:
        raise DataError("data: a Dataset or a NumPy array (N, ...) is needed.", got=getattr(data, "shape", type(data).__name__))
    shape = data.shape[1:] if data.ndim > 2 else (1, data.shape[1])
    return Dataset("array", split, data.reshape(len(data), -1), np.zeros(len(data), np.uint8), shape, 1)
