"""Lesson 7: its formulas beside quadrature, its surrogate beside the gradient by hand, and its checks fail when a line is broken."""

import itertools

import numpy as np
import pytest

import tinyae as ta

NUMBER = 7
TRAINING = "train, test = (ta.data.load"


@pytest.mark.parametrize(("r", "s", "latents"), [(0.0, 1.0, 1), (1.0, 0.5, 1), (1.0, 0.5, 2), (2.0, 0.25, 2), (-0.5, 2.0, 3)])
def test_the_variances_of_steps_5_and_6_are_those_of_quadrature(lesson, r, s, latents):
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    e = np.array(list(itertools.product(nodes, repeat=latents)))
    weight = np.array([np.prod(w) for w in itertools.product(weights / weights.sum(), repeat=latents)])
    f, score = s**2 * ((r + e) ** 2).sum(axis=1), e[:, 0] / s
    best = (weight * f * score**2).sum() / (weight * score**2).sum()
    expected = []
    for estimate in (2 * s * (r + e[:, 0]), f * score, (f - best) * score):
        mean = (weight * estimate).sum()
        assert mean == pytest.approx(2 * r * s, abs=1e-12)
        expected.append((weight * (estimate - mean) ** 2).sum())
    assert lesson["toy_variances"](r, s, latents) == pytest.approx(expected, rel=1e-10)


def test_the_gradient_of_the_surrogate_is_the_score_function_estimate(lesson):
    """At the encoder's last bias, where it is the sum over images of what arrives at mean and log_variance."""
    rng = np.random.default_rng(0)
    x, e = rng.binomial(1, 0.5, (5, 6)).astype(float), rng.normal(size=(5, 2))
    model = ta.models.VAE(6, 2, (4,), activation="tanh", rng=ta.rng(1)).astype(np.float64)
    loss, mean_of_f = lesson["surrogate"](model, x, e, 1.5)
    loss.backward()
    with ta.no_grad():
        q = model.encode(x)
        m, v = q.mean.data, q.log_variance.data
        f = -model.likelihood(model.decode(m + np.exp(v / 2) * e)).log_prob(x).data[:, None]
    in_mean, in_log_variance = (f - 1.5) * e / np.exp(v / 2) + m, ((f - 1.5) * (e**2 - 1) + np.exp(v) - 1) / 2
    by_hand = np.concatenate([in_mean.mean(axis=0), in_log_variance.mean(axis=0)])
    assert model.encoder[-1].bias.grad == pytest.approx(by_hand, rel=1e-10)
    assert mean_of_f.item() == pytest.approx(f.mean())


def test_the_prediction_of_step_7_is_exact_where_f_is_a_parabola_far_from_zero(lesson):
    """A linear decoder with normal noise, at the best q: score estimates with R^2 / s^2, as f hardly varies beside its size."""
    model = ta.models.VAE(1, 1, (), likelihood="gaussian", variance=0.5, rng=ta.rng(0)).astype(np.float64)
    weight, x = 2.0, np.array([[0.0]])
    model.decoder[-1].weight.assign(np.array([[weight]]))
    model.decoder[-1].bias.assign(np.array([0.0]))
    variance = 1 / (1 + weight**2 / 0.5)
    model.encoder[-1].weight.assign(np.zeros((2, 1)))
    model.encoder[-1].bias.assign(np.array([0.0, np.log(variance)]))
    path, score = lesson["predicted"](model, x)
    mean_of_f = 0.5 * np.log(2 * np.pi * 0.5) + weight**2 * variance / 2 / 0.5
    slope_variance = (weight**2 / 0.5) ** 2 * variance
    assert path == pytest.approx(slope_variance, rel=1e-10)
    assert score == pytest.approx(mean_of_f**2 / variance, rel=1e-10)


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("value * noise / np.exp(log_variance / 2), value", "value * noise / np.exp(log_variance), value", "gradients.log_q_mean_engine"),
        ("value * (noise**2 - 1) / 2", "value * noise**2 / 2", "gradients.log_q_log_variance_engine"),
        ("slope * noise * np.exp(log_variance / 2) / 2", "slope * noise * np.exp(log_variance / 2)", "gradients.path_log_variance_engine"),
        ("r**4 + 14 * r**2 + 15) + added", "r**4 + 8 * r**2 + 15) + added", "toy.score_variances"),
        ("+ (latents - 1) * (r**2 + 1) ** 2", "+ (r**2 + 1) ** 2", "toy.score_variances"),
        ("s**2 * (r**2 + 3 + (J - 1) * (r**2 + 1))", "s**2 * (r**2 + 3)", "toy.score_variances"),
        ("return 4 * s**2,", "return 2 * s**2,", "toy.pathwise_variances"),
        ("z = q.rsample(noise).detach()", "z = q.rsample(noise)", "surrogate.gradient"),
        ("* q.log_prob(z) + ops", "* -q.log_prob(z) + ops", "surrogate.gradient"),
        ("+ ops.kl_standard_normal(q.mean", "- ops.kl_standard_normal(q.mean", "surrogate.gradient"),
        ("of = np.square(away).sum(axis=1), 2 * away[:, 0]", "of = np.square(away).sum(axis=1), away[:, 0]", "toy.means"),
    ],
)
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check, before=TRAINING)


def test_what_the_lesson_says_of_its_own_numbers(measured):
    assert measured["toy.ratio_10"] == pytest.approx(138, rel=0.05)
    assert measured["train.pathwise"] < measured["train.baseline"] < measured["train.score"]
    assert measured["vae.ratio_baseline"] < measured["latents8.ratio_baseline"]
    assert 1 / 4 < measured["vae.ratio"] / measured["latents8.ratio"] < 4
    assert measured["start.ratio"] > 5 * measured["vae.ratio"]
    assert measured["latents8.path"] > measured["latents8.score"]
    assert 0.9 < measured["train.score_costs"] < 3
