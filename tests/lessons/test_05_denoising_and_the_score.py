"""Lesson 5: its functions against exact truths, and its checks fail when a line is broken."""

import numpy as np
import pytest

import tinyae as ta

NUMBER = 5
TRAINING = "one = train("


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("(MEANS - y[:, None]) / (VARIANCES + s**2)", "(MEANS - y[:, None]) / VARIANCES", "check.tweedie"),
        ("(MEANS - y[:, None]) / (VARIANCES + s**2)", "(y[:, None] - MEANS) / (VARIANCES + s**2)", "check.tweedie"),
        (" / np.sqrt(2 * np.pi * v)", "", "check.tweedie"),
        ("/ weight.sum(axis=1) - y - S**2 * score(y, S)", "/ weight.sum(axis=1) - y - S * score(y, S)", "check.tweedie"),
        ("g_a = -4 * g_d2 * h * q", "g_a = -2 * g_d2 * h * q", "gradients.contraction_W_engine"),
        ("g_d2 = g_C[:, None] * (1 - h * h) ** 2", "g_d2 = g_C[:, None] * (1 - h * h)", "gradients.contraction_W_engine"),
        ("2 * g_d2.sum(axis=0)[:, None] * W", "g_d2.sum(axis=0)[:, None] * W", "gradients.contraction_W_engine"),
        ("C = sum((ta.grad(h[:, j].sum()", "C = sum((ta.grad(2 * h[:, j].sum()", "check.twice_W"),
    ],
)
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check, before=TRAINING)


def test_the_score_is_the_slope_of_the_log_density(lesson):
    y = np.linspace(-4, 4, 41)
    for s in (0.05, 0.3, 5.0):
        above, below = (np.log(lesson["shares"](y + step, s).sum(axis=1)) for step in (1e-5, -1e-5))
        np.testing.assert_allclose(lesson["score"](y, s), (above - below) / 2e-5, rtol=1e-6, atol=1e-6)


def test_more_noise_blurs_and_points_with_the_speed_of_step_6_make_the_same_change(lesson):
    """From s to s + ds a density grows by s p'' ds, and by minus the slope of p u ds."""
    y, s, h = np.linspace(-3, 3, 61), 0.4, 1e-4

    def density(points, noise):
        return lesson["shares"](points, noise).sum(axis=1)

    def flow(points):
        return density(points, s) * -s * lesson["score"](points, s)

    grown = (density(y, s + h) - density(y, s - h)) / (2 * h)
    curvature = (density(y + h, s) - 2 * density(y, s) + density(y - h, s)) / h**2
    np.testing.assert_allclose(grown, s * curvature, atol=1e-5)
    np.testing.assert_allclose(grown, -(flow(y + h) - flow(y - h)) / (2 * h), atol=1e-5)


def test_the_penalty_is_cheated_unless_the_weights_are_tied(measured):
    assert 20 < measured["code.plain"] / measured["code.price_1"] < 100
    assert 3 < measured["whole.plain"] / measured["whole.price_1"] < 10
    assert min(measured["code.plain"] / measured["code.tied_1"], measured["whole.plain"] / measured["whole.tied_1"]) > 15
    assert measured["mse.tied_1"] > measured["mse.price_1"]


def test_quantiles_have_the_moments_of_the_mixture(lesson):
    mean = lesson["WEIGHTS"] @ lesson["MEANS"]
    variance = lesson["WEIGHTS"] @ (lesson["VARIANCES"] + (lesson["MEANS"] - mean) ** 2)
    for s in (0.0, 0.3, 5.0):
        y = lesson["quantiles"](s, 5000)
        assert y.mean() == pytest.approx(mean, abs=1e-3)
        assert y.var() == pytest.approx(variance + s**2, rel=1e-2)


def test_small_steps_along_the_exact_score_end_in_the_exact_density(lesson):
    end = lesson["walk"](lesson["score"], np.geomspace(5, 0.05, 1001))[-1]
    assert (np.diff(end) > 0).all()
    assert np.abs(end - lesson["end"]).mean() < 2e-3


def test_the_least_error_is_the_mean_variance_of_what_led_to_y(lesson):
    """Step 4, by quadrature over x and y."""
    shares, S = lesson["shares"], lesson["S"]
    x, y = np.linspace(-4, 5, 1801), np.linspace(-5, 6, 1101)
    weight = shares(x, 0).sum(axis=1) * np.exp(-((y[:, None] - x) ** 2) / (2 * S**2))
    weight /= weight.sum(axis=1, keepdims=True)
    variance = (weight * x**2).sum(axis=1) - (weight * x).sum(axis=1) ** 2
    least = (shares(y, S).sum(axis=1) * variance).sum() * (y[1] - y[0])
    assert lesson["lesson"].predictions["denoise.error"] == pytest.approx(least, rel=1e-6)


def test_the_contraction_is_the_squared_jacobian_of_the_engine(lesson):
    rng = np.random.default_rng(0)
    W, b, x = rng.normal(size=(3, 5)), rng.normal(size=3), rng.normal(size=5)
    point = ta.Tensor(x[None], requires_grad=True)
    (jacobian,) = ta.jacobian(ta.ops.tanh(point @ W.T + b), [point])
    np.testing.assert_allclose(lesson["contraction"](W, b, x[None]), [(jacobian.data**2).sum()], rtol=1e-12)


def test_the_slopes_of_a_whole_autoencoder_are_those_of_differences(lesson):
    for name in ("plain", "tied_1"):
        model, x = lesson["models"][name], lesson["images"][:2]
        moves = 1e-5 * np.eye(64)
        change = [(model.reconstruct(point + moves).data - model.reconstruct(point - moves).data) / 2e-5 for point in x]
        np.testing.assert_allclose(model.slopes(x), [(slopes**2).sum() for slopes in change], rtol=1e-6)


def test_the_best_denoiser_has_less_error_than_the_learned_one(lesson):
    """And the learned one has less than what would follow from no denoising, or from the mean of all points."""
    clean, noisy, S = lesson["clean"], lesson["noisy"], lesson["S"]
    error = {name: ((guess - clean) ** 2).mean() for name, guess in (("none", noisy), ("mean", clean.mean()))}
    error |= {
        name: ((noisy + S**2 * score(noisy, S) - clean) ** 2).mean() for name, score in (("best", lesson["score"]), ("one", lesson["one"].score))
    }
    assert error["best"] < error["one"] < 0.5 * error["none"] < error["mean"]
