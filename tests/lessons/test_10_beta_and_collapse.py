"""Lesson 10: its theory against exact truths, and its checks when a line is broken."""

import json

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops

NUMBER = 10


def second_derivatives(likelihood, x, bias, beta, **settings):
    """By the engine, of a linear VAE with one latent variable, in all its parameters at collapse; and the gradient there.

    Noise of +1 and -1 has the mean and the variance of the real one, which is all that second derivatives at z = 0 see.
    """
    model = ta.models.VAE(x.shape[1], 1, (), likelihood, rng=ta.rng(0), **settings).astype(np.float64)
    model.objective = ta.models.ELBO(beta=beta)
    parameters = list(model.parameters())
    for p in parameters:
        p.assign(np.zeros(p.shape))
    model.decoder[-1].bias.assign(bias)
    noise = np.stack([np.ones((len(x), 1)), -np.ones((len(x), 1))])
    first = ops.concatenate(*[g.reshape(-1) for g in ta.grad(model.loss(x, noise=noise).loss, parameters, create_graph=True)])
    rows = [[g.data.ravel() for g in ta.grad(first[i], parameters, retain_graph=True)] for i in range(first.size)]
    return np.array([np.concatenate(row) for row in rows]), first.data


def exact_negative_log_likelihood(C, W, s2):
    """-log of N(0, W W' + s2 I), mean over data with covariance C."""
    M = W @ W.T + s2 * np.eye(len(C))
    return (len(C) * np.log(2 * np.pi) + np.linalg.slogdet(M)[1] + np.trace(np.linalg.solve(M, C))) / 2


def test_the_linear_vae_with_beta_1_is_probabilistic_pca_without_a_gap(lesson):
    """Its loss with the constant is the exact negative log-likelihood of its decoder, and of the decoder that the eigenvalues give."""
    W, V, log_variance = lesson["train_linear"](1.0)
    C, s2, latent = lesson["C"], lesson["VARIANCE"], lesson["LATENT"]
    constant = len(C) / 2 * np.log(2 * np.pi * s2)
    distortion, rate = lesson["linear_terms"](W, V, log_variance, C, s2)
    assert distortion + rate + constant == pytest.approx(exact_negative_log_likelihood(C, W, s2), abs=1e-4)
    values, vectors = np.linalg.eigh(C)
    best = vectors[:, -latent:] * np.sqrt(np.maximum(values[-latent:] - s2, 0))
    _, rate, error = lesson["theory"](values[::-1], s2, latent)
    assert rate + error / (2 * s2) + constant == pytest.approx(exact_negative_log_likelihood(C, best, s2), rel=1e-12)


@pytest.mark.parametrize(("variance", "nats"), [(0.05, 10.45), (0.15, 3.38), (0.4, 0.66)])
def test_the_theory_gives_the_rates_that_were_measured_before_on_another_split(lesson, variance, nats):
    assert lesson["theory"](lesson["eigenvalues"], variance, 16)[1] == pytest.approx(nats, abs=0.03)


def test_a_weight_is_a_variance(lesson):
    """Beta times the variance is all that the number of used variables, the rate and the squared error know."""
    C, eigenvalues = lesson["C"], lesson["eigenvalues"]
    assert lesson["theory"](eigenvalues, 2 * 0.15, 16) == lesson["theory"](eigenvalues, 1 * 0.3, 16)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(len(C), 3)), rng.normal(size=(3, len(C))), rng.normal(size=3)
    one, other = (lesson["linear_backward"](*weights, C, s2, beta) for s2, beta in ((0.15, 2.0), (0.3, 1.0)))
    for half, whole in zip(other, one, strict=True):
        np.testing.assert_allclose(2 * half, whole)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_second_derivatives_at_collapse_are_those_of_the_engine(lesson, factor):
    s2 = lesson["VARIANCE"]
    x = lesson["grey"][:, ::4]
    C = x.T @ x / len(x)
    eigenvalues = np.linalg.eigvalsh(C)
    beta = factor * eigenvalues[-1] / s2
    engine, gradient = second_derivatives("gaussian", x, np.zeros(len(C)), beta, variance=s2)
    assert np.abs(gradient).max() < 1e-12
    found = lesson["curvature"](C, s2, beta)
    d = len(C)
    row, column = np.arange(d), np.arange(2 * d + 2, 3 * d + 2)  # V, beside the log-variance's weights and two biases; W
    of_both = np.concatenate([row, column])
    assert found == pytest.approx(np.linalg.eigvalsh(engine[np.ix_(of_both, of_both)])[0], abs=1e-9)
    assert (np.linalg.eigvalsh(engine)[0] < 0) == (factor < 1)
    blocks = [[[1 / s2, -a / s2], [-a / s2, beta * a]] for a in eigenvalues]
    assert found == pytest.approx(np.linalg.eigvalsh(blocks).min(), abs=1e-9)
    assert (found < 0) == (factor < 1)


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_black_and_white_pixels_collapse_at_the_largest_eigenvalue_of_their_correlations(lesson, factor):
    """Step 8, by the engine: the sign of the smallest second derivative changes there."""
    p = lesson["binary"].mean(axis=0)
    beta = factor * lesson["correlations"][0]
    engine, gradient = second_derivatives("bernoulli", lesson["binary"], np.log(p / (1 - p)), beta)
    assert np.abs(gradient).max() < 1e-12
    assert (np.linalg.eigvalsh(engine)[0] < 0) == (factor < 1)


def test_chords_are_minus_the_slopes_between_neighbours(lesson):
    assert lesson["chords"]({1.0: (5.0, 4.0), 2.0: (8.0, 2.0), 4.0: (9.5, 1.5)}) == [(1.0, 1.5, 2.0), (2.0, 3.0, 4.0)]
    assert lesson["chords"]({1.0: (5.0, 4.0), 2.0: (5.0, 4.0)}) == [(1.0, 0.0, 2.0)]  # models that differ in nothing: no slope


def test_a_larger_weight_never_has_a_larger_rate(lesson):
    numbers = json.loads((lesson["out"] / "metrics.json").read_text())["nonlinear"]
    rates = [value for name, value in numbers.items() if name.startswith("kl_")]
    assert len(rates) == 6
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("beta * V @ C - W.T", "V @ C - W.T", "gradients.linear_V_engine"),
        ("(W * v - GC @ V.T) / s2", "(W - GC @ V.T) / s2", "gradients.linear_W_engine"),
        ("+ beta * (v - 1) / 2", "+ beta * (v - 1)", "gradients.linear_log_variance_engine"),
        ("np.log(used / t).sum() / 2", "np.log(used / t).sum()", "slope.exact"),
        ("np.minimum(kept, t).sum()", "kept.sum()", "slope.exact"),
        ("used = 1.0 if lesson.control else beta  #", "used = 1.0  #", "linear.used_beta_half"),
        ("kept = eigenvalues[:latent]", "kept = eigenvalues[: latent // 2]", "linear.used_beta_half"),
        ("(v - log_variance - 1).sum()) / 2\n", "(v - log_variance).sum()) / 2\n", "linear.kl_beta_half"),
        ("change[-1:], C, s2, beta)", "change[-1:], C, s2, 0.9 * beta)", "saddle.below_collapse"),
    ],
)
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check)
