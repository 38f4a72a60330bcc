"""`tinyae sample` and `tinyae reconstruct`: pictures from a finished run."""

import pathlib

import numpy as np

import tinyae as ta
from tinyae.backend import to_numpy
from tinyae.cli.arguments import file, folder, whole
from tinyae.errors import ArgumentError
from tinyae.evaluation import uses
from tinyae.evaluation.terms import conditioned, takes_labels
from tinyae.training import Run
from tinyae.training.files import write_atomic

SHOWN, MOST = 1000, 200  # points in a picture if nothing is said; images in one at most
KNOWN = 5000  # training images that a class is known by


def add_sample(commands):
    """The arguments of `tinyae sample`."""
    add = commands.add_parser("sample", help="new images or points from a trained VAE", epilog="example: tinyae sample runs/vae-digits-1 --count 40")
    add.add_argument("folder", metavar="RUN", type=folder, help="the folder of a run")
    add.add_argument("--count", type=whole(1), metavar="N", help="how many (default: 40 images, 1000 points)")
    add.add_argument(
        "--label", type=whole(0), nargs="+", metavar="N", help="of this class, or these in turn: of a model that takes labels, or by codes"
    )
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the draws from the prior (default 0)")
    add.add_argument("--out", type=file, metavar="FILE", help="a PNG (default RUN/figures/samples.png)")
    add.set_defaults(run=sample)


def sample(arguments, command):
    """`tinyae sample`: a picture of means of p(x | z), z from the prior; of points, beside test points."""
    run, model = Run.open(arguments.folder), ta.load(arguments.folder)
    if not hasattr(model, "sample"):
        raise ArgumentError(f"{arguments.folder}: an autoencoder has no prior to sample from.", remedy="train a vae")
    test, rng = run.data("test"), ta.rng(arguments.seed)
    check_count(arguments.count, test)
    if arguments.label is not None or takes_labels(model):
        images = of_classes(run, model, test, arguments.label, arguments.count or 40, rng)
        figure = ta.figures.images.draw_grid(ta.figures.images.in_tens(images), test.image_shape)
    elif ta.figures.are_points(test.image_shape):
        figure = ta.figures.points(model, test.take(slice(0, SHOWN), rng.stream("pixels")), arguments.count or SHOWN, rng)
    else:
        figure = ta.figures.images.prior_samples(model, arguments.count or 40, test.image_shape, rng)
    save(figure, arguments.out or run.folder / "figures" / "samples.png")


def of_classes(run, model, test, given, count, rng):
    """Images of these classes in turn (of all, if None), (count, D): by the labels of a model that takes some, else by a normal distribution
    fitted to the codes of a class's training images.
    """
    classes = np.unique(test.labels)
    if unknown := [label for label in given or () if label not in classes]:
        raise ArgumentError(f"--label {unknown[0]}: no image has it.", expected=", ".join(map(str, classes)))
    labels = np.resize(classes if given is None else given, count)
    if takes_labels(model):
        return to_numpy(model.given(labels).sample(count, rng=rng))
    if ta.figures.are_points(test.image_shape):
        raise ArgumentError("--label: points have no classes.", remedy="leave it out")
    train = run.data("train")
    codes = uses.codes_of(model, train.take(slice(0, KNOWN), rng.stream("pixels")))
    z = np.empty((count, codes.shape[1]))
    for label in np.unique(labels):
        z[labels == label] = uses.class_codes(codes, train.labels[:KNOWN], label, int((labels == label).sum()), rng.stream("class", int(label)))
    return uses.decoded(model, z)


def add_reconstruct(commands):
    """The arguments of `tinyae reconstruct`."""
    add = commands.add_parser(
        "reconstruct", help="images or points, and what a trained model makes of them", epilog="example: tinyae reconstruct runs/vae-digits-1"
    )
    add.add_argument("folder", metavar="RUN", type=folder, help="the folder of a run")
    add.add_argument("images", metavar="IMAGES", nargs="?", type=folder, help="a folder of images, or one (default: test images of the run's data)")
    add.add_argument("--count", type=whole(1), metavar="N", help="how many (default: 10 images, 1000 points)")
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of binarisation and the sample (default 0)")
    add.add_argument("--out", type=file, metavar="FILE", help="a PNG (default RUN/figures/reconstructed.png)")
    add.set_defaults(run=reconstruct)


def reconstruct(arguments, command):
    """`tinyae reconstruct`: a picture of images, their reconstructions, and samples of p(x | z)."""
    run, model, rng = Run.open(arguments.folder), ta.load(arguments.folder), ta.rng(arguments.seed)
    test = run.data("test")
    check_count(arguments.count, test)
    shape = test.image_shape
    if arguments.images is not None and ta.figures.are_points(shape):
        raise ArgumentError(f"{arguments.folder}: it was trained on points, not on images.", got=f"{arguments.images}", remedy="leave IMAGES out")
    if arguments.images is not None:
        test = ta.data.folder(arguments.images, size=shape[-1], grey=len(shape) == 2).binarise(test.binarisation)
    rows = slice(0, arguments.count or (SHOWN if ta.figures.are_points(shape) else 10))
    x = test.take(rows, rng.stream("pixels"))
    if takes_labels(model) and arguments.images is not None:
        raise ArgumentError(f"{arguments.folder}: its model needs the labels of images.", remedy="leave IMAGES out")
    model = conditioned(model, test.labels[rows])
    if arguments.images is not None:
        colours, size = "to grey" if len(shape) == 2 else "in colour", f"{shape[-2]} x {shape[-1]}"
        print(f"{len(x)} of {len(test)} images, the square in the middle, {colours}, {size}; {ta.figures.binarisation_of(test)}")
    figure = ta.figures.points(model, x) if ta.figures.are_points(shape) else ta.figures.images.reconstructions(model, x, shape, rng.stream("sample"))
    save(figure, arguments.out or run.folder / "figures" / "reconstructed.png")


def check_count(count, test):
    """Raise ArgumentError where so many images would not be seen any more."""
    if count and count > MOST and not ta.figures.are_points(test.image_shape):
        raise ArgumentError(f"--count: at most {MOST} images are drawn in a picture.", got=count)


def save(figure, path):
    """Write the picture, and say where it is."""
    path = pathlib.Path(path)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, ta.figures.png(figure))
    print(f"picture: {path}")
