"""Images from files: any folder of them, and CelebA (Liu, Luo, Wang & Tang 2015).  They are read with Pillow."""

import contextlib
import math
import pathlib
import warnings

import numpy as np

from tinyae.data.dataset import Dataset
from tinyae.data.files import places
from tinyae.errors import ArgumentError, DataError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
MOST_BYTES = 4 << 30  # of all images together: they are held in memory
OWN = {True: 28, False: 32}  # whether grey -> the side of the images of `own`, those of MNIST and of CIFAR-10
SIXTEEN = "I;16"  # how Pillow's modes of grey images with 16 bits begin
CELEBA = {"attributes": "list_attr_celeba.txt", "partition": "list_eval_partition.txt", "images": "img_align_celeba"}


def folder(path, size=None, grey=False, split="train"):
    """All images in a folder and its subfolders as a Dataset; its subfolders are the classes, where there are some.

    path: the folder, or a single image.  size: cut out the square in the middle and resize it to size x size; without it all must have one size.
    grey: (height, width) grey values in place of (3, height, width) colours.
    Raises DataError that names the file which is damaged, of another size, or too large.
    """
    files = image_files(path)
    return _of_files(path, files, files, split, size=size, grey=grey)


def _of_files(path, files, chosen, split, **how):
    """The `chosen` ones of all image `files` of a folder (or the single image at `path`) as a Dataset."""
    path = pathlib.Path(path)
    parents = {file: file.relative_to(path).parts[0] if file not in (path, path / file.name) else "" for file in files}
    classes = sorted(set(parents.values()))
    labels = np.array([classes.index(parents[file]) for file in chosen])
    pixels, shape = _read_all(chosen, **how)
    return Dataset(path.resolve().name, split, pixels, labels, shape, 255, classes=() if classes == [""] else tuple(classes))


def image_files(path):
    """The paths of all images in a folder and its subfolders, in order; of a file that path alone.  Raises DataError where there is none."""
    path = pathlib.Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such folder or image.")
    paths = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not paths:
        raise DataError(f"{path}: there are no images.", expected="files " + " ".join(sorted(SUFFIXES)))
    return paths


def are_grey(path):
    """Whether all images in a folder are grey ones, by their headers; what is no image counts as grey."""
    from PIL import Image

    for file in image_files(path):
        with contextlib.suppress(Exception), Image.open(file) as image:  # what cannot be read is told when all are
            if image.mode not in ("1", "L", "LA") and not image.mode.startswith(SIXTEEN):
                return False
    return True


def own(path, split="train"):
    """The images of a folder as a data set to train on: 28x28 grey values where all are grey, else 3x32x32 colours.

    Every tenth image, by the names, is in the test split.  Raises DataError where there are fewer than ten.
    """
    files, grey = image_files(path), are_grey(path)
    if len(files) < 10:
        raise DataError(f"{path}: ten images or more are needed, every tenth is kept for the test.", got=f"{len(files)}")
    test = files[9::10]
    chosen = test if split == "test" else [file for i, file in enumerate(files) if i % 10 != 9]
    return _of_files(path, files, chosen, split, size=OWN[grey], grey=grey)


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
                image = _opaque(image).convert("L" if grey else "RGB")
                if size is not None:
                    left, top = (width - cut) // 2, (height - cut) // 2
                    image = image.crop((left, top, left + cut, top + cut)).resize((size, size), Image.Resampling.BILINEAR)
                pixels = np.asarray(image)
    except Exception as error:  # a decoder raises whatever it likes
        raise DataError(f"{path}: it cannot be read as an image.", got=f"{type(error).__name__}: {error}") from error
    return pixels if grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _opaque(image):
    """The image with 8 bits a channel, on white where it is transparent.  Raises ValueError for numbers whose range nobody knows."""
    from PIL import Image

    if image.mode.startswith(SIXTEEN):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode}, numbers without a range; save it with 8 or 16 bits a pixel")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


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
