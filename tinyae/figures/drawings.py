"""The drawings of the course: the models and ideas of the lessons, the map of the family and its tree.

`architecture_svg("vae")` is text, an SVG file of its own and as it is a part of an HTML page; `caption`, `alt` and `objective` are what goes with it.
"""

import html
from pathlib import Path

from tinyae.errors import ArgumentError
from tinyae.figures import autoencoders, ideas, probabilistic, trees
from tinyae.figures.lettering import runs
from tinyae.figures.scene import render
from tinyae.figures.trees import evolution_tree_svg, family_map_svg
from tinyae.training.files import write_atomic

__all__ = [
    "alt",
    "architecture_svg",
    "caption",
    "caption_html",
    "caption_text",
    "drawing",
    "evolution_tree_svg",
    "family_map_svg",
    "names",
    "objective",
    "write",
]
DRAWINGS = {**autoencoders.DRAWINGS, **probabilistic.DRAWINGS, **ideas.DRAWINGS}


def names():
    """The names of all drawings of `architecture_svg`, in the order of the course."""
    return list(DRAWINGS)


def drawing(name):
    """The table of a drawing, a `scene.Drawing`.  Raises ArgumentError, naming those there are, for an unknown name."""
    if name not in DRAWINGS:
        raise ArgumentError(f"there is no drawing {name!r}.", expected=", ".join(DRAWINGS))
    return DRAWINGS[name]


def architecture_svg(name):
    """The drawing of a model or an idea as SVG text."""
    return render(name, drawing(name)).svg()


def caption(name):
    """What a drawing shows, a few sentences, with letters as in `lettering`: `*x*`, `E_{*q*}`; also of the "family" and the "evolution"."""
    if name in trees.CAPTIONS:
        return trees.CAPTIONS[name]
    found = drawing(name)
    return found.caption + (f" Thick: what is new against {found.against}." if found.new else "")


def caption_html(name):
    """The caption as HTML: letters slanted, indices lowered."""
    return "".join(_tagged(run) for run in runs(caption(name)))


def caption_text(name):
    """The caption as plain text."""
    return "".join(run.text for run in runs(caption(name)))


def _tagged(run):
    text = html.escape(run.text)
    for tag, wanted in (("i", run.italic), ("sub", run.shift > 0), ("sup", run.shift < 0)):
        text = f"<{tag}>{text}</{tag}>" if wanted else text
    return text


def alt(name):
    """What stands for a drawing where it cannot be seen; also for the "family" and the "evolution"."""
    return trees.alt(name) if name in trees.ALTS else drawing(name).alt


def objective(name):
    """What is minimised, as TeX without dollars."""
    return drawing(name).objective


def write(folder):
    """Write every drawing as folder/NAME.svg.  Returns the paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: architecture_svg(name) for name in DRAWINGS} | {"family": family_map_svg(), "evolution": evolution_tree_svg()}
    for name, text in texts.items():
        write_atomic(folder / f"{name}.svg", text)
    return [folder / f"{name}.svg" for name in texts]
