"""All the pictures of a trained model, each with a caption that says exactly what is shown."""

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.backend import to_device
from tinyae.data import BINARISATIONS
from tinyae.evaluation.terms import conditioned, evaluating, takes_labels
from tinyae.figures import drawings
from tinyae.figures.curves import learning_curves
from tinyae.figures.diagram import architecture
from tinyae.figures.images import interpolation, is_flat, manifold, prior_samples, reconstructions
from tinyae.figures.latent import are_named, posterior_means, shown_dimensions
from tinyae.figures.points import PAIRS, are_points, points, principal_directions
from tinyae.figures.style import Picture

SCATTERED, CLOUD, GRID, SAMPLES, STEPS = 2000, 1000, 17, 40, 11


def pictures_of(model, rows, train, test, seed):
    """A list of Pictures in the order of a lesson: network, training, reconstructions, latent variable, new images.

    rows: the history, a dict for each epoch (none: no learning curves).  train, test: Datasets; the images shown are the
    test split's, binarised as in training.  A set of points has one picture of points instead of the grids of images.
    seed: for the draws; the same seed gives the same pictures.
    """
    rng = make_rng(seed).stream("figures")
    with evaluating(model):
        found = _architecture(model, test)
        if rows:
            found.append(_learning_curves(model, rows, train, test))
        if are_points(test.image_shape):
            return [*found, _points(model, test, rng), _posterior_means(model, test, rng)]
        found += [_reconstructions(model, test, rng), _posterior_means(model, test, rng)]
        if is_flat(model) and model.latent == 2 and not takes_labels(model):
            found.append(_manifold(model, test))
        if hasattr(model, "sample"):
            found.append(_prior_samples(model, test, rng))
        return found if takes_labels(model) else [*found, _interpolation(model, test, rng)]


def given(model, data, rows):
    """The model for these examples of a data set: one that takes labels with theirs."""
    return conditioned(model, to_device(data.labels[rows]))


def things(data):
    """What the examples of a data set are."""
    return "points" if are_points(data.image_shape) else "images"


def binarisation_of(data):
    """How the values came about, in words; nothing for points, which are numbers of any size."""
    if are_points(data.image_shape):
        return ""
    return f"{data.binarisation}: {BINARISATIONS[data.binarisation]}" if data.binarisation != "grey" else "not binarised, values in [0, 1]"


def one_of_each_class(labels, count):
    """Indices of the first image of each class, at most `count`; then of the first images that are left."""
    first = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
    return (first + [i for i in range(len(labels)) if i not in first])[:count]


def _means(model):
    """What an image made by the decoder is called."""
    return "decoder outputs" if model.likelihood is None else "means of p(x | z)"


def _coordinate(j):
    """z with its number below, counted from 1."""
    return "z" + "".join(chr(0x2080 + int(digit)) for digit in str(j + 1))


def _scale(model, test):
    """How a value looks."""
    beyond = model.likelihood is None or model.likelihood.name != "bernoulli"
    if len(test.image_shape) == 3 and test.image_shape[0] == 3:
        return " Red, green and blue from 0 to 1" + ("; values outside are shown as 0 or 1." if beyond else ".")
    return " Black is 0 and white is 1" + ("; values outside are shown as black or white." if beyond else ".")


def _architecture(model, test):
    """The network: its layers where it is a plain encoder and decoder, else the drawing of its kind; nothing where there is none."""
    if not (hasattr(getattr(model, "encoder", None), "layers") and hasattr(model.decoder, "layers") and "hidden" in model.config) or takes_labels(
        model
    ):
        name = model.about.drawing
        if name not in drawings.names():
            return []
        return [Picture("architecture", drawings.architecture_svg(name), f"A model of this kind. {drawings.caption_text(name)}", drawings.alt(name))]
    caption = f"The network. Beside the arrows stand the shapes of what flows there; N is the number of {things(test)} in a batch."
    widths, channels = (", ".join(map(str, model.config.get(name, ()))) for name in ("hidden", "channels"))
    layers = " and ".join(
        [f"convolutions with {channels} channels"] * bool(channels) + [f"hidden layers of {widths} units"] * bool(widths) or ["no hidden layers"]
    )
    middle = "mean and log-variance; with noise they give z" if is_flat(model) else "a code"
    alt = (
        f"Diagram of the {model.about.title}: {model.features} inputs, {layers}, {middle} "
        f"of {model.latent} dimensions, and a decoder with the layers in reverse up to {model.features} outputs."
    )
    return [Picture("architecture", architecture(model, test.image_shape), caption, alt)]


