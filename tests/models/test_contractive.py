"""The contractive autoencoder: three ways to its penalty, against the numerical Jacobian of the encoder."""

import math

import numpy as np
import pytest
from small_models import assert_built_again, load_with_pixels_twice

import tinyae as ta
from tinyae.backend import to_device
from tinyae.errors import ArgumentError, ShapeError
from tinyae.models.contractive import SLOPES, ContractiveAutoencoder

X = np.random.default_rng(0).uniform(size=(5, 6))
KINDS = [{}, {"activation": "sigmoid"}, {"hidden": (4,)}, {"hidden": (4,), "probes": 2}, {"activation": "softplus"}]


def contractive(latent=3, hidden=(), activation="tanh", scale=2.0, **settings):
    """A small model in float64, its weights away from their initial values."""
    model = ContractiveAutoencoder(6, latent, hidden, activation, rng=ta.rng(0), **settings).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * scale + ta.rng(100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def signs(model, n=5, seed=1):
    """Noise for the loss, where it needs some."""
    return {"noise": model.draw_noise(n, rng=ta.rng(seed))} if model.probes else {}


def numerical(model, x, step=1e-5):
    """The mean squared Frobenius norm of the encoder's Jacobian by central differences: nothing of the engine's derivatives is used."""
    total = 0.0
    with ta.no_grad():
        for i in range(x.shape[1]):
            e = step * np.eye(x.shape[1])[i]
            total += (((model.encode(x + e).data - model.encode(x - e).data) / (2 * step)) ** 2).sum()
    return total / len(x)


@pytest.mark.parametrize("settings", KINDS)
def test_the_gradient_of_the_whole_loss_is_its_derivative(settings, backend):
    model, x = contractive(**settings).to(backend), to_device(X)
    noise = signs(model)
    assert ta.checks.gradcheck(lambda: model.loss(x, **noise).loss, model).worst < 1e-6


@pytest.mark.parametrize("settings", [*KINDS[:3], KINDS[4], {"hidden": (5, 4), "activation": "silu"}, {"hidden": (4,), "activation": "relu"}])
def test_the_penalty_is_the_squared_norm_of_the_numerical_jacobian(settings):
    model = contractive(**settings)
    terms, error = model.loss(X), ((model.reconstruct(X) - X) ** 2).sum(axis=1).mean()
    assert math.isclose(terms.penalty.item(), numerical(model, X), rel_tol=1e-6)
    assert math.isclose(terms.reconstruction.item(), error, rel_tol=1e-12)
    assert math.isclose(terms.mse.item(), error / 6, rel_tol=1e-12)
    assert math.isclose(terms.loss.item(), error + terms.penalty.item(), rel_tol=1e-12)


@pytest.mark.parametrize("activation", SLOPES)
def test_the_closed_form_and_gradients_of_gradients_are_equal_in_value_and_gradient(activation):
    model, found = contractive(activation=activation), []
    for slope in (model.slope, None):
        model.slope = slope
        terms = model.loss(X)
        found.append([terms.penalty.data, *(g.data for g in ta.grad(terms.loss, model.parameters()))])
    for closed, general in zip(*found, strict=True):
        np.testing.assert_allclose(closed, general, rtol=1e-10, atol=1e-12)


def test_the_estimate_has_the_exact_penalty_as_its_mean():
    model = contractive(hidden=(4,), probes=1)
    draws = [model.loss(X, rng=ta.rng(0).stream("probe", i)).penalty.item() for i in range(400)]
    model.probes = 0
    assert abs(np.mean(draws) - model.loss(X).penalty.item()) < 4 * np.std(draws) / 20


def test_all_signs_of_two_units_make_the_estimate_exact():
    model = contractive(latent=2, hidden=(4,), probes=2)
    both = np.stack([np.ones((5, 2)), np.tile([1.0, -1.0], (5, 1))])
    estimate = model.loss(X, noise=both).penalty.item()
    model.probes = 0
    assert math.isclose(estimate, model.loss(X).penalty.item(), rel_tol=1e-12)


def test_a_gradient_of_the_sum_of_the_code_is_noticed(monkeypatch):
    """Ones in place of one unit at a time: |sum_j dz_j/dx|^2.  It passes every gradient check."""

    def planted(model, x, z):
        return (ta.grad(z.sum(), [x], create_graph=True)[0] ** 2).sum(axis=-1).mean()

    monkeypatch.setattr(ContractiveAutoencoder, "exact", planted)
    model = contractive(hidden=(4,))
    assert ta.checks.gradcheck(lambda: model.loss(X).loss, model).worst < 1e-6
    assert abs(model.loss(X).penalty.item() / numerical(model, X) - 1) > 0.05


def test_a_slope_that_is_not_squared_is_noticed(monkeypatch):
    monkeypatch.setattr(ContractiveAutoencoder, "closed_form", lambda m, z: (m.slope(z) * (m.encoder[0].weight ** 2).sum(axis=1)).sum(axis=-1).mean())
    model = contractive()
    assert ta.checks.gradcheck(lambda: model.loss(X).loss, model).worst < 1e-6
    assert abs(model.loss(X).penalty.item() / numerical(model, X) - 1) > 0.05


@pytest.mark.parametrize("settings", KINDS)
def test_evaluation_without_recording_has_the_same_terms(settings):
    """Without a graph the inner derivatives would be zero, and so would the penalty."""
    model = contractive(**settings)
    recorded = [t.item() for t in model.loss(X, **signs(model))]
    with ta.no_grad():
        np.testing.assert_array_equal([t.item() for t in model.loss(X, **signs(model))], recorded)


@pytest.mark.parametrize("settings", KINDS)
def test_duplicating_the_batch_with_its_noise_changes_neither_loss_nor_gradients(settings):
    model = contractive(**settings)
    given = signs(model)

    def run(x, given):
        terms = model.loss(x, **given)
        return [t.item() for t in terms], [g.data for g in ta.grad(terms.loss, model.parameters())]

    (one, gradients), (two, doubled) = run(X, given), run(np.tile(X, (2, 1)), {name: np.tile(v, (1, 2, 1)) for name, v in given.items()})
    np.testing.assert_allclose(one, two, rtol=1e-12)
    for g, h in zip(gradients, doubled, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12)


def test_tiling_the_pixels_doubles_the_reconstruction():
    """Each of twice as many pixels has half the weight: the sum of squared derivatives is halved."""
    model, wide = contractive(), ContractiveAutoencoder(12, 3, rng=ta.rng(0)).astype("float64")
    load_with_pixels_twice(wide, model)
    one, two = model.loss(X), wide.loss(np.tile(X, 2))
    assert math.isclose(two.reconstruction.item(), 2 * one.reconstruction.item(), rel_tol=1e-12)
    assert math.isclose(two.penalty.item(), one.penalty.item() / 2, rel_tol=1e-12)


def test_the_penalty_is_zero_only_for_a_constant_code():
    model = contractive(hidden=(4,), scale=0.0)
    model.encoder[0].weight.assign(np.zeros((4, 6)))
    assert model.loss(X).penalty.item() == 0
    assert contractive(hidden=(4,)).loss(X).penalty.item() > 0


def test_semcheck_finds_nothing():
    for settings in ({}, {"hidden": (4,)}):
        ta.checks.assert_semantics(contractive(**settings), X)


def test_convolutions_have_the_general_form():
    model = ContractiveAutoencoder(16, 2, (), channels=(2,), image_shape=(1, 4, 4), rng=ta.rng(0)).astype("float64")
    x = np.random.default_rng(1).uniform(size=(3, 16))
    assert math.isclose(model.loss(x).penalty.item(), numerical(model, x), rel_tol=1e-6)
    assert ta.checks.gradcheck(lambda: model.loss(x).loss, model).worst < 1e-6


def test_an_input_that_is_part_of_a_graph_gets_its_gradient():
    model = contractive(hidden=(4,))
    assert ta.checks.gradcheck(lambda x: model.loss(x).loss, [X]).worst < 1e-6


def test_each_setting_changes_the_loss():
    base = contractive().loss(X).loss.item()
    assert contractive(weight=0.2).loss(X).loss.item() != base
    assert contractive(weight=0.0).loss(X).loss.item() == contractive().loss(X).reconstruction.item()
    one, two = contractive(probes=1), contractive(probes=2)
    assert len({base, *(m.loss(X, rng=ta.rng(0)).loss.item() for m in (one, two))}) == 3


def test_a_model_is_built_from_its_configuration():
    assert_built_again(contractive(hidden=(4,), weight=0.3, probes=2), X)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"weight": -1}, "weight: it must be a number, 0 or more"),
        ({"probes": 1.5}, "probes: a whole number"),
        ({"probes": -1}, "probes: it must be a number, 0 or more"),
        ({"activation": "swish"}, "unknown activation"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ArgumentError, match=says):
        contractive(**settings)


def test_probes_are_asked_for_and_looked_at():
    model = contractive(probes=2)
    with pytest.raises(ArgumentError, match="probes are an input"):
        model.loss(X)
    with pytest.raises(ShapeError, match=r"expected  \(2, 5, 3\)"):
        model.loss(X, noise=np.ones((5, 3)))


@pytest.mark.parametrize("settings", KINDS)
def test_float32_stays_float32_on_every_backend(settings, backend):
    model = ContractiveAutoencoder(6, 3, rng=ta.rng(0), **settings).to(backend)
    terms = model.loss(to_device(X.astype(np.float32)), rng=ta.rng(0))
    terms.loss.backward()
    assert {t.dtype for t in terms} | {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
