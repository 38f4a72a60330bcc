"""A lesson as a notebook, made from its script, the one source; and the figures of a lesson inside a notebook."""

import json
import sys
from pathlib import Path

from tinyae.course.script import read
from tinyae.errors import ArgumentError, RunError
from tinyae.training.files import write_atomic

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def write_notebook(entry, path):
    """Write a lesson as a notebook.  The file is never written over: somebody may have worked in it.  Raises ArgumentError without jupytext."""
    text = to_notebook(entry)
    if Path(path).exists():
        raise RunError(f"{path}: it is there already.", remedy="choose another name; what you wrote into a notebook would be lost")
    write_atomic(path, text)


def to_notebook(entry):
    """The notebook of a lesson as text; the same script gives the same text."""
    from tinyae.course.prose import parts

    jupytext = _jupytext()
    script = read(entry.path)
    for cell in script.cells:
        if cell.kind == "markdown":
            parts(cell, f"lesson {entry.number}")  # a formula that does not convert is an error here too
    notebook = jupytext.reads(entry.path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for count, cell in enumerate(notebook["cells"]):
        cell["id"] = f"cell-{count:02d}"  # else drawn at random
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def from_notebook(text):
    """The percent script of a notebook, as text; for those who changed one, and for the test of the round trip."""
    jupytext = _jupytext()
    notebook = jupytext.reads(text, fmt="ipynb")
    notebook["metadata"] = {"jupytext": {"notebook_metadata_filter": "-all", "cell_metadata_filter": "title,-all"}}
    return jupytext.writes(notebook, fmt="py:percent")


def _jupytext():
    try:
        import jupytext
    except ModuleNotFoundError as error:
        if error.name != "jupytext":
            raise
        raise ArgumentError("a notebook is made by jupytext, which is not installed.", remedy='pip install "tinyae[notebooks]"') from error
    return jupytext


def show(path, alt):
    """Show a picture below the cell that made it, where a notebook is running; nothing elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is not None:
        from IPython.display import Image, display

        display(Image(data=Path(path).read_bytes(), format="png", alt=alt))
