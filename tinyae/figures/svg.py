"""Drawings as SVG: a few shapes, arrows and lettering, in colours that follow the light and the dark of the page around them.

A `Canvas` writes what is drawn on it and remembers where it lies, so that `tinyae.figures.layout` can tell what overlaps.
"""

import re
from html import escape
from typing import NamedTuple

from tinyae.figures.lettering import BASE, runs, width
from tinyae.figures.style import FAINT, INK

FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif'
COLOURS = {  # name: (on light paper, on dark paper); a page may set --drawing-NAME itself
    "paper": ("#ffffff", "#16181b"),
    "ink": (INK, "#e6e6e3"),
    "soft": ("#555555", "#b4b4af"),
    "line": (FAINT, "#83878c"),
    "data": ("#ffffff", "#202429"),
    "layer": ("#e8eff6", "#20364b"),
    "latent": ("#fbeedc", "#4a3717"),
    "discrete": ("#e7f3e4", "#21402a"),
    "hierarchical": ("#efe8f6", "#3a2c50"),
    "score": ("#fae7ed", "#4d2535"),
    "on": ("#e0912b", "#e3a44c"),
    "cost": ("#fdf0ec", "#3f231d"),
    "loss": ("#a3341f", "#f0a08e"),
    "gradient": ("#155a8f", "#86b9e6"),
    "shade": ("#f6f7f9", "#1c1f24"),
    "deterministic-line": ("#2f6fa8", "#7fb2e0"),
    "sparse-line": ("#0f7f78", "#5cc5bd"),
    "variational-line": ("#b9771a", "#e0ac5a"),
    "discrete-line": ("#3b8a46", "#84c98d"),
    "hierarchical-line": ("#7653a8", "#b79be0"),
    "score-line": ("#b2416e", "#e58bab"),
}
FILLS = "paper data layer latent discrete hierarchical score cost shade on".split()  # of shapes
PENS = ["ink", "paper", "soft", "loss", "gradient", "line", *(name for name in COLOURS if "-" in name)]  # of lines and letters
HEAD, HALF_HEAD, CORNER = 8.0, 3.6, 7.0  # an arrow's head, and the radius of a bend


class Mark(NamedTuple):
    """Where something lies: its kind ("text", "shape", "panel", "line"), what it says or is called, and its outline, a list of points."""

    kind: str
    name: str
    points: tuple

    @property
    def box(self):
        """(left, top, right, bottom)."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


def stylesheet():
    """The rules of every drawing.  Each colour twice: plain for programs without variables, then as the page's own, if it sets one."""
    light, dark = [], []
    for rules, column in ((light, 0), (dark, 1)):
        for name in COLOURS:
            value = COLOURS[name][column]
            chosen = f"var(--drawing-{name},{value})"
            if name in FILLS and name not in PENS:
                rules.append(f"svg.drawing .{name}{{fill:{value};fill:{chosen}}}")
            if name in PENS:
                rules.append(f"svg.drawing .{name}{{fill:{value};fill:{chosen}}}svg.drawing .{name}-pen{{stroke:{value};stroke:{chosen}}}")
    rules = "".join(light) + "@media screen and (prefers-color-scheme:dark){" + "".join(dark) + "}"
    plain = "{max-width:100%;height:auto}", "text{font-family:" + FONT + "}", ".i{font-style:italic}", ".b{font-weight:600}"
    return "svg.drawing" + "svg.drawing ".join(plain) + rules


def number(value):
    """A coordinate with at most one decimal, as short as it can be."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def pairs(points):
    """Points as the attribute of a polygon."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


