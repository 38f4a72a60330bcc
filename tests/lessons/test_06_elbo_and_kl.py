"""Lesson 6 runs, its numbers are in their bands, and its checks fail when something is broken."""

import json
import types

import numpy as np
import pytest

import tinyae as ta
from tinyae import course
from tinyae.course import run

NUMBER = 6


@pytest.fixture
def no_training(monkeypatch):
    """The checks come before the training: a lesson that reaches it has missed the planted error."""

    def reached(*args, **kwargs):
        raise RuntimeError("the planted error was not caught")

    monkeypatch.setattr(ta.data, "load", reached)


def test_every_number_of_the_fast_lesson_is_inside_its_band(lesson):
    metrics = json.loads((lesson["out"] / "metrics.json").read_text())
    numbers = {name: row for name, row in metrics["numbers"].items() if row["kind"] == "number"}
    assert len(numbers) >= 10
    assert [name for name, row in numbers.items() if not row["inside"]] == []
    assert metrics["test"]["negative_elbo"] == pytest.approx(metrics["test"]["reconstruction"] + metrics["test"]["kl"])
    assert metrics["binarisation"] == "threshold"


def test_bands_come_from_five_seeds_or_more_in_both_forms(lesson):
    bands = json.loads(course.entry(6).bands.read_text())
    names = {name for name, row in lesson["lesson"].rows.items() if row["kind"] == "number"}
    for form in ("full", "fast"):
        assert len(set(bands[form]["seeds"])) >= 5
        assert bands[form]["bands"].keys() == names
        assert all(low < high for low, high in bands[form]["bands"].values())


def test_the_figure_is_a_picture_with_alt_text(lesson):
    assert (lesson["out"] / "gap.png").read_bytes().startswith(b"\x89PNG")
    assert "diagonal" in lesson["lesson"].figures["gap.png"]


def test_the_lesson_is_at_most_250_lines_in_the_stated_order():
    text = course.entry(6).path.read_text()
    parts = ["**Goal.**", "## Picture", "## Derivation", "## Code", "## Check", "## Prediction", "## Experiment"]
    places = [text.index(part) for part in [*parts, "## What surprised us", "## Exercises", "## Conventions", "## References"]]
    assert places == sorted(places)
    assert len(text.splitlines()) <= 250


def constant_decoder(logits):
    """A model whose p(x | z) does not depend on z: its p(x) is known."""
    model = ta.models.VAE(features=len(logits), latent=2, hidden=(3,), rng=ta.rng(0)).astype(np.float64)
    model.decoder[-1].weight.assign(0.0)
    model.decoder[-1].bias.assign(logits)
    return model


def test_quadrature_of_a_constant_decoder_is_its_known_likelihood(lesson):
    logits, x = np.array([-1.0, 0.5, 3.0]), np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    p = 1 / (1 + np.exp(-logits))
    known = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)
    nll, nll_half, reconstruction, kl, gap, gap_own = lesson["account"](constant_decoder(logits), x, *lesson["make_grid"]())
    np.testing.assert_allclose(nll, known, rtol=1e-7)
    np.testing.assert_allclose(nll_half, known, rtol=1e-7)
    # the posterior of such a model is the prior; a millionth of this wide q lies outside the grid
    np.testing.assert_allclose(reconstruction, known, rtol=1e-5)
    np.testing.assert_allclose(gap, kl, rtol=1e-4)
    np.testing.assert_allclose(gap_own, 0, atol=1e-5)  # a normal posterior: its own means and variances leave no gap


def test_the_wrong_area_of_a_cell_is_seen_by_the_quadrature(lesson):
    x = np.ones((1, 3))
    z, log_cell = lesson["make_grid"]()
    right, wrong = (lesson["account"](constant_decoder(np.zeros(3)), x, z, c)[0] for c in (log_cell, log_cell + 0.1))
    assert right == pytest.approx(3 * np.log(2))
    assert wrong == pytest.approx(3 * np.log(2) - 0.1)


