"""Lesson 8: its gradients beside finite differences, and its checks fail when a line is broken."""

import numpy as np
import pytest

import tinyae as ta

NUMBER = 8


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
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check)


def test_a_broken_rule_of_the_engine_is_found(assert_found, break_rule):
    break_rule(ta.ops.reparameterize, 2, of="log_variance")
    assert_found(check="gradient.log_variance")
