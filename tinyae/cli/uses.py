"""The commands that use a trained model: denoise, anomalies, interpolate, attribute, traverse."""

import numpy as np

import tinyae as ta
from tinyae.cli.arguments import file, folder, share, whole
from tinyae.cli.runs import save
from tinyae.errors import ArgumentError
from tinyae.evaluation import uses
from tinyae.evaluation.anomaly import auroc, auroc_standard_error
from tinyae.evaluation.terms import takes_labels
from tinyae.models.denoising import CORRUPTIONS
from tinyae.training import Run

IN_A_ROW, KNOWN = 10, 5000  # images shown; training examples that a direction is made of
VALUES = np.linspace(-3, 3, 11)


def opened(arguments):
    """(run, model, test set, stream) of the run that a command names.  Raises ArgumentError where there are no images, or labels are needed."""
    run, model = Run.open(arguments.folder), ta.load(arguments.folder)
    test = run.data("test")
    if ta.figures.are_points(test.image_shape):
        raise ArgumentError(f"{arguments.folder}: it was trained on points, and this is a picture of images.", remedy="a run on images")
    if takes_labels(model):
        raise ArgumentError(f"{arguments.folder}: this needs a model without labels.", got=run.config["model"], remedy="tinyae sample RUN --label N")
    return run, model, test, ta.rng(arguments.seed)


def common(add, run, what):
    """The arguments that all these commands have."""
    add.add_argument("folder", metavar="RUN", type=folder, help="the folder of a run")
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the draws (default 0)")
    add.add_argument("--out", type=file, metavar="FILE", help=f"a PNG (default RUN/figures/{what}.png)")
    add.set_defaults(run=run)


def saved(figure, run, arguments, name):
    """Write the picture where it was asked for."""
    save(figure, arguments.out or run.folder / "figures" / f"{name}.png")


def add_denoise(commands):
    """The arguments of `tinyae denoise`."""
    add = commands.add_parser("denoise", help="take noise out of images", epilog="example: tinyae denoise runs/denoising-autoencoder-digits-1")
    common(add, denoise, "denoised")
    add.add_argument("--noise", choices=CORRUPTIONS, default="gaussian", help="that is put on the test images (default gaussian)")
    add.add_argument("--amount", type=share, default=0.3, metavar="A", help="its standard deviation, or the share of pixels it hits (default 0.3)")
    add.add_argument("--passes", type=whole(1), default=1, metavar="N", help="reconstruct so many times (default 1)")


def denoise(arguments, command):
    """`tinyae denoise`: the mean squared error before and after, and a picture."""
    run, model, test, rng = opened(arguments)
    clean = test.take(slice(None), rng.stream("pixels"))
    noisy = CORRUPTIONS[arguments.noise](clean, rng.stream("noise"), arguments.amount)
    likelihood = model.likelihood
    given = noisy if likelihood is None else np.clip(noisy, likelihood.low, likelihood.high)
    again = uses.denoise(model, given.astype(np.float32), arguments.passes)
    before, after = (float(np.square(x - clean).mean()) for x in (noisy, again))
    print(f"mean squared error per pixel over {len(clean):,} test images: noisy {before:.5f}, denoised {after:.5f}, the ratio {after / before:.3f}")
    rows = ta.figures.pictures.one_of_each_class(test.labels, IN_A_ROW)
    shown = {"test images": clean[rows], f"{arguments.noise}, {arguments.amount:g}": noisy[rows], "denoised": again[rows]}
    saved(ta.figures.uses.image_rows(shown, test.image_shape), run, arguments, "denoised")


def add_anomalies(commands):
    """The arguments of `tinyae anomalies`."""
    add = commands.add_parser("anomalies", help="which images are unlike the training data", epilog="example: tinyae anomalies runs/vae-digits-1")
    common(add, anomalies, "anomalies")
    add.add_argument(
        "--data", choices=ta.data.DATASETS, help="a set of images of the same size that should be unlike them (default: pixels shuffled)"
    )
    add.add_argument("--samples", type=whole(1), default=20, metavar="K", help="importance samples of -log p(x) (default 20)")


