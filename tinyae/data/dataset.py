"""A data set: images kept as bytes, turned into numbers when a batch is drawn."""

import functools

import numpy as np

from tinyae.backend import check_rng, to_device
from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError, DataError

BINARISATIONS = {
    "threshold": "1 where the grey value is above 0.5",
    "dynamic": "1 with the grey value as its probability, drawn anew for each batch",
    "static": "1 with the grey value as its probability, drawn once, the same for every run",
    "grey": "values in [0, 1], not binarised",
}


class Dataset:
    """Images with labels.

    pixels: (N, D) numbers from 0 to `scale`, whole ones as bytes.  labels: (N,) classes.  image_shape: (height, width).
    binarisation: what `batches` makes of the grey values (see BINARISATIONS); every number computed from it says so.
    """

    def __init__(self, name, split, pixels, labels, image_shape, scale, binarisation="grey"):
        if binarisation not in BINARISATIONS:
            raise ArgumentError(f"unknown binarisation {binarisation!r}.", expected="one of " + ", ".join(BINARISATIONS))
        if not len(pixels):
            raise DataError(f"{name} {split}: there are no images.")
        if len(pixels) != len(labels):
            raise DataError(f"{name} {split}: as many labels as images are needed.", got=f"{len(pixels)} images, {len(labels)} labels")
        self.name, self.split, self.pixels, self.labels = name, split, pixels, labels
        self.image_shape, self.scale, self.binarisation = tuple(image_shape), scale, binarisation

    def __len__(self):
        return len(self.pixels)

    def __repr__(self):
        return f"Dataset({self.name!r}, {self.split!r}, {len(self)} images of {self.image_shape}, {self.binarisation})"

    @property
    def features(self):
        """The number of pixels D of an image."""
        return self.pixels.shape[1]

    @functools.cached_property
    def images(self):
        """All images as grey values, (N, D) float32 in [0, 1], on the host."""
        return self.pixels.astype(np.float32) / np.float32(self.scale)

    def binarise(self, binarisation):
        """The same images with another binarisation."""
        return Dataset(self.name, self.split, self.pixels, self.labels, self.image_shape, self.scale, binarisation)

    def batches(self, size, rng=None, shuffle=None):
        """All images once, in batches (B, D) float32 on the backend in use; the last one may be shorter.

        rng: a stream for the order (unless shuffle=False) and for dynamic binarisation.  Without one the order is kept
        and the same pixels are drawn each time.
        """
        if size < 1:
            raise ArgumentError("batches: the size must be 1 or more.", got=size)
        shuffle = rng is not None if shuffle is None else shuffle
        rng = make_rng(0).stream("batches", self.name, self.split) if rng is None else check_rng(rng)
        order = rng.permutation(len(self)) if shuffle else None
        for start in range(0, len(self), size):
            rows = slice(start, start + size) if order is None else order[start : start + size]
            yield to_device(self.take(rows, rng))

    def take(self, rows, rng):
        """The images `rows` (a slice or indices) as (B, D) float32 on the host, binarised."""
        if self.binarisation == "threshold":
            return (self.pixels[rows] > self.scale / 2).astype(np.float32)
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
