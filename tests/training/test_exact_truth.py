"""A linear VAE on linear-Gaussian data: what it can reach at most is known, and it gets there."""

import numpy as np
import pytest

import tinyae as ta


@pytest.fixture(scope="module")
def trained():
    """(model, test split): the decoder's variance is the data's own, so the best ELBO is the log-likelihood itself."""
    train, test = (ta.data.load("linear-gaussian", split=split) for split in ("train", "test"))
    model = ta.models.VAE(10, 3, (), likelihood="gaussian", variance=train.truth.sigma**2, rng=ta.rng(0))
    ta.fit(model, train, epochs=100, batch_size=250, schedules={"lr": ta.optim.cosine(3e-2, 0, 100)}, progress=False)
    return model, test


def test_the_bound_reaches_the_known_log_likelihood(trained):
    model, test = trained
    exact = -test.truth.log_prob(test.images).mean()
    terms = ta.evaluation.evaluate(model, test, rng=ta.rng(0), draws=200)
    chance = 5 * np.sqrt(10 / 2 / (200 * len(test)))  # 5 standard errors: log p(x | z) is that of ten squares of normal numbers
    assert -chance < terms["negative_elbo"] - exact < 0.05
    assert abs(terms["kl"] / test.truth.optimal_kl() - 1) < 0.03


def test_the_decoder_finds_the_subspace_of_the_truth(trained):
    """W W^T is what the data determine; a rotation of z is free."""
    model, test = trained
    weight = model.decoder[0].weight.data.astype(np.float64)
    truth = test.truth.weight @ test.truth.weight.T
    assert np.abs(weight @ weight.T - truth).max() < 0.1 * np.abs(truth).max()


def test_the_posterior_is_the_exact_one(trained):
    """Covariance (I + W^T W / sigma^2)^-1, for the decoder's own W: its diagonal, after a rotation that the encoder chose."""
    model, test = trained
    weight = model.decoder[0].weight.data.astype(np.float64)
    exact = np.linalg.inv(np.eye(3) + weight.T @ weight / test.truth.sigma**2)
    q = model.encode(test.images)
    np.testing.assert_allclose(np.exp(q.log_variance.data).mean(axis=0), np.diag(exact), rtol=0.1)
    means = (test.images - model.decoder[0].bias.data) @ (weight / test.truth.sigma**2) @ exact
    assert np.abs(q.mean.data - means).mean() < 0.05
