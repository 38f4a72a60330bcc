"""Sets of points: what a model makes of them, and new ones."""

import numpy as np
from matplotlib.collections import LineCollection

from tinyae.autograd import no_grad
from tinyae.figures.images import codes, decoded_means, to_host
from tinyae.figures.style import INK, WIDTH, blank, styled

PAIRS = 25  # points that are joined with their reconstructions
BLUE, ORANGE, GREY = "#1b6ca8", "#e07b00", "#9a9a9a"


def are_points(image_shape):
    """Whether the rows of a data set with this `image_shape` are points, (1, D), and not images."""
    return len(image_shape) == 2 and image_shape[0] == 1


def principal_directions(x):
    """The two orthogonal directions in which the points x (N, D) vary most.  Returns them as columns (D, 2), and their shares of the variance.

    Of the two signs of a direction, the one that makes its largest entry positive.
    """
    centred = np.asarray(x, np.float64) - x.mean(axis=0, dtype=np.float64)
    _, values, rows = np.linalg.svd(centred, full_matrices=False)
    directions = rows[:2].T
    directions *= np.sign(np.take_along_axis(directions, abs(directions).argmax(axis=0)[None], axis=0))
    return directions, values[:2] ** 2 / (values**2).sum()


@styled
def points(model, x, new=0, rng=None):
    """The points x (N, D), their reconstructions and, of a VAE, `new` points, side by side in the same axes.

    Reconstructions: the means of p(x | z) at the posterior means (an autoencoder: the decoded codes).  New points: z from the
    prior, samples of p(x | z) and its means, drawn from `rng`.  D = 2: the coordinates; D > 2: those along the principal directions of x.
    """
    x = to_host(x)
    plane = np.eye(2) if x.shape[1] == 2 else principal_directions(x)[0]
    given, reconstructed = x @ plane, decoded_means(model, codes(model, x)) @ plane
    means = "reconstructions" if model.likelihood is None else "means of p(x | z)"
    panels = {"test points": [(given, "test points", GREY)]}
    panels["reconstructions"] = [(given, None, GREY), (reconstructed, means, ORANGE)]
    if new:
        with no_grad():
            p = model.likelihood(model.decode(model.draw_noise(new, rng=rng)))
            panels["new points, z from the prior"] = [
                (to_host(p.sample(rng)) @ plane, "samples of p(x | z)", BLUE),
                (to_host(p.mean) @ plane, None, ORANGE),
            ]
    low, high = limits(np.concatenate([cloud for clouds in panels.values() for cloud, _, _ in clouds]))
    shape = np.clip((high - low)[1] / (high - low)[0], 0.4, 1.6)
    figure = blank(WIDTH, 1.1 + shape * (WIDTH - 0.7) / len(panels))
    for axes, (title, clouds) in zip(figure.subplots(1, len(panels), sharex=True, sharey=True), panels.items(), strict=True):
        for cloud, label, colour in clouds:
            axes.scatter(*cloud.T, s=5, color=colour, alpha=0.6, lw=0, label=label)
        axes.set(title=title, xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xlabel=axis_name(x, 1))
    pairs = np.stack([given, reconstructed], axis=1)[:PAIRS]
    figure.axes[1].add_collection(LineCollection(pairs, colors=INK, linewidths=0.8, label="a test point and its reconstruction"))
    figure.axes[0].set_ylabel(axis_name(x, 2))
    figure.legend(loc="outside lower center", ncols=4, markerscale=2.5, handlelength=1.2, columnspacing=1.4)
    return figure


def limits(cloud):
    """The lowest and the highest coordinates of the points (N, 2), with a margin.  Returns two arrays (2,)."""
    low, high = cloud.min(axis=0), cloud.max(axis=0)
    margin = 0.04 * (high - low).max()
    return low - margin, high + margin


def axis_name(x, number):
    """What an axis shows of the points x (N, D)."""
    return f"$x_{number}$" if x.shape[1] == 2 else f"principal direction {number}"
