"""A lesson as a notebook: the same cells, there and back, and it runs."""

import pytest
import small_lesson

from tinyae import course
from tinyae.cli import main
from tinyae.course import library, notebook, script
from tinyae.errors import ArgumentError

ADVICE = 'pip install "tinyae[notebooks]"'
LESSONS = course.lessons()


def needs(*names):
    for name in names:
        pytest.importorskip(name, reason=f"needs {name}: {ADVICE}")


def same(cells):
    return [(cell.kind, cell.title, cell.text) for cell in cells]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: f"lesson {lesson.number:02d}")
def test_there_and_back_the_cells_are_the_same(lesson, tmp_path):
    needs("jupytext")
    text = notebook.to_notebook(lesson)
    assert text == notebook.to_notebook(lesson)
    (tmp_path / "back.py").write_text(notebook.from_notebook(text), encoding="utf-8")
    assert same(script.read(tmp_path / "back.py").cells) == same(script.read(lesson.path).cells)


@pytest.mark.filterwarnings("ignore")  # of those who run notebooks
def test_a_notebook_runs_in_the_short_form_with_its_figure_below_the_cell(tmp_path, monkeypatch):
    needs("jupytext", "nbclient", "ipykernel")
    import nbformat
    from nbclient import NotebookClient

    path = small_lesson.put(tmp_path / "lessons")
    found = nbformat.reads(notebook.to_notebook(library.Entry(3, "A small one", path)), as_version=4)
    shelf = f"import pathlib\nfrom tinyae.course import library\nlibrary.folder = lambda: pathlib.Path({str(path.parent)!r})"
    found.cells.insert(0, nbformat.v4.new_code_cell(shelf))
    monkeypatch.setenv("TINYAE_FAST", "1")
    NotebookClient(found, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = {cell.metadata.get("title", ""): cell.outputs for cell in found.cells if cell.cell_type == "code"}
    assert "(fast form, seed 0)" in outputs["Settings.  The short form: --fast."][0].text
    (shown,) = (output for output in outputs["Measured, and drawn"] if output.output_type == "display_data")
    assert shown.data["image/png"].startswith("iVBOR")
    assert (tmp_path / "runs" / "lesson-03" / "metrics.json").exists()


def test_a_notebook_is_never_written_over(tmp_path, capsys):
    needs("jupytext")
    path, number = tmp_path / "one.ipynb", str(LESSONS[0].number)
    assert main(["lesson", number, "--notebook", str(path)]) == 0
    path.write_text("mine")
    assert main(["lesson", number, "--notebook", str(path)]) == 2
    assert "it is there already" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_without_jupytext_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "jupytext", None)
    assert main(["lesson", str(LESSONS[0].number), "--notebook", str(tmp_path / "one.ipynb")]) == 2
    assert ADVICE in capsys.readouterr().err
    assert not (tmp_path / "one.ipynb").exists()
    with pytest.raises(ArgumentError, match="jupytext"):
        notebook.from_notebook("{}")


def test_a_notebook_is_not_asked_for_together_with_a_page(tmp_path, capsys):
    assert main(["lesson", str(LESSONS[0].number), "--html", "--notebook", str(tmp_path / "one.ipynb")]) == 2
    assert "runs nothing" in capsys.readouterr().err


def test_outside_of_a_notebook_nothing_is_shown(tmp_path, capsys):
    notebook.show(tmp_path / "none.png", "nothing")
    assert capsys.readouterr().out == ""
