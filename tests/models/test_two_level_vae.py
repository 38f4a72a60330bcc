"""The two-level VAE against densities written in NumPy, a linear model whose likelihood is known, and the VAE that it is without its top."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae.errors import ArgumentError
from tinyae.evaluation.terms import evaluate
from tinyae.models import hierarchy
from tinyae.ops.softmax import logsumexp


def two_level(seed=0, spread=0.3):
    """In float64, its weights away from their initial values."""
    model = ta.models.TwoLevelVAE(12, levels=(2, 3), hidden=(9, 7), activation="tanh", rng=ta.rng(seed)).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 1.5 + ta.rng(seed + 100 + i).normal(p.shape, np.float64) * spread)
    return model


def binary(n, features=12, seed=5):
    return ta.rng(seed).bernoulli(np.full((n, features), 0.4))


def log_normal(x, mean, variance):
    return (-0.5 * np.log(2 * np.pi * variance) - 0.5 * (x - mean) ** 2 / variance).sum(1)


def monte_carlo_elbo(model, x, draws, seed=11):
    """The negative ELBO from the weights and densities alone, in NumPy: (mean, standard error)."""
    generator, w = np.random.default_rng(seed), model.state_dict()

    def linear(h, name):
        return h @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    def downward(z, name):
        return linear(np.tanh(linear(z, f"{name}.0")), f"{name}.2")

    def halves(h):
        mean, log_variance = np.split(h, 2, axis=1)
        return mean, np.exp(log_variance)

    totals = []
    lower = np.tanh(linear(x, "upward.0.0"))
    q2 = halves(linear(np.tanh(linear(lower, "upward.1.0")), "posterior_top"))
    for _ in range(draws):
        z2 = generator.normal(q2[0], np.sqrt(q2[1]))
        q1 = halves(linear(np.tanh(linear(lower, "from_x") + linear(z2, "from_above")), "posterior_bottom.1"))
        p1 = halves(downward(z2, "priors.0"))
        z1 = generator.normal(q1[0], np.sqrt(q1[1]))
        probability = 1 / (1 + np.exp(-downward(z1, "decoder")))
        log_p = log_normal(z2, 0.0, 1.0) + log_normal(z1, *p1) + (x * np.log(probability) + (1 - x) * np.log(1 - probability)).sum(1)
        totals.append((log_normal(z2, *q2) + log_normal(z1, *q1) - log_p).mean())
    return np.mean(totals), np.std(totals) / math.sqrt(draws)


def z_score(model, x):
    """How many standard errors the model's negative ELBO is from the independent one."""
    losses = [model.loss(x, rng=ta.rng(1).stream("loss", i)).negative_elbo.item() for i in range(400)]
    truth, error = monte_carlo_elbo(model, x, 400)
    return (np.mean(losses) - truth) / math.hypot(error, np.std(losses) / math.sqrt(len(losses)))


def test_the_loss_is_the_negative_elbo_of_an_independent_estimate():
    assert abs(z_score(two_level(), binary(20))) < 5


def forgetful(q, p):
    """The KL of a lower level as some public code has it: the variance of the prior is forgotten."""
    return ((q.mean - p.mean) ** 2 + ta.ops.exp(q.log_variance) - q.log_variance - 1).sum(axis=-1) / 2


@pytest.mark.parametrize("planted", ["prior variance", "sign", "sampler"])
def test_planted_errors_are_seen_by_the_estimate_and_not_by_gradcheck(planted, monkeypatch):
    model, x = two_level(spread=0.7), binary(20)
    assert abs(z_score(model, x)) < 5
    right = hierarchy.kl_divergence
    wrong = {"prior variance": forgetful, "sign": lambda q, p: right(q, p) if p is model.prior else -right(q, p)}
    if planted in wrong:
        monkeypatch.setattr(hierarchy, "kl_divergence", wrong[planted])
    else:
        monkeypatch.setattr(ta.distributions.Normal, "rsample", lambda q, noise: q.mean + ta.ops.exp(q.log_variance) * noise)
    noise = ta.rng(2).normal((20, 5), np.float64)
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6
    assert abs(z_score(model, x)) > 8


def linear(weight, bias):
    """A linear layer with these values, in float64."""
    layer = ta.nn.Linear(weight.shape[1], weight.shape[0], rng=ta.rng(0)).astype("float64")
    layer.weight.assign(weight)
    layer.bias.assign(np.broadcast_to(bias, layer.bias.shape).astype(np.float64))
    return layer


def mean_and_constant(weight, bias, variance):
    """A linear layer whose output is a normal: its mean weight x + bias, its variance (J,) for all x."""
    return linear(np.concatenate([weight, 0 * weight]), np.concatenate([np.broadcast_to(bias, len(weight)), np.log(variance)]))


