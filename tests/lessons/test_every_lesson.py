"""What holds for all lessons: numbers inside their bands, a prediction, an effect that a control run takes away, and the order of the parts."""

import json
import pathlib
import subprocess
import sys

import pytest

import tinyae as ta
from tinyae import course

LESSONS = {lesson.number: lesson for lesson in course.lessons()}
PARTS = ["**Goal.**", *(f"## {part}" for part in "Picture Derivation Code Check Prediction Experiment".split())]
PARTS += ["## What surprised us", "## Exercises", "## Conventions", "## References"]
every_lesson = pytest.mark.parametrize("number", LESSONS, ids=lambda number: f"lesson {number:02d}")


def rows(out, kind):
    numbers = json.loads((out / "metrics.json").read_text())["numbers"]
    return {name: row for name, row in numbers.items() if row["kind"] == kind}


def test_the_first_half_of_the_course_is_there():
    assert set(range(11)) <= set(LESSONS)


@every_lesson
def test_every_number_is_inside_its_band(fast_form, number):
    numbers = rows(fast_form(number)["out"], "number")
    assert numbers
    assert [name for name, row in numbers.items() if not row.get("inside")] == []


@every_lesson
def test_bands_come_from_five_seeds_or_more_in_both_forms(fast_form, number):
    bands = json.loads(LESSONS[number].bands.read_text())
    names = rows(fast_form(number)["out"], "number").keys()
    for form in ("full", "fast"):
        assert len(set(bands[form]["seeds"])) >= 5
        assert bands[form]["bands"].keys() == names
        for name, (low, high) in bands[form]["bands"].items():
            values = bands[form]["values"][name]
            assert len(values) == len(bands[form]["seeds"])
            assert low <= min(values) <= max(values) <= high
            assert low < high


@every_lesson
def test_something_was_predicted_and_its_error_is_told(fast_form, number):
    predicted = [name for kind in ("number", "claim") for name, row in rows(fast_form(number)["out"], kind).items() if "predicted" in row]
    assert predicted


@every_lesson
def test_without_its_effect_the_numbers_leave_their_bands(tmp_path, number, capsys):
    out = course.run_lesson(number, fast=True, control=True, out=tmp_path / "control")
    effects = [row for kind in ("number", "claim") for row in rows(out, kind).values() if row["effect"]]
    assert effects
    assert not any(row["inside"] for row in effects)
    assert "left the band" in capsys.readouterr().out


@every_lesson
def test_figures_have_alt_texts_and_a_step_is_shown_line_by_line(fast_form, number):
    figures = fast_form(number)["lesson"].figures
    assert figures
    for name, alt in figures.items():
        assert (fast_form(number)["out"] / name).read_bytes().startswith(b"\x89PNG")
        assert len(alt) > 30
    assert (fast_form(number)["out"] / "microscope.html").read_text().startswith("<!DOCTYPE html>")


@every_lesson
def test_the_lesson_has_its_parts_in_order_and_is_short(number):
    text = LESSONS[number].path.read_text()
    assert text.startswith(f"# %% [markdown]\n# # Lesson {number}: ")
    places = [text.find("\n# " + part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert len(text.splitlines()) <= 250
    assert [line for line in text.splitlines() if line.startswith("# ") and len(line) > 132] == []


TRAINS = [number for number, lesson in LESSONS.items() if "lesson.device()" in lesson.path.read_text()]


@pytest.mark.parametrize("number", TRAINS, ids=lambda number: f"lesson {number:02d}")
def test_models_train_on_a_gpu_to_the_same_bands(number, tmp_path):
    """On the fake device, which refuses what CuPy refuses.  The by-hand parts stay on NumPy."""
    with ta.checks.fake_device.fake_gpu() as counters, ta.using("numpy"):
        out = course.run_lesson(number, fast=True, backend="fake", out=tmp_path / "fake")
    assert counters.launches > 10_000
    assert [name for name, row in rows(out, "number").items() if not row.get("inside")] == []
    assert json.loads((out / "metrics.json").read_text())["backend"] == "fake"


def test_most_lessons_train_something():
    assert len(TRAINS) >= 9


def test_a_script_runs_by_itself_as_the_command_runs_it(tmp_path):
    command = [sys.executable, str(LESSONS[1].path), "--fast", "--seed", "3", "--out", "mine"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    again = course.run_lesson(1, fast=True, seed=3, out=tmp_path / "again")
    mine, other = (json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path / "mine", again))
    assert mine["seed"] == 3
    assert mine["fast"] is True
    assert mine["numbers"] == other["numbers"]


def test_a_script_says_what_is_wrong_with_its_arguments(tmp_path):
    script = LESSONS[6].path
    command = [sys.executable, str(script), "--help"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "--control" in told
    for wrong in (["--seed", "-1"], ["--backend", "torch"]):
        failed = subprocess.run([*command[:2], *wrong], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert failed.returncode == 2
        assert wrong[0] in failed.stderr
    assert list(pathlib.Path(tmp_path).iterdir()) == []
