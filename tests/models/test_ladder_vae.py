"""The ladder VAE: precision weighting is Bayes' rule, and an exact likelihood that any slip in it spoils."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.distributions import Normal
from tinyae.models import ladder_vae
from tinyae.models.ladder_vae import product_of_normals


def normal(mean, log_variance):
    return Normal(np.array([mean]), np.array([log_variance]))


number = st.floats(-3, 3)


@given(number, number, number, number)
def test_precision_weighting_is_bayes_rule_for_two_normals(m, v, n, w):
    """log a + log b - log (their product) is the same number at every x: the product is proportional to the density."""
    a, b = normal(m, v), normal(n, w)
    product = product_of_normals(a, b)
    x = np.linspace(-4, 4, 9)[:, None]
    difference = a.log_prob(x) + b.log_prob(x) - product.log_prob(x)
    np.testing.assert_allclose(difference, difference[0], atol=1e-9)
    precision = np.exp(-v) + np.exp(-w)
    np.testing.assert_allclose(product.log_variance, -np.log(precision), atol=1e-12)
    np.testing.assert_allclose(product.mean, (m * np.exp(-v) + n * np.exp(-w)) / precision, atol=1e-12)
    again = product_of_normals(b, a)
    np.testing.assert_allclose([again.mean, again.log_variance], [product.mean, product.log_variance], atol=1e-12)


def test_evidence_that_says_nothing_leaves_the_prior_and_sharp_evidence_wins():
    prior = normal(1.5, -0.7)
    vague, sharp = product_of_normals(normal(-8.0, 200.0), prior), product_of_normals(normal(-8.0, -200.0), prior)
    assert (vague.mean.item(), vague.log_variance.item()) == (1.5, -0.7)
    np.testing.assert_allclose([sharp.mean.item(), sharp.log_variance.item()], [-8.0, -200.0], rtol=1e-12)


def with_standard_deviations(a, b):
    """Planted: standard deviations where the formula has variances."""
    found = product_of_normals(Normal(a.mean, a.log_variance / 2), Normal(b.mean, b.log_variance / 2))
    return Normal(found.mean, found.log_variance * 2)


def weighted_the_wrong_way(a, b):
    """Planted: each mean has the other's weight."""
    found = product_of_normals(Normal(b.mean, a.log_variance), Normal(a.mean, b.log_variance))
    return Normal(found.mean, found.log_variance)


def exact_ladder():
    """(model, truth): z_3 -> z_2 -> z_1 -> x, linear, each z_l N(0, I), with the exact posterior, which is precision-weighted at every level.

    z_l = a z_(l+1) + noise of variance s, a^2 + s = 1.  Given z_(l+1), what x says of z_l is a normal around the best guess W+ (x - m) of z_1,
    scaled for each level upwards by 1 / a, its variance grown by what is between.  W has orthogonal columns, so all is diagonal.
    """
    truth = ta.data.known.LinearGaussian.example(features=10, latent=3, sigma=0.5)
    u, scale, _ = np.linalg.svd(truth.weight, full_matrices=False)
    w, m, noise, s = u * scale, truth.mean, truth.sigma**2, np.array([0.36, 0.1, 0.8])
    a = np.sqrt(1 - s)
    model = ta.models.LadderVAE(10, (3, 3, 3), (3,), likelihood="gaussian", variance=noise, rng=ta.rng(0)).astype("float64")

    def layer(weight, bias, variance=None):
        weight, bias = np.asarray(weight), np.broadcast_to(bias, len(weight))
        if variance is not None:
            weight, bias = np.concatenate([weight, 0 * weight]), np.concatenate([bias, np.log(variance)])
        found = ta.nn.Linear(*weight.shape[::-1], rng=ta.rng(0)).astype("float64")
        found.weight.assign(weight)
        found.bias.assign(bias)
        return found

    model.upward, model.decoder = [lambda h: h] * 3, layer(w, m)
    model.priors = [layer(np.diag(a), 0.0, s), layer(np.diag(a), 0.0, s)]
    guess, variance, heads = w.T / (scale**2)[:, None], noise / scale**2, []  # of z_1
    for _ in range(3):
        heads.append((guess, variance))
        guess, variance = guess / a[:, None], (variance + s) / a**2  # of the level above
    top, v = heads.pop()
    weight = 1 / (1 + v)  # the top has no conditional prior to meet: its posterior has N(0, I) in it
    heads.append((weight[:, None] * top, v * weight))
    model.from_below = [layer(g, -g @ m, v) for g, v in reversed(heads)]
    return model, truth


X, DRAWS = np.random.default_rng(1).normal(size=(20, 10)) * 2, np.random.default_rng(2).normal(size=(4, 20, 9))


def test_a_linear_ladder_with_its_exact_posterior_has_the_known_likelihood_at_every_draw():
    model, truth = exact_ladder()
    np.testing.assert_allclose(model.log_weights(X, DRAWS).data, np.tile(truth.log_prob(X), (4, 1)), rtol=1e-10)
    many = model.loss(X, noise=np.random.default_rng(3).normal(size=(3000, 20, 9))).loss.item()
    assert abs(many + truth.log_prob(X).mean()) < 0.02


