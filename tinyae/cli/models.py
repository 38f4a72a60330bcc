"""`tinyae models`: the family, a line each, or one of them in full."""

import inspect
import shutil
import textwrap

from tinyae.cli.settings import accepted
from tinyae.errors import ArgumentError
from tinyae.models import MODELS, model_named


def add_models(commands):
    """The arguments of `tinyae models`."""
    add = commands.add_parser("models", help="the family: what each minimises, and what it is good for", epilog="example: tinyae models vae")
    add.add_argument("name", nargs="?", metavar="NAME", help="tell all about this one: settings, defaults, what was measured")
    add.set_defaults(run=models)


def models(arguments, command):
    """`tinyae models`: all models, or one with its settings."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    if arguments.name is None:
        for name in MODELS:
            print("\n".join(in_short(name, width)))
    elif arguments.name not in MODELS:
        raise ArgumentError(f"unknown model {arguments.name!r}.", expected="one of " + ", ".join(MODELS))
    else:
        print("\n".join(in_full(arguments.name, width)))


def in_short(name, width):
    """The lines of a model in the list: name, objective, paper, what it is good for."""
    about = model_named(name).about
    yield name
    for said in (about.objective, about.paper, f"for {about.good_for}"):
        yield from textwrap.wrap(said, width, initial_indent="    ", subsequent_indent="      ")


def in_full(name, width):
    """The lines on one model: what it says of itself, its settings with their defaults, the defaults of its training."""
    kind = model_named(name)
    yield f"{kind.about.title}: tinyae train {name}"
    for label, said in (("minimises", kind.about.objective), ("source", kind.about.paper), ("good for", kind.about.good_for)):
        yield from textwrap.wrap(said, width, initial_indent=f"  {label:<11}", subsequent_indent=" " * 13)
    yield ""
    for paragraph in inspect.cleandoc(kind.__doc__).split("\n\n"):
        yield from textwrap.wrap(" ".join(paragraph.split()), width, initial_indent="  ", subsequent_indent="  ")
        yield ""
    yield "  settings (--latent 4, say, or --set NAME=VALUE for those that are no option), with the defaults of the class:"
    given = {k: p.default for k, p in accepted(kind).items() if k not in ("features", "image_shape", "classes") and p.default not in (None, ())}
    yield from textwrap.wrap(", ".join(f"{k} {shown(v)}" for k, v in given.items()), width, initial_indent="    ", subsequent_indent="    ")
    own = "".join(f" --{k} {shown(v)}" for k, v in kind.about.training.items())
    yield from textwrap.wrap(f"trains without options on: --data {kind.about.data}{own}", width, initial_indent="  ", subsequent_indent="    ")


def shown(value):
    """A default as it is typed."""
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
