"""`tinyae sample` and `tinyae reconstruct`: pictures from a finished run."""

import pathlib

import tinyae as ta
from tinyae.cli.arguments import file, folder, whole
from tinyae.errors import ArgumentError
from tinyae.training import Run
from tinyae.training.files import write_atomic


def add_sample(commands):
    """The arguments of `tinyae sample`."""
    add = commands.add_parser("sample", help="new images from a trained VAE", epilog="example: tinyae sample runs/vae-digits-1 --count 40")
    add.add_argument("folder", metavar="RUN", type=folder, help="the folder of a run")
    add.add_argument("--count", type=whole(1), default=40, metavar="N", help="how many (default 40)")
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the draws from the prior (default 0)")
    add.add_argument("--out", type=file, metavar="FILE", help="a PNG (default RUN/figures/samples.png)")
    add.set_defaults(run=sample)


def sample(arguments, command):
    """`tinyae sample`: a picture of means of p(x | z), z from the prior."""
    run, model = Run.open(arguments.folder), ta.load(arguments.folder)
    if not hasattr(model, "sample"):
        raise ArgumentError(f"{arguments.folder}: an autoencoder has no prior to sample from.", remedy="train a vae")
    figure = ta.figures.images.prior_samples(model, arguments.count, run.data("test").image_shape, ta.rng(arguments.seed))
    save(figure, arguments.out or run.folder / "figures" / "samples.png")


def add_reconstruct(commands):
    """The arguments of `tinyae reconstruct`."""
    add = commands.add_parser(
        "reconstruct", help="images, and what a trained model makes of them", epilog="example: tinyae reconstruct runs/vae-digits-1"
    )
    add.add_argument("folder", metavar="RUN", type=folder, help="the folder of a run")
    add.add_argument("images", metavar="IMAGES", nargs="?", type=folder, help="a folder of images (default: test images of the run's data set)")
    add.add_argument("--count", type=whole(1), default=10, metavar="N", help="how many (default 10)")
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of binarisation and the sample (default 0)")
    add.add_argument("--out", type=file, metavar="FILE", help="a PNG (default RUN/figures/reconstructed.png)")
    add.set_defaults(run=reconstruct)


def reconstruct(arguments, command):
    """`tinyae reconstruct`: a picture of images, their reconstructions, and samples of p(x | z)."""
    run, model, rng = Run.open(arguments.folder), ta.load(arguments.folder), ta.rng(arguments.seed)
    test = run.data("test")
    shape = test.image_shape
    if arguments.images is not None:
        given = ta.data.folder(arguments.images, size=shape[-1], grey=len(shape) == 2)
        test = given.binarise(test.binarisation)
    x = test.take(slice(0, arguments.count), rng.stream("pixels"))
    save(ta.figures.images.reconstructions(model, x, shape, rng.stream("sample")), arguments.out or run.folder / "figures" / "reconstructed.png")


def save(figure, path):
    """Write the picture, and say where it is."""
    path = pathlib.Path(path)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, ta.figures.png(figure))
    print(f"picture: {path}")
