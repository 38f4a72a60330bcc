"""Sparse autoencoders: their penalties against plain NumPy, the cheats that must gain nothing, and exactly k units."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_models import load_with_pixels_twice

import tinyae as ta
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError
from tinyae.models.sparse import KSparseAutoencoder, SparseAutoencoder

X = np.random.default_rng(0).uniform(size=(5, 6))
KINDS = [{"penalty": "l1"}, {"penalty": "kl"}, {"penalty": "l1", "hidden": (4,), "activation": "tanh"}]


def moved(model):
    """The model in float64, its weights away from their initial values."""
    model = model.astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def sparse(latent=7, hidden=(), **settings):
    return moved(SparseAutoencoder(6, latent, hidden, rng=ta.rng(0), **settings))


def k_sparse(latent=7, k=3, hidden=(), **settings):
    return moved(KSparseAutoencoder(6, latent, hidden, k=k, rng=ta.rng(0), **settings))


def numpy_penalty(model, x):
    """The penalty of a model of one layer, with NumPy alone."""
    encoder, decoder = model.encoder[0], model.decoder[0]
    h = x @ encoder.weight.data.T + encoder.bias.data
    if model.config["penalty"] == "l1":
        return (np.maximum(h, 0) @ np.linalg.norm(decoder.weight.data, axis=0)).mean()
    on, target = (1 / (1 + np.exp(-h))).mean(axis=0), model.config["target"]
    return (target * np.log(target / on) + (1 - target) * np.log((1 - target) / (1 - on))).sum()


@pytest.mark.parametrize("settings", KINDS)
def test_the_gradient_of_the_whole_loss_is_its_derivative(settings, backend):
    model, x = sparse(**settings).to(backend), to_device(X)
    assert ta.checks.gradcheck(lambda: model.loss(x).loss, model).worst < 1e-6


def test_the_gradient_of_the_k_sparse_loss_is_its_derivative(backend):
    model, x = k_sparse().to(backend), to_device(X)
    assert ta.checks.gradcheck(lambda: model.loss(x).loss, model).worst < 1e-6


@pytest.mark.parametrize("penalty", ["l1", "kl"])
def test_the_terms_are_those_of_plain_numpy(penalty):
    model = sparse(penalty=penalty, weight=0.7, target=0.2)
    terms, error = model.loss(X), ((model.reconstruct(X) - X) ** 2).sum(axis=1).mean()
    assert math.isclose(terms.penalty.item(), numpy_penalty(model, X), rel_tol=1e-10)
    assert math.isclose(terms.reconstruction.item(), error, rel_tol=1e-12)
    assert math.isclose(terms.mse.item(), error / 6, rel_tol=1e-12)
    assert math.isclose(terms.loss.item(), error + 0.7 * terms.penalty.item(), rel_tol=1e-12)


@pytest.mark.parametrize("wrong", [lambda on: on.mean(axis=1), lambda on: on.max(axis=0)])
def test_a_mean_over_the_wrong_axis_is_noticed(wrong, monkeypatch):
    """Over the units in place of the examples: many guides' code.  It passes every gradient check."""

    def planted(model, h):
        on, t = wrong(ta.ops.sigmoid(h)), model.target
        return (t * ta.ops.log(t / on) + (1 - t) * ta.ops.log((1 - t) / (1 - on))).sum()

    monkeypatch.setattr(SparseAutoencoder, "penalty", planted)
    model = sparse(penalty="kl")
    assert ta.checks.gradcheck(lambda: model.loss(X).loss, model).worst < 1e-6
    assert abs(model.loss(X).penalty.item() / numpy_penalty(model, X) - 1) > 0.01


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-8, 8)), st.floats(0.02, 0.98))
def test_the_kl_penalty_is_never_negative_and_zero_only_at_the_target(h, target):
    model = sparse(latent=3, penalty="kl", target=target)
    on = (1 / (1 + np.exp(-h))).mean(axis=0)
    found = model.penalty(h)
    assert found >= 2 * ((on - target) ** 2).sum() - 1e-9  # Pinsker's inequality
    assert abs(model.penalty(np.full((4, 3), math.log(target / (1 - target))))) < 1e-12


@pytest.mark.parametrize("value", [-800.0, 800.0])
def test_a_unit_that_is_off_or_on_for_the_whole_batch_still_has_a_gradient(value):
    h = ta.Tensor(np.full((4, 1), value), requires_grad=True)
    penalty = sparse(latent=1, penalty="kl").penalty(h)
    penalty.backward()
    assert math.isfinite(penalty.item())
    assert (h.grad * np.sign(value) > 1e-3).all()


def scaled(model, factor):
    """A code `factor` times smaller before a decoder with `factor` times larger weights: the same reconstruction."""
    for p, by in ((model.encoder[0].weight, 1 / factor), (model.encoder[0].bias, 1 / factor), (model.decoder[0].weight, factor)):
        p.assign(p.data * by)
    return model


def test_small_codes_before_large_weights_gain_nothing(monkeypatch):
    before, after = sparse().loss(X), scaled(sparse(), 10).loss(X)
    np.testing.assert_allclose([t.item() for t in after], [t.item() for t in before], rtol=1e-10)
    monkeypatch.setattr(SparseAutoencoder, "penalty", lambda model, h: ta.ops.relu(h).sum(axis=-1).mean())  # the plain sum of the code
    before, after = sparse().loss(X), scaled(sparse(), 10).loss(X)
    assert after.penalty.item() < 0.11 * before.penalty.item()


