"""Every primitive of the registry against finite differences, and every rule with planted errors that must be caught."""

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import tinyae as ta
from tinyae import backend as backends
from tinyae.backend import to_device, to_numpy
from tinyae.checks import GradientError, gradcheck, strategies

PRIMITIVES = list(ta.ops.registry.values())
relaxed = hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))
few = hypothesis.settings(relaxed, max_examples=5)

EXACT = [operation for operation in PRIMITIVES if not operation.surrogate]
RULES = [(operation, rule) for operation in EXACT for rule in operation.rules]
WITHOUT_SLOPE = ("sign",)  # their gradient is zero everywhere, so only an added constant is an error

every_exact_primitive = pytest.mark.parametrize("operation", EXACT, ids=lambda p: p.name)
every_primitive = pytest.mark.parametrize("operation", PRIMITIVES, ids=lambda p: p.name)
every_rule = pytest.mark.parametrize(("operation", "rule"), RULES, ids=lambda x: x.name if hasattr(x, "name") else ",".join(x.inputs))


def leaves(values, dtype=np.float64):
    """Arrays of numbers as Tensors that want a gradient; truth values as they are."""
    return [ta.Tensor(v.astype(dtype), requires_grad=True) if v.dtype.kind == "f" else v for v in values]


def wanted(inputs):
    """The Tensors among the inputs of a call."""
    return [x for x in inputs if isinstance(x, ta.Tensor)]


def on_backend(case):
    """Inputs and index arrays as arrays of the backend in use."""
    values, attributes = case
    values = [to_device(v) for v in values]
    assert all(backends.array_module(v) is backends.module_named(backends.current()) for v in values)
    return values, {k: to_device(v) if isinstance(v, np.ndarray) else v for k, v in attributes.items()}


@every_exact_primitive
@relaxed
@given(data=hypothesis.strategies.data())
def test_gradients_are_derivatives(operation, backend, data):
    values, attributes = on_backend(data.draw(strategies.inputs(operation)))
    report = gradcheck(lambda *inputs: operation(*inputs, **attributes), values)
    assert report.worst <= 1e-6
    assert report.kinks == 0  # the strategies keep away from them


@every_exact_primitive
@few
@given(data=hypothesis.strategies.data())
def test_gradients_of_gradients_are_derivatives(operation, backend, data):
    values, attributes = on_backend(data.draw(strategies.inputs(operation)))
    hypothesis.assume(sum(v.size for v in values) <= 20)
    report = gradcheck(lambda *inputs: operation(*inputs, **attributes), values, order=2)
    assert report.worst <= 1e-5


def broken(kind, function):
    """A rule with a planted error."""

    def wrong(gy, *arguments):
        result = function(gy, *arguments)
        results = result if isinstance(result, tuple) else (result,)
        made = tuple({"zero": 0.0 * g, "sign": -g, "factor": 1.001 * g, "constant": g + 1e-3}[kind] for g in results)
        return made if isinstance(result, tuple) else made[0]

    return wrong


@pytest.mark.parametrize("kind", ["zero", "sign", "factor", "constant"])
@every_rule
@few
@given(data=hypothesis.strategies.data())
def test_a_planted_error_in_any_rule_is_caught(operation, rule, kind, data):
    if operation.name in WITHOUT_SLOPE and kind != "constant":
        return
    values, attributes = data.draw(strategies.inputs(operation))
    inputs = leaves(values)
    y = operation(*inputs, **attributes)
    served = inputs if operation.variadic else [x for x, name in zip(inputs, operation.inputs, strict=False) if name in rule.inputs]
    gradients = ta.grad(y, served, np.random.default_rng(0).uniform(0.5, 1.5, y.shape))
    if operation.name not in WITHOUT_SLOPE:
        hypothesis.assume(any(np.abs(g.numpy()).max(initial=0) > 1e-2 for g in gradients))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rule, "function", broken(kind, rule.function))
        patch.setattr(rule, "takes_out", False)
        operation._plans.clear()
        with pytest.raises(GradientError, match="wrong"):
            gradcheck(lambda *x: operation(*x, **attributes), values)
    operation._plans.clear()


@every_primitive
@few
@given(data=hypothesis.strategies.data())
def test_float32_stays_float32_and_agrees_with_float64(operation, backend, data):
    values, attributes = on_backend(data.draw(strategies.inputs(operation)))
    results = {}
    for dtype in (np.float32, np.float64):
        inputs = leaves(values, dtype)
        attributes |= {"dtype": dtype} if "dtype" in attributes else {}
        y = operation(*inputs, **attributes)
        gradients = ta.grad(y, wanted(inputs), to_device(np.ones(y.shape, dtype)))
        assert [x.dtype for x in (y, *gradients)] == [dtype] * (1 + len(gradients))
        assert [g.shape for g in gradients] == [x.shape for x in wanted(inputs)]
        results[dtype] = [to_numpy(x.data) for x in (y, *gradients)]
    for narrow, wide in zip(results[np.float32], results[np.float64], strict=True):
        np.testing.assert_allclose(narrow, wide, rtol=2e-5, atol=2e-5)