class Canvas:
    """A drawing of this size in pixels.  y grows downwards.  name: for the ids; title, description: for those who cannot see it."""

    def __init__(self, name, width, height, title, description):
        self.name, self.width, self.height, self.title, self.description = name, width, height, title, description
        self.pieces, self.marks = [], []

    def box(self, x, y, width, height, fill="data", pen="line", radius=5, name="", weight=1, kind="shape"):
        """A rectangle around the point (x, y).  kind: "panel" for one that others lie upon."""
        left, top = x - width / 2, y - height / 2
        attributes = f'x="{number(left)}" y="{number(top)}" width="{number(width)}" height="{number(height)}" rx="{number(radius)}"'
        self.pieces.append(f'<rect {attributes} class="{fill} {pen}-pen"{heavy(weight)}/>')
        self.marks.append(Mark(kind, name, rectangle(left, top, left + width, top + height)))

    def trapezoid(self, x, y, above, below, height, fill="layer", pen="line", name="", weight=1):
        """A trapezoid around (x, y) of these widths above and below: an encoder that is read downwards narrows, its decoder too."""
        top, bottom = y - height / 2, y + height / 2
        points = ((x - above / 2, top), (x + above / 2, top), (x + below / 2, bottom), (x - below / 2, bottom))
        self.pieces.append(f'<polygon points="{pairs(points)}" class="{fill} {pen}-pen" stroke-linejoin="round"{heavy(weight)}/>')
        self.marks.append(Mark("shape", name, points))

    def circle(self, x, y, radius, fill="latent", pen="line", name="", copies=0, weight=1):
        """A circle: a random variable.  copies: how many more are seen behind it."""
        for i in range(copies, -1, -1):
            place = f'cx="{number(x + 4 * i)}" cy="{number(y + 4 * i)}" r="{number(radius)}"'
            self.pieces.append(f'<circle {place} class="{fill} {pen}-pen"{heavy(weight)}/>')
        self.marks.append(Mark("shape", name, octagon(x, y, radius)))

    def dot(self, x, y, radius, pen, name=""):
        """A small filled circle."""
        self.pieces.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" class="{pen}"/>')
        self.marks.append(Mark("dot", name, octagon(x, y, radius)))

    def badge(self, x, y, label, pen="loss", radius=10):
        """A number in a small circle, which may lie on the edge of a shape."""
        self.pieces.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" class="paper {pen}-pen" stroke-width="1.4"/>')
        size = f'font-size="{number(1.25 * radius)}" text-anchor="middle"'
        self.pieces.append(f'<text x="{number(x)}" y="{number(y + 0.45 * radius)}" {size} class="{pen} b">{escape(label)}</text>')
        self.marks.append(Mark("badge", label, octagon(x, y, radius)))

    def cells(self, x, y, size, filled, fill="latent", name=""):
        """A row of square cells around (x, y), a vector: those whose letter in `filled` is not "." have the colour `fill`."""
        left = x - size * len(filled) / 2
        for i, letter in enumerate(filled):
            place = f'x="{number(left + i * size)}" y="{number(y - size / 2)}" width="{number(size)}" height="{number(size)}"'
            self.pieces.append(f'<rect {place} class="{"data" if letter == "." else fill} line-pen"/>')
        self.marks.append(Mark("shape", name, rectangle(left, y - size / 2, left + size * len(filled), y + size / 2)))

    def line(self, points, pen="ink", dashed=False, head=True, weight=1.4, halo=False, name=""):
        """A line through these points with round bends, and an arrow's head at its end.

        halo: its last piece interrupts the lines that it crosses.
        """
        end, points = points[-1], list(points)
        if head:
            points[-1] = toward(end, points[-2], HEAD - 1)
        ends = f' stroke-width="{number(weight)}"' + (DASHES if dashed else "")
        if halo:
            crossing = path([toward(points[-2], end, HEAD), points[-1]])
            self.pieces.append(f'<path d="{crossing}" fill="none" class="paper-pen" stroke-width="{number(weight + 4)}"/>')
        self.pieces.append(f'<path d="{path(points)}" fill="none" class="{pen}-pen"{ends}/>')
        if head:
            self.pieces.append(f'<polygon points="{pairs(arrow_head(points[-2], end))}" class="{pen}"/>')
        self.marks.append(Mark("line", name, (*points[:-1], end)))

    def text(self, x, y, markup, size=BASE, anchor="middle", pen="ink", bold=False):
        """Lettering whose baseline passes through (x, y); `lettering.runs` says what `markup` may hold."""
        extent = width(markup, size, bold)
        left = x - {"start": 0, "middle": extent / 2, "end": extent}[anchor]
        spans, down = [], 0.0
        for run in runs(markup):
            shift = run.shift * size
            dy = f' dy="{number(shift - down)}"' if shift != down else ""
            small = f' font-size="{number(run.scale * size)}"' if run.scale != 1 else ""
            italic = ' class="i"' if run.italic else ""
            plain = not (dy or small or italic)
            spans.append(escape(run.text) if plain else f"<tspan{dy}{small}{italic}>{escape(run.text)}</tspan>")
            down = shift
        place = f'x="{number(x)}" y="{number(y)}" font-size="{number(size)}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
        self.pieces.append(f'<text {place} class="{pen}{" b" if bold else ""}">{"".join(spans)}</text>')
        self.marks.append(Mark("text", re.sub(r"[*{}]", "", markup), rectangle(left, y - 0.76 * size, left + extent, y + 0.22 * size)))

    def open(self, label):
        """Begin a group; `label` is what it is, for whoever reads the file."""
        self.pieces.append(f'<g data-part="{escape(label)}">')

    def close(self):
        """End the group that was opened last."""
        self.pieces.append("</g>")

    def svg(self):
        """The drawing as text: an SVG file of its own, and as it is a part of an HTML page."""
        size = f'width="{number(self.width)}" height="{number(self.height)}" viewBox="0 0 {number(self.width)} {number(self.height)}"'
        ids = f"drawing-{self.name.replace('_', '-')}"
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" {size} role="img" aria-labelledby="{ids}-title {ids}-desc">',
            f'<title id="{ids}-title">{escape(self.title)}</title>',
            f'<desc id="{ids}-desc">{escape(self.description)}</desc>',
            f"<style>{stylesheet()}</style>",
            f'<rect width="{number(self.width)}" height="{number(self.height)}" class="paper"/>',
            *self.pieces,
            "</svg>\n",
        ]
        return "\n".join(lines)


