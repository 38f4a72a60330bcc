"""The idx format of MNIST: a magic number, the sizes of the axes, then bytes (LeCun, Cortes & Burges 1998)."""

import gzip
import math
import struct
import zlib

import numpy as np

from tinyae.data.files import check_md5
from tinyae.errors import DataError

DEFLATE_LIMIT = 1032  # no byte of a gzip file stands for more bytes than this
PIECE = 1 << 20


def read_idx(path, axes, md5=None):
    """The array of whole numbers in an idx file of unsigned bytes, plain or gzipped.

    axes: how many are expected (3 for images, 1 for labels).  md5: the checksum of the uncompressed content.
    No more is read or inflated than the header announces, nor anything where the file cannot hold as much.
    Raises DataError for a file that is damaged, truncated, of another kind, or whose checksum differs.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            header = file.read(4 + 4 * axes)
            if len(header) < 4 + 4 * axes or header[:4] != bytes([0, 0, 8, axes]):
                raise DataError(f"{path}: not an idx file of {axes} axes.", expected=f"first bytes 0 0 8 {axes}", got=list(header[:4]))
            shape = struct.unpack(f">{axes}I", header[4:])
            size, most = math.prod(shape), path.stat().st_size * (DEFLATE_LIMIT if zipped else 1)
            body = b"" if size > most else _read(file, size + 1)  # one more than there should be, to see the end
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: it cannot be read.", got=str(error)) from error
    if len(body) != size:
        got = f"a file of {path.stat().st_size} bytes" if size > most else f"{len(body)} bytes{' or more' if len(body) > size else ''}"
        raise DataError(f"{path}: truncated, or too long.", expected=f"{size} bytes for {shape}", got=got)
    check_md5(path, header + body, md5)
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read(file, size):
    """Up to `size` bytes, piece by piece: a file that ends early costs only what it holds."""
    pieces = []
    while size > 0 and (piece := file.read(min(size, PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def write_idx(path, array):
    """Write whole numbers from 0 to 255 as a gzipped idx file, the same bytes each time."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), 9, mtime=0))
