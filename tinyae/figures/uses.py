"""Pictures of what a model is used for: denoised, unusual, in between, changed, traversed, compressed."""

import textwrap

import numpy as np

from tinyae.figures.images import draw_grid
from tinyae.figures.style import INK, WIDTH, blank, literal, styled

BLUE, ORANGE, GREY = "#1b6ca8", "#d9730d", "#8a8a8a"


@styled
def image_rows(rows, image_shape, column_labels=None, left=1.6):
    """Rows of images under each other, each with its name.  rows: name -> (K, D), the same K for all, NaN stays empty."""
    bottom = 0.3 if column_labels else 0.1
    return draw_grid(np.stack(list(rows.values())), image_shape, row_labels=list(rows), column_labels=column_labels, left=left, bottom=bottom)


@styled
def anomalies(scores, shown, image_shape, unit):
    """Histograms of anomaly scores, and below them the images with the highest scores.

    scores: name -> (n,).  shown: name -> (K, D), the images of each set with the highest scores.  unit: of the scores.
    """
    tiles = len(next(iter(shown.values())))
    side = (WIDTH - 1.8) / tiles
    height = 2.6 + len(shown) * (side + 0.1)
    figure = blank(WIDTH, height, layout="none")
    axes = figure.add_axes((0.09, 1 - 2.1 / height, 0.88, 1.95 / height))
    everything = np.concatenate(list(scores.values()))
    edges = np.linspace(*np.quantile(everything[np.isfinite(everything)], (0.001, 0.999)), 60)
    for (name, values), colour in zip(scores.items(), (BLUE, ORANGE, GREY), strict=False):
        counted = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
        axes.stairs(counted, edges, color=colour, label=f"{literal(name)}: {len(values):,}", fill=True, alpha=0.5)
    axes.set(xlabel=f"score, {unit}", ylabel="share of the images")
    axes.legend()
    for i, (name, images) in enumerate(shown.items()):
        for k, image in enumerate(images):
            place = (1.6 / WIDTH + k * side / WIDTH, (0.1 + (len(shown) - 1 - i) * (side + 0.1)) / height, 0.94 * side / WIDTH, side / height)
            tile = figure.add_axes(place)
            picture = image.reshape(-1, *image_shape[-2:]).transpose(1, 2, 0).clip(0, 1)
            tile.imshow(picture if picture.shape[-1] == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            tile.set_axis_off()
        figure.text(
            1.5 / WIDTH,
            (0.1 + (len(shown) - 1 - i) * (side + 0.1) + side / 2) / height,
            literal("\n".join(textwrap.wrap(f"highest of {name}", 18))),
            ha="right",
            va="center",
            color=INK,
        )
    return figure


@styled
def sizes(bits, unit="bits per image"):
    """Bars of sizes.  bits: name -> number."""
    figure = blank(WIDTH, 0.9 + 0.36 * len(bits))
    axes = figure.subplots()
    names, values = list(bits)[::-1], list(bits.values())[::-1]
    bars = axes.barh(names, values, color=[BLUE if "model" in name or "ELBO" in name else GREY for name in names])
    axes.bar_label(bars, [f"{value:,.1f}" for value in values], padding=4)
    axes.set(xlabel=unit, xlim=(0, 1.12 * max(values)))
    axes.grid(False, axis="y")
    return figure