def heavy(weight):
    """The attribute of a line of this width; the usual one needs none."""
    return f' stroke-width="{number(weight)}"' if weight != 1 else ""


DASHES = ' stroke-dasharray="5 4"'


def rectangle(left, top, right, bottom):
    """The corners of a rectangle."""
    return (left, top), (right, top), (right, bottom), (left, bottom)


def octagon(x, y, radius):
    """Eight points around a circle, those of the compass among them: close enough to see what overlaps it."""
    slant = radius * 0.7071
    steps = (radius, 0), (slant, slant), (0, radius), (-slant, slant), (-radius, 0), (-slant, -slant), (0, -radius), (slant, -slant)
    return tuple((x + a, y + b) for a, b in steps)


def toward(start, end, distance):
    """The point that lies `distance` from `start` on the way to `end`."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    share = distance / (dx * dx + dy * dy) ** 0.5
    return start[0] + dx * share, start[1] + dy * share


def arrow_head(start, end):
    """The triangle at the end of an arrow."""
    (x, y), (a, b) = end, toward(end, start, HEAD)
    dx, dy = (x - a) / HEAD * HALF_HEAD, (y - b) / HEAD * HALF_HEAD
    return end, (a - dy, b + dx), (a + dy, b - dx)


def path(points):
    """Points as the attribute of a path with round bends."""
    found = [f"M{number(points[0][0])} {number(points[0][1])}"]
    for before, bend, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(CORNER, *(((bend[0] - p[0]) ** 2 + (bend[1] - p[1]) ** 2) ** 0.5 / 2 for p in (before, after)))
        (a, b), (c, d) = toward(bend, before, radius), toward(bend, after, radius)
        found.append(f"L{number(a)} {number(b)}Q{number(bend[0])} {number(bend[1])} {number(c)} {number(d)}")
    return "".join(found) + f"L{number(points[-1][0])} {number(points[-1][1])}"
