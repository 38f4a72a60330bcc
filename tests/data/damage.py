"""Damage to files, and what a reader makes of it; also the writer of a CIFAR-10 batch in the python layout."""

import collections
import gzip
import hashlib
import struct
from typing import Any, NamedTuple

import numpy as np

from tinyae.data.cifar import read_binary, read_python
from tinyae.data.idx import read_idx
from tinyae.errors import TinyaeError


class Subject(NamedTuple):
    """The bytes of a sound file, its reader (path -> arrays or anything that compares), and whether damage cannot go unseen."""

    content: bytes
    read: Any
    checked: bool = True


def subjects(images=60):
    """A small file of each kind, by name."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 9, (images, 8, 8)).astype(np.uint8) * (rng.random((images, 8, 8)) < 0.5)
    idx = bytes([0, 0, 8, 3]) + struct.pack(">3I", *grey.shape) + grey.tobytes()
    pixels, labels = rng.integers(0, 256, (images, 3072)).astype(np.uint8), rng.integers(0, 10, images).astype(np.uint8)
    binary, python = np.column_stack([labels, pixels]).tobytes(), python_batch(pixels, labels)

    def md5(content):
        return hashlib.md5(content).hexdigest()

    return {
        "idx": Subject(idx, lambda path: read_idx(path, 3, md5(idx))),
        "idx, gzipped": Subject(gzip.compress(idx, mtime=0), lambda path: read_idx(path, 3, md5(idx))),
        "cifar-10, binary": Subject(binary, lambda path: read_binary(path, md5(binary))),
        "cifar-10, python": Subject(python, lambda path: read_python(path, md5(python))),
        "idx, no checksum": Subject(idx, lambda path: read_idx(path, 3), False),
        "idx, gzipped, no checksum": Subject(gzip.compress(idx, mtime=0), lambda path: read_idx(path, 3), False),
        "cifar-10, binary, no checksum": Subject(binary, read_binary, False),
        "cifar-10, python, no checksum": Subject(python, read_python, False),
    }


def python_batch(pixels, labels):
    """A batch as Python 2 pickled it: protocol 2, texts as bytes, NumPy's array rebuilt from its name, shape and bytes."""

    def text(value):
        return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))) + value

    def number(value):
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)

    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85" + text(b"b") + b"\x87Rq\x07(K\x01"
    array += number(len(pixels)) + number(pixels.shape[1]) + b"\x86cnumpy\ndtype\nq\x08" + text(b"u1") + b"K\x00K\x01\x87Rq\x09(K\x03"
    array += text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + text(pixels.tobytes()) + b"tb"
    names = b"".join(text(b"s_%06d.png" % i) for i in range(len(labels)))
    items = text(b"batch_label") + text(b"training batch 1 of 5") + text(b"labels") + b"]q\x04(" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}q\x01(" + items + text(b"data") + array + text(b"filenames") + b"]q\x0a(" + names + b"eu."


def flipped(content, rng):
    """One byte changed to another."""
    place, mask = rng.integers(len(content)), rng.integers(1, 256)
    return content[:place] + bytes([content[place] ^ int(mask)]) + content[place + 1 :]


def flipped_near_an_end(content, rng):
    """One byte among the first or last 300 changed: the header of the format, not the pixels."""
    head, tail = content[:300], content[300:][-300:]
    middle = content[300:][:-300]
    return flipped(head, rng) + content[300:] if rng.random() < 0.5 or not tail else head + middle + flipped(tail, rng)


def cut(content, rng):
    """The file ends early."""
    return content[: rng.integers(len(content))]


KINDS = (flipped, flipped_near_an_end, cut)


def verdict(subject, content, right, path):
    """What reading damaged bytes gives: "right data", "clear error", "other data", or the name of an exception."""
    path.write_bytes(content)
    try:
        found = subject.read(path)
    except TinyaeError as error:
        rule, *details = str(error).splitlines()
        return "clear error" if str(path) in rule and details else f"an error without file or reason: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "right data" if same(found, right) else "other data"


def same(found, right):
    """Whether two results are equal: arrays by shape, dtype and content, tuples by their parts."""
    if isinstance(right, tuple):
        return len(found) == len(right) and all(map(same, found, right))
    if isinstance(right, np.ndarray):
        return found.shape == right.shape and found.dtype == right.dtype and bool((found == right).all())
    return found == right


def verdicts(subject, damage, times, path, seed=0):
    """How often each verdict came."""
    path.write_bytes(subject.content)
    right, rng = subject.read(path), np.random.default_rng(seed)
    return collections.Counter(verdict(subject, damage(subject.content, rng), right, path) for _ in range(times))
