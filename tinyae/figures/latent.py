"""Where the encoder puts the images."""

import numpy as np
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from tinyae.autograd import no_grad
from tinyae.backend import to_device
from tinyae.figures.images import codes, is_flat, to_host
from tinyae.figures.style import INK, WIDTH, blank, literal, styled

COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]
MARKERS = "osD^v"
RADII = (1, 2, 3)


def kl_per_dimension(model, x):
    """The KL divergence of q(z_j | x) from N(0, 1), mean over x (N, D), for each latent dimension, in nats.  Returns (J,)."""
    with no_grad():
        q = model.encode(to_device(x))
    mean, log_variance = to_host(q.mean), to_host(q.log_variance)
    return (mean**2 + np.exp(log_variance) - log_variance - 1).mean(axis=0) / 2


def shown_dimensions(model, x):
    """The two latent dimensions worth showing, numbered from 0: those with the largest KL (VAE) or variance (autoencoder)."""
    if model.latent <= 2:
        return list(range(model.latent))
    weight = kl_per_dimension(model, x) if is_flat(model) else codes(model, x).var(axis=0)
    return sorted(np.argsort(-weight, kind="stable")[:2].tolist())


@styled
def posterior_means(model, x, labels, factor=None, name=None):
    """The posterior means (an autoencoder: the codes) of x in two latent dimensions, coloured by class.

    x: (N, D).  labels: (N,).  factor: (N,) numbers, which give the colours instead, and the `name` of them.
    Circles: the prior's radii 1, 2 and 3.  With one latent dimension the height is the class, or the factor.
    """
    dimensions = shown_dimensions(model, x)
    points, legend = codes(model, x)[:, dimensions].astype(np.float64), []
    classes = np.unique(labels)
    if len(dimensions) == 1:
        points = np.column_stack([points, np.searchsorted(classes, labels) if factor is None else factor])
    letters = 0 if factor is not None or len(classes) == 1 else max(len(str(label)) for label in classes)
    figure = blank(min(WIDTH, 7.0 + 0.1 * max(0, letters - 2)), 5.8)
    axes = figure.subplots()
    if factor is None:
        legend = _by_class(axes, points, labels)
    else:
        bar = figure.colorbar(axes.scatter(*points.T, s=12, c=factor, cmap="viridis", lw=0), ax=axes, label=literal(name), shrink=0.7)
        bar.outline.set_visible(False)
    coordinate = "posterior mean of" if is_flat(model) else "code"
    axes.set(xlabel=f"{coordinate} $z_{{{dimensions[0] + 1}}}$", ylabel=f"{coordinate} $z_{{{dimensions[-1] + 1}}}$")
    if len(dimensions) == 1:
        if factor is None:
            axes.set_yticks(range(len(classes)), map(literal, classes))
        axes.set(ylabel=literal(name) if factor is not None else "class")
        return figure
    limit = max(3.15, 1.05 * np.abs(points).max())
    extent = 2 * limit if is_flat(model) else np.ptp(points, axis=0).max()
    if factor is None and are_named(labels):
        medians = np.array([np.median(points[labels == label], axis=0) for label in classes])
        _names(axes, spread_apart(medians, 0.04 * extent), classes)
    if is_flat(model):
        _prior(axes, limit)
    axes.set_aspect("equal", adjustable="box" if is_flat(model) else "datalim")
    if factor is None and len(classes) > 1:
        axes.legend(legend, map(literal, classes), title="class", loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.6)
    return figure


def are_named(labels):
    """Whether the classes are named in the picture itself: there are several, and their names are short, such as digits."""
    classes = np.unique(labels)
    return 1 < len(classes) <= len(COLOURS) and max(len(str(label)) for label in classes) <= 2


def _by_class(axes, points, labels):
    """A colour and a marker for each class, no two the same.  Returns what is drawn of each."""
    drawn = []
    for i, label in enumerate(np.unique(labels)):
        marker = MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
        drawn.append(axes.scatter(*points[labels == label].T, s=12, marker=marker, color=COLOURS[i % len(COLOURS)], alpha=0.75, lw=0))
    return drawn


def spread_apart(points, distance):
    """The points (K, 2), moved as little as makes neighbours stand about `distance` apart: names that can be read."""
    points = points.copy()
    for _ in range(200):
        between = points[:, None] - points[None]
        length = np.linalg.norm(between, axis=-1)
        near = (length < distance) & ~np.eye(len(points), dtype=bool)
        if not near.any():
            break
        push = near * (distance - length) / np.maximum(length, 1e-6) / 3
        points += (push[..., None] * between).sum(axis=1)
    return points


def _names(axes, places, classes):
    outline = [withStroke(linewidth=3, foreground="white")]
    for place, label in zip(places, classes, strict=True):
        axes.text(*place, literal(label), color=INK, weight="bold", size=13, ha="center", va="center", path_effects=outline)


def _prior(axes, limit):
    """Circles of the prior's radii, and axes that show all of them."""
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit))
    for radius in RADII:
        axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=INK, linestyle=":", linewidth=1))
