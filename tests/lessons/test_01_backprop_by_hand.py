"""Lesson 1: its gradients by hand are right, its predictions hold, and each broken line is found."""

import numpy as np
import pytest

import tinyae as ta

NUMBER = 1
TRAINING = "x = ta.data.load("


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("np.array([3.0, 1.0, -10.0])", "np.array([3.0, 3.0, -10.0])", "gradients.example_x_engine"),
        ('{"x": g @ W, "W": g.T @ x,', '{"x": g @ W, "W": g.T @ np.abs(x),', "gradients.linear_W_engine"),
        ("(g @ W) * (1 - np.tanh(x) ** 2)", "(g @ W) * (1 - np.tanh(x))", "gradients.tanh_t_engine"),
        ("(1 - (x - m) ** 2 * np.exp(-v)) / 2}", "(1 - (x - m) ** 2 * np.exp(-v))}", "gradients.gaussian_v_engine"),
        ("s * (g_n - g_n.mean(axis=0) - n", "s * (g_n - n", "gradients.batch_norm_t_engine"),
        ("return g_d - g_d.mean(axis=0), s", "return g_d, s", "pieces.batch_norm"),
        ('g_t = (g_a @ w["V"]) * (1 - h**2)', 'g_t = (g_a @ w["V"])', "gradients.network_W_engine"),
        ("g_p = g_r * ((1 - x) / (1 - p) - x / p)", "g_p = g_r * ((1 - x) / (1 - p) + x / p)", "pieces.network"),
        ("g_u, g_v = g_m + g_s, g_s - g_m", "g_u, g_v = g_m + g_s, g_m - g_s", "pieces.network"),
        ("g_q = -g_p * p**2", "g_q = -g_p * p", "pieces.network"),
        ("r = -(x * np.log(p)", "r = (x * np.log(p)", "pieces.loss"),
        ("(np.logaddexp(0, a) - x * a)", "(np.logaddexp(0, a) + x * a)", "pieces.loss"),
    ],
)
def test_a_wrong_line_is_found_before_any_training(assert_found, line, instead, check):
    assert_found((line, instead), check=check, before=TRAINING)


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("rates * squared - rates**2 / 2 * bent", "rates * squared - rates**2 * bent", "drop.order_of_second_error"),
        ("0.01 * squared - 0.01**2 / 2 * bent", "0.01 * squared + 0.01 * bent", "drop.measured"),
        ("0.01 * squared - 0.01**2 / 2 * bent", "0.01 * squared", "drop.measured"),
        ("start = {name: 0.02 *", "start = {name: 0.2 *", "start.loss"),
        ("return loss, moved(w, g, rate)", "return loss, moved(w, g, -rate)", "drop.measured"),
    ],
)
def test_a_wrong_step_or_prediction_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check)


def test_a_broken_rule_of_the_engine_is_found(assert_found, break_rule):
    break_rule(ta.ops.tanh, 1.1)
    assert_found(check="gradients.tanh_t_engine", before=TRAINING)


def test_the_curvature_by_differences_is_the_engine_s_hessian_product(lesson):
    w, x = lesson["larger"], lesson["x"]
    leaves = {name: ta.Tensor(value, requires_grad=True) for name, value in w.items()}
    a = ta.ops.tanh(x @ leaves["W"].T + leaves["b"]) @ leaves["V"].T + leaves["c"]
    loss, g = ta.ops.bce_with_logits(a, x).mean(), lesson["loss_and_gradient"](w, x)[1]
    assert float(loss.data) == pytest.approx(lesson["loss_and_gradient"](w, x)[0], rel=1e-12)
    products = ta.hessian_vector_product(loss, [leaves[name] for name in w], [g[name] for name in w])
    exact = sum((g[name] * h.data).sum() for name, h in zip(w, products, strict=True))
    assert lesson["bent"] == pytest.approx(exact, rel=1e-5)


def test_pieces_and_shortcuts_agree_on_real_images_and_the_shortcut_alone_survives_large_logits(lesson):
    w, x = lesson["larger"], lesson["x"]
    values = lesson["forward"](w, x)
    pieces, (loss, gradient) = lesson["backward"](w, x, values), lesson["loss_and_gradient"](w, x)
    assert loss == pytest.approx(values["loss"], rel=1e-12)
    for name in w:
        np.testing.assert_allclose(pieces[name], gradient[name], rtol=1e-9, atol=1e-12)
    far = w | {"c": np.full(64, 50.0)}
    with np.errstate(all="ignore"):
        assert not np.isfinite(lesson["forward"](far, x)["loss"])
    loss, gradient = lesson["loss_and_gradient"](far, x)
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in gradient.values())


def test_ten_digits_are_learnt_with_gradients_by_hand(lesson):
    numbers = lesson["lesson"].rows
    assert numbers["start.loss"]["value"] == pytest.approx(64 * np.log(2), abs=0.1)
    assert numbers["end.loss"]["value"] < 0.01
    assert numbers["drop.measured"]["value"] == pytest.approx(numbers["drop.measured"]["predicted"], rel=0.01)
    logits = np.tanh(lesson["x"] @ lesson["w"]["W"].T + lesson["w"]["b"]) @ lesson["w"]["V"].T + lesson["w"]["c"]
    assert ((logits > 0) == (lesson["x"] == 1)).all()
