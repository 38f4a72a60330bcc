"""Straight-through estimators: the step forward, the stated surrogate backward, and no derivative in sight."""

import hypothesis
import numpy as np
import pytest
import scipy.special
from hypothesis import given

import tinyae as ta
from tinyae import formula as formulas
from tinyae import ops
from tinyae.checks import GradientError, gradcheck, strategies
from tinyae.errors import ShapeError

SURROGATES = [operation for operation in ops.registry.values() if operation.surrogate]
every_surrogate = pytest.mark.parametrize("operation", SURROGATES, ids=lambda p: p.name)
relaxed = hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))

STATED = {  # what each docstring says the gradient is that of
    "straight_through": lambda x, value: 1.0 * x,
    "round_straight_through": lambda x: 1.0 * x,
    "sign_straight_through": lambda x: ops.clip(x, min=-1, max=1),
    "one_hot_straight_through": ops.softmax,
}


def gradient(f, x, cotangent):
    """The gradient of f at x for a cotangent."""
    leaf = ta.Tensor(x, requires_grad=True)
    return ta.grad(f(leaf), [leaf], cotangent)[0].numpy()


@every_surrogate
@relaxed
@given(data=hypothesis.strategies.data())
def test_the_gradient_is_that_of_the_stated_surrogate(operation, data):
    (x,), attributes = data.draw(strategies.inputs(operation))
    cotangent = np.random.default_rng(0).normal(size=x.shape)
    found = gradient(lambda x: operation(x, **attributes), x, cotangent)
    np.testing.assert_allclose(found, gradient(lambda x: STATED[operation.name](x, **attributes), x, cotangent), rtol=1e-12, atol=1e-15)


@every_surrogate
@relaxed
@given(data=hypothesis.strategies.data())
def test_gradcheck_refuses_every_surrogate_as_a_derivative(operation, data):
    (x,), attributes = data.draw(strategies.inputs(operation))
    cotangent = np.random.default_rng(0).normal(size=x.shape)
    hypothesis.assume(np.abs(gradient(lambda x: operation(x, **attributes), x, cotangent)).max(initial=0) > 1e-3)
    with pytest.raises(GradientError, match="wrong"):
        gradcheck(lambda x: operation(x, **attributes), [x])


@every_surrogate
def test_the_docstring_says_surrogate(operation):
    assert "surrogate" in operation.__doc__.lower()
    assert operation.kinks


def test_every_primitive_named_straight_through_is_a_surrogate():
    assert {name for name in ops.registry if "straight_through" in name} == set(STATED) == {operation.name for operation in SURROGATES}


def test_steps_at_their_edges():
    assert ops.round_straight_through(np.array([-1.5, -0.5, 0.5, 1.5, 2.5, 0.4])).tolist() == [-2, 0, 0, 2, 2, 0]  # halves to even
    assert ops.sign_straight_through(np.array([-2.0, -0.0, 0.0, 1e-300])).tolist() == [-1, 1, 1, 1]
    assert ops.one_hot_straight_through(np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert ops.one_hot_straight_through(np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]]), axis=0).tolist() == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("logits", [[1.0, 2.0, 2.0, 0.0], [3.0, 3.0, 3.0, 3.0], [0.0, -1.0, 0.0, -1.0]])
def test_the_formula_of_one_hot_gives_a_tie_to_the_first_as_the_code_does(logits):
    logits = np.array([logits, logits[::-1]])
    one_hot = ops.one_hot_straight_through
    found = formulas.evaluate(one_hot.formula, {"logits": logits, "axis": -1}, logits.shape)
    assert found.tolist() == one_hot(logits).tolist()
    assert (found.sum(axis=-1) == 1).all()


def test_the_gradient_of_sign_stops_beyond_one():
    found = gradient(ops.sign_straight_through, np.array([-1.5, -1.0, 0.0, 1.0, 1.5]), np.ones(5))
    assert found.tolist() == [0, 1, 1, 1, 0]


def test_straight_through_is_the_stop_gradient_trick_without_its_rounding(rng):
    x, value = 1e6 * rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    leaf, other = (ta.Tensor(x, requires_grad=True) for _ in range(2))
    y, trick = ops.straight_through(leaf, value=value), other + (value - other).detach()
    (y * y).sum().backward()
    (trick * trick).sum().backward()
    assert (y.numpy() == value).all()
    assert (trick.numpy() != value).any()
    np.testing.assert_allclose(leaf.grad, other.grad, rtol=1e-6, atol=1e-9)


def test_in_a_quantiser_the_decoders_cotangent_reaches_the_encoder_unchanged_and_no_code(rng):
    encoded = ta.Tensor(rng.normal(size=(6, 2)), requires_grad=True)
    codes = ta.Tensor(rng.normal(size=(4, 2)), requires_grad=True)
    nearest = ((encoded.data[:, None] - codes.data) ** 2).sum(-1).argmin(-1)
    quantised = ops.straight_through(encoded, value=codes[nearest].data)
    cotangent = rng.normal(size=(6, 2))
    quantised.backward(cotangent)
    assert (quantised.numpy() == codes.data[nearest]).all()
    assert (encoded.grad == cotangent).all()
    assert codes.grad is None


def test_the_result_of_straight_through_is_its_own_and_in_the_dtype_of_x():
    value = np.array([1.0, 2.0])
    y = ops.straight_through(ta.Tensor(np.zeros(2, np.float32), requires_grad=True), value=value)
    assert y.dtype == np.float32
    kept = ops.straight_through(ta.Tensor(np.zeros(2), requires_grad=True), value=value)
    value += 1
    assert kept.numpy().tolist() == [1, 2]


@pytest.mark.parametrize("value", [np.zeros(3), np.zeros((1, 3)), 0.0])
def test_a_value_of_another_shape_is_refused(value):
    with pytest.raises(ShapeError, match=r"straight_through: value must be an array of the shape of x, \(2, 3\)"):
        ops.straight_through(ta.Tensor(np.zeros((2, 3))), value=value)


def test_straight_through_gumbel_softmax_is_its_textbook_form(rng):
    """y = soft + stop_gradient(hard - soft), soft = softmax((logits + gumbel) / temperature); Jang et al. 2017."""
    logits, gumbel, cotangent, temperature = rng.normal(size=(5, 4)), rng.gumbel(size=(5, 4)), rng.normal(size=(5, 4)), 0.7

    def textbook(logits):
        soft = ops.softmax((logits + gumbel) / temperature)
        hard = np.eye(4)[soft.data.argmax(-1)]
        return soft + (hard - soft).detach()

    def ours(logits):
        return ops.one_hot_straight_through((logits + gumbel) / temperature)

    np.testing.assert_allclose(ours(logits), textbook(ta.Tensor(logits)).numpy(), atol=1e-15)
    np.testing.assert_allclose(gradient(ours, logits, cotangent), gradient(textbook, logits, cotangent), rtol=1e-12, atol=1e-15)


def test_gumbel_draws_have_the_frequencies_of_the_softmax(rng):
    logits, n = np.array([0.5, -1.0, 1.5, 0.0]), 100_000
    p, frequencies = scipy.special.softmax(logits), ops.one_hot_straight_through(logits + rng.gumbel(size=(n, 4))).mean(axis=0)
    assert (abs(frequencies - p) < 5 * np.sqrt(p * (1 - p) / n)).all()
    wrong = ops.one_hot_straight_through(logits + rng.normal(size=(n, 4))).mean(axis=0)  # normal noise: not the softmax
    assert (abs(wrong - p) > 20 * np.sqrt(p * (1 - p) / n)).any()
