"""The conditional VAE: what a label says need not be in z; identities, exact truth, and what it refuses."""

import inspect
import math

import numpy as np
import pytest

import tinyae as ta
from tinyae.autograd import raw
from tinyae.backend import to_device
from tinyae.errors import ArgumentError, DtypeError, ShapeError
from tinyae.models.conditional_vae import GivenLabels

X = np.random.default_rng(0).binomial(1, 0.5, (6, 8)).astype(np.float64)
LABELS = np.array([0, 2, 1, 1, 3, 0])
NOISE = np.random.default_rng(1).normal(size=(6, 3))


def made(latent=3, **settings):
    """A small model in float64, its weights far from their initial values."""
    model = ta.models.ConditionalVAE(8, 4, latent, (5,), activation="tanh", rng=ta.rng(0), **settings).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def values(terms):
    return [term.item() for term in terms]


def check_against_numpy(model):
    """The loss in plain NumPy from the weights: one-hot labels beside x, and beside z."""
    w, y = model.state_dict(), np.eye(4)[LABELS]
    h = np.tanh(np.hstack([X, y]) @ w["encoder.0.weight"].T + w["encoder.0.bias"]) @ w["encoder.2.weight"].T + w["encoder.2.bias"]
    mean, log_variance = h[:, :3], h[:, 3:]
    z = np.hstack([mean + np.exp(log_variance / 2) * NOISE, y])
    a = np.tanh(z @ w["decoder.0.weight"].T + w["decoder.0.bias"]) @ w["decoder.2.weight"].T + w["decoder.2.bias"]
    p = 1 / (1 + np.exp(-a))
    reconstruction = -np.log(np.where(X == 1, p, 1 - p)).sum(1).mean()
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1).mean()
    found = values(model.loss(X, LABELS, noise=NOISE))
    np.testing.assert_allclose(found, [reconstruction + kl, reconstruction + kl, reconstruction, kl], rtol=1e-10)


def test_the_loss_is_that_of_an_independent_computation():
    check_against_numpy(made())


def test_planted_labels_that_are_accepted_and_not_used_are_found(monkeypatch):
    right = GivenLabels.beside
    for planted in ("decode", "encode"):

        def beside(self, x, planted=planted):
            return right(self, x) if (x.shape[-1] == 8) == (planted == "decode") else right(self.__class__(self, 0), x)

        with monkeypatch.context() as patch:
            patch.setattr(GivenLabels, "beside", beside)
            with pytest.raises(AssertionError):
                check_against_numpy(made())


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian-learned"])
def test_the_gradient_of_the_whole_loss_is_its_derivative(likelihood, backend):
    model = made(likelihood=likelihood).to(backend)
    x, labels, noise = to_device(X), to_device(LABELS), to_device(NOISE)
    assert ta.checks.gradcheck(lambda: model.loss(x, labels, noise=noise).loss, model).worst < 1e-6


def test_semcheck_passes_for_a_given_label():
    assert ta.checks.semcheck(made().given(2), X).passed


def test_with_the_labels_given_it_is_a_model_like_any_other():
    model, noise = made(), np.random.default_rng(2).normal(size=(7, 6, 3))
    given = model.given(LABELS)
    assert "labels" not in inspect.signature(given.loss).parameters
    assert values(given.loss(X, noise=noise)) == values(model.loss(X, LABELS, noise=noise))
    weights = given.log_weights(X, noise)
    assert weights.shape == (7, 6)
    for k in range(7):
        np.testing.assert_allclose(weights.data[k], given.log_weights(X, noise[k]).data, rtol=1e-12)
    np.testing.assert_array_equal(model.log_weights(X, noise, LABELS).data, weights.data)
    np.testing.assert_array_equal(model.encode(X, LABELS).mean.data, given.encode(X).mean.data)
    np.testing.assert_array_equal(model.decode(NOISE, LABELS).data, given.decode(NOISE).data)
    np.testing.assert_array_equal(model.reconstruct(X, LABELS), given.reconstruct(X))
    np.testing.assert_array_equal(model.given(2).reconstruct(X), model.reconstruct(X, np.full(6, 2)))


def test_rows_go_with_their_labels_and_copies_of_them_change_nothing():
    model, order = made(), np.array([3, 1, 5, 0, 2, 4])
    once = values(model.loss(X, LABELS, noise=NOISE))
    np.testing.assert_allclose(values(model.loss(X[order], LABELS[order], noise=NOISE[order])), once, rtol=1e-12)
    np.testing.assert_allclose(values(model.loss(np.tile(X, (2, 1)), np.tile(LABELS, 2), noise=np.tile(NOISE, (2, 1)))), once, rtol=1e-12)
    assert abs(values(model.loss(X, LABELS[order], noise=NOISE))[0] - once[0]) > 1e-3