@every_primitive
@few
@given(data=hypothesis.strategies.data())
def test_rules_change_nothing_they_are_given_and_share_no_memory(operation, data):
    values, attributes = data.draw(strategies.inputs(operation))
    inputs = leaves(values)
    y = operation(*inputs, **attributes)
    cotangent = np.full(y.shape, 0.7)
    before = y.numpy().copy()
    y.backward(cotangent)
    assert (cotangent == 0.7).all()
    assert (y.numpy() == before).all()
    found = wanted(inputs)
    assert all((leaf.numpy() == value).all() for leaf, value in zip(found, (v for v in values if v.dtype.kind == "f"), strict=True))
    memories = [leaf.grad for leaf in found] + [cotangent, y.data] + [leaf.data for leaf in found]
    for i, gradient in enumerate(memories[: len(found)]):
        assert not any(np.shares_memory(gradient, other) for other in memories[i + 1 :])


@every_primitive
@few
@given(data=hypothesis.strategies.data())
def test_a_vjp_is_linear_in_its_cotangent(operation, data):
    values, attributes = data.draw(strategies.inputs(operation))
    inputs = leaves(values)
    y = operation(*inputs, **attributes)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, *y.shape))
    both, first, second, none = (ta.grad(y, wanted(inputs), np.asarray(c), retain_graph=True) for c in (2 * a - 3 * b, a, b, np.zeros(y.shape)))
    for g, g1, g2, g0 in zip(both, first, second, none, strict=True):
        np.testing.assert_allclose(g.numpy(), 2 * g1.numpy() - 3 * g2.numpy(), rtol=1e-10, atol=1e-10)
        assert (g0.numpy() == 0).all()


@every_primitive
@few
@given(data=hypothesis.strategies.data())
def test_inputs_that_are_not_contiguous_give_the_same(operation, data):
    values, attributes = data.draw(strategies.inputs(operation))
    strided = [np.repeat(v[..., None], 2, axis=-1)[..., 0] for v in values]
    found, expected = ([ta.Tensor(v, requires_grad=True) if v.dtype.kind == "f" else v for v in given] for given in (strided, values))
    y, z = operation(*found, **attributes), operation(*expected, **attributes)
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-12)
    cotangent = np.random.default_rng(1).normal(size=y.shape)
    for g, h in zip(*(ta.grad(result, wanted(inputs), np.asarray(cotangent)) for result, inputs in ((y, found), (z, expected))), strict=True):
        np.testing.assert_allclose(g.numpy(), h.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("operation", [p for p in PRIMITIVES if p.composed], ids=lambda p: p.name)
@relaxed
@given(data=hypothesis.strategies.data())
def test_a_fused_primitive_equals_its_composed_twin(operation, backend, data):
    values, attributes = on_backend(data.draw(strategies.inputs(operation)))
    results = []
    for function in (operation, operation.composed):
        inputs = leaves(values)
        y = function(*inputs, **attributes)
        weights = to_device(np.linspace(1, 2, y.size).reshape(y.shape))
        first = ta.grad(y, wanted(inputs), ta.Tensor(weights), create_graph=True)
        second = ta.grad(sum(((g * g).sum() for g in first), start=0.0), wanted(inputs))
        results.append([to_numpy(x.data) for x in (y, *first, *second)])
    for fused, composed in zip(*results, strict=True):
        np.testing.assert_allclose(fused, composed, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("operation", [p for p in EXACT if p.variadic or len(p.inputs) > 1], ids=lambda p: p.name)
@few
@given(data=hypothesis.strategies.data())
def test_one_tensor_in_several_places_gets_the_sum_of_their_gradients(operation, data):
    values, attributes = data.draw(strategies.inputs(operation))
    domains = list(operation.domain.values()) if not operation.variadic else ["real"] * len(values)
    alike = max(([i for i, w in enumerate(values) if w.shape == v.shape and w.dtype.kind == "f"] for v in values), key=len)
    hypothesis.assume(len(alike) > 1)
    value = values[next((i for i in alike if domains[i] != "real"), alike[0])]  # one that all of them can take
    shared = ta.Tensor(value, requires_grad=True)
    apart = leaves([value if i in alike else v for i, v in enumerate(values)])
    y = operation(*apart, **attributes)
    z = operation(*(shared if i in alike else x for i, x in enumerate(apart)), **attributes)
    cotangent = np.asarray(np.random.default_rng(2).normal(size=y.shape))
    expected = sum(g.numpy() for g in ta.grad(y, [apart[i] for i in alike], cotangent))
    np.testing.assert_allclose(ta.grad(z, [shared], cotangent)[0].numpy(), expected, rtol=1e-10, atol=1e-12)
