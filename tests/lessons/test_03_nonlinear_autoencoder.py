"""Lesson 3: its functions against exact truths, and a broken line or rule that a named check finds."""

import numpy as np
import pytest

import tinyae as ta

NUMBER = 3
TRAINING = "rotation = "


def test_the_floor_is_reached_and_only_copied_noise_goes_below_it(measured):
    exact = measured["surface.exact"]
    for depth in (1, 2):
        assert exact < measured[f"surface.k2_depth{depth}"] < 1.25 * exact
        assert 5 / 6 * 0.9 * exact < measured[f"surface.k3_depth{depth}"] < exact
        assert measured[f"surface.k1_depth{depth}"] > 3 * exact
    assert measured["surface.k2_depth0"] > 4 * exact
    assert measured["few.gap_k2"] < measured["few.gap_k8"] < measured["few.gap_k64"]
    assert measured["shuffled.k64"] < measured["shuffled.k8"] / 2


def test_what_the_lesson_says_of_digits_is_what_it_measured(lesson, measured):
    assert measured["digits.of_pca_k8"] < measured["digits.of_pca_k2"] + 0.05
    assert measured["middle.code"] < 0.9 * measured["middle.pixels"]
    assert measured["code.autoencoder"] > measured["code.pca"]
    assert measured["digits.k2"] < 1.25 * lesson["pca"][4]
    assert measured["digits.k8"] > 1.25 * lesson["pca"][16]


def test_the_numbers_of_a_point_do_not_vary_together(lesson):
    """Step 6: before the rotation the covariance is diagonal, so its entries are the eigenvalues."""
    covariance = np.cov(lesson["surface"](50_000, ta.rng(2), np.eye(8)).T)
    bent = [0.51 - 4 / np.pi**2, 0.51]
    np.testing.assert_allclose(np.diag(covariance), [*bent, *bent, 0.01, 0.01, 0.01, 0.01], atol=0.01)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.01


@pytest.mark.parametrize("bend", ["tanh", "relu"])
def test_the_backward_pass_by_hand_is_that_of_finite_differences(lesson, bend):
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(4, 5)), rng.normal(size=(4, 2))
    weights = [rng.normal(size=shape) for shape in ((3, 5), (6, 3), (2, 6))]
    g_weights, g_hs = lesson["backward"](g, lesson["forward"](x, weights, bend), weights, bend)
    assert [w.shape for w in g_weights] == [w.shape for w in weights]
    for number, w in enumerate(weights):
        direction = rng.normal(size=w.shape)
        moved = [[*weights[:number], w + step * direction, *weights[number + 1 :]] for step in (1e-6, -1e-6)]
        ahead, behind = ((g * lesson["forward"](x, some, bend)[-1]).sum() for some in moved)
        assert (ahead - behind) / 2e-6 == pytest.approx((g_weights[number] * direction).sum(), rel=1e-6)
    direction = rng.normal(size=x.shape)
    ahead, behind = ((g * lesson["forward"](x + step * direction, weights, bend)[-1]).sum() for step in (1e-6, -1e-6))
    assert (ahead - behind) / 2e-6 == pytest.approx((g_hs[0] * direction).sum(), rel=1e-6)


def test_points_without_noise_lie_on_the_surface_and_their_covariance_is_the_predicted_one(lesson, monkeypatch):
    monkeypatch.setitem(lesson["surface"].__globals__, "SIGMA", 0.0)
    x = lesson["surface"](50_000, ta.rng(1), lesson["rotation"])
    assert lesson["off_surface"](x, lesson["rotation"]) < 1e-25
    found = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    np.testing.assert_allclose(found, lesson["spectrum"] - 0.01, atol=0.005)


def test_the_distance_from_the_surface_is_the_known_one(lesson):
    rotation = lesson["rotation"]
    on = np.array([[0.6, 0.8, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    off = on * np.array([1.5, 1.5, 0.75, 0.75, 1, 1, 1, 1]) + np.array([0, 0, 0, 0, 0.1, 0, 0, -0.2])
    assert lesson["off_surface"](on @ rotation.T, rotation) == pytest.approx(0, abs=1e-25)
    assert lesson["off_surface"](off @ rotation.T, rotation) == pytest.approx(0.25 + 0.0625 + 0.01 + 0.04)


def test_an_orthogonal_chain_keeps_lengths_exactly(lesson, monkeypatch):
    """Without a bend, and with weights that turn only: the factor is 1 at each layer."""
    monkeypatch.setitem(lesson["BENDS"], "none", (lambda t: t, np.ones_like))
    weights = [np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0] for seed in range(5)]
    hs = lesson["forward"](np.ones((3, 6)), weights, "none")
    _, g_hs = lesson["backward"](np.eye(3, 6), hs, weights, "none")
    np.testing.assert_allclose([np.linalg.norm(g) for g in g_hs], np.sqrt(3), rtol=1e-12)


def test_the_nearest_is_found(lesson):
    others = np.array([[0.0, 0.0], [3.0, 4.0], [-1.0, 2.0]])
    assert lesson["nearest"](np.array([[2.5, 3.0], [-0.9, 1.5], [0.2, -5.0]]), others).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("lambda h: 1 - h * h", "lambda h: 1 - h", "gradients.tanh_W1_engine"),
        ("lambda h: (h > 0) * 1.0", "lambda h: (h >= 0) * 1.0", "gradients.relu_W1_engine"),
        ("g_hs.insert(0, g_t @ w)", "g_hs.insert(0, g_hs[0] @ w)", "gradients.tanh_W1_engine"),
        ("weights = np.sqrt(c / n) *", "weights = c / np.sqrt(n) *", "chain.relu_one_third"),
        ("shares.append([np.log(c * np.square(", "shares.append([np.log(c * np.abs(", "chain.tanh_one"),
    ],
)
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check, before=TRAINING)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_a_broken_rule_of_the_engine_is_found(assert_found, break_rule, name):
    break_rule(getattr(ta.ops, name), 1.01)
    assert_found(check=f"gradients.{name}_W1_engine", before=TRAINING)


def test_another_convention_at_the_kink_is_noticed(assert_found, monkeypatch):
    """The same relu, but for its slope at 0: 1/2."""
    monkeypatch.setattr(ta.ops, "relu", lambda t: (t + ta.ops.abs(t)) / 2)
    assert_found(check="kink.engine", before=TRAINING)
