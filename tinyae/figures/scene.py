"""A drawing as a table: things by name with their places, and arrows between them as lines of text.

    things = {"x": data(48, 70, "*x*\\n(*N*, *D*)"), "encoder": encoder(152, 70, "encoder"), ...}
    arrows = ["x -> encoder", "x => loss", "noise --> z |> text to the right of it", ...]

`->` is the forward pass, `-->` what is random or constant, `=>` what a term of the loss compares, `~>` a gradient, `~~>` one that is not a
derivative; `--` and `..` join without a head.
`:n`, `:e`, `:s`, `:w` name the side that an arrow leaves or reaches, `:s+10` a point 10 pixels further right or down on it; without them, the
sides that face each other.  A label stands above (`|^` or `|`), below (`|_`), right of (`|>`) or left of (`|<`) the longest piece.
"""

import itertools
import re
from typing import NamedTuple

from tinyae.figures.lettering import BASE, SMALL, width
from tinyae.figures.svg import Canvas

ARROW = re.compile(r"(.+?) (->|-->|=>|~>|--|~~>|\.\.) ([^|]+?)(?: \|([_^<>]?) ?(.*))?", re.DOTALL)
PENS = {"..": "gradient", "->": "ink", "-->": "ink", "=>": "loss", "~>": "gradient", "~~>": "gradient", "--": "line"}
DASHED = "-->", "~~>", ".."
PLACE = re.compile(r"([^:]+)(?::([nesw])([+-]\d+)?)?")
LEGEND = {"box": "computed", "circle": "random", "-->": "noise or constant", "=>": "term of the loss", "~>": "gradient", "~~>": "surrogate gradient"}


class Thing(NamedTuple):
    """Something with an outline: shape, centre, size, text (first line large, the others small), and what colours it."""

    shape: str
    x: float
    y: float
    width: float
    height: float
    text: str = ""
    fill: str = "data"
    pen: str = "line"

    def side(self, name, along=0):
        """The point in the middle of a side ("n", "e", "s", "w"), or `along` pixels further right or down."""
        across, down = self.width / 2, self.height / 2
        if self.shape in SLANTS and name in "ew":
            top, bottom = SLANTS[self.shape]
            across *= (top + bottom) / 2 + (bottom - top) * along / self.height
        if self.shape in ("circle", "plate", "badge") and along:
            across = down = (across * across - along * along) ** 0.5
        places = {"n": (along, -down), "s": (along, down), "e": (across, along), "w": (-across, along)}
        x, y = places[name]
        return self.x + x, self.y + y


DETOUR = 18  # pixels
SLANTS = {"narrowing": (1.0, 0.6), "widening": (0.6, 1.0)}  # shares of the width, above and below


class Drawing(NamedTuple):
    """A drawing as a table, with what is said about it: `caption` below it, `alt` in its place, `objective` in TeX."""

    title: str
    size: tuple
    things: dict
    arrows: tuple
    caption: str
    alt: str
    objective: str
    legend: tuple = ()  # words of LEGEND; the last row of the drawing
    new: tuple = ()  # things with a thick outline: what is new
    against: str = "the autoencoder"  # what they are new against


def data(x, y, text, width=64, height=54):
    """A box for what comes from or is compared with the data."""
    return Thing("box", x, y, width, height, text)


def layer(x, y, text, width=84, height=54):
    """A box for something computed."""
    return Thing("box", x, y, width, height, text, "layer")


def code(x, y, text, width=64, height=54, fill="latent"):
    """A box for a code or the parameters of a distribution."""
    return Thing("box", x, y, width, height, text, fill)


def network(x, y, text, width=132, height=62, shape="narrowing"):
    """A network.  "narrowing": wide above and narrow below, an encoder read downwards or a decoder read upwards."""
    return Thing(shape, x, y, width, height, text, "layer")


def random(x, y, text, radius=26, fill="latent"):
    """A circle: a random variable.  With `shape="plate"` several of them."""
    return Thing("circle", x, y, 2 * radius, 2 * radius, text, fill)


def noise(x, y, text, radius=22):
    """A circle: noise that comes from outside."""
    return random(x, y, text, radius, "data")


def loss(x, y, text, width=132, height=40):
    """A term of the loss."""
    return Thing("box", x, y, width, height, text, "cost", "loss")


def note(x, y, text, pen="soft"):
    """Small words without an outline."""
    lines = text.split("\n")
    return Thing("note", x, y, max(width(line, SMALL) for line in lines), 1.22 * SMALL * len(lines), text, "paper", pen)


def badge(x, y, text):
    """A number in a small circle."""
    return Thing("badge", x, y, 20, 20, text, "cost", "loss")


def cells(x, y, filled, size=14, fill="on"):
    """A vector as a row of cells, see `Canvas.cells`."""
    return Thing("cells", x, y, size * len(filled), size, filled, fill)


def panel(x, y, width, height, text=""):
    """A region that other things lie upon, its name in its upper left corner."""
    return Thing("panel", x, y, width, height, text, "shade")


def render(name, drawing):
    """The Canvas of a drawing."""
    canvas = Canvas(name, *drawing.size, drawing.title, drawing.alt)
    for label, thing in drawing.things.items():
        canvas.open(label)
        _thing(canvas, label, thing, 2.4 if label in drawing.new else 1)
        canvas.close()
    for arrow in drawing.arrows:
        _arrow(canvas, drawing.things, arrow)
    _legend(canvas, drawing.legend)
    return canvas


