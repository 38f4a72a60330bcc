"""Short texts with a little mathematics in them, and how wide they are.

`*x*` is a variable, in italics; `z_{e}` and `e^{2}` are lowered and raised.  Everything else stands for itself.
"""

import functools
import pathlib
import re
from typing import NamedTuple

import matplotlib
from PIL import ImageFont

BASE, SMALL = 16, 13  # sizes of letters, in pixels
TOKEN = re.compile(r"\*([^*]*)\*|([_^])\{([^}]*)\}|([^*_^]+|[_^])")
SHIFTS = {"_": 0.22, "^": -0.36}  # how far below the line a lowered text stands, in shares of its size
SCALE = 0.75


class Run(NamedTuple):
    """A stretch of text in one style: shift is downwards, in shares of the size."""

    text: str
    italic: bool = False
    shift: float = 0.0
    scale: float = 1.0


def runs(markup):
    """The stretches of a text: `*x*` slanted, `_{i}` lowered, `^{2}` raised; an italic letter inside braces needs stars of its own."""
    found = []
    for slanted, sign, inside, plain in TOKEN.findall(markup):
        if sign:
            found += [run._replace(shift=SHIFTS[sign], scale=SCALE) for run in runs(inside)]
        else:
            found.append(Run(slanted or plain, italic=bool(slanted)))
    return found


@functools.cache
def _font(bold, italic):
    """DejaVu Sans, which comes with matplotlib: of the fonts that a browser may choose the widest, so that what fits in it fits in all."""
    name = "DejaVuSans" + ("-" + "Bold" * bold + "Oblique" * italic if bold or italic else "") + ".ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", name), 1000, layout_engine=ImageFont.Layout.BASIC)


def width(markup, size=BASE, bold=False):
    """The width of a text in pixels, in the widest of the fonts that it may be shown in."""
    return sum(_font(bold, run.italic).getlength(run.text) / 1000 * size * run.scale for run in runs(markup))
