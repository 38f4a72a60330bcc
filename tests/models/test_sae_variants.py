"""Top-k, batch top-k, gated and JumpReLU sparse autoencoders: what each of them has of its own.  (What they share: test_sae.py.)"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_sae import gradients, points, sae, with_dead

import tinyae as ta
from tinyae.autograd import Tensor
from tinyae.backend import to_device, to_numpy
from tinyae.models.sae import unit
from tinyae.models.sae_top_k import DECAY


def trained(kind, steps=30, **settings):
    """A small model after some steps, in float32."""
    model = ta.models.build({"model": kind, "features": 6, "latent": 10} | settings, ta.rng(0))
    ta.fit(model, to_numpy(points(20 * steps)).astype(np.float32), epochs=1, batch_size=20, lr=0.01, progress=False)
    return model


# top-k


@given(k=st.integers(1, 10), seed=st.integers(0, 100))
def test_a_top_k_code_has_k_entries_and_its_gradient_goes_through_them_alone(k, seed):
    model = sae("top-k-sae", k=k)
    a = Tensor(np.abs(points(7, 10, seed)), requires_grad=True)  # all above 0
    h, cotangent = model.code(a), points(7, 10, seed + 1)
    assert ((h.data != 0).sum(axis=1) == k).all()
    assert (np.where(h.data != 0, a.data, 0) == h.data).all()
    assert ((h.data != 0) == (np.argsort(np.argsort(-a.data, axis=1), axis=1) < k)).all()
    h.backward(cotangent)
    np.testing.assert_array_equal(a.grad, cotangent * (h.data != 0))


def test_negative_activations_are_not_kept_even_where_fewer_than_k_are_positive():
    model = sae("top-k-sae", k=5)
    h = model.code(ta.Tensor(np.array([[1.0, -1, 2, -3, 0, -1, -1, -1, -1, -1]]))).numpy()
    assert h.tolist() == [[1, 0, 2, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("kind", ["top-k-sae", "batch-top-k-sae"])
def test_the_auxiliary_loss_trains_dead_units_only_and_sees_the_error_as_a_constant(kind, backend):
    dead = np.isin(np.arange(10), (1, 4, 7))
    model = with_dead(sae(kind), (1, 4, 7))
    model.encoder.weight.assign(to_device(np.where(dead[:, None], 0.01, 1)) * model.encoder.weight.data)  # so that they are in no code
    model.encoder.bias.assign(to_device(np.where(dead, 0.0, 1)) * model.encoder.bias.data)
    model.to(backend)
    found = gradients(model, model.loss(to_device(points())).aux)
    assert (found["dictionary"][:, ~dead] == 0).all()
    assert (found["encoder.weight"][~dead] == 0).all()
    assert (found["encoder.bias"][~dead] == 0).all()
    assert (found["dictionary"][:, dead] != 0).any(axis=0).all()
    through_the_encoder = -found["encoder.bias"] @ model.encoder.weight.numpy()
    np.testing.assert_allclose(found["bias"], through_the_encoder, rtol=1e-9)  # none by the error, none by a second bias of the decoder


def test_an_auxiliary_loss_whose_error_is_no_constant_is_found(monkeypatch):
    """The planted error: the living units then make the error such that the dead can explain it."""
    monkeypatch.setattr(Tensor, "detach", lambda tensor: tensor)
    with pytest.raises(AssertionError):
        test_the_auxiliary_loss_trains_dead_units_only_and_sees_the_error_as_a_constant("top-k-sae", "numpy")


@pytest.mark.parametrize("kind", ["top-k-sae", "batch-top-k-sae"])
def test_without_dead_units_the_auxiliary_loss_is_zero(kind):
    terms = sae(kind).loss(points())
    assert terms.aux.item() == 0
    assert terms.loss.item() == terms.reconstruction.item()


def test_no_more_dead_units_than_half_the_features_take_part_in_an_example():
    """The planted error of public code: their number taken from another size, here that of the units."""
    model, x = with_dead(sae("top-k-sae"), range(10)), points()
    a = model.activations(x).numpy()
    error = x - model.reconstruct(x)

    def aux(most):
        z = np.maximum(a, 0)
        z *= z >= -np.sort(-z, axis=1)[:, [most - 1]]
        return 0.5 * ((error - z @ model.dictionary.numpy().T) ** 2).sum(axis=1).mean()

    assert model.loss(x).aux.item() == pytest.approx(aux(3), rel=1e-12)
    assert abs(model.loss(x).aux.item() - aux(10 // 2)) > 1e-3
    small = with_dead(ta.models.TopKSAE(1, 2, k=1), (0,))
    assert math.isfinite(small.loss(points(3, 1)).aux.item())  # half of one feature: one unit


# batch top-k


@given(k=st.integers(1, 9), n=st.integers(1, 9), seed=st.integers(0, 100))
def test_batch_top_k_keeps_k_n_entries_of_a_batch_in_training(k, n, seed):
    model, a = sae("batch-top-k-sae", k=k), np.abs(points(n, 10, seed))
    h = model.code(ta.Tensor(a), training=True).numpy()
    assert (h != 0).sum() == k * n
    assert h[h != 0].min() > np.where(h == 0, a, 0).max()


def test_one_example_may_have_more_entries_than_another_in_training():
    h = trained("batch-top-k-sae", k=3).code(ta.Tensor(points(50, 10)), training=True).numpy()
    assert len(set((h != 0).sum(axis=1))) > 2


def test_outside_of_training_the_code_of_an_example_does_not_depend_on_others(backend):
    model, x = trained("batch-top-k-sae", k=2).to(backend), to_numpy(points(9)).astype(np.float32)
    together = to_numpy(model.encode(to_device(x)).data)
    np.testing.assert_allclose(np.concatenate([to_numpy(model.encode(to_device(row[None])).data) for row in x]), together, rtol=1e-5)
    in_training = np.concatenate([to_numpy(model.code(model.activations(to_device(row[None])), training=True).data) for row in x])
    assert ((in_training != 0) != (together != 0)).any()  # the planted error: it would


def test_the_threshold_is_the_moving_average_of_the_smallest_kept_entry(backend):
    model, least = sae("batch-top-k-sae").to(backend), []
    adam = ta.optim.SGD(model.parameters(), lr=1e-30)
    for step in range(5):
        adam.zero_grad()
        model.loss(to_device(points(seed=step))).loss.backward()
        h = to_numpy(model.last[0])
        least.append(h[h > 0].min())
        adam.step()
        model.after_step(ta.rng(0))
    weights = np.array([DECAY**4, *((1 - DECAY) * DECAY ** np.arange(3, -1, -1))])
    assert weights.sum() == pytest.approx(1)
    assert model.threshold.item() == pytest.approx(weights @ least, rel=1e-12)


def test_a_batch_without_any_active_unit_leaves_the_threshold():
    model = sae("batch-top-k-sae")
    model.encoder.bias.data[:] = -1e3
    for start in (0.0, 0.7):
        model.threshold.assign(start)
        model.loss(points())
        model.after_step(ta.rng(0))
        assert model.threshold.item() == start


def test_with_the_threshold_about_k_units_are_active_and_a_threshold_that_never_moves_is_found():
    """The planted error: one kept in a precision too low to change stays where it began."""
    model, x = trained("batch-top-k-sae", 200, k=2), points(2000, seed=9).astype(np.float32)
    assert model.threshold.dtype == np.float32
    assert abs((model.encode(x).numpy() > 0).sum(axis=1).mean() - 2) < 0.15
    for wrong in (0.0, 0.5 * model.threshold.item(), 2 * model.threshold.item()):
        model.threshold.assign(wrong)
        assert abs((model.encode(x).numpy() > 0).sum(axis=1).mean() - 2) > 0.3


def test_what_is_measured_uses_the_threshold_and_what_is_trained_the_batch():
    model, x = trained("batch-top-k-sae", k=2), points(40).astype(np.float32)
    error = ((model.reconstruct(x) - x) ** 2).sum(axis=1).mean()
    measured = ta.evaluation.evaluate(model, x, rng=ta.rng(0))
    assert measured["reconstruction"] == pytest.approx(error, rel=1e-5)
    assert model.loss(x).reconstruction.item() != pytest.approx(error, rel=1e-4)


# gated


def held_back(model, x):
    """Whether the auxiliary term trains no part of the decoder: its dictionary, and its bias but for the encoder's use of it."""
    found = gradients(model, model.loss(x).aux)
    return (found["dictionary"] == 0).all() and np.allclose(found["bias"], -found["encoder.bias"] @ model.encoder.weight.numpy(), rtol=1e-9)


