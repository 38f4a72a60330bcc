"""The course room: finding lessons, running them, and what they leave behind."""

import json

import pytest

from tinyae import course
from tinyae.course import library
from tinyae.errors import ArgumentError, RunError

GOOD = """# %% [markdown]
# # Lesson 3: A small one
from tinyae import course

lesson = course.begin(3)
lesson.claim("check.two", 1 + 1, "", at_least=2, at_most=2)
lesson.number("test.seed", lesson.seed, "")
lesson.finish(binarisation="threshold")
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder with one small lesson, in place of the real ones; the working folder is empty."""
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / "03_small.py").write_text(GOOD)
    monkeypatch.setattr(library, "folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_lessons_are_found_with_number_and_title():
    assert (6, "The ELBO and the KL divergence") in [(lesson.number, lesson.title) for lesson in course.lessons()]


def test_an_installed_package_brings_its_lessons(tmp_path, monkeypatch):
    inside = tmp_path / "site" / "lessons"
    inside.mkdir(parents=True)
    monkeypatch.setattr(library, "LESSONS", str(inside))
    assert library.folder() == inside


def test_an_unknown_lesson_names_those_there_are(shelf):
    with pytest.raises(ArgumentError, match=r"there is no lesson 99\.\n  expected  3 \(A small one\)"):
        course.run_lesson(99)
    assert not (shelf.parent / "runs").exists()


def test_output_folders_count_up(shelf):
    assert [str(course.run_lesson(3)) for _ in range(3)] == ["runs/lesson-03", "runs/lesson-03-2", "runs/lesson-03-3"]


def test_metrics_hold_values_units_seed_and_versions(shelf):
    metrics = json.loads((course.run_lesson(3, fast=True, seed=5, out="here") / "metrics.json").read_text())
    assert metrics["test"] == {"seed": 5.0}
    assert metrics["check"] == {"two": 2.0}
    assert metrics["lesson"] == 3
    assert metrics["seed"] == 5
    assert metrics["fast"] is True
    assert metrics["binarisation"] == "threshold"
    assert metrics["units"] == "nats per example"
    assert {"numpy", "tinyae", "python"} <= metrics["versions"].keys()


def test_numbers_are_compared_with_their_bands(shelf, capsys):
    bands = {"fast": {"bands": {"test.seed": [0, 2]}}, "full": {"bands": {}}}
    (shelf / "03_small.bands.json").write_text(json.dumps(bands))
    for seed, inside in ((1, True), (7, False)):
        row = json.loads((course.run_lesson(3, fast=True, seed=seed) / "metrics.json").read_text())["numbers"]["test.seed"]
        assert row["inside"] is inside
        assert ("OUTSIDE" in capsys.readouterr().out) is not inside


def test_a_folder_with_a_run_is_refused_and_left_as_it_was(shelf):
    course.run_lesson(3, seed=1, out="here")
    before = (shelf.parent / "here" / "metrics.json").read_text()
    with pytest.raises(RunError, match="holds a run already"):
        course.run_lesson(3, seed=2, out="here")
    assert (shelf.parent / "here" / "metrics.json").read_text() == before


def test_an_output_folder_that_cannot_be_made_is_a_readable_error(shelf):
    (shelf.parent / "file").write_text("")
    with pytest.raises(RunError, match="the output folder cannot be made"):
        course.run_lesson(3, out="file/below")


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_a_bad_seed_is_a_readable_error(shelf, seed):
    with pytest.raises(ArgumentError, match="seed: a whole number"):
        course.run_lesson(3, seed=seed)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1 + 1", "1 + 2", r"the check check\.two failed\.\n  expected  at least 2, at most 2\n  got       3"),
        ("1 + 1", "float('nan')", "check.two is not a finite number"),
        ("lesson.finish", "dict", "ended without its numbers"),
        ('lesson.claim("check.two", 1 + 1, "", at_least=2, at_most=2)', "", "checked nothing"),
    ],
)
def test_a_lesson_that_fails_says_so_and_leaves_no_folder(shelf, old, new, says):
    (shelf / "03_small.py").write_text(GOOD.replace(old, new))
    with pytest.raises(course.CheckFailed, match=says):
        course.run_lesson(3, out="here")
    assert not (shelf.parent / "here").exists()


def test_a_number_needs_a_name_of_its_own(shelf):
    (shelf / "03_small.py").write_text(GOOD.replace("test.seed", "check.two"))
    with pytest.raises(ArgumentError, match="a name of its own"):
        course.run_lesson(3)


def test_a_script_run_by_itself_reads_the_environment(monkeypatch):
    monkeypatch.setenv("TINYAE_FAST", "1")
    monkeypatch.setenv("TINYAE_SEED", "4")
    assert course.settings() == course.Settings(fast=True, seed=4, out=None)
    monkeypatch.setenv("TINYAE_SEED", "four")
    with pytest.raises(ArgumentError, match="TINYAE_SEED"):
        course.settings()
