"""Lesson 6: its account against exact truths, and its checks fail when something is broken."""

import json
import types

import numpy as np
import pytest

import tinyae as ta

NUMBER = 6
TRAINING = "train, test = (ta.data.load"


def test_the_terms_of_the_loss_add_up(lesson):
    metrics = json.loads((lesson["out"] / "metrics.json").read_text())
    assert metrics["test"]["negative_elbo"] == pytest.approx(metrics["test"]["reconstruction"] + metrics["test"]["kl"])
    assert metrics["binarisation"] == "threshold"


def test_a_copy_without_an_error_is_not_said_to_be_found_nor_is_another_check(assert_found):
    """Of the fixture `assert_found` itself."""
    with pytest.raises(RuntimeError, match="reached, and the planted error was not found"):
        assert_found(check="gradients.kl_mean_engine", before=TRAINING)
    half_forgotten = "gy[:, None] * mean", "2 * gy[:, None] * mean"
    assert_found(half_forgotten, check="gradients.kl_mean_engine", before=TRAINING)
    with pytest.raises(AssertionError, match="did not match"):
        assert_found(half_forgotten, check="gradients.kl_mean", before=TRAINING)
    with pytest.raises(AssertionError, match="stands 0 times"):
        assert_found(("no such line", ""), check="gradients.kl_mean_engine", before=TRAINING)


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
        ("kl_standard_normal", "mean", 2.0, "gradients.kl_mean_engine"),
        ("kl_standard_normal", "log_variance", -1.0, "gradients.kl_log_variance_engine"),
        ("reparameterize", "mean", 1.1, "gradients.draw_mean_engine"),
        ("reparameterize", "log_variance", 2.0, "gradients.draw_log_variance_engine"),
    ],
)
def test_the_lesson_fails_when_a_rule_is_broken(assert_found, break_rule, tmp_path, primitive, of, factor, check):
    break_rule(getattr(ta.ops, primitive), factor, of)
    assert_found(check=check, before=TRAINING)
    assert not (tmp_path / "out").exists()


def test_the_lesson_fails_for_a_kl_without_its_half(assert_found, monkeypatch):
    kl = ta.ops.kl_standard_normal
    right = kl.forward
    monkeypatch.setattr(kl, "forward", lambda *args: 2 * right(*args))
    assert_found(check="gradients.kl_mean_differences", before=TRAINING)


def test_samples_catch_a_sampler_with_perfect_gradients_and_the_wrong_spread(assert_found, monkeypatch):
    """Value, rules, twin and the rule by hand all take exp(log_variance) for the standard deviation: no gradient check sees it."""
    draw = ta.ops.reparameterize
    (rule,) = [rule for rule in draw.rules if rule.inputs == ("log_variance",)]
    monkeypatch.setattr(rule, "function", lambda gz, log_variance, noise: gz * noise * np.exp(log_variance))
    monkeypatch.setattr(draw, "forward", lambda mean, log_variance, noise: mean + np.exp(log_variance) * noise)
    monkeypatch.setattr(draw, "composed", lambda mean, log_variance, noise: mean + ta.ops.exp(log_variance) * noise)
    by_hand = "gz * noise * np.exp(log_variance / 2) / 2}", "gz * noise * np.exp(log_variance)}"
    assert_found(by_hand, check="check.kl_samples", before=TRAINING)


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
