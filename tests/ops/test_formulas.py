"""Every displayed formula against its code, in a namespace of functions that are not ours."""

import ast
import math

import hypothesis
import numpy as np
import pytest
import scipy.special
from hypothesis import given

import tinyae as ta
from tinyae.autograd import formula as formulas
from tinyae.autograd.graph import unbroadcast
from tinyae.checks import strategies

PRIMITIVES = list(ta.ops.registry.values())
RULES = [(operation, rule) for operation in PRIMITIVES for rule in operation.rules]
relaxed = hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))


def spread(gy, shape, axis, keepdims):
    """By the transpose's definition: entry i of the result is the entry of gy into which entry i was summed."""
    targets = np.arange(gy.size).reshape(gy.shape)
    result = np.empty(shape)
    reduced = range(len(shape)) if axis is None else [a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))]
    for index in np.ndindex(*shape):
        kept = tuple(0 if i in reduced else n for i, n in enumerate(index) if keepdims or i not in reduced)
        result[index] = gy.reshape(-1)[targets[kept]]
    return result


def scatter_add(x, index, shape):
    """A plain loop over the entries."""
    result = np.zeros(shape)
    positions = np.arange(math.prod(shape)).reshape(shape)[index]
    for position, value in zip(np.ravel(positions), np.ravel(x), strict=True):
        result.reshape(-1)[position] += value
    return result


def split(gy, shapes, axis):
    """The parts of a concatenation, by NumPy's split."""
    return tuple(np.split(gy, np.cumsum([shape[axis] for shape in shapes])[:-1], axis=axis))


ORACLES = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, "sigmoid": scipy.special.expit, "maximum": np.maximum, "pi": math.pi,
    "sum": np.sum, "size": np.size, "softplus": lambda x: np.logaddexp(0, x), "broadcast_to": np.broadcast_to, "concatenate": np.concatenate,
    "transpose": np.transpose, "inverse": lambda axes: None if axes is None else np.argsort([a % len(axes) for a in axes]),
    "spread": spread, "scatter_add": scatter_add, "split": split, "rows": lambda x: x.reshape(-1, x.shape[-1]), "unbroadcast": unbroadcast,
}  # fmt: skip


def names_in_call(operation, values, attributes):
    """The names that a formula of this call may use."""
    named = {operation.inputs[0]: values} if operation.variadic else dict(zip(operation.inputs, values, strict=True))
    for name, value in list(named.items()):
        named[f"{name}_shape"] = tuple(v.shape for v in value) if operation.variadic else value.shape
    return ORACLES | named | operation.attributes | attributes


@pytest.mark.parametrize("operation", PRIMITIVES, ids=lambda p: p.name)
@relaxed
@given(data=hypothesis.strategies.data())
def test_the_formula_of_every_primitive_is_what_it_computes(operation, data):
    values, attributes = data.draw(strategies.inputs(operation))
    found = formulas.evaluate(operation.formula, names_in_call(operation, values, attributes))
    np.testing.assert_allclose(found, operation(*values, **attributes), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("operation", "rule"), RULES, ids=lambda x: x.name if hasattr(x, "name") else ",".join(x.inputs))
@relaxed
@given(data=hypothesis.strategies.data())
def test_the_formula_of_every_rule_is_what_it_computes(operation, rule, data):
    values, attributes = data.draw(strategies.inputs(operation))
    if rule.stated and operation.name == "matmul":
        hypothesis.assume(all(value.ndim >= 2 for value in values))  # the formula shown is that of matrices
    leaves = [ta.Tensor(value, requires_grad=True) for value in values]
    y = operation(*leaves, **attributes)
    cotangent = np.random.default_rng(0).normal(size=y.shape)
    names = names_in_call(operation, values, attributes) | {rule.cotangent: np.asarray(cotangent), "y": y.numpy()}
    found = formulas.evaluate(rule.formula, names)
    found = found if isinstance(found, tuple) else (found,)
    gradients = ta.grad(y, leaves, np.asarray(cotangent))
    expected = gradients if operation.variadic else [g for g, name in zip(gradients, operation.inputs, strict=True) if name in rule.inputs]
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(unbroadcast(np.asarray(f), e.shape), e.numpy(), rtol=1e-10, atol=1e-12)


def test_a_formula_that_is_not_the_code_is_noticed():
    wrong = formulas.parse("log(1 - exp(x))")
    x = np.array([-1.0, -2.0])
    assert not np.allclose(formulas.evaluate(wrong, ORACLES | {"x": x}), ta.ops.softplus(x))


def test_a_formula_reads_off_local_names_and_drops_the_array_module():
    def f(x, xp=np):
        shifted = x - 1
        root = xp.sqrt(shifted)
        return root * root + shifted

    assert formulas.text(formulas.formula_of(f)) == "sqrt(x - 1) * sqrt(x - 1) + (x - 1)"


def test_code_with_a_branch_must_state_its_formula():
    def f(x):
        if x:
            return x
        return -x

    with pytest.raises(ValueError, match="state its formula"):
        formulas.formula_of(f)


def test_every_primitive_has_a_rule_for_each_input_and_a_docstring():
    for operation in PRIMITIVES:
        assert {name for rule in operation.rules for name in rule.inputs} == set(operation.inputs)
        assert operation.__doc__
        assert isinstance(operation.formula, ast.expr)
