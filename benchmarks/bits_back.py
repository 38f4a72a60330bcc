"""The size of images compressed with a trained VAE, beside its negative ELBO and general compressors.

    OPENBLAS_NUM_THREADS=1 TINYAE_DATA=DIR python benchmarks/bits_back.py --write     # a minute on one core

Trains on digits, and on mnist where TINYAE_DATA has it, compresses the whole test split, decompresses it, and compares every pixel.
"""

import argparse
import bz2
import gzip
import lzma
import pathlib
import sys
import time
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import tinyae as ta  # noqa: E402
from tinyae.errors import DataError  # noqa: E402
from tinyae.evaluation import bits_back  # noqa: E402

TABLE = pathlib.Path(__file__).with_suffix(".md")
TITLE = """# Lossless compression with a VAE

Made by `python benchmarks/bits_back.py --write`, seed 0, threshold binarisation, the whole test split as one file; every file was
decompressed and equals its images.  All columns from "raw" to "lzma" are **bits per image**.  Net: what the images added to the message,
which should be the negative ELBO (100 draws of z an image on digits, 10 on mnist).  File: all bytes of the file, with the initial bits
(random bits that choose the first latents and come back at the end), heads that are not full, and a header of {header} bytes.
gzip, bz2 and lzma compress the packed pixels, eight in a byte, at their highest setting, also all images as one file; they need no model.
The model itself is not counted: the receiver has it.  Seconds: one core.  The lanes are images that are coded side by side: few of them
waste fewer initial bits, many are quicker.
"""
COLUMNS = "data | test images | latents | lanes | raw | negative ELBO | net | file | initial | gzip | bz2 | lzma | encode, s | decode, s".split(" | ")


class Job(NamedTuple):
    """What is trained on a data set, the numbers of lanes to try (None: the default), and the draws for the negative ELBO."""

    latent: int
    hidden: tuple
    activation: str
    epochs: int
    lr: float
    lanes: tuple
    draws: int


JOBS = {"digits": Job(4, (64,), "tanh", 200, 3e-3, (1, None, 16, 64), 100), "mnist": Job(20, (400,), "relu", 10, 1e-3, (None, 256), 10)}


def trained(name, job):
    """A VAE trained on the threshold-binarised training split."""
    train = ta.data.load(name, binarisation="threshold")
    model = ta.models.VAE(train.features, job.latent, job.hidden, activation=job.activation, rng=ta.rng(0))
    ta.fit(model, train, epochs=job.epochs, lr=job.lr, progress=False)
    return model


def measured(model, images, lanes, negative_elbo):
    """(lanes, net, file, initial, seconds to encode, to decode), bits per image, after a comparison of every pixel."""
    started = time.perf_counter()
    content = bits_back.compress(model, images, lanes=lanes)
    encoded = time.perf_counter()
    if not np.array_equal(bits_back.decompress(model, content), images):
        sys.exit("the images that came back are not the same")
    decoded, found = time.perf_counter(), bits_back.account(model, images, content, draws=1)
    lanes = bits_back.from_bytes(content)[0].lanes
    print(f"  {lanes} lanes: net {found.net:.2f}, negative ELBO {negative_elbo:.2f}, {found.net / negative_elbo - 1:+.2%}", flush=True)
    return lanes, found.net, found.file_bits / len(images), found.initial, encoded - started, decoded - encoded


def rows(name, job):
    """A line of the table for each number of lanes."""
    images = ta.data.load(name, "test", "threshold").take(slice(None), None).astype(np.uint8)
    model = trained(name, job)
    packed = np.packbits(images.reshape(-1)).tobytes()
    others = gzip.compress(packed, 9), bz2.compress(packed, 9), lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME)
    others = [f"{8 * len(other) / len(images):.2f}" for other in others]
    negative_elbo = bits_back.negative_elbo_bits(model, images, job.draws)
    for lanes in job.lanes:
        lanes, net, file, initial, encode, decode = measured(model, images, lanes, negative_elbo)
        ours = [images.shape[1], *(f"{value:.2f}" for value in (negative_elbo, net, file, initial))]
        cells = [name, f"{len(images):,}", job.latent, lanes, *ours, *others, f"{encode:.2f}", f"{decode:.2f}"]
        yield "| " + " | ".join(map(str, cells)) + " |"


def main():
    """Train, compress, print a table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", choices=[*JOBS, []], metavar="DATA", help="digits, mnist (all, if none is named)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {TABLE.name}")
    arguments = parser.parse_args()
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for name in arguments.data or JOBS:
        try:
            lines += rows(name, JOBS[name])
        except DataError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    print("\n".join(lines))
    if arguments.write:
        header = len(bits_back.MAGIC) + bits_back.HEADER.size + 4 * 2 + bits_back.CHECKSUM.size
        TABLE.write_text(TITLE.format(header=header) + "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
