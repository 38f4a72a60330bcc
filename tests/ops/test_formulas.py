"""Every displayed formula against its code, in a namespace of functions that are not ours."""

import ast

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from oracles import ORACLES

import tinyae as ta
from tinyae import formula as formulas
from tinyae.autograd.graph import unbroadcast
from tinyae.checks import strategies

PRIMITIVES = list(ta.ops.registry.values())
RULES = [(operation, rule) for operation in PRIMITIVES for rule in operation.rules]
relaxed = hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))


def names_in_call(operation, values, attributes):
    """The names that a formula of this call may use."""
    named = {operation.inputs[0]: values} if operation.variadic else dict(zip(operation.inputs, values, strict=False))
    for name, value in list(named.items()):
        named[f"{name}_shape"] = tuple(v.shape for v in value) if operation.variadic else value.shape
    return ORACLES | named | operation.attributes | attributes


@pytest.mark.parametrize("operation", PRIMITIVES, ids=lambda p: p.name)
@relaxed
@given(data=hypothesis.strategies.data())
def test_the_formula_of_every_primitive_is_what_it_computes(operation, data):
    values, attributes = data.draw(strategies.inputs(operation))
    expected = operation(*values, **attributes)
    found = formulas.evaluate(operation.formula, names_in_call(operation, values, attributes), np.shape(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("operation", "rule"), RULES, ids=lambda x: x.name if hasattr(x, "name") else ",".join(x.inputs))
@relaxed
@given(data=hypothesis.strategies.data())
def test_the_formula_of_every_rule_is_what_it_computes(operation, rule, data):
    values, attributes = data.draw(strategies.inputs(operation))
    if rule.stated and operation.name == "matmul":
        hypothesis.assume(all(value.ndim >= 2 for value in values))  # the formula shown is that of matrices
    leaves = [ta.Tensor(value, requires_grad=True) if value.dtype.kind == "f" else value for value in values]
    y = operation(*leaves, **attributes)
    cotangent = np.random.default_rng(0).normal(size=y.shape)
    served = leaves if operation.variadic else [x for x, name in zip(leaves, operation.inputs, strict=False) if name in rule.inputs]
    names = names_in_call(operation, values, attributes) | {rule.cotangent: np.asarray(cotangent), "y": y.numpy()}
    found = formulas.evaluate(rule.formula, names, served[0].shape)
    found = found if isinstance(found, tuple) else (found,)
    expected = ta.grad(y, served, np.asarray(cotangent))
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
        assert {name for rule in operation.rules for name in rule.inputs} == {n for n in operation.inputs if operation.domain[n] != "boolean"}
        assert operation.__doc__
        assert isinstance(operation.formula, (ast.expr, ast.Assign))


def test_a_copied_tree_has_the_same_code_and_places_and_none_of_the_links_that_others_hang_on_it():
    tree = ast.parse("def f(x, *, y=1):\n    return [x[0], y]  # a comment")
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.expr_context):  # all trees share those
                child.parent = node
    twin = formulas.copied(tree)
    assert ast.dump(twin, include_attributes=True) == ast.dump(tree, include_attributes=True)
    assert not any(hasattr(node, "parent") for node in ast.walk(twin))
