"""Percent scripts: where the cells are, and that running them one by one is running the file."""

import contextlib
import inspect
import io
import json
import linecache
import runpy
import sys
import traceback

import pytest
import small_lesson

import tinyae as ta
from tinyae import course
from tinyae.course import library, run, script

SCRIPT = """from __future__ import annotations

# %% [markdown]
# # A title
#
# prose, and `code`
x: unknown_name = 1
# %% First.  More of it.

text = '''
# %% no cell
'''


@property
def decorated(self):
    return self


# %%

# %% [markdown] with a title
# the end
"""


def cells(text, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(text)
    return script.read(path)


def test_cells_have_kind_title_place_and_exact_text(tmp_path):
    found = cells(SCRIPT, tmp_path).cells
    assert [(cell.kind, cell.title, cell.first) for cell in found] == [
        ("code", "", 1), ("markdown", "", 4), ("code", "", 7), ("code", "First.  More of it.", 10), ("markdown", "with a title", 23),
    ]  # fmt: skip
    assert found[1].text == "# A title\n\nprose, and `code`"
    lines = SCRIPT.split("\n")
    for cell in found:
        if cell.kind == "code":
            assert cell.text == "\n".join(lines[n - 1] for n in cell.lines)
    assert found[3].text.endswith("    return self")


def test_a_script_that_is_no_python_names_its_line(tmp_path):
    with pytest.raises(SyntaxError) as error:
        cells("# %%\nx = 1\n# %%\ny = = 2\n", tmp_path)
    assert error.value.lineno == 4
    assert error.value.filename == str(tmp_path / "script.py")


def test_every_statement_runs_once_and_future_statements_hold_in_all_cells(tmp_path):
    names = script.execute(cells(SCRIPT, tmp_path), "some_name")
    assert names["__annotations__"] == {"x": "unknown_name"}
    assert names["text"] == "\n# %% no cell\n"
    assert isinstance(names["decorated"], property)
    assert (names["__name__"], names["__file__"]) == ("some_name", str(tmp_path / "script.py"))


def test_a_module_is_known_by_its_name_while_it_runs_and_not_after(tmp_path):
    text = "import sys\n# %%\nfound = sys.modules[__name__].__dict__ is globals(), sys.argv[0] == __file__\n"
    argument = sys.argv[0]
    assert script.execute(cells(text, tmp_path), "known")["found"] == (True, True)
    assert "known" not in sys.modules
    assert sys.argv[0] == argument
    with pytest.raises(ZeroDivisionError):
        script.execute(cells("1 / 0", tmp_path), "known")
    assert "known" not in sys.modules


def test_tracebacks_and_sources_point_into_the_script(tmp_path):
    text = "# %% one\ndef f():\n    return 1 / 0\n\n\n# %% two\n\n\nf()\n"
    parsed = cells(text, tmp_path)
    with pytest.raises(ZeroDivisionError) as error:
        script.execute(parsed, "script")
    frames = [(frame.filename, frame.lineno, frame.line) for frame in traceback.extract_tb(error.value.__traceback__)]
    assert frames[-2:] == [(str(parsed.path), 9, "f()"), (str(parsed.path), 3, "return 1 / 0")]
    names = script.execute(cells(text.replace("\nf()", ""), tmp_path), "script")
    linecache.checkcache()
    assert inspect.getsource(names["f"]) == "def f():\n    return 1 / 0\n"


def test_the_microscope_knows_names_and_lines_of_a_cell(tmp_path):
    text = "import numpy as np\nimport tinyae as ta\n# %%\nx = ta.Tensor(np.ones(2), requires_grad=True)\n\n\n# %% two\ndef loss():\n    y = x * 3\n"
    text += "    return (y * y).sum()\n\n\n# %%\nfound = ta.microscope.trace(loss)\n"
    lines = script.execute(cells(text, tmp_path), "script")["found"].lines
    assert [(line.name, line.call.line, line.call.source) for line in lines if line.name == "y"] == [("y", 9, "y = x * 3")]


def test_what_cells_print_is_kept_and_shown(tmp_path, capsys):
    watch, text = script.Watch(), "print('a')\n# %%\nx = 1\n# %%\nimport sys\nprint('b', sys.stdout.isatty())\nprint('c', end='')\n"
    script.execute(cells(text, tmp_path), "script", watch)
    assert {number: output.text for number, output in watch.outputs.items()} == {0: "a\n", 1: "", 2: "b False\nc"}
    assert capsys.readouterr().out == "a\nb False\nc"
    script.execute(cells(text, tmp_path), "script", quiet := script.Watch(echo=False))
    assert quiet.outputs == watch.outputs
    assert capsys.readouterr().out == ""


def test_what_a_cell_printed_before_it_failed_is_kept(tmp_path):
    watch = script.Watch(echo=False)
    with pytest.raises(ZeroDivisionError):
        script.execute(cells("print('a')\n1 / 0", tmp_path), "script", watch)
    assert watch.outputs[0].text == "a\n"


def test_figures_belong_to_the_cell_that_saved_them_and_no_folder_is_named(tmp_path, monkeypatch):
    path = small_lesson.put(tmp_path / "lessons")
    monkeypatch.setattr(library, "folder", lambda: path.parent)
    texts = []
    for out in ("one", "two"):
        watch = script.Watch(echo=False)
        course.run_lesson(3, out=tmp_path / out, watch=watch)
        titles = {script.read(path).cells[number].title: output for number, output in watch.outputs.items()}
        assert titles["Measured, and drawn"].figures == ("line.png",)
        assert [title for title, output in titles.items() if output.figures] == ["Measured, and drawn"]
        assert titles["The end"].text.endswith("\nwritten: metrics.json\n         line.png\n")
        texts.append(watch.outputs)
    assert texts[0] == texts[1]


def seconds(lesson):
    return min(json.loads(lesson.bands.read_text())["fast"]["wall_seconds"]) if lesson.bands.exists() else 99.0


def test_a_lesson_gives_the_same_bits_as_its_file_run_by_python(tmp_path, capsys):
    lesson = min(course.lessons(), key=seconds)
    (tmp_path / "whole").mkdir()
    token = run._settings.set(course.Settings(fast=True, seed=0, out=tmp_path / "whole"))
    whole = io.StringIO()
    try:
        with contextlib.redirect_stdout(whole):
            runpy.run_path(str(lesson.path), run_name=lesson.path.stem)
    finally:
        run._settings.reset(token)
    watch = script.Watch(echo=False)
    course.run_lesson(lesson.number, fast=True, out=tmp_path / "cells", watch=watch)
    assert "".join(output.text for output in watch.outputs.values()) == whole.getvalue().replace(f"{tmp_path / 'whole'}/", "")
    ours, theirs = (json.loads((tmp_path / name / "metrics.json").read_text()) | {"wall_seconds": 0} for name in ("cells", "whole"))
    assert ours == theirs
    for path in (tmp_path / "whole").iterdir():
        assert path.name == "metrics.json" or path.read_bytes() == (tmp_path / "cells" / path.name).read_bytes()
    assert ta.backend.current() == "numpy"
