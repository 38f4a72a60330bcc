"""CIFAR-10 (Krizhevsky 2009), from a local folder: the "binary version" or the "python version" of the authors' page."""

import numpy as np

from tinyae.data.dataset import Dataset
from tinyae.data.files import check_md5, places
from tinyae.data.unpickle import Array, read_pickle
from tinyae.errors import DataError

CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
PIXELS = 3 * 32 * 32  # red, green, blue; each row by row
FOLDERS = ("cifar-10", "cifar-10-batches-bin", "cifar-10-batches-py", "cifar-10-sample")

# A folder by the name under which a set was published must hold that set (MD5 of each file).  No checksums of the
# authors' binary files are known to us; `cifar-10` may hold anything in one of the layouts.
CHECKSUMS = {
    "cifar-10-batches-py": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "cifar-10-sample": {
        "data_batch_1.bin": "7f4c4a7c889da53ecd119bcb96560c73",
        "data_batch_2.bin": "b5073ebebc20b0eb29eceaa8442f8840",
        "data_batch_3.bin": "e6036bed4b8f9dff6cc19899b43fb770",
        "data_batch_4.bin": "2760dd1d497612e86ff4400778ece193",
        "data_batch_5.bin": "049faa6b17a45d09f3de6178fc886ab0",
        "test_batch.bin": "b4c3547d6a1374368706e6154e6fd0b2",
    },
}


def load_cifar(name, split):
    """Colour images 3x32x32, channels first; the first folder that has a first batch is read.

    Raises DataError where there is none, or where a file is missing or damaged.
    """
    for folder in places(*FOLDERS):
        for suffix, read in ((".bin", read_binary), ("", read_python)):
            paths = [folder / f"{batch}{suffix}" for batch in BATCHES[split]]
            if paths[0].exists():
                known = CHECKSUMS.get(folder.name, {})
                pixels, labels = map(np.concatenate, zip(*(read(path, known.get(path.name)) for path in paths), strict=True))
                return Dataset(name, split, pixels, labels, (3, 32, 32), 255, classes=CLASSES)
    raise DataError(
        f"{name}: {BATCHES[split][0]}.bin (or {BATCHES[split][0]}) is not there.",
        expected="in " + " or ".join(map(str, places(*FOLDERS))),
        remedy="unpack cifar-10-binary.tar.gz or cifar-10-python.tar.gz of www.cs.toronto.edu/~kriz/cifar.html in DIR, set TINYAE_DATA=DIR",
    )


def count(folder):
    """How many images, (train, test), there are in a folder: in the binary layout by the sizes of the files, else as published."""
    if not (folder / "data_batch_1.bin").exists():
        return 50_000, 10_000
    files = ([folder / f"{batch}.bin" for batch in BATCHES[split]] for split in ("train", "test"))
    return tuple(sum(file.stat().st_size for file in some if file.exists()) // (1 + PIXELS) for some in files)


def read_binary(path, md5=None):
    """Pixels (N, 3072) and labels (N,), bytes, of a batch in the binary layout: N times a label, then its pixels."""
    content = _content(path, md5)
    if not content or len(content) % (1 + PIXELS):
        raise DataError(f"{path}: not a batch of CIFAR-10, or truncated.", expected=f"N times {1 + PIXELS} bytes", got=f"{len(content)} bytes")
    rows = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return rows[:, 1:], _labels(path, rows[:, 0])


def read_python(path, md5=None):
    """The same of a batch in the python layout, a pickled dict with b"data" and b"labels"; nothing in it is executed."""
    content = _content(path, md5)
    try:
        batch = {key.encode() if isinstance(key, str) else key: value for key, value in read_pickle(content).items()}
        array, labels = batch[b"data"], batch[b"labels"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a batch of CIFAR-10 in the python layout, or damaged.", got=f"{type(error).__name__}: {error}") from error
    pixels = array.pixels if isinstance(array, Array) else None
    labels = np.array(labels) if isinstance(labels, list) and all(type(n) is int for n in labels) else None
    if pixels is None or labels is None or pixels.shape != (len(labels), PIXELS):
        got = f"data {getattr(pixels, 'shape', None)}, labels {getattr(labels, 'shape', None)}"
        raise DataError(f"{path}: labels and data that do not fit.", expected=f"data (N, {PIXELS}), N whole numbers as labels", got=got)
    return pixels, _labels(path, labels)


def _content(path, md5):
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: it cannot be read.", got=str(error)) from error
    check_md5(path, content, md5)
    return content


def _labels(path, labels):
    if labels.size == 0 or labels.min() < 0 or labels.max() >= len(CLASSES):
        raise DataError(f"{path}: labels from 0 to {len(CLASSES) - 1} are needed.", got=f"{labels.size} labels, up to {labels.max(initial=0)}")
    return labels.astype(np.uint8)
