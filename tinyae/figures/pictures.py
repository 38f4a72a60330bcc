"""All the pictures of a trained model, each with a caption that says exactly what is shown."""

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.data import BINARISATIONS
from tinyae.figures.curves import learning_curves
from tinyae.figures.diagram import architecture
from tinyae.figures.images import interpolation, manifold, prior_samples, reconstructions
from tinyae.figures.latent import posterior_means, shown_dimensions
from tinyae.figures.style import Picture

SCATTERED, GRID, SAMPLES, STEPS = 2000, 17, 40, 11
CLIPPED = " Black is 0 and white is 1; values outside are shown as black or white."


def pictures_of(model, rows, train, test, seed):
    """A list of Pictures in the order of a lesson: network, training, reconstructions, latent variable, new images.

    rows: the history, a dict for each epoch (none: no learning curves).  train, test: Datasets; the images shown are the
    test split's, binarised as in training.  seed: for the draws; the same seed gives the same pictures.
    """
    rng = make_rng(seed).stream("figures")
    found = [_architecture(model, test)]
    if rows:
        found.append(_learning_curves(model, rows, train, test))
    found += [_reconstructions(model, test, rng), _posterior_means(model, test, rng)]
    if model.likelihood is not None:
        found += [_manifold(model, test)] if model.latent == 2 else []
        found.append(_prior_samples(model, test, rng))
    return [*found, _interpolation(model, test, rng)]


def one_of_each_class(labels, count):
    """Indices of the first image of each class, at most `count`; then of the first images that are left."""
    first = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
    return (first + [i for i in range(len(labels)) if i not in first])[:count]


def _name(model):
    return "VAE" if model.likelihood is not None else "autoencoder"


def _means(model):
    """What an image made by the decoder is called."""
    return "decoder outputs" if model.likelihood is None else "means of p(x | z)"


def _coordinate(j):
    """z with its number below, counted from 1."""
    return "z" + "".join(chr(0x2080 + int(digit)) for digit in str(j + 1))


def _scale(model):
    bernoulli = model.likelihood is not None and model.likelihood.name == "bernoulli"
    return " Black is 0 and white is 1." if bernoulli else CLIPPED


def _architecture(model, test):
    caption = "The network. Beside the arrows stand the shapes of what flows there; N is the number of images in a batch."
    widths = ", ".join(map(str, model.config["hidden"]))
    middle = "a code" if model.likelihood is None else "mean and log-variance; with noise they give z"
    alt = (
        f"Diagram of the {_name(model)}: {model.features} inputs, hidden layers of {widths} units, {middle} "
        f"of {model.latent} dimensions, and a decoder with the hidden layers in reverse up to {model.features} outputs."
    )
    return Picture("architecture", architecture(model, test.image_shape), caption, alt)


def _learning_curves(model, rows, train, test):
    splits = f"{len(train):,} training images (solid) and {len(test):,} test images (dashed)"
    measured = "Training: the mean over an epoch, while the weights move; test: after the epoch."
    if model.likelihood is None:
        term, caption = "mse", f"Mean squared error per feature, for {splits}. {measured}"
    else:
        term = "negative_elbo"
        terms = f"negative ELBO = reconstruction + KL, in nats per example, for {splits}"
        caption = f"The terms over the epochs: {terms}. {measured} Each axis has its own scale."
    first, last = rows[0], rows[-1]
    ends = [
        f"{split} from {first[f'{split}_{term}']:.3g} to {last[f'{split}_{term}']:.3g}" for split in ("train", "test") if f"{split}_{term}" in last
    ]
    label = "squared error per feature" if term == "mse" else "negative ELBO in nats per example"
    alt = f"Learning curves over {len(rows)} epochs; {label}: {', '.join(ends)}."
    return Picture("learning_curves", learning_curves(rows), caption, alt)


def _reconstructions(model, test, rng):
    rows = one_of_each_class(test.labels, 10)
    rng = rng.stream("reconstructions")
    figure = reconstructions(model, test.take(rows, rng), test.image_shape, rng)
    classes = f"{len(rows)} test images, the first of each class ({test.binarisation}: {BINARISATIONS[test.binarisation]})"
    if model.likelihood is None:
        caption = f"Above: {classes}. Below: their reconstructions.{_scale(model)}"
    else:
        caption = f"Top: {classes}. Middle: the mean of p(x | z) at the posterior mean z. Bottom: a sample of p(x | z) at the same z.{_scale(model)}"
    count = "two" if model.likelihood is None else "three"
    return Picture("reconstructions", figure, caption, f"Grid of {count} rows of {len(rows)} images: test images and what the model makes of them.")


def _posterior_means(model, test, rng):
    rows = slice(0, SCATTERED)
    x, labels = test.take(rows, rng.stream("posterior means")), test.labels[rows]
    axes = " and ".join(_coordinate(j) for j in shown_dimensions(model, x))
    of = "of the codes" if model.likelihood is None else "of the posterior means"
    caption = f"Coordinates {axes} {of} of {len(x):,} test images, coloured by class; each class's name stands near its median."
    if model.latent > 2:
        chosen = "variance of the codes" if model.likelihood is None else "KL divergence"
        caption += f" Of the {model.latent} dimensions these two have the largest {chosen}; distances in the others are not seen."
    if model.latent == 1:
        caption += " The height is the class."
    elif model.likelihood is not None:
        mass = "39%, 86% and 99% of its mass in these two dimensions"
        caption += f" Dotted: radii 1, 2 and 3 of the prior N(0, I), which hold {mass}. The spread of each posterior is not drawn."
    alt = f"Scatter plot {of} of {len(x):,} test images, {axes}, with {len(np.unique(labels))} classes."
    return Picture("posterior_means", posterior_means(model, x, labels), caption, alt)


def _manifold(model, test):
    caption = (
        f"Means of p(x | z) on a grid of {GRID} by {GRID} quantiles of the prior: {_coordinate(0)} from left to right, "
        f"{_coordinate(1)} upwards, each step 1/{GRID} of the prior's probability (not an equal distance).{_scale(model)}"
    )
    alt = f"Grid of {GRID} by {GRID} decoded images that change gradually from one to the next."
    return Picture("manifold", manifold(model, GRID, test.image_shape), caption, alt)


def _prior_samples(model, test, rng):
    figure = prior_samples(model, SAMPLES, test.image_shape, rng.stream("prior samples"))
    caption = f"Means of p(x | z) for {SAMPLES} draws of z from the prior N(0, I), in the order in which they were drawn.{_scale(model)}"
    return Picture("prior_samples", figure, caption, f"Grid of {SAMPLES} images that the decoder makes of random z.")


def _interpolation(model, test, rng):
    """Pairs of test images of different classes."""
    rows = one_of_each_class(test.labels, 8)
    x = test.take(rows, rng.stream("interpolation"))
    half = max(1, len(rows) // 2)
    figure = interpolation(model, x[:half], x[-half:], test.image_shape, STEPS)
    between = "code" if model.likelihood is None else "posterior mean"
    caption = (
        f"At the two ends: test images. Between them: {_means(model)} along the straight line from the {between} of the one to that of the other; "
        f"the number below is the share of the way.{_scale(model)}"
    )
    alt = f"{half} rows of images: a test image, {STEPS} decoded steps from it to another test image, and that image."
    return Picture("interpolation", figure, caption, alt)