@pytest.mark.parametrize("model", [*(sparse(**settings) for settings in KINDS), k_sparse()])
def test_duplicating_the_batch_changes_neither_loss_nor_gradients(model):
    def run(x):
        terms = model.loss(x)
        return [t.item() for t in terms], [g.data for g in ta.grad(terms.loss, model.parameters())]

    (one, gradients), (two, doubled) = run(X), run(np.tile(X, (2, 1)))
    np.testing.assert_allclose(one, two, rtol=1e-12)
    for g, h in zip(gradients, doubled, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("penalty", ["l1", "kl"])
def test_tiling_the_pixels_doubles_the_reconstruction(penalty):
    """And the decoder's columns, whose length is a factor of the L1 penalty, become longer by the root of 2; KL stays."""
    model, wide = sparse(penalty=penalty), SparseAutoencoder(12, 7, (), penalty=penalty, rng=ta.rng(0)).astype("float64")
    load_with_pixels_twice(wide, model)
    one, two = model.loss(X), wide.loss(np.tile(X, 2))
    assert math.isclose(two.reconstruction.item(), 2 * one.reconstruction.item(), rel_tol=1e-12)
    assert math.isclose(two.penalty.item(), one.penalty.item() * (2**0.5 if penalty == "l1" else 1), rel_tol=1e-10)


def test_semcheck_finds_nothing_but_that_the_kl_penalty_couples_a_batch():
    ta.checks.assert_semantics(sparse(), X)
    ta.checks.assert_semantics(k_sparse(), X)
    with pytest.raises(AssertionError, match="depends on the other examples"):
        ta.checks.assert_semantics(sparse(penalty="kl"), X)


def test_each_setting_changes_the_loss():
    base = sparse().loss(X).loss.item()
    assert sparse(weight=0.4).loss(X).loss.item() != base
    assert sparse(penalty="kl").loss(X).loss.item() != base
    assert sparse(penalty="kl", target=0.1).loss(X).loss.item() != sparse(penalty="kl").loss(X).loss.item()
    assert k_sparse(k=2).loss(X).loss.item() != k_sparse(k=3).loss(X).loss.item()
    without, plain = sparse(weight=0.0).loss(X), sparse(weight=0.3).loss(X)
    assert without.loss.item() == without.reconstruction.item() == plain.reconstruction.item()


@given(hnp.arrays(np.float64, (3, 6), elements=st.integers(-3, 3).map(float)), st.integers(1, 6))
def test_the_code_keeps_exactly_the_k_largest_even_where_some_are_equal(h, k):
    model = k_sparse(latent=6, k=k)
    z = model.code(h + 10)  # so that none of them is 0
    assert ((z != 0).sum(axis=1) == k).all()
    np.testing.assert_array_equal(np.sort(z, axis=1)[:, 6 - k :], np.sort(h + 10, axis=1)[:, 6 - k :])


def test_a_threshold_at_the_kth_entry_keeps_more_where_some_are_equal():
    h = np.array([[3.0, 2.0, 2.0, 2.0]])
    assert ((h * (h >= np.sort(h)[:, -2:-1])) != 0).sum() == 4  # what a threshold does
    assert (k_sparse(latent=4, k=2).code(h) == [[3.0, 2.0, 0.0, 0.0]]).all()


def test_a_gradient_goes_only_through_the_units_in_use(backend):
    model, h = k_sparse(latent=5, k=2).to(backend), ta.Tensor(to_device(np.array([[1.0, 5.0, -2.0, 4.0, 0.0]])), requires_grad=True)
    (model.code(h) * to_device(np.arange(1.0, 6.0))).sum().backward()
    np.testing.assert_array_equal(to_numpy(h.grad), [[0.0, 2.0, 0.0, 4.0, 0.0]])


def test_with_all_units_in_use_it_is_the_plain_autoencoder():
    model, plain = k_sparse(k=7), ta.models.Autoencoder(6, 7, (), rng=ta.rng(0)).astype("float64")
    plain.load_state_dict(model.state_dict())
    assert model.loss(X).loss.item() == plain.loss(X).loss.item()


@pytest.mark.parametrize("model", [sparse(penalty="kl", weight=0.3, target=0.2), k_sparse(k=2)])
def test_a_model_is_built_from_its_configuration(model):
    again = ta.models.build(model.config, ta.rng(0)).astype("float64")
    assert again.config == model.config
    again.load_state_dict(model.state_dict())
    assert again.loss(X).loss.item() == model.loss(X).loss.item()


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [
        (SparseAutoencoder, {"penalty": "l2"}, "expected  one of l1, kl"),
        (SparseAutoencoder, {"weight": -1.0}, "weight: it must be a number, 0 or more"),
        (SparseAutoencoder, {"weight": math.nan}, "weight: it must be a number, 0 or more"),
        (SparseAutoencoder, {"target": 1.0}, "target: the share of examples"),
        (KSparseAutoencoder, {"k": 0}, r"expected  1 to 7 \(latent\)"),
        (KSparseAutoencoder, {"k": 8}, r"expected  1 to 7 \(latent\)"),
        (KSparseAutoencoder, {"k": 2.5}, "k: a whole number"),
        (KSparseAutoencoder, {"k": 2, "latent": 0}, "latent: a size"),
    ],
)
def test_settings_out_of_range_are_refused(kind, settings, says):
    with pytest.raises(ArgumentError, match=says):
        kind(6, rng=ta.rng(0), **{"latent": 7} | settings)


@pytest.mark.parametrize("kind", [SparseAutoencoder, KSparseAutoencoder])
def test_float32_stays_float32_and_images_come_back_in_their_shape(kind, backend):
    model = kind(6, 9, (), rng=ta.rng(0)).to(backend)
    terms = model.loss(to_device(X))
    terms.loss.backward()
    assert {t.dtype for t in terms} | {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert model.reconstruct(to_device(X.astype(np.float32).reshape(5, 2, 3))).shape == (5, 2, 3)
