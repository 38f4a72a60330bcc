"""Data sets: what is embedded, what is read from files, and what is refused."""

import gzip
import hashlib
import os
import struct

import numpy as np
import pytest

import tinyae as ta
from tinyae.backend import to_numpy
from tinyae.data import files, mnist
from tinyae.data.idx import read_idx, write_idx
from tinyae.errors import ArgumentError, DataError


def test_digits_are_the_1797_images_in_their_order():
    train, test = ta.data.load("digits"), ta.data.load("digits", split="test")
    assert (len(train), len(test), train.image_shape) == (1400, 397, (8, 8))
    pixels, labels = np.concatenate([train.pixels, test.pixels]), np.concatenate([train.labels, test.labels])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert pixels.sum() == 561718
    assert pixels[0].tolist()[:8] == [0, 0, 5, 13, 9, 1, 0, 0]
    assert (train.images.dtype, train.images.min(), train.images.max()) == (np.float32, 0, 1)
    assert hashlib.md5(pixels.tobytes()).hexdigest() == "fa70cba135d4cdd4cde65da70dbffde2"  # scikit-learn's
    assert hashlib.md5(labels.tobytes()).hexdigest() == "96ecbac7ce6c9c7e9f9f82160cffba40"


def test_batches_hold_every_image_once_in_an_order_of_the_stream(backend):
    digits = ta.data.load("digits", split="test")
    batches = [to_numpy(x) for x in digits.batches(100, rng=ta.rng(0))]
    assert [len(x) for x in batches] == [100, 100, 100, 97]
    together = np.concatenate(batches)
    assert together.dtype == np.float32
    assert sorted(map(bytes, together)) == sorted(map(bytes, digits.images))
    assert (together != digits.images).any()
    again = np.concatenate([to_numpy(x) for x in digits.batches(100, rng=ta.rng(0))])
    assert (together == again).all()
    in_order = np.concatenate([to_numpy(x) for x in digits.batches(100)])
    np.testing.assert_allclose(in_order, digits.images, rtol=1e-6)


def test_each_binarisation_does_what_it_says():
    digits = ta.data.load("digits", split="test")
    drawn = {name: np.concatenate(list(digits.binarise(name).batches(50, rng=ta.rng(3), shuffle=False))) for name in ta.data.BINARISATIONS}
    assert (drawn["threshold"] == (digits.images > 0.5)).all()
    np.testing.assert_allclose(drawn["grey"], digits.images, rtol=1e-6)
    for name in ("dynamic", "static"):
        assert set(np.unique(drawn[name])) == {0, 1}
        error = (drawn[name] - digits.images).mean() / np.sqrt((digits.images * (1 - digits.images)).sum() / digits.images.size**2)
        assert abs(error) < 5
    other = {name: np.concatenate(list(digits.binarise(name).batches(50, rng=ta.rng(4), shuffle=False))) for name in ("dynamic", "static")}
    assert (other["static"] == drawn["static"]).all()
    assert (other["dynamic"] != drawn["dynamic"]).any()


@pytest.mark.parametrize("scale", [1, 15, 16, 255])
def test_the_threshold_is_the_same_for_bytes_and_for_numbers(scale):
    pixels = np.arange(scale + 1, dtype=np.uint8)[:, None]
    found = [
        ta.data.Dataset("all values", "train", values, np.zeros(scale + 1, np.uint8), (1, 1), scale, "threshold").take(slice(None), None)
        for values in (pixels, pixels.astype(np.int64), pixels.astype(np.float32))
    ]
    for x in found:
        assert (x == (pixels / scale > 0.5)).all()
        assert x.dtype == np.float32


def test_unknown_names_say_what_there_is():
    with pytest.raises(ArgumentError, match="digits, mnist, fashion-mnist"):
        ta.data.load("cifar")
    with pytest.raises(ArgumentError, match="train or test"):
        ta.data.load("digits", split="dev")
    with pytest.raises(ArgumentError, match="threshold, dynamic, static, grey"):
        ta.data.load("digits", binarisation="otsu")


def test_an_array_becomes_a_data_set():
    made = ta.data.as_dataset(np.linspace(0, 1, 24).reshape(4, 2, 3))
    assert (len(made), made.features, made.image_shape) == (4, 6, (2, 3))
    with pytest.raises(DataError, match="Dataset or a NumPy array"):
        ta.data.as_dataset([1, 2])


def test_hold_out_splits_without_loss_and_the_same_each_time():
    digits = ta.data.load("digits", binarisation="threshold")
    train, validation = digits.hold_out(0.1)
    assert (len(train), len(validation), train.split, validation.split) == (1260, 140, "train", "validation")
    assert (train.binarisation, train.image_shape, train.pixels.dtype) == ("threshold", (8, 8), np.uint8)
    together = np.column_stack([np.concatenate([d.pixels, d.labels[:, None]], axis=1).T for d in (train, validation)]).T
    assert sorted(map(bytes, together)) == sorted(map(bytes, np.column_stack([digits.pixels, digits.labels])))
    again, other = digits.hold_out(140)[1], digits.hold_out(140, rng=ta.rng(1))[1]
    assert (again.pixels == validation.pixels).all()
    assert (other.pixels != validation.pixels).any()
    for amount in (0, 1400, 1.5, -3, float("nan")):
        with pytest.raises(ArgumentError, match="hold_out: some examples must go"):
            digits.hold_out(amount)