@pytest.mark.parametrize(
    ("primitive", "of", "factor", "check"),
    [
        ("kl_standard_normal", "mean", 2.0, "kl_mean_engine"),
        ("kl_standard_normal", "log_variance", -1.0, "kl_log_variance_engine"),
        ("reparameterize", "mean", 1.1, "draw_mean_engine"),
        ("reparameterize", "log_variance", 2.0, "draw_log_variance_engine"),
    ],
)
def test_the_lesson_fails_when_a_rule_is_broken(tmp_path, monkeypatch, no_training, primitive, of, factor, check):
    (rule,) = [rule for rule in getattr(ta.ops, primitive).rules if rule.inputs == (of,)]
    right = rule.function
    monkeypatch.setattr(rule, "function", lambda *args: factor * right(*args))
    with pytest.raises(course.CheckFailed, match=rf"lesson 6: the check gradients\.{check} failed"):
        course.run_lesson(6, fast=True, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_lesson_fails_for_a_kl_without_its_half(tmp_path, monkeypatch, no_training):
    kl = ta.ops.kl_standard_normal
    right = kl.forward
    monkeypatch.setattr(kl, "forward", lambda *args: 2 * right(*args))
    with pytest.raises(course.CheckFailed, match=r"gradients\.kl_mean_differences"):
        course.run_lesson(6, fast=True, out=tmp_path / "out")


def test_samples_catch_a_sampler_with_perfect_gradients_and_the_wrong_spread(tmp_path, monkeypatch, no_training):
    """Value, rules, twin and the rule by hand all take exp(log_variance) for the standard deviation: no gradient check sees it."""
    draw = ta.ops.reparameterize
    (rule,) = [rule for rule in draw.rules if rule.inputs == ("log_variance",)]
    monkeypatch.setattr(rule, "function", lambda gz, log_variance, noise: gz * noise * np.exp(log_variance))
    monkeypatch.setattr(draw, "forward", lambda mean, log_variance, noise: mean + np.exp(log_variance) * noise)
    monkeypatch.setattr(draw, "composed", lambda mean, log_variance, noise: mean + ta.ops.exp(log_variance) * noise)
    by_hand = "gz * noise * np.exp(log_variance / 2) / 2}"
    script = course.entry(6).path.read_text()
    assert script.count(by_hand) == 1
    learner = tmp_path / "06_learner.py"
    learner.write_text(script.replace(by_hand, "gz * noise * np.exp(log_variance)}"))
    monkeypatch.setattr(run, "entry", lambda number: course.Entry(6, "the learner's copy", learner))
    with pytest.raises(course.CheckFailed, match=r"the check check\.kl_samples failed"):
        course.run_lesson(6, fast=True, out=tmp_path / "out")


def test_the_account_is_exact_only_with_the_right_kl(lesson, monkeypatch):
    """-ELBO = -log p(x) + gap holds to a millionth of a nat, and a KL off by a hundredth breaks it."""
    model, x, grid = lesson["model"], lesson["x"][:20], lesson["make_grid"](161)

    def unexplained():
        with ta.no_grad():
            nll, _, reconstruction, kl, gap, _ = lesson["account"](model, x, *grid)
        return np.abs(reconstruction + kl - nll - gap).max()

    assert unexplained() < 1e-6
    right = ta.ops.kl_standard_normal
    wrong = types.SimpleNamespace(kl_standard_normal=lambda *a: 1.01 * right(*a), logsumexp=ta.ops.logsumexp)
    monkeypatch.setattr(lesson["account"].__globals__["ta"], "ops", wrong)
    assert unexplained() > 1e-3


def test_the_account_is_exact_whatever_the_model_has_learnt(lesson):
    """-ELBO = -log p(x) + gap is an identity: fresh weights have it too, and a gap of their own."""
    model, x = ta.models.VAE(features=64, latent=2, hidden=(16,), rng=ta.rng(1)).astype(np.float64), lesson["x"][:20]
    with ta.no_grad():
        nll, _, reconstruction, kl, gap, _ = lesson["account"](model, x, *lesson["make_grid"](limit=10.0))
    assert np.abs(reconstruction + kl - nll - gap).max() < 1e-6
    assert gap.min() > 0.01


def test_the_hand_written_rules_are_named_gradients_of_the_formulas(lesson):
    gy, mean, log_variance = np.array([2.0, -1.0]), np.array([[0.5], [3.0]]), np.array([[np.log(4.0)], [0.0]])
    found = lesson["kl_backward"](gy, mean, log_variance)
    np.testing.assert_allclose(found["mean"], [[1.0], [-3.0]])
    np.testing.assert_allclose(found["log_variance"], [[3.0], [0.0]])
    drawn = lesson["draw_backward"](np.array([[3.0], [1.0]]), log_variance, np.array([[0.5], [-2.0]]))
    np.testing.assert_allclose(drawn["mean"], [[3.0], [1.0]])
    np.testing.assert_allclose(drawn["log_variance"], [[1.5], [-1.0]])


def test_predictions_of_closed_forms_come_true_and_that_of_the_gap_is_kept(lesson):
    rows = lesson["lesson"].rows
    for name in ("kl.samples", "kl.wrong_sampler"):
        assert rows[name]["value"] == pytest.approx(rows[name]["predicted"], abs=5 * rows[f"{name}_error"]["value"])
    assert rows["account.unexplained"]["predicted"] == 0
    assert rows["test.gap"]["predicted"] == pytest.approx(np.log(2) / 2)