def test_a_linear_model_with_its_exact_posterior_has_the_known_likelihood_at_every_draw():
    """z_1 = a z_2 + noise of variance s with a^2 + s = 1 is N(0, I), so x = W z_1 + m + noise is the linear-Gaussian data.

    W has orthogonal columns here (same W W^T), so each posterior is diagonal and in the model: the bound has no gap, whatever is drawn.
    """
    truth = ta.data.known.LinearGaussian.example(features=10, latent=3, sigma=0.5)
    u, scale, _ = np.linalg.svd(truth.weight, full_matrices=False)
    w, m, noise, s = u * scale, truth.mean, truth.sigma**2, np.array([0.36, 0.1, 0.8])
    a = np.sqrt(1 - s)
    model = ta.models.TwoLevelVAE(10, (3, 3), likelihood="gaussian", variance=noise, rng=ta.rng(0)).astype("float64")
    model.upward, model.decoder = [lambda h: h] * 2, linear(w, m)
    model.priors = [mean_and_constant(np.diag(a), 0.0, s)]
    alone, both = 1 / (1 + scale**2 / noise), 1 / (1 / s + scale**2 / noise)  # variances of z_1 given x, and given z_2 too
    seen = (alone / noise)[:, None] * w.T  # E[z_1 | x] = seen (x - m)
    model.posterior_top = mean_and_constant(a[:, None] * seen, -a * (seen @ m), s + a**2 * alone)
    part = (both / noise)[:, None] * w.T
    model.from_x, model.posterior_bottom = mean_and_constant(part, -part @ m, both), lambda h: h
    model.from_above = linear(np.concatenate([np.diag(both * a / s), np.zeros((3, 3))]), 0.0)
    x = ta.rng(1).normal((20, 10), np.float64) * 2
    draws = ta.rng(2).normal((4, 20, 6), np.float64)
    np.testing.assert_allclose(model.log_weights(x, draws).data, np.tile(truth.log_prob(x), (4, 1)), rtol=1e-10)
    many = model.loss(x, noise=ta.rng(3).normal((4000, 20, 6), np.float64)).loss.item()
    assert abs(many + truth.log_prob(x).mean()) < 0.02
    model.priors = [mean_and_constant(np.diag(a), 0.0, np.sqrt(s))]  # planted: a standard deviation for the variance
    assert np.abs(model.log_weights(x, draws).data - truth.log_prob(x)).max() > 0.1


def test_with_a_top_level_that_says_nothing_the_bound_is_that_of_a_vae():
    model, x, noise = two_level(), binary(6), ta.rng(2).normal((6, 5), np.float64)
    for part in (model.posterior_top, model.priors[0][2], model.from_above):
        for p in part.parameters():
            p.assign(np.zeros(p.shape))
    vae = ta.models.VAE(12, 3, rng=ta.rng(0)).astype("float64")
    vae.encoder, vae.decoder = ta.nn.Sequential(*model.upward[0], model.from_x, *model.posterior_bottom), model.decoder
    terms, truth = model.loss(x, noise=noise), vae.loss(x, noise=noise[:, 2:])
    assert terms.kl_top.item() == 0
    for name in ("loss", "negative_elbo", "reconstruction", "kl"):
        assert math.isclose(getattr(terms, name).item(), getattr(truth, name).item(), rel_tol=1e-12)
    np.testing.assert_allclose(model.log_weights(x, noise).data, vae.log_weights(x, noise[:, 2:]).data, rtol=1e-12)


def test_its_levels_are_two():
    with pytest.raises(ArgumentError, match=r"two of them(.|\n)*ladder-vae"):
        ta.models.TwoLevelVAE(12, levels=(2, 3, 4), hidden=(5,), rng=ta.rng(0))


def test_it_learns_the_digits_a_little():
    """Far from trained, but on its way: 40 epochs bring the bound below that of independent pixels."""
    data, test = (ta.data.load("digits", split=split, binarisation="threshold") for split in ("train", "test"))
    model = ta.models.TwoLevelVAE(64, levels=(4, 8), activation="tanh", rng=ta.rng(0))
    ta.fit(model, data, epochs=40, batch_size=100, progress=False)
    p = np.clip(next(iter(data.batches(2000, shuffle=False, rng=ta.rng(0)))).mean(axis=0), 0.001, 0.999)
    x = next(iter(test.batches(1000, shuffle=False, rng=ta.rng(0))))
    independent = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1).mean()
    found = evaluate(model, test, rng=ta.rng(1))
    weights = model.log_weights(x, model.draw_noise(len(x), rng=ta.rng(2), draws=(50,))).data
    assert found["negative_elbo"] < independent - 1
    assert -(logsumexp(weights, axis=0) - math.log(50)).mean() < found["negative_elbo"]
