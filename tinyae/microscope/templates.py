"""The pages' templates: everything is escaped unless it is marked as safe, and a name that is missing is an error."""

from functools import cache, lru_cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from tinyae.microscope.mathml import to_mathml, to_pieces


@cache
def template(path):
    """The template in a file."""
    path = Path(path)
    loader = jinja2.FileSystemLoader(path.parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(path.name)


@lru_cache(4096)
def mathml(latex):
    """An equation as MathML, marked as safe: it is made of our own code alone."""
    return Markup(to_mathml(latex, display=True))


@lru_cache(4096)
def mathml_in_pieces(latex):
    """A long equation as one `term` after another, marked as safe: a line ends between terms or, in a term too long for it, between factors."""
    terms = to_pieces(latex)
    if len(terms) == 1:
        return Markup(terms[0][0])
    return Markup("<wbr>".join(f'<span class="term">{"<wbr>".join(term)}</span>' for term in terms))