def test_held_out_images_take_their_factors_along():
    shapes = ta.data.load("shapes", split="test")
    train, validation = shapes.hold_out(100)
    for part in (train, validation):
        assert (part.pixels == ta.data.draw_sprites(part.factors)).all()
        assert (part.labels == part.factors[:, 0]).all()


def test_colour_images_stay_bytes_until_a_batch_is_drawn(backend):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 3 * 4 * 5)).astype(np.uint8)
    colours = ta.data.Dataset("colours", "train", pixels, np.zeros(9, int), (3, 4, 5), 255)
    assert (colours.pixels is pixels, colours.features, colours.image_shape) == (True, 60, (3, 4, 5))
    batch = to_numpy(next(iter(colours.batches(9))))
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, pixels / 255, rtol=1e-6)


def test_the_table_tells_what_is_there_without_reading_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYAE_DATA", str(tmp_path))
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")
    rows = {row.name: row for row in ta.data.table()}
    assert tuple(rows) == ta.data.DATASETS
    away = ["mnist", "fashion-mnist", "cifar-10", "celeba"]
    assert [name for name, row in rows.items() if not row.present] == away
    assert rows["mnist"].places == (tmp_path / "mnist", tmp_path / "cache" / "mnist")
    assert all(bool(row.places) == (name in away) and row.source and row.licence for name, row in rows.items())
    for place, file in (("mnist", "train-images-idx3-ubyte"), ("cifar-10-sample", "data_batch_1.bin"), ("celeba", "list_attr_celeba.txt")):
        (tmp_path / place).mkdir()
        (tmp_path / place / file).write_bytes(b"not looked into")
    assert [row.name for row in ta.data.table() if not row.present] == ["fashion-mnist"]


@pytest.mark.parametrize("name", [name for name in ta.data.DATASETS if name not in ("mnist", "fashion-mnist", "cifar-10", "celeba")])
def test_what_is_always_there_has_the_sizes_of_the_table_and_is_the_same_each_time(name):
    row = next(row for row in ta.data.table() if row.name == name)
    train, test = ta.data.load(name), ta.data.load(name, split="test")
    assert (len(train), len(test), train.image_shape, test.name, test.split) == (row.train, row.test, row.image_shape, name, "test")
    assert test.pixels.dtype == (np.float32 if row.image_shape[0] == 1 else np.uint8)
    again = ta.data.load(name, split="test")
    assert (again.pixels == test.pixels).all()
    assert (again.labels == test.labels).all()
    if name != "digits":  # two digits happen to be alike
        both = set(map(bytes, train.pixels)) & set(map(bytes, test.pixels))
        assert both <= {bytes(test.pixels[0].nbytes)}  # of features in superposition there are sometimes none


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 3, 4)).astype(np.uint8)


def test_idx_files_are_read_plain_and_gzipped(tmp_path, images):
    (tmp_path / "plain").write_bytes(idx_bytes(images))
    write_idx(tmp_path / "zipped.gz", images)
    for name in ("plain", "zipped.gz"):
        assert (read_idx(tmp_path / name, 3, hashlib.md5(idx_bytes(images)).hexdigest()) == images).all()


def damaged(content):
    """Ways in which a file can be wrong, with what the error says."""
    zipped = gzip.compress(content, mtime=0)
    middle = len(zipped) // 2
    huge = content[:4] + struct.pack(">3I", 2**31, 2**31, 2**31) + content[16:]
    return {
        "empty": (b"", "not an idx file"),
        "short header": (content[:9], "not an idx file"),
        "text": (b"<html>404</html>" * 9, "not an idx file"),
        "other axes": (bytes([0, 0, 8, 1]) + content[4:], "not an idx file"),
        "truncated": (content[:-7], "truncated"),
        "longer": (content + b"x", "truncated, or too long"),
        "huge header": (huge, "truncated"),
        "truncated gzip": (zipped[:-9], "cannot be read"),
        "flipped gzip": (zipped[:middle] + bytes([zipped[middle] ^ 255]) + zipped[middle + 1 :], "cannot be read"),
        "flipped byte": (content[:20] + bytes([content[20] ^ 1]) + content[21:], "wrong checksum"),
    }


@pytest.mark.parametrize("kind", damaged(bytes(99)).keys())
def test_a_damaged_idx_file_is_refused_with_its_name(tmp_path, images, kind):
    content, says = damaged(idx_bytes(images))[kind]
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read_idx(path, 3, hashlib.md5(idx_bytes(images)).hexdigest())
    assert "images-idx3-ubyte" in str(caught.value)


