"""The course room: finding lessons, running them, and what they leave behind."""

import json
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

import tinyae as ta
from tinyae import course
from tinyae.course import library
from tinyae.course.proofs import gradient_errors
from tinyae.errors import ArgumentError, RunError
from tinyae.figures.style import STYLE

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


def test_figures_are_drawn_in_our_style_and_the_readers_own_comes_back(shelf):
    (shelf / "03_small.py").write_text(
        GOOD.replace("lesson.finish", "import matplotlib\nlesson.number('a.size', matplotlib.rcParams['font.size'], '')\nlesson.finish")
    )
    with matplotlib.rc_context({"font.size": 31.0}):
        row = json.loads((course.run_lesson(3) / "metrics.json").read_text())["numbers"]["a.size"]
        assert row["value"] == STYLE["font.size"]
        assert matplotlib.rcParams["font.size"] == 31.0


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


EFFECT = """from tinyae import course

lesson = course.begin(3)
lesson.predict("test.height", 4.0, "m")
lesson.claim("check.exact", 0.0, "", at_most=1)
lesson.number("test.height", 1.0 if lesson.control else 4.5, "m", effect=True)
lesson.claim("test.claimed", 9.0 if lesson.control else 1.0, "", at_most=2, effect=True)
lesson.finish()
"""


@pytest.fixture
def effect(shelf):
    """The small lesson with a prediction, and an effect that its control run takes away."""
    (shelf / "03_small.bands.json").write_text(json.dumps({"fast": {"bands": {}}, "full": {"bands": {"test.height": [4, 5]}}}))
    (shelf / "03_small.py").write_text(EFFECT)
    return shelf / "03_small.py"


def test_a_prediction_is_printed_before_its_number_and_its_error_with_it(effect, capsys):
    rows = json.loads((course.run_lesson(3) / "metrics.json").read_text())["numbers"]
    assert rows["test.height"]["predicted"] == 4.0
    told = capsys.readouterr().out
    assert told.index("predicted: test.height") < told.index("predicted 4, off by +0.5")


def test_limits_of_claims_are_kept_and_may_be_numpy_numbers(effect):
    effect.write_text(
        EFFECT.replace("at_most=1)", "at_least=np.float64(-1), at_most=np.float32(1), effect=np.bool_(False))").replace(
            "from", "import numpy as np\nfrom", 1
        )
    )
    row = json.loads((course.run_lesson(3) / "metrics.json").read_text())["numbers"]["check.exact"]
    assert (row["at_least"], row["at_most"], row["inside"], row["effect"]) == (-1.0, 1.0, True, False)


def test_a_control_run_passes_where_the_effect_is_gone(effect, capsys):
    metrics = json.loads((course.run_lesson(3, control=True) / "metrics.json").read_text())
    assert metrics["control"] is True
    assert {name: row["inside"] for name, row in metrics["numbers"].items() if row["effect"]} == {"test.height": False, "test.claimed": False}
    assert "Control run: without the effect, test.height, test.claimed left the band." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1.0 if lesson.control", "4.1 if lesson.control", r"these are what they were with it\.\n  expected .*\n  got       test\.height"),
        ("9.0 if lesson.control", "1.5 if lesson.control", r"got       test\.claimed"),
        (", effect=True", "", "claimed failed"),
        ('"", at_most=2, effect=True', '"", at_most=20', r"these are|test\.claimed"),
        ('lesson.claim("check.exact", 0.0,', 'lesson.claim("check.exact", 2.0,', r"check\.exact failed"),
    ],
)
def test_a_control_run_fails_where_the_effect_stays_or_a_proof_breaks(effect, old, new, says):
    text = EFFECT.replace(old, new)
    if "at_most=20" in text:  # nothing is left that depends on the effect
        text, says = text.replace(', "m", effect=True', ', "m"'), "no number that depends on its effect"
    effect.write_text(text)
    with pytest.raises(course.CheckFailed, match=says):
        course.run_lesson(3, control=True)


