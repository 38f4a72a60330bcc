"""`tinyae compress` and `tinyae decompress`: images in a file about as long as the model's negative ELBO."""

import bz2
import gzip
import io
import pathlib

import numpy as np

import tinyae as ta
from tinyae.cli.arguments import file, folder, whole
from tinyae.cli.runs import save
from tinyae.errors import ArgumentError, DataError
from tinyae.evaluation import bits_back
from tinyae.training import Run
from tinyae.training.files import write_atomic

SHOWN = 40  # images in a picture


def add_compress(commands):
    """The arguments of `tinyae compress`."""
    example = "example: tinyae compress runs/vae-digits-1 --out digits.tae, and back: tinyae decompress runs/vae-digits-1 digits.tae"
    add = commands.add_parser("compress", help="binary images to a file, without loss, by a VAE", epilog=example)
    add.add_argument("folder", metavar="RUN", type=folder, help="the folder of a run, a VAE with a bernoulli likelihood")
    add.add_argument(
        "images", metavar="IMAGES", nargs="?", type=folder, help="a folder of images, or one (default: all test images of the run's data)"
    )
    add.add_argument("--out", type=file, default="images.tae", metavar="FILE", help="the file (default images.tae)")
    add.add_argument("--lanes", type=whole(1), metavar="N", help="images coded side by side: few make a shorter file, many are quicker")
    add.set_defaults(run=compress)


def compress(arguments, command):
    """`tinyae compress`: the file, what its bits are, and the same images by gzip and bz2."""
    run, model = Run.open(arguments.folder), ta.load(arguments.folder)
    bits_back.check_model(model)
    test = run.data("test")
    if arguments.images is not None:
        test = ta.data.folder(arguments.images, size=test.image_shape[-1], grey=len(test.image_shape) == 2).binarise(test.binarisation)
    if test.binarisation == "grey":
        raise ArgumentError(
            f"{arguments.folder}: only zeros and ones can be compressed, and its images are grey.", remedy="a run with binarised images"
        )
    x = test.take(slice(None), ta.rng(0).stream("compress")).astype(np.uint8)
    content = bits_back.compress(model, x, lanes=arguments.lanes)
    write_atomic(arguments.out, content)
    if not np.array_equal(bits_back.decompress(model, content), x):
        raise DataError("compress: what comes back is not what went in.", remedy="please report this: it must not happen")
    found, packed = bits_back.account(model, x, content, draws=20), np.packbits(x).tobytes()
    bits = {"raw": float(x[0].size), "gzip": 8 * len(gzip.compress(packed, 9)) / len(x), "bz2": 8 * len(bz2.compress(packed, 9)) / len(x)}
    bits |= {"file by the model": found.file_bits / len(x), "net, by the model": found.net, "negative ELBO": found.negative_elbo}
    print(f"{len(x):,} images ({test.binarisation}) in {arguments.out}, {len(content):,} bytes; decompressed and compared: every pixel is the same")
    print("bits per image: " + ", ".join(f"{name} {value:.2f}" for name, value in bits.items()))
    print("net: what the images add; the file also has the initial bits, which come back, heads that are not full, and a header")
    save(ta.figures.uses.sizes(bits), run.folder / "figures" / "compression.png")


def add_decompress(commands):
    """The arguments of `tinyae decompress`."""
    example = "example: tinyae decompress runs/vae-digits-1 digits.tae --out digits.npy"
    add = commands.add_parser("decompress", help="the images back from such a file", epilog=example)
    add.add_argument("folder", metavar="RUN", type=folder, help="the folder of the run that compressed them")
    add.add_argument("file", metavar="FILE", help="what `tinyae compress` wrote")
    add.add_argument("--out", type=file, default="images.npy", metavar="FILE", help="an array of zeros and ones, (N, D) (default images.npy)")
    add.set_defaults(run=decompress)


def decompress(arguments, command):
    """`tinyae decompress`: an array of all images, and a picture of the first."""
    run, model = Run.open(arguments.folder), ta.load(arguments.folder)
    try:
        content = pathlib.Path(arguments.file).read_bytes()
    except OSError as error:
        raise ArgumentError(f"{arguments.file}: it cannot be read.", got=error.strerror) from error
    x = bits_back.decompress(model, content)
    out = io.BytesIO()
    np.save(out, x, allow_pickle=False)
    write_atomic(arguments.out, out.getvalue())
    print(f"{len(x):,} images in {arguments.out}, an array {x.shape} of zeros and ones")
    figure = ta.figures.images.draw_grid(ta.figures.images.in_tens(x[:SHOWN].astype(float)), run.data("test").image_shape)
    save(figure, run.folder / "figures" / "decompressed.png")