def anomalies(arguments, command):
    """`tinyae anomalies`: the AUROC of the score, histograms, and the images with the highest scores."""
    run, model, test, rng = opened(arguments)
    own = test.take(slice(None), rng.stream("pixels"))
    if arguments.data is None:
        name, other = "images with pixels shuffled", own[:, rng.stream("shuffle").permutation(own.shape[1])]
    elif arguments.data == test.name:
        raise ArgumentError(f"--data {arguments.data}: these are the images that are usual.", remedy="another set, or none, for shuffled pixels")
    else:
        found = ta.data.load(arguments.data, split="test", binarisation=test.binarisation)
        if found.features != test.features:
            raise ArgumentError(f"--data {arguments.data}: its images have another size.", expected=test.image_shape, got=found.image_shape)
        name, other = f"{arguments.data} test images", found.take(slice(None), rng.stream("other pixels"))
    sets = {f"{test.name} test images": own, name: other}
    scores = {key: uses.anomaly_scores(model, x, arguments.samples, rng.stream("scores", key)) for key, x in sets.items()}
    area = auroc(*scores.values())
    error = auroc_standard_error(area, len(own), len(other))
    print(f"area under the ROC curve, {name} against those of {test.name}: {area:.4f} (standard error {error:.4f}; 0.5 is chance)")
    unit = "squared error" if model.likelihood is None else f"-log p(x) in nats, {arguments.samples} importance samples"
    shown = {key: x[np.argsort(-scores[key], kind="stable")[:IN_A_ROW]] for key, x in sets.items()}
    saved(ta.figures.uses.anomalies(scores, shown, test.image_shape, unit), run, arguments, "anomalies")


def add_interpolate(commands):
    """The arguments of `tinyae interpolate`."""
    add = commands.add_parser("interpolate", help="images between two images", epilog="example: tinyae interpolate runs/vae-digits-1 --from 0 --to 7")
    common(add, interpolate, "interpolated")
    add.add_argument("--from", dest="start", type=whole(0), default=0, metavar="I", help="number of a test image (default 0)")
    add.add_argument("--to", dest="end", type=whole(0), default=1, metavar="J", help="number of another (default 1)")
    add.add_argument("--steps", type=whole(2), default=11, metavar="N", help="on the way, both ends included (default 11)")


def interpolate(arguments, command):
    """`tinyae interpolate`: a picture with the straight line and the arc between two codes."""
    run, model, test, rng = opened(arguments)
    if max(arguments.start, arguments.end) >= len(test):
        raise ArgumentError("interpolate: there is no such test image.", expected=f"0 to {len(test) - 1}", got=max(arguments.start, arguments.end))
    x = test.take(slice(None), rng.stream("pixels"))[[arguments.start, arguments.end]]
    z = uses.codes_of(model, x)
    rows, empty = {}, np.full((1, x.shape[1]), np.nan)
    for name, spherical in (("straight line", False), ("arc", True)):
        way = uses.interpolate(*z, arguments.steps, spherical)
        rows[name] = np.concatenate([x[:1], empty, uses.decoded(model, way), empty, x[1:]])
        print(
            f"{name}: length of the code in the middle {np.linalg.norm(way[arguments.steps // 2]):.3g}, at its ends {np.linalg.norm(z[0]):.3g}",
            end="",
        )
        print(f" and {np.linalg.norm(z[1]):.3g}")
    labels = ["from", "", *(f"{t:.2g}" for t in np.linspace(0, 1, arguments.steps)), "", "to"]
    saved(ta.figures.uses.image_rows(rows, test.image_shape, labels), run, arguments, "interpolated")


