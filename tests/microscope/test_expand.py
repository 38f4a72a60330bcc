"""A fused operation opened into its twin gives the same value and gradients; a twin that does not is noticed."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.checks import strategies
from tinyae.errors import ArgumentError
from tinyae.microscope import expand, trace
from tinyae.microscope.expand import can_expand

FUSED = [name for name, primitive in ops.registry.items() if primitive.composed is not None]


def traced(name, values, attributes):
    """The trace of one operation, and a loss that gives each entry another weight."""
    inputs = [ta.Tensor(v, requires_grad=True) if v.dtype.kind == "f" else v for v in values]

    def loss():
        y = ops.registry[name](*inputs, **attributes)
        return (y * np.linspace(0.5, 1.5, y.size).reshape(y.shape)).sum()

    return trace(loss)


@pytest.mark.parametrize("name", FUSED)
def test_a_twin_agrees_with_its_operation(name):
    for values, attributes in strategies.examples(strategies.inputs(ops.registry[name]), 3, 0):
        line = traced(name, values, attributes).lines[0]
        assert line.primitive.name == name
        assert can_expand(line)
        inner = expand(line)
        assert len(inner.lines) > 1
        np.testing.assert_allclose(inner.loss.data, line.value.data, rtol=1e-8, atol=1e-10)
        reached = {gradient.argument.role for other in inner.lines for gradient in other.gradients}
        assert reached or not line.gradients
        assert not any(other.primitive is line.primitive for other in inner.lines)


def vae():
    """The trace of one step, float32."""
    rng = ta.rng(3)
    model = ta.models.VAE(features=6, latent=2, hidden=(5,), activation="tanh", rng=rng)
    return trace(model.loss, rng.bernoulli(np.full((4, 6), 0.5, np.float32)), noise=rng.normal((4, 2)))


def test_the_steps_of_the_divergence_are_those_of_the_blackboard():
    found = vae()
    (line,) = [line for line in found.lines if line.primitive.name == "kl_standard_normal"]
    assert {"exp", "sum"} <= {other.primitive.name for other in expand(line).lines}
    for argument, gradient in zip(line.arguments, line.gradients, strict=True):
        assert gradient.argument is argument


def test_expanding_leaves_the_gradients_of_the_trace_alone():
    found = vae()
    before = [leaf.grad.copy() for _, leaf in found.leaves.values()]
    for line in found.lines:
        if can_expand(line):
            expand(line)
    for (_, leaf), gradient in zip(found.leaves.values(), before, strict=True):
        np.testing.assert_array_equal(leaf.grad, gradient)


def test_a_twin_with_another_value_is_noticed(monkeypatch):
    right = ops.kl_standard_normal.composed
    monkeypatch.setattr(ops.kl_standard_normal, "composed", lambda mean, log_variance: right(mean, log_variance) * 1.01)
    with pytest.raises(AssertionError, match="the value of kl_standard_normal's twin differs"):
        expand(next(line for line in vae().lines if line.primitive.name == "kl_standard_normal"))


def test_a_gradient_that_is_not_that_of_the_twin_is_noticed(monkeypatch):
    rule = ops.reparameterize.rules[1]
    right = rule.function
    monkeypatch.setattr(rule, "function", lambda gz, log_variance, noise: 2 * right(gz, log_variance, noise))
    with pytest.raises(AssertionError, match="the gradient of reparameterize's twin in log_variance differs"):
        expand(next(line for line in vae().lines if line.primitive.name == "reparameterize"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-3])
def test_a_divergence_of_next_to_nothing_can_be_opened(dtype, size):
    mean, log_variance = (ta.Tensor(np.full((2, 3), size, dtype), requires_grad=True) for _ in range(2))
    assert expand(trace(lambda: ops.kl_standard_normal(mean, log_variance).sum()).lines[0]).lines


def test_what_overflows_in_the_twin_alone_or_is_not_finite_can_be_opened():
    for values in ([1000.0, 0.0], [np.nan, 1.0], [-np.inf, 2.0]):
        x = ta.Tensor(np.array(values), requires_grad=True)
        with np.errstate(all="ignore"):
            assert expand(trace(lambda x=x: ops.logsumexp(x)).lines[0]).lines


def test_a_simple_operation_has_nothing_inside():
    line = next(line for line in vae().lines if line.primitive.name == "tanh")
    assert not can_expand(line)
    with pytest.raises(ArgumentError, match="tanh is no fused operation"):
        expand(line)