def test_the_gated_auxiliary_term_does_not_train_the_decoder(backend):
    assert held_back(sae("gated-sae").to(backend), to_device(points()))


def test_a_gated_auxiliary_term_without_stop_gradient_is_found(monkeypatch):
    model, x = sae("gated-sae"), points()
    before = model.loss(x).loss.item()
    monkeypatch.setattr(Tensor, "detach", lambda tensor: tensor)
    assert model.loss(x).loss.item() == before  # nothing else shows it
    assert not held_back(model, x)


def test_the_gates_bias_learns_from_the_penalty_and_the_auxiliary_term_alone():
    model, x = sae("gated-sae"), points()
    assert abs(gradients(model, model.loss(x).reconstruction)["encoder.bias"]).max() < 1e-12
    assert abs(gradients(model, model.loss(x).penalty)["encoder.bias"]).min() > 0
    assert abs(gradients(model, model.loss(x).aux)["encoder.bias"]).min() > 0


def test_a_gate_decides_and_does_not_scale():
    """The same directions: a gate's bias changes which codes are there, never their sizes; the scale changes all sizes and no choice."""
    model, x = sae("gated-sae"), points(50)
    before = model.encode(x).numpy()
    model.encoder.bias.assign(model.encoder.bias.data - 0.3)
    fewer = model.encode(x).numpy()
    assert (fewer != before).any()
    np.testing.assert_allclose(fewer[fewer > 0], before[fewer > 0], rtol=1e-9)
    model.shift.assign(0)
    before = model.encode(x).numpy()
    model.log_scale.assign(model.log_scale.data + math.log(2))
    np.testing.assert_allclose(model.encode(x).numpy(), 2 * before, rtol=1e-9)


