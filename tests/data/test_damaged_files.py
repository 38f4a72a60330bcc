"""Damaged files: the right data or a clear error, nothing else; and no more memory than the file is worth."""

import gzip
import os
import pathlib
import pickle
import struct
import tracemalloc
import zlib

import damage
import numpy as np
import pytest

from tinyae.data.cifar import read_python
from tinyae.data.idx import read_idx
from tinyae.errors import DataError

SUBJECTS = damage.subjects(images=8)


@pytest.mark.parametrize("how", damage.KINDS, ids=[how.__name__ for how in damage.KINDS])
@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_damaged_file_gives_the_right_data_or_a_clear_error(kind, how, tmp_path):
    found = damage.verdicts(SUBJECTS[kind], how, 100, tmp_path / "file")
    allowed = {"right data", "clear error"} | (set() if SUBJECTS[kind].checked else {"other data"})
    assert found.total() == 100
    assert set(found) <= allowed
    assert found["clear error"] or not SUBJECTS[kind].checked


def test_the_judge_sees_other_data_and_other_exceptions(tmp_path):
    readers = {"other data": lambda path: path.read_bytes(), "ValueError": lambda path: int(path.read_bytes().hex()[:8])}
    for wrong, read in readers.items():
        found = damage.verdicts(damage.Subject(b"\x11\x11\x11\x11", read), damage.flipped, 50, tmp_path / "file")
        assert any(name.startswith(wrong) for name in found)


def peak(read, path):
    """The most memory that a refused file took, as a multiple of its size."""
    tracemalloc.start()
    with pytest.raises(DataError, match=path.name):
        read(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / path.stat().st_size


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_an_idx_header_that_claims_terabytes_is_refused_before_anything_is_allocated(pack, tmp_path):
    path = tmp_path / "images"
    path.write_bytes(pack(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**20, 2**10, 2**10) + os.urandom(1 << 16)))
    assert peak(lambda path: read_idx(path, 3), path) < 4
    with pytest.raises(DataError, match=r"expected  1099511627776 bytes"):
        read_idx(path, 3)


def test_a_gzip_bomb_is_not_inflated_beyond_what_its_header_says(tmp_path, monkeypatch):
    path, inflated = tmp_path / "images", []
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 10, 10, 10) + bytes(1 << 27)))
    whole = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: (inflated.append(size), whole(self, size))[1])
    with pytest.raises(DataError, match=r"too long(.|\n)*1001 bytes or more"):
        read_idx(path, 3)
    assert inflated == [16, 1001]
    assert peak(lambda path: read_idx(path, 3), path) < 4


def test_a_set_without_images_is_no_shape_error(tmp_path):
    (tmp_path / "images").write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 0, 28, 28))
    assert read_idx(tmp_path / "images", 3).shape == (0, 28, 28)


class Evil:
    """Unpickled by Python, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def nested(levels):
    """A dict whose key is a tuple of two tuples of two tuples ...: its hash would take 2^levels steps."""
    return b"\x80\x02}(t" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(levels)) + b"K\x01s."


def encoded(times):
    """A text of 10,000 letters, encoded anew for many keys."""
    text = b"X" + struct.pack("<I", 10_000) + b"a" * 10_000 + b"q\x00"
    again = b"h\x00X\x06\x00\x00\x00latin1\x86R"
    return b"\x80\x02c_codecs\nencode\nq\x01" + text + b"X\x06\x00\x00\x00latin1\x86R" + b"".join(b"h\x01" + again for _ in range(times)) + b"."


def crafted(tmp_path):
    """Pickles made to do harm, with what the error says."""
    pixels, labels = np.zeros((2, 3072), np.uint8), np.zeros(2, np.uint8)
    sound = damage.python_batch(pixels, labels)
    return {
        "a call": (pickle.dumps({b"data": Evil(tmp_path / "made"), b"labels": []}, protocol=2), "it names 'posix mkdir'"),
        "a call, new protocol": (pickle.dumps({b"data": Evil(tmp_path / "made")}, protocol=4), "opcode FRAME"),
        "an object": (pickle.dumps({b"data": zlib.error("x")}, protocol=2), "it names"),
        "other names": (sound.replace(b"numpy\ndtype", b"numpy\nload_"), "it names 'numpy load_'"),
        "an extension": (b"\x80\x02\x82\x01.", "opcode EXT1"),
        "a larger array": (sound.replace(b"M\x00\x0c\x86", b"M\x00\x0d\x86"), "size is not that of its content"),
        "objects": (sound.replace(b"U\x02u1", b"U\x02O8"), "something else than an array of bytes"),
        "terabytes of text": (b"\x80\x02T\xff\xff\xff\x7f" + bytes(99), "ValueError"),
        "a key for ever": (nested(100), "a key that is no text"),
        "one text many times": (encoded(5000), "texts are larger than it is"),
        "no dict": (pickle.dumps([1, 2], protocol=2), "AttributeError"),
        "no data": (pickle.dumps({b"labels": [1]}, protocol=2), "KeyError"),
        "a label of 10": (damage.python_batch(pixels, labels + 10), "labels from 0 to 9"),
        "too few labels": (damage.python_batch(pixels, labels[:1]), "do not fit"),
        "labels no list": (pickle.dumps({b"data": pixels, b"labels": 3}, protocol=2), "do not fit"),
        "no images": (damage.python_batch(pixels[:0], labels[:0]), "labels from 0 to 9"),
    }


@pytest.mark.parametrize("kind", crafted(pathlib.Path("nowhere")))
def test_a_crafted_pickle_is_refused_and_nothing_in_it_runs(kind, tmp_path):
    content, says = crafted(tmp_path)[kind]
    path = tmp_path / "data_batch_1"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read_python(path)
    assert "data_batch_1" in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["data_batch_1"]
