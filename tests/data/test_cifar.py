"""CIFAR-10: both layouts hold the same images, and what is missing or wrong is said."""

import os
import pickle

import damage
import numpy as np
import pytest

import tinyae as ta
from tinyae.data import cifar, files
from tinyae.errors import DataError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty TINYAE_DATA."""
    monkeypatch.setenv("TINYAE_DATA", str(tmp_path))
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")
    return tmp_path


def write(folder, layout, n=3):
    """Five batches and a test batch of n random images each; returns pixels and labels of the five."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    pixels, labels = rng.integers(0, 256, (6, n, 3072)).astype(np.uint8), rng.integers(0, 10, (6, n)).astype(np.uint8)
    for name, images, classes in zip([*cifar.BATCHES["train"], "test_batch"], pixels, labels, strict=True):
        if layout == "binary":
            (folder / f"{name}.bin").write_bytes(np.column_stack([classes, images]).tobytes())
        elif layout == "Python 2":
            (folder / name).write_bytes(damage.python_batch(images, classes))
        else:  # the same protocol written by Python 3
            (folder / name).write_bytes(pickle.dumps({b"data": images, b"labels": classes.tolist(), b"batch_label": b"one"}, protocol=2))
    return pixels[:5].reshape(-1, 3072), labels[:5].ravel()


@pytest.mark.parametrize("layout", ["binary", "Python 2", "Python 3"])
def test_every_layout_gives_the_same_images(home, layout):
    pixels, labels = write(home / "cifar-10", layout)
    train, test = ta.data.load("cifar-10"), ta.data.load("cifar-10", split="test")
    assert (train.pixels == pixels).all()
    assert (train.labels == labels).all()
    assert (train.pixels.dtype, train.image_shape, train.scale, len(test)) == (np.uint8, (3, 32, 32), 255, 3)
    assert train.classes[:2] == ("airplane", "automobile")
    red = train.pixels[0].reshape(train.image_shape)[0]
    assert (red.ravel() == pixels[0, :1024]).all()  # channels first, as stored


def test_a_batch_as_the_authors_wrote_it_is_a_pickle():
    pixels, labels = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8), np.array([3, 9], np.uint8)
    batch = pickle.loads(damage.python_batch(pixels, labels), encoding="bytes")  # Python's own reader agrees with our writer
    assert (batch[b"data"] == pixels).all()
    assert batch[b"labels"] == [3, 9]


def test_a_missing_batch_is_an_error_with_its_name(home):
    write(home / "cifar-10", "binary")
    (home / "cifar-10" / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_4\.bin: it cannot be read"):
        ta.data.load("cifar-10")


def test_without_any_batch_the_error_says_where_it_was_looked_for_and_what_to_do(home):
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz(.|\n)*TINYAE_DATA=DIR") as caught:
        ta.data.load("cifar-10")
    assert all(str(home / name) in str(caught.value) for name in cifar.FOLDERS)


@pytest.mark.parametrize(("name", "layout"), [("cifar-10-batches-py", "Python 2"), ("cifar-10-sample", "binary")])
def test_a_folder_with_a_published_name_must_hold_what_was_published(home, name, layout):
    write(home / name, layout)
    with pytest.raises(DataError, match=r"data_batch_1(\.bin)?: wrong checksum"):
        ta.data.load("cifar-10")


def test_a_damaged_batch_is_refused_with_its_name(home):
    write(home / "cifar-10", "binary")
    path = home / "cifar-10" / "test_batch.bin"
    for content, says in ((b"", "N times 3073 bytes"), (path.read_bytes()[:-1], "N times 3073 bytes"), (b"\x0a" + bytes(3072), "up to 10")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=says) as caught:
            ta.data.load("cifar-10", split="test")
        assert str(path) in str(caught.value)


@pytest.mark.data
def test_the_real_files_are_read():
    root = os.environ.get("TINYAE_DATA", "")
    if not root or not any(os.path.isdir(os.path.join(root, name)) for name in cifar.FOLDERS):
        pytest.skip("cifar-10 is not in TINYAE_DATA")
    train, test = ta.data.load("cifar-10"), ta.data.load("cifar-10", split="test")
    assert len(train) == 5 * len(test)
    assert set(train.labels) == set(range(10))
    images = train.pixels[:500].reshape(-1, 3, 32, 32).astype(float)
    assert abs(np.diff(images, axis=3)).mean() < 20  # neighbours in a row are alike: the layout is right
    assert 90 < images.mean() < 150
