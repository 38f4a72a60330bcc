"""The one style of all figures, and how a figure becomes a file."""

import functools
import io
from typing import NamedTuple

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinyae.training.files import write_atomic

WIDTH = 8.0  # inches; the page shows an inch as 100 pixels, so that text of 9 points is 12.5 pixels high
DPI = 160
INK, FAINT = "#222222", "#888888"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}


class Picture(NamedTuple):
    """A figure with its file name (no ending), its caption, and the text that stands for it where it cannot be seen."""

    name: str
    figure: Figure
    caption: str
    alt: str


def styled(draw):
    """Run `draw` under our style and no one else's settings; what was set before is set again afterwards."""

    @functools.wraps(draw)
    def wrapped(*args, **kwargs):
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return wrapped


def literal(text):
    """A name from outside as matplotlib must be given it: between two dollars it would read mathematics."""
    return str(text).replace("$", r"\$")


def blank(width, height, layout="constrained"):
    """An empty figure of this size in inches, with a canvas of its own."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


@styled
def png(figure):
    """The figure as the bytes of a PNG file: no date and no version in it, so equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def save(figure, path):
    """Write the figure as a PNG file, whole or not at all."""
    write_atomic(path, png(figure))