# JumpReLU


def test_values_of_jump_relu_are_the_true_ones_and_not_those_of_its_ramp(backend):
    model = sae("jump-relu-sae").to(backend)
    x, theta = to_device(points(50)), np.exp(model.log_threshold.numpy())
    a = model.activations(x).numpy()
    np.testing.assert_allclose(model.encode(x).numpy(), a * (a > theta), rtol=1e-12, atol=1e-15)
    assert model.loss(x).penalty.item() == pytest.approx(0.3 * (a > theta).sum(axis=1).mean(), rel=1e-12)


@given(bandwidth=st.floats(0.05, 2), seed=st.integers(0, 50))
def test_the_pseudo_derivatives_are_those_of_the_paper(bandwidth, seed):
    """-theta/eps K((a - theta)/eps) of the code and -1/eps K((a - theta)/eps) of the step, K: 1 within half a unit; in a, H and 0."""
    model = sae("jump-relu-sae", bandwidth=bandwidth)
    a, cotangent = Tensor(points(9, 10, seed), requires_grad=True), points(9, 10, seed + 1)
    theta = np.exp(model.log_threshold.data)
    kernel = (abs(a.data - theta) <= bandwidth / 2) / bandwidth
    for function, slope, in_a in ((model.code, -theta * kernel, a.data > theta), (model.active, -kernel, 0)):
        a.grad = model.log_threshold.grad = None
        function(a).backward(cotangent)
        expected = (cotangent * slope).sum(axis=0) * theta  # d theta / d log theta
        np.testing.assert_allclose(model.log_threshold.grad, expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(0 if a.grad is None else a.grad, cotangent * in_a, atol=1e-15)


def alone(theta, penalty, bandwidth=0.1):
    """A model of one number with one unit that looks at it: a = x, so the best threshold is known."""
    model = ta.models.JumpReLUSAE(1, 1, penalty, bandwidth, theta).astype("float64")
    for parameter, value in ((model.dictionary, 1), (model.encoder.weight, 1), (model.encoder.bias, 0), (model.bias, 0)):
        parameter.assign(value)
    return model


@pytest.mark.parametrize("theta", [0.2, 0.5, 0.9])
def test_the_pseudo_derivative_is_that_of_the_expected_loss(theta):
    """x uniform on [0, 1]: E loss = theta^3 / 3 + lambda (1 - theta), a smooth function, with the derivative theta^2 - lambda.

    Below theta the error of the band's examples is x, on average theta - bandwidth / 4 and not theta: so much is the bias.
    """
    x, penalty = (np.arange(100_000)[:, None] + 0.5) / 100_000, 0.25
    model = alone(theta, penalty)
    assert model.loss(x).loss.item() == pytest.approx(theta**3 / 3 + penalty * (1 - theta), abs=1e-4)
    found = gradients(model, model.loss(x).loss)["log_threshold"][0] / theta
    assert found == pytest.approx(theta**2 - penalty - theta * model.bandwidth / 4, abs=1e-5)


@pytest.mark.parametrize("bandwidth", [0.1, 1e-9])
def test_the_threshold_moves_to_where_a_unit_is_worth_its_price(bandwidth):
    """The root of lambda, where the error saved is the price.  The planted error: without a band of examples it never moves."""
    model, x = alone(0.3, 0.25, bandwidth), ta.rng(0).uniform((20_000, 1), dtype=np.float64)
    adam = ta.optim.Adam([model.log_threshold], lr=0.02)
    for _ in range(60):
        adam.zero_grad()
        model.loss(x).loss.backward()
        adam.step()
    assert math.exp(model.log_threshold.item()) == pytest.approx(0.5 if bandwidth == 0.1 else 0.3, abs=0.03)


def test_thresholds_move_in_three_steps_of_training_and_begin_again_with_their_unit():
    model = trained("jump-relu-sae", steps=3, threshold=0.3, bandwidth=0.5)
    assert model.log_threshold.dtype == np.float32
    assert (abs(model.log_threshold.numpy() - math.log(0.3)) > 1e-3).all()
    model.idle.assign(np.where(np.arange(10) == 4, 1e6, 0).astype(np.float32))
    model.revive(points(5).astype(np.float32), ta.rng(0))
    assert (np.isclose(model.log_threshold.numpy(), math.log(0.3), rtol=1e-6) == (np.arange(10) == 4)).all()


# what they are for


def test_a_price_shrinks_codes_and_top_k_does_not():
    """Data of one feature at a time, sizes in [0.5, 1], with the true dictionary: only the L1 code is too small."""
    directions = unit(points(6, 4, 3))
    sizes = np.random.default_rng(0).uniform(0.5, 1, (4000, 1)) * np.eye(4)[np.random.default_rng(1).integers(0, 4, 4000)]
    x, found = (sizes @ directions.T).astype(np.float32), {}
    for kind, settings in (("sae", {"penalty": 0.2}), ("top-k-sae", {"k": 1})):
        model = ta.models.build({"model": kind, "features": 6, "latent": 4} | settings, ta.rng(0))
        model.dictionary.assign(directions.astype(np.float32))
        model.encoder.weight.assign(directions.T.astype(np.float32))
        ta.fit(model, x, epochs=10, batch_size=100, lr=3e-3, progress=False)
        found[kind] = np.linalg.norm(model.reconstruct(x), axis=1).mean() / np.linalg.norm(x, axis=1).mean()
    assert found["sae"] < 0.92
    assert found["top-k-sae"] == pytest.approx(1, abs=0.02)
