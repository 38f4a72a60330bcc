"""Lesson 0: its oracle and its differences are right, and a broken line or rule is found by the check that is meant for it."""

import numpy as np
import pytest

import tinyae as ta

NUMBER = 0


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("softmax(x) * (cotangent - (", "softmax(x) * (cotangent - 2 * (", "gradients.softmax_x_engine"),
        ("/ (np.sqrt(2) * 1e-5)", "/ 1e-5", "fresh_noise.spread"),
        ("np.sqrt(np.exp(q.log_variance.data)) * stream", "np.exp(q.log_variance.data) * stream", "score.right"),
        ("q.log_prob(z) - model.prior.log_prob(z)", "2 * q.log_prob(z) - 2 * model.prior.log_prob(z)", "score.right"),
        ('"deviation": lambda v: ops.exp(v / 2)', '"deviation": lambda v: ops.exp(v)', "score.right"),
        ("((h, noise), (-2 * h, other_noise), (h, noise))", "((h, noise), (-h, other_noise), (0, noise))", "gradient.right"),
        ("*slopes_along(model, along, images, frozen, frozen)", "*slopes_along(model, along, images, frozen, 2 * frozen)", "gradient.right"),
    ],
)
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check)


def test_a_broken_rule_of_the_engine_is_found_by_differences(assert_found, break_rule):
    break_rule(ta.ops.softplus, 1.01)
    assert_found(check="gradient.right")


def test_the_eight_errors_each_change_the_loss_and_the_right_one_is_the_library_s(lesson):
    model, x, noise = lesson["suspect"](0), lesson["images"], lesson["frozen"]
    values = {}
    for name, lines in lesson["LINES"].items():
        model.lines = lines
        values[name] = float(model.loss(x, noise).data)
    assert values["right"] == pytest.approx(float(ta.models.VAE.loss(model, x, noise=noise).loss.data), rel=1e-12)
    assert all(abs(value - values["right"]) > 0.01 for name, value in values.items() if name != "right")


def test_the_oracle_s_kl_is_the_closed_one(lesson):
    model, x = lesson["bench"][3]
    with ta.no_grad():
        q = model.encode(x[:1])
        closed = float(ta.ops.kl_standard_normal(q.mean.data, q.log_variance.data)[0])
        _, kl = lesson["oracle"](model, x, ta.rng(5))
    assert kl.mean() == pytest.approx(closed, abs=5 * kl.std() / np.sqrt(kl.size))


def test_the_oracle_of_a_decoder_that_reads_nothing_is_the_known_cross_entropy(lesson):
    model = lesson["suspect"](0)
    logits = np.linspace(-3, 3, 64)
    model.decoder[-1].weight.assign(0.0)
    model.decoder[-1].bias.assign(logits)
    x = np.repeat(lesson["images"][:1], 100, axis=0)
    p = 1 / (1 + np.exp(-logits))
    with ta.no_grad():
        reconstruction, _ = lesson["oracle"](model, x, ta.rng(0))
    np.testing.assert_allclose(reconstruction, -(x[0] * np.log(p) + (1 - x[0]) * np.log(1 - p)).sum(), rtol=1e-10)


def test_the_measured_errors_of_differences_lie_below_their_bound_and_bend_where_it_does(lesson):
    for errors, bound in lesson["curves"].values():
        errors = np.array(errors)
        known = np.isfinite(errors)
        assert (errors[known] <= 1.1 * bound[known]).all()  # where the next term of the series counts, a little above
        assert 0.3 < lesson["steps"][np.nanargmin(errors)] / lesson["steps"][bound.argmin()] < 2


def test_the_slopes_leave_the_weights_where_they_were(lesson):
    model = lesson["suspect"](1)
    model.lines = lesson["RIGHT"]
    before = [w.data.copy() for w in model.parameters()]
    along = [np.ones(w.shape) for w in model.parameters()]
    gradient, difference = lesson["slopes_along"](model, along, lesson["images"], lesson["frozen"], lesson["frozen"])
    assert gradient == pytest.approx(difference, rel=1e-6)
    for w, was in zip(model.parameters(), before, strict=True):
        np.testing.assert_allclose(w.data, was, atol=1e-15)


def test_all_eight_are_found_and_the_predictions_hold(lesson):
    numbers = lesson["lesson"].rows
    assert numbers["found.by_statistics"]["value"] == 8
    assert numbers["found.by_differences"]["value"] == 0
    for name in ("kl_without_half", "kl_mean_over_latents", "kl_sign_flipped", "mean_over_pixels"):
        assert numbers[f"difference.{name}"]["value"] == pytest.approx(numbers[f"difference.{name}"]["predicted"], abs=0.4)
    assert numbers["fresh_noise.spread"]["value"] == pytest.approx(numbers["fresh_noise.spread"]["predicted"], rel=0.2)
