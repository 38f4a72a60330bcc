"""Images from files: any folder of them, and CelebA (Liu, Luo, Wang & Tang 2015).  They are read with Pillow."""

import math
import pathlib
import warnings

import numpy as np

from tinyae.data.dataset import Dataset
from tinyae.data.files import places
from tinyae.errors import ArgumentError, DataError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
MOST_BYTES = 4 << 30  # of all images together: they are held in memory
CELEBA = {"attributes": "list_attr_celeba.txt", "partition": "list_eval_partition.txt", "images": "img_align_celeba"}


def folder(path, size=None, grey=False, split="train"):
    """All images in a folder and its subfolders as a Dataset; its subfolders are the classes, where there are some.

    size: cut out the square in the middle and resize it to size x size; without it all must have one size.
    grey: (height, width) grey values in place of (3, height, width) colours.
    Raises DataError that names the file which is damaged, of another size, or too large.
    """
    path = pathlib.Path(path)
    paths = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not paths:
        raise DataError(f"{path}: there are no images.", expected="files " + " ".join(sorted(SUFFIXES)))
    parents = [file.relative_to(path).parts[0] if file.parent != path else "" for file in paths]
    classes = sorted(set(parents))
    labels = np.array([classes.index(name) for name in parents])
    pixels, shape = _read_all(paths, size=size, grey=grey)
    return Dataset(path.resolve().name, split, pixels, labels, shape, 255, classes=() if classes == [""] else tuple(classes))


def celeba(path=None, split="train", limit=10_000, size=64):
    """The first `limit` aligned faces of a split as a Dataset, (3, size, size); None for all of them.

    The papers' cut of 148x148 pixels in the middle, then resized (Larsen et al. 2016).  factors: the 40 attributes,
    0 or 1.  path: the folder with img_align_celeba/, list_attr_celeba.txt and list_eval_partition.txt.
    split: train, validation or test.  Raises DataError that names what is missing or damaged.
    """
    if split not in (parts := ("train", "validation", "test")):
        raise ArgumentError(f"unknown split {split!r}.", expected=", ".join(parts))
    tried = places("celeba") if path is None else [pathlib.Path(path)]
    root = next((place for place in tried if (place / CELEBA["attributes"]).exists()), None)
    if root is None:
        remedy = f"put {', '.join(CELEBA.values())} (mmlab.ie.cuhk.edu.hk/projects/CelebA.html) into a folder DIR/celeba, set TINYAE_DATA=DIR"
        raise DataError(f"celeba: {CELEBA['attributes']} is not there.", expected="in " + " or ".join(map(str, tried)), remedy=remedy)
    names, attributes = _attributes(root / CELEBA["attributes"])
    chosen = [name for name, (part,) in _table(root / CELEBA["partition"], 0, {"0", "1", "2"}, 1) if int(part) == parts.index(split)][:limit]
    if unknown := [name for name in chosen if name not in attributes]:
        raise DataError(f"{root / CELEBA['attributes']}: attributes are missing.", got=f"none for {unknown[0]}")
    if not chosen:
        raise DataError(f"{root / CELEBA['partition']}: it names no image of the split {split}.")
    pixels, shape = _read_all([root / CELEBA["images"] / name for name in chosen], size=size, cut=148)
    factors = np.stack([attributes[name] for name in chosen])
    return Dataset("celeba", split, pixels, np.zeros(len(pixels), np.uint8), shape, 255, factors=factors, factor_names=names)


def _read_all(paths, **how):
    """Pixels (N, D) as bytes, and the shape of one image; they are decoded one by one into one array."""
    shape = _read(paths[0], **how).shape
    if (total := len(paths) * math.prod(shape)) > MOST_BYTES:
        raise DataError(
            f"{paths[0].parent}: too many or too large images.", expected=f"at most {MOST_BYTES} bytes", got=total, remedy="size=64, or fewer"
        )
    pixels = np.empty((len(paths), *shape), np.uint8)
    for i, path in enumerate(paths):
        image = _read(path, **how)
        if image.shape != shape:
            raise DataError(f"{path}: all images must have one size.", expected=f"{shape}, as {paths[0].name}", got=image.shape, remedy="size=64")
        pixels[i] = image
    return pixels.reshape(len(paths), -1), shape


def _read(path, size=None, cut=None, grey=False):
    """One image, (height, width) or (3, height, width) bytes."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # a header that claims more than 90 megapixels
            with Image.open(path) as image:
                width, height = image.size
                cut = min(width, height) if cut is None and size is not None else cut
                if cut is not None and cut > min(width, height):
                    raise ValueError(f"{width}x{height} pixels; at least {cut}x{cut} are needed")
                image = image.convert("L" if grey else "RGB")
                if size is not None:
                    left, top = (width - cut) // 2, (height - cut) // 2
                    image = image.crop((left, top, left + cut, top + cut)).resize((size, size), Image.Resampling.BILINEAR)
                pixels = np.asarray(image)
    except Exception as error:  # a decoder raises whatever it likes
        raise DataError(f"{path}: it cannot be read as an image.", got=f"{type(error).__name__}: {error}") from error
    return pixels if grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _attributes(path):
    """The names of the attributes, and those of each image, (40,) bytes."""
    names = tuple(_lines(path)[1].split()) if len(_lines(path)) > 1 else ()
    return names, {name: np.array([v == "1" for v in values], np.uint8) for name, values in _table(path, 2, {"-1", "1"}, len(names))}


def _table(path, skip, allowed, columns):
    """(file name, values) of each line after the first `skip` ones."""
    for number, line in enumerate(_lines(path)[skip:], skip + 1):
        name, *values = line.split() or [""]
        if len(values) != columns or not set(values) <= allowed:
            expected = f"a file name and {columns} of {', '.join(sorted(allowed))}"
            raise DataError(f"{path}: line {number} is damaged.", expected=expected, got=repr(line[:60]))
        yield name, values


def _lines(path):
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path}: it cannot be read.", got=str(error)) from error