@pytest.fixture
def small_mnist(tmp_path, monkeypatch, images):
    """A folder with four small files, whose checksums the table names."""
    folder, checksums = tmp_path / "mnist", {}
    folder.mkdir()
    for part in sum(mnist.PARTS.values(), ()):
        array = images if "images" in part else np.arange(5, dtype=np.uint8)
        write_idx(folder / f"{part}.gz", array)
        checksums[part] = hashlib.md5(idx_bytes(array)).hexdigest()
    monkeypatch.setitem(mnist.SOURCES, "mnist", mnist.SOURCES["mnist"]._replace(checksums=checksums))
    monkeypatch.setenv("TINYAE_DATA", str(tmp_path))
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")
    return folder


def test_mnist_is_read_from_the_folder_in_the_environment(small_mnist, images):
    data = ta.data.load("mnist", split="test", binarisation="dynamic")
    assert (data.pixels == images.reshape(5, 12)).all()
    assert (data.image_shape, data.binarisation) == ((3, 4), "dynamic")


def test_a_wrong_checksum_in_the_folder_is_refused(small_mnist):
    write_idx(small_mnist / "train-labels-idx1-ubyte.gz", np.arange(5, dtype=np.uint8)[::-1])
    with pytest.raises(DataError, match="wrong checksum"):
        ta.data.load("mnist")


def test_a_set_without_images_is_refused(small_mnist, monkeypatch):
    for part, empty in zip(mnist.PARTS["train"], (np.zeros((0, 3, 4)), np.zeros(0)), strict=True):
        write_idx(small_mnist / f"{part}.gz", empty)
        monkeypatch.setitem(mnist.SOURCES["mnist"].checksums, part, None)
    with pytest.raises(DataError, match="there are no examples"):
        ta.data.load("mnist")


def mirror(monkeypatch, contents):
    """pooch.retrieve that serves bytes by mirror, or fails."""
    import pooch

    def retrieve(url, known_hash, fname, path):
        found = contents[url.rsplit("/", 1)[0] + "/"]
        if isinstance(found, Exception):
            raise found
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(found)
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)


def test_a_missing_file_is_fetched_from_the_first_mirror_whose_content_is_right(small_mnist, monkeypatch, images):
    first, second = mnist.SOURCES["mnist"].mirrors
    (small_mnist / "train-images-idx3-ubyte.gz").unlink()
    mirror(monkeypatch, {first: gzip.compress(idx_bytes(images[::-1])), second: gzip.compress(idx_bytes(images))})
    assert (ta.data.load("mnist").pixels == images.reshape(5, 12)).all()
    assert [path.name for path in (files.cache() / "mnist").iterdir()] == ["train-images-idx3-ubyte.gz"]


def test_when_no_mirror_helps_the_error_says_what_to_do_and_keeps_nothing(small_mnist, monkeypatch):
    first, second = mnist.SOURCES["mnist"].mirrors
    (small_mnist / "train-images-idx3-ubyte.gz").unlink()
    mirror(monkeypatch, {first: OSError("no route to host"), second: b"<html>"})
    with pytest.raises(DataError, match=r"TINYAE_DATA=DIR") as caught:
        ta.data.load("mnist")
    assert "no route to host" in str(caught.value)
    assert str(small_mnist) in str(caught.value)  # where it was looked for
    assert list((files.cache() / "mnist").iterdir()) == []


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_files_have_their_published_sizes_and_checksums(name):
    if not os.path.isdir(os.path.join(os.environ.get("TINYAE_DATA", ""), name)) or not os.environ.get("TINYAE_DATA"):
        pytest.skip(f"{name} is not in TINYAE_DATA")
    train, test = ta.data.load(name), ta.data.load(name, split="test")
    assert (len(train), len(test), train.image_shape) == (60_000, 10_000, (28, 28))
    assert len(np.unique(train.labels)) == 10


def test_static_pixels_are_an_images_own_in_whatever_part_it_is():
    digits = ta.data.load("digits", binarisation="static")
    whole = digits.take(slice(None), None)
    train, validation = digits.hold_out(0.1)
    assert np.array_equal(digits.rows(slice(5, 9)).take(slice(0, 2), None), whole[5:7])
    assert np.array_equal(digits.rows([3, 3, 3]).take(slice(0, 3), None), whole[[3, 3, 3]])
    assert np.concatenate([train.take(slice(None), None), validation.take(slice(None), None)]).sum() == whole.sum()


@pytest.mark.parametrize("binarisation", ["threshold", "dynamic", "static"])
def test_bytes_that_nobody_divided_are_not_binarised(binarisation):
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 64)
    with pytest.raises(ArgumentError, match=r"cannot be binarised(.|\n)*values from 0 to 1(.|\n)*pixels / 255"):
        ta.data.as_dataset(pixels).binarise(binarisation)
    assert set(np.unique(ta.data.as_dataset(pixels / 255).binarise(binarisation).take(slice(None), ta.rng(0)))) == {0, 1}
