"""Grids of images: from 0 (black, or none of a colour) to 1 everywhere, so that one picture can be compared with the next."""

from statistics import NormalDist

import numpy as np

from tinyae.autograd import Tensor, no_grad
from tinyae.backend import to_device, to_numpy
from tinyae.distributions import StandardNormal
from tinyae.errors import ArgumentError
from tinyae.figures.style import WIDTH, blank, styled
from tinyae.models.parts import code_of, dtype_of

MARGIN = 0.1  # inches around a grid
GAP = 2  # pixels of the enlarged images between two of them


def to_host(value):
    """A Tensor, or an array of any backend, as a NumPy array."""
    return to_numpy(value.data if isinstance(value, Tensor) else value)


def is_flat(model):
    """Whether a model has one latent variable z with the prior N(0, I), as a VAE: no code, no levels, no codebook."""
    return model.likelihood is not None and isinstance(getattr(model, "prior", None), StandardNormal) and not hasattr(model, "levels")


def codes(model, x):
    """Where the encoder puts x: the posterior means of a VAE, the codes of an autoencoder.  Returns (N, J), on the host."""
    with no_grad():
        return to_host(code_of(model.encode(to_device(x))))


def decoded_means(model, z):
    """The means of p(x | z) (an autoencoder: its decoder's output).  z: (N, J), on the host.  Returns (N, D)."""
    with no_grad():
        decoded = model.decode(to_device(z.astype(dtype_of(model))))
        return to_host(decoded if model.likelihood is None else model.likelihood(decoded).mean)


def montage(images, image_shape):
    """One sheet of many images.  images: (rows, columns, D), NaN stays empty.  image_shape: (height, width), or with channels, 1 or 3, first.

    Returns the sheet, (height, width) or, in colour, (height, width, 3), and the places of the columns' and the rows' centres in it.
    """
    rows, columns = images.shape[:2]
    tiles = images.reshape(rows, columns, -1, *image_shape[-2:]).transpose(0, 3, 1, 4, 2)  # row, y, column, x, channel
    enlarge = max(1, 32 // image_shape[-2])
    tiles = np.pad(tiles.repeat(enlarge, axis=1).repeat(enlarge, axis=3), ((0, 0), (0, GAP), (0, 0), (0, GAP), (0, 0)), constant_values=np.nan)
    _, height, _, width, channels = tiles.shape
    sheet = tiles.reshape(rows * height, columns * width, channels)[:-GAP, :-GAP]
    centres = [np.arange(n) * size + (size - GAP - 1) / 2 for n, size in ((columns, width), (rows, height))]
    return sheet if channels == 3 else sheet[..., 0], *centres


def draw_grid(images, image_shape, row_labels=None, column_labels=None, width=WIDTH, left=MARGIN, bottom=MARGIN):
    """A figure with the images (rows, columns, D) in a grid; `left` and `bottom` inches are kept for the labels."""
    sheet, across, down = montage(images, image_shape)
    inner = width - left - MARGIN
    height = inner * sheet.shape[0] / sheet.shape[1]
    full = height + bottom + MARGIN
    figure = blank(width, full, layout="none")
    axes = figure.add_axes((left / width, bottom / full, inner / width, height / full))
    axes.imshow(np.nan_to_num(sheet.clip(0, 1), nan=1.0), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(across if column_labels else [], column_labels)
    axes.set_yticks(down if row_labels else [], row_labels)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


@styled
def reconstructions(model, x, image_shape, rng):
    """Rows: the images x (N, D), the mean of p(x | z) at the posterior mean, and a sample of p(x | z) there.  Ten in a row, then a new band.

    An autoencoder has no p(x | z): the rows are the images and their reconstructions.
    """
    z = codes(model, x)
    shown = {"input": to_host(x), "reconstruction" if model.likelihood is None else "mean of p(x | z)": decoded_means(model, z)}
    if model.likelihood is not None:
        with no_grad():
            shown["sample of p(x | z)"] = to_host(model.likelihood(model.decode(to_device(z))).sample(rng))
    bands = [in_tens(images) for images in shown.values()]
    space = [np.full_like(bands[0], np.nan)] * (len(bands[0]) > 1)
    grid = np.stack(bands + space, axis=1).reshape(-1, *bands[0].shape[1:])
    labels = [*shown, *[""] * len(space)] * len(bands[0])
    rows = len(grid) - len(space)
    return draw_grid(grid[:rows], image_shape, row_labels=labels[:rows], left=1.4)


@styled
def prior_samples(model, n, image_shape, rng):
    """The means of p(x | z) for n draws z of the prior, ten in a row."""
    return draw_grid(in_tens(to_host(model.sample(n, rng=rng))), image_shape)


def in_tens(images):
    """The images (N, D) ten in a row, (rows, columns, D); NaN where the last row has none."""
    columns = min(len(images), 10)
    cells = np.full((-(-len(images) // columns) * columns, images.shape[1]), np.nan)
    cells[: len(images)] = images
    return cells.reshape(-1, columns, images.shape[1])


def prior_quantiles(n):
    """n numbers that cut N(0, 1) into parts of equal probability: the quantiles 1/2n, 3/2n, ..., 1 - 1/2n."""
    return np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])


@styled
def manifold(model, n, image_shape):
    """The means of p(x | z) on an n by n grid of the prior's quantiles.  Raises ArgumentError unless z has two dimensions."""
    if model.latent != 2 or not is_flat(model):
        raise ArgumentError("manifold: it needs a VAE with two latent dimensions.", got=f"latent={model.latent}")
    quantiles = prior_quantiles(n)
    z_2, z_1 = np.meshgrid(quantiles[::-1], quantiles, indexing="ij")
    images = decoded_means(model, np.stack([z_1, z_2], axis=-1).reshape(-1, 2))
    every = -(-n // 10)
    labels = [f"{q:.2f}".replace("-", "\N{MINUS SIGN}") if i % every == 0 else "" for i, q in enumerate(quantiles)]
    figure = draw_grid(images.reshape(n, n, -1), image_shape, row_labels=labels[::-1], column_labels=labels, width=6.8, left=0.75, bottom=0.55)
    figure.axes[0].set(xlabel="$z_1$", ylabel="$z_2$")
    return figure


@styled
def interpolation(model, x_from, x_to, image_shape, steps):
    """Decoded along the straight line between two posterior means, the two images themselves at the ends.

    x_from, x_to: (D,) or (K, D), a row for each pair.  steps: images along the line, both ends included.
    """
    x_from, x_to = np.atleast_2d(to_host(x_from)), np.atleast_2d(to_host(x_to))
    share = np.linspace(0, 1, steps)
    z_from, z_to = codes(model, x_from)[:, None], codes(model, x_to)[:, None]
    z = (1 - share[:, None]) * z_from + share[:, None] * z_to
    line = decoded_means(model, z.reshape(-1, z.shape[-1])).reshape(len(x_from), steps, -1)
    empty = np.full_like(line[:, :1], np.nan)
    images = np.concatenate([x_from[:, None], empty, line, empty, x_to[:, None]], axis=1)
    labels = ["from", "", *(f"{t:.2g}" for t in share), "", "to"]
    return draw_grid(images, image_shape, column_labels=labels, bottom=0.3)