def test_many_weights_give_the_likelihood_of_a_quadrature_for_each_label():
    model = made(latent=1)
    z = np.linspace(-8, 8, 4001)[:, None]
    for label in range(4):
        given = model.given(label)
        with ta.no_grad():
            joint = given.likelihood(given.decode(z[:, None, :])).log_prob(X).data + raw(given.prior.log_prob(z))[:, None]
            weights = given.log_weights(X, np.random.default_rng(3).normal(size=(20_000, 6, 1))).data
        exact = np.log(np.exp(joint).sum(0) * (z[1, 0] - z[0, 0]))
        ratio = np.exp(weights - exact)
        error = ratio.std(0) / math.sqrt(len(ratio))
        assert (abs(ratio.mean(0) - 1) < 5 * error + 1e-3).all()
        assert (weights.mean(0) < exact).all()


def test_where_the_label_says_everything_the_bound_is_zero_and_without_it_the_entropy():
    """Four images, a label for each: log p(x | y) can be 0, and the KL too; no model of x alone is below log 4 nats."""
    images = np.random.default_rng(4).binomial(1, 0.5, (4, 8)).astype(np.float32)
    rows = np.tile(np.arange(4), 50)
    data = ta.data.Dataset("four", "train", (images[rows] * 255).astype(np.uint8), rows.astype(np.uint8), (2, 4), 255)
    found = {}
    for model in (ta.models.ConditionalVAE(8, 4, 2, (16,), rng=ta.rng(0)), ta.models.VAE(8, 2, (16,), rng=ta.rng(0))):
        ta.fit(model, data, epochs=40, batch_size=20, lr=1e-2, progress=False)
        found[model.config["model"]] = ta.evaluation.evaluate(model, data, rng=ta.rng(0), draws=20)
    assert found["conditional-vae"]["negative_elbo"] < 0.05
    assert found["conditional-vae"]["kl"] < 0.01
    assert found["vae"]["negative_elbo"] > math.log(4)


def test_samples_are_of_the_prior_and_of_the_labels_asked_for():
    model, noise = made(), np.random.default_rng(5).normal(size=(8, 3))
    assert "x" not in inspect.signature(model.sample).parameters
    expected = model.likelihood(model.decode(noise, np.arange(8) % 4)).mean.data
    np.testing.assert_array_equal(model.sample(8, noise=noise), expected)
    np.testing.assert_array_equal(model.sample(8, noise=noise, labels=1)[1::4], expected[1::4])
    drawn = model.given(0).draw_noise(20_000, rng=ta.rng(0))
    assert abs(drawn.mean(0)).max() < 0.04
    assert abs(drawn.var(0) - 1).max() < 0.06
    assert (model.sample(20_000, rng=ta.rng(0), labels=0) == model.sample(20_000, noise=drawn, labels=0)).all()


def test_float32_stays():
    model = ta.models.ConditionalVAE(8, 4, rng=ta.rng(0))
    model.loss(X, LABELS.astype(np.uint8), rng=ta.rng(0)).loss.backward()
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_it_is_built_from_its_configuration():
    model = ta.models.ConditionalVAE(8, 4, 2, (5, 3), rng=ta.rng(0))
    again = ta.models.build(model.config, ta.rng(0))
    assert again.config == model.config
    assert all((again.state_dict()[key] == value).all() for key, value in model.state_dict().items())


@pytest.mark.parametrize(("labels", "error", "says"), [
    (None, ArgumentError, "labels: a conditional model needs them"),
    (np.array([0, 1, 2, 3, 4, 0]), ArgumentError, "labels from 0 to 4"),
    (np.array([0, 1, 2, 3, -1, 0]), ArgumentError, "expected  whole numbers from 0 to 3"),
    (np.zeros(6), DtypeError, "no list of whole numbers"),
    (np.eye(4, dtype=np.int64)[LABELS], DtypeError, "no list of whole numbers"),
    (np.array([0, 1, 2]), ShapeError, "expected  6 labels"),
])  # fmt: skip
def test_labels_that_do_not_fit_are_refused(labels, error, says):
    model = made()
    for call in (lambda: model.loss(X, labels, noise=NOISE), lambda: model.encode(X, labels), lambda: model.reconstruct(X, labels)):
        with pytest.raises(error, match=says):
            call()


def test_a_model_has_at_least_one_class():
    with pytest.raises(ArgumentError, match="classes: a size"):
        ta.models.ConditionalVAE(8, 0, rng=ta.rng(0))
