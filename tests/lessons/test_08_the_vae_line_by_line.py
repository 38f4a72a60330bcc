"""Lesson 8 runs, its numbers are in their bands, and its checks fail when a line is broken."""

import json

import numpy as np
import pytest

import tinyae as ta
from tinyae import course
from tinyae.course import run

NUMBER = 8


def broken(tmp_path, monkeypatch, line, instead):
    """Run a learner's copy of the lesson with one line changed."""
    script = course.entry(8).path.read_text()
    assert script.count(line) == 1
    learner = tmp_path / "08_learner.py"
    learner.write_text(script.replace(line, instead))
    monkeypatch.setattr(run, "entry", lambda number: course.Entry(8, "the learner's copy", learner))
    course.run_lesson(8, fast=True, out=tmp_path / "out")


def test_every_number_of_the_fast_lesson_is_inside_its_band(lesson):
    numbers = json.loads((lesson["out"] / "metrics.json").read_text())["numbers"]
    found = {name: row["inside"] for name, row in numbers.items() if row["kind"] == "number"}
    assert len(found) == 11
    assert all(found.values()), found


def test_the_figure_and_the_order_of_the_parts(lesson):
    assert (lesson["out"] / "pulls.png").read_bytes().startswith(b"\x89PNG")
    text = course.entry(8).path.read_text()
    parts = ["**Goal.**", "## Picture", "## Derivation", "## Code", "## Check", "## Prediction", "## Experiment"]
    places = [text.index(part) for part in [*parts, "## What surprised us", "## Exercises", "## Conventions", "## References"]]
    assert places == sorted(places)
    assert len(text.splitlines()) <= 250


def test_the_gradients_by_hand_are_those_of_finite_differences(lesson):
    rng = np.random.default_rng(0)
    x, e = rng.binomial(1, 0.5, (3, 64)).astype(float), rng.normal(size=(3, 2))
    weights = lesson["weights_of"](ta.models.VAE(64, 2, (5,), activation="tanh", rng=ta.rng(1)))
    by_hand = lesson["backward"](weights, x, e, lesson["forward"](weights, x, e))
    for name, weight in weights.items():
        direction = rng.normal(size=weight.shape)
        ahead, behind = (lesson["forward"](weights | {name: weight + step * direction}, x, e)["loss"] for step in (1e-5, -1e-5))
        assert (ahead - behind) / 2e-5 == pytest.approx((by_hand[name] * direction).sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("g_mean = g_mean + g_z  #", "g_mean = g_mean  #", "gradient.mean"),
        ("g_kl * (np.exp(log_variance) - 1) / 2 / n", "g_kl * (np.exp(log_variance) - 1) / n", "gradient.log_variance"),
        ("g_u = g_k * (1 - k * k)", "g_u = g_k * (1 - k)", "gradient.mean"),
        ("g_h + g_mean @", "g_mean @", "gradient.weights"),
        ("z = mean + np.exp(log_variance / 2) * e", "z = mean + np.exp(log_variance) * e", "value.z"),
    ],
)
def test_a_wrong_line_is_found(tmp_path, monkeypatch, line, instead, check):
    with pytest.raises(course.CheckFailed, match=check.replace(".", r"\.")):
        broken(tmp_path, monkeypatch, line, instead)


def test_a_broken_rule_of_the_engine_is_found(tmp_path, monkeypatch):
    (rule,) = [rule for rule in ta.ops.reparameterize.rules if rule.inputs == ("log_variance",)]
    right = rule.function
    monkeypatch.setattr(rule, "function", lambda *args: 2 * right(*args))
    with pytest.raises(course.CheckFailed, match=r"gradient\.log_variance"):
        course.run_lesson(8, fast=True, out=tmp_path / "out")