def test_a_number_without_a_band_proves_nothing_in_a_control_run(effect):
    with pytest.raises(course.CheckFailed, match=r"got       test\.height"):
        course.run_lesson(3, control=True, fast=True)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("test.height", "test.other", "predicted what it never measured"),
        ('lesson.claim("check.exact"', 'lesson.predict("test.height", 5, "m")\nlesson.claim("check.exact"', "test.height is known already"),
        (
            'lesson.claim("check.exact"',
            'lesson.number("a.b", 1, "")\nlesson.predict("a.b", 1, "")\nlesson.claim("check.exact"',
            "a.b is known already",
        ),
    ],
)
def test_predictions_come_first_and_are_all_measured(effect, old, new, says):
    effect.write_text(EFFECT.replace(old, new, 1))
    with pytest.raises((course.CheckFailed, ArgumentError), match=says):
        course.run_lesson(3)


def kl(factor=1.0):
    """(f, inputs, gradients by hand, cotangent) of the KL to the standard normal; the second gradient times a factor."""
    rng = np.random.default_rng(0)
    mean, log_variance, gy = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    by_hand = {"mean": gy[:, None] * mean, "log_variance": factor * gy[:, None] * (np.exp(log_variance) - 1) / 2}
    return ta.ops.kl_standard_normal, {"mean": mean, "log_variance": log_variance}, by_hand, gy


def test_gradients_by_hand_are_compared_in_three_ways():
    errors = gradient_errors(*kl())
    assert {way for _, way in errors} == {"engine", "differences", "complex"}
    assert len(errors) == 6
    assert max(errors.values()) < 1e-10


def test_a_wrong_gradient_by_hand_is_seen_by_each_way():
    errors = gradient_errors(*kl(factor=1.001))
    for (name, _), error in errors.items():
        assert error < 1e-10 if name == "mean" else error == pytest.approx(1e-3, rel=0.01)


@pytest.mark.parametrize("broken", ["rule", "value"])
def test_a_wrong_engine_is_seen_by_the_ways_that_it_spoils(monkeypatch, broken):
    f = ta.ops.kl_standard_normal
    if broken == "rule":
        (rule,) = [rule for rule in f.rules if rule.inputs == ("mean",)]
        right = rule.function
        monkeypatch.setattr(rule, "function", lambda *args: 2 * right(*args))
    else:
        right = f.forward
        monkeypatch.setattr(f, "forward", lambda *args: 2 * right(*args))
    errors = gradient_errors(*kl())
    wrong = {way for (name, way), error in errors.items() if name == "mean" and error > 0.1}
    assert wrong == ({"engine"} if broken == "rule" else {"differences", "complex"})


def test_gradients_by_hand_need_shapes_that_fit():
    f, inputs, by_hand, gy = kl()
    for wrong in ((f, inputs, by_hand, None), (f, inputs, by_hand, gy[:2]), (f, inputs, {"mean": by_hand["mean"]}, gy)):
        with pytest.raises(ArgumentError, match="do not fit"):
            gradient_errors(*wrong)
    with pytest.raises(ArgumentError, match="the shape of its input"):
        gradient_errors(f, inputs, by_hand | {"mean": by_hand["mean"].sum(axis=0)}, gy)
    with pytest.raises(ArgumentError, match="does not compute with a complex x"):
        gradient_errors(lambda x: ta.ops.astype(x, dtype=np.float64), {"x": gy}, {"x": gy}, gy)


def test_a_script_run_by_itself_reads_the_environment(monkeypatch):
    monkeypatch.setenv("TINYAE_FAST", "1")
    monkeypatch.setenv("TINYAE_SEED", "4")
    assert course.settings() == course.Settings(fast=True, seed=4, out=None)
    monkeypatch.setenv("TINYAE_SEED", "four")
    with pytest.raises(ArgumentError, match="TINYAE_SEED"):
        course.settings()


def test_a_copy_of_a_lesson_has_its_options(tmp_path):
    copied = tmp_path / "mine.py"
    copied.write_text((library.folder() / "01_backprop_by_hand.py").read_text())
    done = subprocess.run([sys.executable, copied, "--bogus"], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert "mine.py: error: unrecognized arguments: --bogus" in done.stderr