def _learning_curves(model, rows, train, test):
    term = "mse" if model.likelihood is None else "negative_elbo"
    splits = [
        words
        for split, words in (
            ("train", f"{len(train):,} training {things(train)} (solid)"),
            ("validation", "the validation split (dotted)"),
            ("test", f"{len(test):,} test {things(test)} (dashed)"),
        )
        if f"{split}_{term}" in rows[0]
    ]
    splits = " and ".join([", ".join(splits[:-1])] * (len(splits) > 1) + splits[-1:])
    measured = "Training: the mean over an epoch, while the weights move; the other splits: after the epoch."
    if model.likelihood is None:
        caption = f"Mean squared error per feature, for {splits}. {measured}"
    else:
        terms = f"negative ELBO = reconstruction + KL, in nats per example, for {splits}"
        caption = f"The terms over the epochs: {terms}. {measured} Each axis has its own scale."
    if "gradient_norm" in rows[0]:
        caption += " Gradient: its Euclidean norm over all parameters, before any clipping; the mean over the steps of an epoch."
    first, last = rows[0], rows[-1]
    ends = [
        f"{split} from {first[f'{split}_{term}']:.3g} to {last[f'{split}_{term}']:.3g}"
        for split in ("train", "validation", "test")
        if f"{split}_{term}" in last
    ]
    label = "squared error per feature" if term == "mse" else "negative ELBO in nats per example"
    alt = f"Learning curves over {len(rows)} epochs; {label}: {', '.join(ends)}."
    return Picture("learning_curves", learning_curves(rows), caption, alt)


def _points(model, test, rng):
    rows = slice(0, CLOUD)
    x, model = test.take(rows, rng), given(model, test, rows)
    new = len(x) if is_flat(model) else 0  # as many as there are labels, for a model that takes them
    pairs = min(PAIRS, len(x))
    made = "decoded codes" if model.likelihood is None else "means of p(x | z) at the posterior means z"
    caption = (
        f"{{}}: {len(x):,} test points (grey). {{}}: their reconstructions, the {made} (orange); lines join {pairs} of the test points to theirs."
    )
    caption = caption.format(*(("Left", "Middle") if new else ("Left", "Right")))
    if new:
        caption += f" Right: for {new:,} draws of z from the prior N(0, I), the means of p(x | z) (orange) and a sample of each p(x | z) (blue)."
    if test.features > 2:
        shares = " and ".join(f"{share:.0%}" for share in principal_directions(x)[1])
        seen = f"the coordinates along the two directions in which these test points vary most, with {shares} of their variance"
        caption += f" Shown are {seen}; of the {test.features} dimensions the others are not seen."
    caption += " Same axes everywhere, equal scales."
    seen = ", ".join(["test points", "their reconstructions", "new points"][: 2 + bool(new)])
    alt = f"Scatter plots side by side: {seen}, {len(x):,} of each, in two dimensions."
    return Picture("points", points(model, x, new, rng.stream("points")), caption, alt)


def _reconstructions(model, test, rng):
    rows = one_of_each_class(test.labels, 10)
    rng = rng.stream("reconstructions")
    figure = reconstructions(given(model, test, rows), test.take(rows, rng), test.image_shape, rng)
    classes = len(np.unique(test.labels))
    which = "" if classes == 1 else ", the first of each class" if classes >= len(rows) else ", the first of each class, then others"
    shown = f"{len(rows)} test images{which} ({binarisation_of(test)})"
    if model.likelihood is None:
        caption = f"Above: {shown}. Below: their reconstructions.{_scale(model, test)}"
    else:
        at = "the posterior mean z" if is_flat(model) else "the code z, without noise"
        middle = f"Middle: the mean of p(x | z) at {at}. Bottom: a sample of p(x | z) at the same z."
        caption = f"Top: {shown}. {middle}{_scale(model, test)}"
    count = "two" if model.likelihood is None else "three"
    return Picture("reconstructions", figure, caption, f"Grid of {count} rows of {len(rows)} images: test images and what the model makes of them.")


