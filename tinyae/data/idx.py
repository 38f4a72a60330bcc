"""The idx format of MNIST: a magic number, the sizes of the axes, then bytes (LeCun, Cortes & Burges 1998)."""

import gzip
import hashlib
import math
import struct
import zlib

import numpy as np

from tinyae.errors import DataError


def read_idx(path, axes, md5=None):
    """The array of whole numbers in an idx file of unsigned bytes, plain or gzipped.

    axes: how many are expected (3 for images, 1 for labels).  md5: the checksum of the uncompressed content.
    Raises DataError for a file that is damaged, truncated, of another kind, or whose checksum differs.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: it cannot be read.", got=str(error)) from error
    if len(content) < 4 + 4 * axes or content[:4] != bytes([0, 0, 8, axes]):
        raise DataError(f"{path}: not an idx file of {axes} axes.", expected=f"first bytes 0 0 8 {axes}", got=list(content[:4]))
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    body = len(content) - 4 - 4 * axes
    if math.prod(shape) != body:
        raise DataError(f"{path}: truncated, or too long.", expected=f"{math.prod(shape)} bytes for {shape}", got=f"{body} bytes")
    if md5 is not None and (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != md5:
        raise DataError(f"{path}: wrong checksum of the uncompressed content.", expected=f"md5 {md5}", got=f"md5 {found}")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def write_idx(path, array):
    """Write whole numbers from 0 to 255 as a gzipped idx file, the same bytes each time."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), 9, mtime=0))
