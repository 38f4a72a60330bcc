"""Folders of images, and CelebA in its public layout, with images made here."""

import struct
import zlib

import numpy as np
import pytest

import tinyae as ta
from tinyae.data import files
from tinyae.errors import ArgumentError, DataError

Image = pytest.importorskip("PIL.Image")


def save(path, pixels):
    """Write (height, width, 3) or (height, width) bytes as an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95)
    return pixels.astype(np.uint8)


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3))


def test_a_flat_folder_is_read_in_the_order_of_its_names(tmp_path, colours):
    for name, pixels in zip(("b.png", "a.png", "c.bmp"), colours, strict=False):
        save(tmp_path / name, pixels)
    (tmp_path / "notes.txt").write_text("no image")
    data = ta.data.folder(tmp_path)
    assert (len(data), data.image_shape, data.classes, data.pixels.dtype) == (3, (3, 6, 5), (), np.uint8)
    assert (data.pixels.reshape(-1, 3, 6, 5) == colours[[1, 0, 2]].transpose(0, 3, 1, 2)).all()
    assert (data.labels == 0).all()


def test_subfolders_are_the_classes(tmp_path, colours):
    for name, pixels in zip(("dogs/1.png", "cats/2.png", "cats/deep/3.png"), colours, strict=False):
        save(tmp_path / name, pixels)
    data = ta.data.folder(tmp_path, grey=True)
    assert (data.classes, data.labels.tolist(), data.image_shape) == (("cats", "dogs"), [0, 0, 1], (6, 5))
    grey = colours[1] @ [0.299, 0.587, 0.114]  # ITU-R 601, what Pillow calls "L"
    assert abs(data.pixels[0].reshape(6, 5) - grey).max() <= 1


def test_size_cuts_out_the_middle_and_resizes(tmp_path):
    wide = np.zeros((20, 40, 3))
    wide[:, 10:30] = 100  # the square in the middle
    save(tmp_path / "wide.png", wide)
    save(tmp_path / "tall.png", wide.transpose(1, 0, 2))
    data = ta.data.folder(tmp_path, size=10)
    assert data.image_shape == (3, 10, 10)
    assert (data.pixels == 100).all()


def test_images_of_different_sizes_need_a_size(tmp_path, colours):
    save(tmp_path / "a.png", colours[0])
    save(tmp_path / "b.png", colours[1][:4])
    with pytest.raises(DataError, match=r"b\.png: all images must have one size(.|\n)*size=64"):
        ta.data.folder(tmp_path)


def bomb(side):
    """A PNG whose header claims side x side pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def test_a_file_that_is_no_image_is_named(tmp_path, colours):
    save(tmp_path / "a.png", colours[0])
    whole = (tmp_path / "a.png").read_bytes()
    for content in (b"", b"text", whole[:-40], whole[:40]):
        (tmp_path / "b.png").write_bytes(content)
        with pytest.raises(DataError, match=r"b\.png: it cannot be read as an image"):
            ta.data.folder(tmp_path)


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_header_that_claims_too_many_pixels_is_refused_before_they_are_allocated(tmp_path, side):
    (tmp_path / "a.png").write_bytes(bomb(side))
    with pytest.raises(DataError, match=r"a\.png: it cannot be read as an image(.|\n)*DecompressionBomb"):
        ta.data.folder(tmp_path)


def test_more_than_fits_in_memory_is_refused_before_it_is_allocated(tmp_path, monkeypatch, colours):
    monkeypatch.setattr("tinyae.data.images.MOST_BYTES", 150)
    for name in "ab":
        save(tmp_path / f"{name}.png", colours[0])
    with pytest.raises(DataError, match=r"too many or too large images(.|\n)*180"):
        ta.data.folder(tmp_path)


def test_a_folder_that_is_not_there_or_empty_is_told_as_such(tmp_path):
    with pytest.raises(DataError, match="none: no such folder or image"):
        ta.data.folder(tmp_path / "none")
    with pytest.raises(DataError, match="there are no images"):
        ta.data.folder(tmp_path)


def test_a_single_image_is_a_folder_of_one(tmp_path, colours):
    path = tmp_path / "a.png"
    save(path, colours[0])
    data = ta.data.folder(path)
    assert (len(data), data.classes) == (1, ())
    assert (data.pixels == ta.data.folder(tmp_path).pixels).all()


