"""Lesson 2: its functions against exact truths, and a broken line or rule that a named check finds."""

import numpy as np
import pytest

import tinyae as ta

NUMBER = 2
TRAINING = "measured = {}"


@pytest.fixture
def covariance():
    """Five eigenvalues that are known, and axes in no special direction; as (covariance, eigenvalues, axes)."""
    eigenvalues = np.array([2.0, 1.5, 0.8, 0.4, 0.1])
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    return axes * eigenvalues @ axes.T, eigenvalues, axes


def test_the_predictions_hold(lesson):
    rows = lesson["lesson"].rows
    for k in (2, 8, 16):
        assert rows[f"mse.k{k}"]["value"] == pytest.approx(rows[f"mse.k{k}"]["predicted"], rel=2e-4)
        assert rows[f"angle.k{k}"]["value"] < 0.1
    assert rows["escape.growth"]["value"] == pytest.approx(rows["escape.growth"]["predicted"], abs=1e-6)
    assert rows["decay.worst_axis_with"]["value"] < 1e-6


def test_principal_axes_are_those_that_the_data_were_made_with(lesson, covariance):
    known, eigenvalues, axes = covariance
    x = np.sqrt(10 * eigenvalues)[:, None] * axes.T  # five rows, each along an axis
    found, values, directions = lesson["principal_axes"](np.concatenate([x, -x]))
    np.testing.assert_allclose(found, 2 * known, atol=1e-12)
    np.testing.assert_allclose(values, 2 * eigenvalues, rtol=1e-12)
    np.testing.assert_allclose(np.abs(directions.T @ axes), np.eye(5), atol=1e-7)


def test_every_choice_of_eigenvectors_is_a_stop_and_only_the_largest_are_a_minimum(lesson, covariance):
    known, eigenvalues, axes = covariance
    rng = np.random.default_rng(1)
    for first in range(5):
        for second in range(first + 1, 5):
            some = axes[:, [first, second]]
            mixed = rng.normal(size=(2, 2)) + 2 * np.eye(2)  # step 6
            for encoder, decoder in ((some.T, some), (mixed @ some.T, some @ np.linalg.inv(mixed))):
                assert max(np.abs(g).max() for g in lesson["weight_gradients"](known, encoder, decoder)) < 1e-12
            moved = lesson["descend"](known, some.T + 1e-4 * rng.normal(size=(2, 5)), some + 1e-4 * rng.normal(size=(5, 2)), 3000, 0.1)
            off = moved[1] @ moved[0] - np.eye(5)
            assert np.sum(off @ known * off) == pytest.approx(eigenvalues[2:].sum(), rel=1e-6)


@pytest.mark.parametrize("degrees", [0.0, 1.0, 30.0, 90.0])
def test_the_largest_angle_is_the_known_one_whatever_the_basis(lesson, degrees):
    turn = np.radians(degrees)
    plane, other = np.eye(4)[:, :2], np.eye(4)[:, :2].copy()
    other[:, 1] = [0, np.cos(turn), np.sin(turn), 0]
    mixed = other @ np.array([[2.0, 1.0], [-1.0, 3.0]])
    assert lesson["largest_angle"](plane, mixed) == pytest.approx(degrees, abs=1e-6)


def test_a_code_without_a_bend_in_the_decoder_is_never_better_than_pca(lesson):
    """Step 2, for any encoder: the best linear decoder of random bent codes."""
    x, k = lesson["train"][:300], 3
    x = x - x.mean(axis=0)
    least = lesson["principal_axes"](x)[1][k:].sum()
    for seed in range(5):
        codes = np.tanh(x @ np.random.default_rng(seed).normal(size=(64, k)))
        best = codes @ np.linalg.lstsq(codes, x, rcond=None)[0]
        assert np.square(best - x).sum(axis=1).mean() >= least


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("slope = 2 * (decoder @ encoder", "slope = (decoder @ encoder", "gradients.loss_encoder_engine"),
        ("return decoder.T @ slope, slope @ encoder.T", "return decoder.T @ slope, slope.T @ encoder.T", "gradients.loss_decoder_engine"),
        ("covariance = x.T @ x / len(x)", "covariance = x.T @ x / (len(x) - 1)", "check.left_out_k2"),
        ("eigenvalues[::-1], axes[:, ::-1]", "eigenvalues[::-1], axes", "check.left_out_k2"),
        ("(p.T @ q), ord=2)", "(p.T @ q), ord=-2)", "check.angle"),
        ("wrong, lr = axes[:, 1:3], 0.1", "wrong, lr = axes[:, 1:3] + axes[:, 4:6], 0.1", "saddle.gradient"),
    ],
)
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check, before=TRAINING)


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("np.hypot(missing - kept, 2 * missing)", "np.hypot(missing - kept, 1.9 * missing)", "escape.growth"),
        ("1 + s / (2 * missing)", "1 + s / missing", "escape.direction"),
        ("step_b = momentum * step_b + g_b + 2 * decay * decoder", "step_b = momentum * step_b + g_b", "decay.worst_axis_with"),
        ("np.sqrt(1 - decay / eigenvalues[:k])", "1 - decay / eigenvalues[:k]", "decay.sizes"),
    ],
)
def test_a_wrong_prediction_is_found_by_the_measurement(assert_found, line, instead, check):
    """Next to no training, in a control run, which does not look at what depends on it."""
    quick = "1600 if lesson.fast", "2 if lesson.fast"
    assert_found(quick, (line, instead), check=check, control=True)


def test_a_broken_rule_of_the_engine_is_found(assert_found, break_rule):
    break_rule(ta.ops.matmul, 2, of="a")
    assert_found(check="gradients.loss_encoder_engine", before=TRAINING)
