"""Lesson 7: its formulas beside quadrature, its surrogate beside the gradient by hand, and its checks fail when a line is broken."""

import itertools

import numpy as np
import pytest

import tinyae as ta
from tinyae import course
from tinyae.course import run

NUMBER = 7


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Run a learner's copy with one line changed.  What is tested here comes before the data: to reach them is to have missed it."""

    def reached(*args, **kwargs):
        raise RuntimeError("the planted error was not caught")

    def run_copy(line, instead, count=1):
        script = course.entry(NUMBER).path.read_text()
        assert script.count(line) == count
        learner = tmp_path / "07_learner.py"
        learner.write_text(script.replace(line, instead))
        monkeypatch.setattr(ta.data, "load", reached)
        monkeypatch.setattr(run, "entry", lambda number: course.Entry(NUMBER, "the learner's copy", learner))
        course.run_lesson(NUMBER, fast=True, out=tmp_path / "out")

    return run_copy


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
        ("value * noise / np.exp(log_variance / 2), value", "value * noise / np.exp(log_variance), value", "gradients.log_q_mean"),
        ("value * (noise**2 - 1) / 2", "value * noise**2 / 2", "gradients.log_q_log_variance"),
        ("slope * noise * np.exp(log_variance / 2) / 2", "slope * noise * np.exp(log_variance / 2)", "gradients.path_log_variance"),
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
def test_a_wrong_line_is_found(broken, line, instead, check):
    with pytest.raises(course.CheckFailed, match=check.replace(".", r"\.")):
        broken(line, instead)


def test_what_the_lesson_says_of_its_own_numbers(lesson):
    rows = {name: row["value"] for name, row in lesson["lesson"].rows.items()}
    assert rows["toy.ratio_10"] == pytest.approx(138, rel=0.05)
    assert rows["train.pathwise"] < rows["train.baseline"] < rows["train.score"]
    assert rows["vae.ratio_baseline"] < rows["latents8.ratio_baseline"]
    assert 1 / 4 < rows["vae.ratio"] / rows["latents8.ratio"] < 4
    assert rows["start.ratio"] > 5 * rows["vae.ratio"]
    assert rows["latents8.path"] > rows["latents8.score"]
    assert 0.9 < rows["train.score_costs"] < 3
