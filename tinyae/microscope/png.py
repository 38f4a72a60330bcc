"""Heatmaps as PNG files: a palette, a mark in what is negative, and a gap between images.  Nothing but zlib is needed."""

import base64
import struct
import zlib

import numpy as np

ANCHORS = {  # colours at equal steps from the lowest level to the highest
    "diverging": "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
    "grey": "000000 ffffff",
    "viridis": "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725",
}
LEVELS = 129  # odd, so that zero has a level of its own, the middle one
WHITE, BLACK, GAP = LEVELS, LEVELS + 1, LEVELS + 2  # indices after those of the levels
CELL = 3  # pixels of a cell that has room for a mark


def write_png(pixels, colours, transparent):
    """The bytes of a PNG file.  pixels: (H, W) indices of `colours`, a list of (red, green, blue); the one of `transparent` is invisible."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels, np.uint8))  # the zero says: no filter
    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),  # eight bits, a palette
        chunk(b"PLTE", bytes(value for colour in colours for value in colour)),
        chunk(b"tRNS", bytes(255 * (index != transparent) for index in range(len(colours)))),
        chunk(b"IDAT", zlib.compress(rows, 9)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def palette(name):
    """LEVELS colours between the anchors of a map, then white, black, and what is transparent."""
    anchors = np.array([list(bytes.fromhex(anchor)) for anchor in ANCHORS[name].split()], float)
    places = np.linspace(0, len(anchors) - 1, LEVELS)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return [*map(tuple, np.rint(np.stack(channels, 1)).astype(int).tolist()), (255, 255, 255), (0, 0, 0), (127, 127, 127)]


def entries_of(picture):
    """The entries of a record's picture as numbers from -1 to 1, where 1 stands for its limit; zero is exactly zero."""
    data = np.frombuffer(base64.b64decode(picture["data"]), np.uint8).reshape(picture["rows"], picture["columns"])
    middle = LEVELS // 2
    return ((data.astype(int) + 1) // 2 - middle) / middle


def picture_uri(picture, kind):
    """(data URI, width in cells, height in cells).  kind: "gradient", with a dot in what is negative, or "value"."""
    entries, images = entries_of(picture), picture["images"]
    if kind == "gradient":
        name, share = "diverging", (entries + 1) / 2
    else:
        name, share = "grey" if images else "viridis", (entries - entries.min()) / (np.ptp(entries) or 1.0)
    pixels = np.rint(share * (LEVELS - 1)).astype(np.uint8)
    if kind == "gradient":
        middle, pixels = pixels, pixels.repeat(CELL, 0).repeat(CELL, 1)
        marks = np.where(middle < LEVELS // 4, WHITE, np.where(middle < LEVELS // 2, BLACK, middle))
        pixels[CELL // 2 :: CELL, CELL // 2 :: CELL] = marks
    if images > 1:
        pixels = with_gaps(pixels, images, CELL if kind == "gradient" else 1)
    uri = "data:image/png;base64," + base64.b64encode(write_png(pixels, palette(name), GAP)).decode()
    return uri, picture["columns"] + max(images - 1, 0), picture["rows"]


def with_gaps(pixels, images, width):
    """Transparent columns between images that lie side by side."""
    gap = np.full((len(pixels), width), GAP, np.uint8)
    parts = [part for image in np.split(pixels, images, 1) for part in (image, gap)]
    return np.concatenate(parts[:-1], 1)