def _thing(canvas, label, thing, weight):
    """The outline and the text of a thing."""
    shape, x, y, w, h, text, fill, pen = thing
    if shape == "box":
        canvas.box(x, y, w, h, fill, pen, name=label, weight=weight)
    elif shape == "panel":
        canvas.box(x, y, w, h, fill, pen, name=label, kind="panel", radius=8)
        canvas.text(x - w / 2 + 10, y - h / 2 + 19, text, SMALL, "start", "soft", bold=True)
        return
    elif shape in SLANTS:
        canvas.trapezoid(x, y, *(w * share for share in SLANTS[shape]), h, fill, pen, label, weight)
    elif shape in ("circle", "plate"):
        canvas.circle(x, y, w / 2, fill, pen, label, copies=2 * (shape == "plate"), weight=weight)
    elif shape == "cells":
        canvas.cells(x, y, h, text, fill, label)
        return
    elif shape == "badge":
        canvas.badge(x, y, text, pen, w / 2)
        return
    elif shape == "line":
        canvas.text(x, y, text, SMALL, "start", pen)
        return
    _lines(canvas, x, y, text, shape == "note", pen if shape == "note" else "loss" if fill == "cost" else "ink")


def _lines(canvas, x, y, text, all_small, pen):
    """Lines of text around the point (x, y): the first one large, the others small and soft."""
    lines = text.split("\n") if text else []
    sizes = [SMALL if all_small or i else BASE for i in range(len(lines))]
    height = sum(1.22 * size for size in sizes)
    top = y - height / 2
    for i, (line, size) in enumerate(zip(lines, sizes, strict=True)):
        canvas.text(x, top + 0.93 * size, line, size, pen="soft" if i and not all_small else pen)
        top += 1.22 * size


def _arrow(canvas, things, line):
    """An arrow as its line of text tells."""
    start, kind, end, where, label = ARROW.fullmatch(line).groups()
    (a, side_a, along_a), (b, side_b, along_b) = PLACE.fullmatch(start).groups(), PLACE.fullmatch(end).groups()
    a, b = things[a], things[b]
    side_a, side_b = side_a or _facing(a, b), side_b or _facing(b, a)
    p, q = a.side(side_a, int(along_a or 0)), b.side(side_b, int(along_b or 0))
    points = bends(p, side_a, q, side_b)
    canvas.line(points, PENS[kind], dashed=kind in DASHED, head=kind not in ("--", ".."), name=line)
    if label:
        _label(canvas, points, where or "^", label, PENS[kind])


def _facing(a, b):
    """The side of `a` that faces `b`."""
    dx, dy = b.x - a.x, b.y - a.y
    beside = abs(dx) - (a.width + b.width) / 2 >= abs(dy) - (a.height + b.height) / 2
    return ("e" if dx > 0 else "w") if beside else ("s" if dy > 0 else "n")


def bends(p, leaving, q, reaching):
    """The corners of a line from p to q, by the sides that it leaves and reaches; from one side to the same of another thing it goes around."""
    (x, y), (a, b) = p, q
    if leaving == reaching:
        outer, away = (max, DETOUR) if leaving in "es" else (min, -DETOUR)
        across, down = outer(x, a) + away, outer(y, b) + away
        return (p, (across, y), (across, b), q) if leaving in "ew" else (p, (x, down), (a, down), q)
    if leaving in "ew" and reaching in "ew":
        middle = (x + a) / 2
        return (p, q) if abs(y - b) < 0.1 else (p, (middle, y), (middle, b), q)
    if leaving in "ew":
        return p, (a, y), q
    if reaching in "ew":
        return p, (x, b), q
    middle = (y + b) / 2
    return (p, q) if abs(x - a) < 0.1 else (p, (x, middle), (a, middle), q)


def _label(canvas, points, where, text, pen):
    """Small words beside the longest piece of a line."""
    pieces = list(itertools.pairwise(points))
    (x, y), (a, b) = max(pieces, key=lambda piece: abs(piece[0][0] - piece[1][0]) + abs(piece[0][1] - piece[1][1]))
    x, y, pen = (x + a) / 2, (y + b) / 2, "soft" if pen == "ink" else pen
    lines = text.split("\n")
    step = 1.22 * SMALL
    if where in "^_":
        first = y - 7 - step * (len(lines) - 1) if where == "^" else y + 6 + 0.8 * SMALL
        place = x, "middle"
    else:
        first = y + 0.3 * SMALL - step * (len(lines) - 1) / 2
        place = (x + 8, "start") if where == ">" else (x - 8, "end")
    for i, line in enumerate(lines):
        canvas.text(place[0], first + i * step, line, SMALL, place[1], pen)


def _legend(canvas, words):
    """What the shapes mean, in one row at the bottom."""
    widths = [26 + width(LEGEND[word], SMALL) for word in words]
    gap = 18
    x, y = (canvas.width - sum(widths) - gap * (len(words) - 1)) / 2, canvas.height - 14
    for word, extent in zip(words, widths, strict=True):
        if word == "box":
            canvas.box(x + 9, y, 16, 12, "layer", radius=2, name="legend")
        elif word == "circle":
            canvas.circle(x + 9, y, 7, name="legend")
        else:
            canvas.line(((x, y), (x + 20, y)), PENS[word], dashed=word in DASHED, name="legend")
        canvas.text(x + 26, y + 0.34 * SMALL, LEGEND[word], SMALL, "start", "soft")
        x += extent + gap