def _posterior_means(model, test, rng):
    rows = slice(0, SCATTERED)
    x, labels = test.take(rows, rng.stream("posterior means")), test.labels[rows]
    labels = np.array(test.classes)[labels] if test.classes else labels
    classes = len(np.unique(labels))
    factor = test.factors[rows, 0] if classes == 1 and test.factor_names else None
    name = test.factor_names[0] if factor is not None else None
    model = given(model, test, rows)
    axes = " and ".join(_coordinate(j) for j in shown_dimensions(model, x))
    of = "of the posterior means" if is_flat(model) else "of the codes"
    caption = f"Coordinates {axes} {of} of {len(x):,} test {things(test)}"
    caption += f", coloured by their {name}" if name else ", coloured by class" if classes > 1 else ""
    caption += "; each class's name stands near its median." if are_named(labels) and model.latent > 1 else "."
    if model.latent > 2:
        chosen = "KL divergence" if is_flat(model) else "variance of the codes"
        caption += f" Of the {model.latent} dimensions these two have the largest {chosen}; distances in the others are not seen."
    if model.latent == 1:
        caption += f" The height is the {name or 'class'}."
    elif is_flat(model):
        mass = "39%, 86% and 99% of its mass in these two dimensions"
        caption += f" Dotted: radii 1, 2 and 3 of the prior N(0, I), which hold {mass}. The spread of each posterior is not drawn."
    by = f"coloured by {name}" if name else f"with {classes} class{'es' * (classes > 1)}"
    alt = f"Scatter plot {of} of {len(x):,} test {things(test)}, {axes}, {by}."
    return Picture("posterior_means", posterior_means(model, x, labels, factor, name), caption, alt)


def _manifold(model, test):
    caption = (
        f"Means of p(x | z) on a grid of {GRID} by {GRID} quantiles of the prior: {_coordinate(0)} from left to right, "
        f"{_coordinate(1)} upwards, each step 1/{GRID} of the prior's probability (not an equal distance).{_scale(model, test)}"
    )
    alt = f"Grid of {GRID} by {GRID} decoded images that change gradually from one to the next."
    return Picture("manifold", manifold(model, GRID, test.image_shape), caption, alt)


def _prior_samples(model, test, rng):
    labels = np.arange(SAMPLES) % (int(test.labels.max()) + 1)
    figure = prior_samples(conditioned(model, to_device(labels)), SAMPLES, test.image_shape, rng.stream("prior samples"))
    prior = "the prior N(0, I)" if is_flat(model) else "the model's own prior"
    order = "the labels were given, 0, 1, 2, ... in turn" if takes_labels(model) else "in the order in which they were drawn"
    caption = f"Means of p(x | z) for {SAMPLES} draws of z from {prior}; {order}.{_scale(model, test)}"
    return Picture("prior_samples", figure, caption, f"Grid of {SAMPLES} images that the decoder makes of random z.")


def _interpolation(model, test, rng):
    """Pairs of test images, of different classes while there are some."""
    rows = one_of_each_class(test.labels, 8)
    x = test.take(rows, rng.stream("interpolation"))
    half = max(1, len(rows) // 2)
    figure = interpolation(model, x[:half], x[-half:], test.image_shape, STEPS)
    between = "posterior mean" if is_flat(model) else "code"
    caption = (
        f"At the two ends: test images. Between them: {_means(model)} along the straight line from the {between} of the one to that of the other; "
        f"the number below is the share of the way.{_scale(model, test)}"
    )
    alt = f"{half} rows of images: a test image, {STEPS} decoded steps from it to another test image, and that image."
    return Picture("interpolation", figure, caption, alt)