def add_attribute(commands):
    """The arguments of `tinyae attribute`."""
    add = commands.add_parser("attribute", help="arithmetic with codes", epilog="example: tinyae attribute runs/vae-digits-1 --from 4 --to 9")
    common(add, attribute, "attribute")
    add.add_argument("--from", dest="start", type=whole(0), default=0, metavar="LABEL", help="class of the images that are changed (default 0)")
    add.add_argument("--to", dest="end", type=whole(0), default=1, metavar="LABEL", help="the class whose direction is added (default 1)")


def attribute(arguments, command):
    """`tinyae attribute`: adds s (mean code of one class - that of another), and asks the nearest training image what came out."""
    run, model, test, rng = opened(arguments)
    if arguments.start == arguments.end:
        raise ArgumentError("attribute: --from and --to are one label.", got=arguments.start)
    train = run.data("train")
    x, labels = train.take(slice(0, KNOWN), rng.stream("pixels")), train.labels[:KNOWN]
    if unknown := [label for label in (arguments.start, arguments.end) if label not in labels]:
        raise ArgumentError(f"attribute: no image has the label {unknown[0]}.", expected="one of " + ", ".join(map(str, np.unique(labels))))
    chosen = np.isin(labels, (arguments.start, arguments.end))
    direction = uses.attribute_direction(uses.codes_of(model, x[chosen]), labels[chosen] == arguments.end)
    images = test.take(slice(None), rng.stream("test pixels"))[test.labels == arguments.start]
    if not len(images):
        raise ArgumentError(f"attribute: no test image has the label {arguments.start}.")
    z, rows = uses.codes_of(model, images), {"test images": images[:IN_A_ROW]}
    for strength in (0, 0.5, 1, 1.5):
        changed = uses.decoded(model, z + strength * direction)
        squares = (changed**2).sum(axis=1)[:, None] - 2 * changed @ x.T + (x**2).sum(axis=1)
        became = labels[squares.argmin(axis=1)]
        rows[f"{strength:g} of the way"] = changed[:IN_A_ROW]
        print(
            f"{strength:g} of the way: {(became == arguments.end).mean():.1%} of {len(images)} images are nearest to a training image of class",
            end="",
        )
        print(f" {arguments.end}, {(became == arguments.start).mean():.1%} to one of class {arguments.start}")
    saved(ta.figures.uses.image_rows(rows, test.image_shape), run, arguments, "attribute")


def add_traverse(commands):
    """The arguments of `tinyae traverse`."""
    add = commands.add_parser("traverse", help="what each latent dimension does", epilog="example: tinyae traverse runs/vae-digits-1")
    common(add, traverse, "traversals")
    add.add_argument("--image", type=whole(0), default=0, metavar="I", help="number of the test image to begin with (default 0)")
    add.add_argument("--dimensions", type=whole(1), default=10, metavar="N", help="so many, those with the largest KL (default 10)")


def traverse(arguments, command):
    """`tinyae traverse`: a row for each latent dimension, the one with the largest KL first."""
    run, model, test, rng = opened(arguments)
    if not ta.figures.images.is_flat(model):
        raise ArgumentError(f"{arguments.folder}: traversals need latent dimensions with the prior N(0, I).", got=run.config["model"])
    if arguments.image >= len(test):
        raise ArgumentError("traverse: there is no such test image.", expected=f"0 to {len(test) - 1}", got=arguments.image)
    x = test.take(slice(None), rng.stream("pixels"))
    kl = ta.figures.latent.kl_per_dimension(model, x)
    order = np.argsort(-kl, kind="stable")[: arguments.dimensions]
    grid = uses.decoded(model, uses.traverse(uses.codes_of(model, x[[arguments.image]])[0], order, VALUES))
    print("KL by dimension, nats: " + ", ".join(f"z{j + 1} {kl[j]:.3g}" for j in order))
    rows = {f"$z_{{{j + 1}}}$, {kl[j]:.2g} nats": images for j, images in zip(order, grid, strict=True)}
    labels = [f"{value:.2g}".replace("-", "\N{MINUS SIGN}") for value in VALUES]
    saved(ta.figures.uses.image_rows(rows, test.image_shape, labels), run, arguments, "traversals")
