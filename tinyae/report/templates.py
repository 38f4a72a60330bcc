"""The templates of this room, and the equations in them."""

from pathlib import Path

from tinyae.microscope import templates
from tinyae.microscope.templates import mathml, mathml_in_pieces

__all__ = ["mathml", "mathml_in_pieces", "template"]


def template(name):
    """A template of this room."""
    return templates.template(Path(__file__).parent / name)