@pytest.mark.parametrize("planted", [with_standard_deviations, weighted_the_wrong_way, lambda evidence, prior: evidence])
def test_slips_in_the_weighting_leave_a_gap_that_gradcheck_does_not_see(planted, monkeypatch):
    model, truth = exact_ladder()
    monkeypatch.setattr(ladder_vae, "product_of_normals", planted)
    assert np.abs(model.log_weights(X, DRAWS).data - truth.log_prob(X)).max() > 0.1
    assert model.loss(X, noise=np.random.default_rng(3).normal(size=(400, 20, 9))).loss.item() > 0.1 - truth.log_prob(X).mean()
    assert ta.checks.gradcheck(lambda: model.loss(X[:2], noise=DRAWS[0, :2]).loss, model).worst < 1e-6


def log_normal(x, mean, variance):
    return (-0.5 * np.log(2 * np.pi * variance) - 0.5 * (x - mean) ** 2 / variance).sum(1)


def independent_negative_elbo(model, x, draws, seed=11):
    """From the weights and densities alone, in NumPy, with the precisions of the paper: (mean, standard error)."""
    generator, w, count = np.random.default_rng(seed), model.state_dict(), len(model.levels)

    def linear(h, name):
        return h @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def normal_of(h):
        mean, log_variance = np.split(h, 2, axis=1)
        return mean, np.exp(log_variance)

    def downward(z, name):
        return linear(np.tanh(linear(z, f"{name}.0")), f"{name}.2")

    upward, h = [], x
    for level in range(count):
        h = np.tanh(linear(h, f"upward.{level}.0"))
        upward.insert(0, h)
    evidence = [normal_of(linear(h, f"from_below.{level}")) for level, h in enumerate(upward)]
    totals = []
    for _ in range(draws):
        total, prior, z = 0.0, (0.0, 1.0), None
        for level, (mean, variance) in enumerate(evidence):
            if level:
                prior = normal_of(downward(z, f"priors.{level - 1}"))
                precision = 1 / variance + 1 / prior[1]
                mean, variance = (mean / variance + prior[0] / prior[1]) / precision, 1 / precision
            z = generator.normal(mean, np.sqrt(variance))
            total = total + log_normal(z, mean, variance) - log_normal(z, *prior)
        p = 1 / (1 + np.exp(-downward(z, "decoder")))
        totals.append((total - (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)).mean())
    return np.mean(totals), np.std(totals) / math.sqrt(draws)


def z_score(model, x):
    losses = [model.loss(x, rng=ta.rng(1).stream("loss", i)).loss.item() for i in range(300)]
    truth, error = independent_negative_elbo(model, x, 300)
    return (np.mean(losses) - truth) / math.hypot(error, np.std(losses) / math.sqrt(len(losses)))


@pytest.mark.parametrize("levels", [(2,), (2, 3), (1, 2, 3, 2)])
def test_the_loss_is_the_negative_elbo_of_an_independent_estimate(levels):
    model = ta.models.LadderVAE(8, levels, (6,), activation="tanh", rng=ta.rng(0)).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 1.5 + ta.rng(100 + i).normal(p.shape, np.float64) * 0.3)
    x = ta.rng(5).bernoulli(np.full((20, 8), 0.4))
    assert abs(z_score(model, x)) < 5


def test_the_standard_deviations_are_seen_by_the_estimate_too(monkeypatch):
    model = ta.models.LadderVAE(8, (2, 3), (6,), activation="tanh", rng=ta.rng(0)).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(100 + i).normal(p.shape, np.float64))
    x = ta.rng(5).bernoulli(np.full((20, 8), 0.4))
    monkeypatch.setattr(ladder_vae, "product_of_normals", with_standard_deviations)
    assert abs(z_score(model, x)) > 8


def test_with_one_level_the_ladder_is_a_vae():
    model, x, noise = ta.models.LadderVAE(8, (3,), (6,), rng=ta.rng(0)), ta.rng(5).bernoulli(np.full((5, 8), 0.4)), ta.rng(2).normal((5, 3))
    vae = ta.models.VAE(8, 3, (6,), rng=ta.rng(0))
    vae.encoder, vae.decoder = ta.nn.Sequential(*model.upward[0], model.from_below[0]), model.decoder
    terms, truth = model.loss(x, noise=noise), vae.loss(x, noise=noise)
    for name in ("loss", "negative_elbo", "reconstruction", "kl"):
        assert math.isclose(getattr(terms, name).item(), getattr(truth, name).item(), rel_tol=1e-6)


def test_a_level_of_which_the_data_say_nothing_costs_nothing():
    model = ta.models.LadderVAE(8, (2, 3), (6,), rng=ta.rng(0)).astype("float64")
    model.from_below[1].bias.assign(np.repeat([0.0, 100.0], 3))  # log-variances
    model.from_below[1].weight.assign(np.zeros((6, 6)))
    x, noise = ta.rng(5).bernoulli(np.full((5, 8), 0.4)), ta.rng(2).normal((5, 5), np.float64)
    top, bottom = model.level_kls(x, noise)
    assert top.data.min() > 0
    np.testing.assert_allclose(bottom.data, 0, atol=1e-12)