def test_every_tenth_image_of_ones_own_is_in_the_test_split(tmp_path):
    grey = np.random.default_rng(1).integers(0, 256, (20, 28, 28))
    for i, pixels in enumerate(grey):
        save(tmp_path / f"{i:02}.png", pixels)
    whole = grey.reshape(20, -1)
    train, test = (ta.data.load(str(tmp_path), split=split, binarisation="dynamic") for split in ("train", "test"))
    assert (test.pixels == whole[[9, 19]]).all()
    assert (train.pixels == np.delete(whole, [9, 19], axis=0)).all()
    assert (train.image_shape, train.name, train.binarisation) == ((28, 28), tmp_path.name, "dynamic")
    save(tmp_path / "20.png", np.zeros((40, 30, 3)))  # one in colour
    assert ta.data.load(str(tmp_path)).image_shape == (3, 32, 32)
    (tmp_path / "few").mkdir()
    save(tmp_path / "few" / "a.png", grey[0])
    with pytest.raises(DataError, match="ten images or more are needed"):
        ta.data.load(str(tmp_path / "few"))


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """CelebA's layout with eight images of 178x218: the cut of 148x148 is of one colour, what is around it white."""
    root, names = tmp_path / "celeba", [f"{i:06d}.jpg" for i in range(1, 9)]
    for i, name in enumerate(names):
        picture = np.full((218, 178, 3), 255)
        picture[35:183, 15:163] = [20 * i, 100, 200 - 20 * i]
        save(root / "img_align_celeba" / name, picture)
    attributes = np.random.default_rng(3).integers(0, 2, (8, 40))
    lines = [f"{name}  {' '.join(f'{2 * v - 1:2d}' for v in row)}" for name, row in zip(names, attributes, strict=True)]
    (root / "list_attr_celeba.txt").write_text("\n".join(["8", " ".join(f"Attribute_{k}" for k in range(40)), *lines, ""]))
    (root / "list_eval_partition.txt").write_text("".join(f"{name} {part}\n" for name, part in zip(names, "00000122", strict=True)))
    monkeypatch.setenv("TINYAE_DATA", str(tmp_path))
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")
    return root, attributes


def test_celeba_is_cut_resized_and_split_as_in_the_papers(faces):
    _, attributes = faces
    train, test, validation = ta.data.load("celeba"), ta.data.load("celeba", split="test"), ta.data.celeba(split="validation")
    assert (len(train), len(validation), len(test), train.image_shape) == (5, 1, 2, (3, 64, 64))
    assert (train.factors == attributes[:5]).all()
    assert (test.factors == attributes[6:]).all()
    assert train.factor_names[7] == "Attribute_7"
    for i, image in enumerate(train.pixels.reshape(5, 3, -1).astype(int)):
        inner = image.reshape(3, 64, 64)[:, 2:-2, 2:-2].reshape(3, -1)  # JPEG rings at the edge of the colour
        assert abs(inner - np.array([[20 * i], [100], [200 - 20 * i]])).max() <= 4


def test_celeba_reads_no_more_images_than_the_limit(faces):
    root, _ = faces
    (root / "img_align_celeba" / "000004.jpg").unlink()
    assert len(ta.data.celeba(root, limit=3, size=32)) == 3
    with pytest.raises(DataError, match=r"000004\.jpg: it cannot be read"):
        ta.data.celeba(root)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("list_attr_celeba.txt", "000002.jpg ", "000002.jpg 7 ", "line 4 is damaged"),
        ("list_attr_celeba.txt", "000002.jpg", "000012.jpg", "none for 000002.jpg"),
        ("list_attr_celeba.txt", "000002", "\u00e900002", "cannot be read"),
        ("list_eval_partition.txt", "000003.jpg 0", "000003.jpg 5", "line 3 is damaged"),
        ("list_eval_partition.txt", " 0", " 2", "no image of the split train"),
    ],
)
def test_damaged_lists_of_celeba_are_named_with_the_line(faces, name, old, new, says):
    path = faces[0] / name
    path.write_text(path.read_text().replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=says) as caught:
        ta.data.load("celeba")
    assert str(path) in str(caught.value)


def test_without_celeba_the_error_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYAE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"img_align_celeba(.|\n)*TINYAE_DATA=DIR"):
        ta.data.load("celeba")
    with pytest.raises(ArgumentError, match="train, validation, test"):
        ta.data.celeba(tmp_path, split="valid")


def test_sixteen_bits_and_transparency_keep_what_they_show(tmp_path):
    grey = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    strokes = np.zeros((32, 32, 4), np.uint8)
    strokes[10:20, :, 3] = 255  # black, and nothing around it
    for name, make in {
        "sixteen": lambda: Image.fromarray(grey),
        "strokes": lambda: Image.fromarray(strokes),
        "palette": lambda: Image.fromarray(strokes[..., 3] // 255 + 0).convert("P"),
        "numbers": lambda: Image.fromarray(grey.astype(np.float32)),
    }.items():
        (tmp_path / name).mkdir()
        for i in range(10):
            make().save(tmp_path / name / f"{i}.{'tif' if name == 'numbers' else 'png'}", **({"transparency": 1} if name == "palette" else {}))
    sixteen = ta.data.load(str(tmp_path / "sixteen"))
    assert sixteen.image_shape == (28, 28)
    assert np.abs(sixteen.images.mean() - 0.5) < 0.01
    black = ta.data.load(str(tmp_path / "strokes"))
    assert black.image_shape == (3, 32, 32)
    shown = black.images[0].reshape(3, 32, 32)
    assert (shown[:, 10:20] == 0).all()
    assert (shown[:, :10] == 1).all()
    assert (ta.data.load(str(tmp_path / "palette")).images[0].reshape(3, 32, 32)[:, 10:20] == 1).all()
    with pytest.raises(DataError, match="numbers without a range"):
        ta.data.load(str(tmp_path / "numbers"))
