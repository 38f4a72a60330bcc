"""Elementwise operations and reductions against PyTorch in float64: values, gradients, gradients of gradients, ties and zeros."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops

torch = pytest.importorskip("torch")
assert_same = pytest.importorskip("torch_peer").assert_same
F = torch.nn.functional
pytestmark = pytest.mark.bench


SIMPLE = {
    "log1p": torch.log1p, "expm1": torch.expm1, "sin": torch.sin, "cos": torch.cos, "arctan": torch.arctan, "abs": torch.abs, "sign": torch.sign,
    "silu": F.silu, "gelu": lambda x: F.gelu(x, approximate="tanh"), "leaky_relu": F.leaky_relu, "elu": F.elu,
    "log_cosh": lambda x: torch.log(torch.cosh(x)), "softmax": lambda x: torch.softmax(x, -1), "log_softmax": lambda x: torch.log_softmax(x, -1),
}  # fmt: skip


@pytest.mark.parametrize("name", SIMPLE)
def test_functions_of_one_array(name, rng):
    x = rng.uniform(-0.9, 3, size=(4, 5)) if name == "log1p" else 2 * rng.normal(size=(4, 5))
    assert_same(ops.registry[name], SIMPLE[name], x)


@pytest.mark.parametrize("number", [0.2, 1.0, 1.7])
def test_slopes_of_the_negative_side(number, rng):
    x = rng.normal(size=(3, 4))
    x[0, 0] = 0  # at the kink as well
    assert_same(lambda x: ops.leaky_relu(x, slope=number), lambda x: F.leaky_relu(x, number), x)
    assert_same(lambda x: ops.elu(x, alpha=number), lambda x: F.elu(x, number), x[1:])


def test_choices_between_two_arrays(rng):
    a, b = rng.normal(size=(3, 1, 4)), rng.normal(size=(2, 4))
    condition = rng.random((3, 2, 1)) < 0.5
    assert_same(ops.maximum, torch.maximum, a, b)
    assert_same(ops.minimum, torch.minimum, a, b)
    assert_same(lambda a, b: ops.where(condition, a, b), lambda a, b: torch.where(torch.tensor(condition), a, b), a, b)
    tied = np.array([1.0, 2.0, 3.0])
    for ours, theirs in ((ops.maximum, torch.maximum), (ops.minimum, torch.minimum)):
        assert_same(ours, theirs, tied, np.array([1.0, 0.0, 3.0]))


@pytest.mark.parametrize("bounds", [{"min": -1.0}, {"max": 0.5}, {"min": -1.0, "max": 0.5}])
def test_clipping_at_its_ends_too(bounds, rng):
    assert_same(lambda x: ops.clip(x, **bounds), lambda x: torch.clip(x, **bounds), np.append(rng.normal(size=9), [-1.0, 0.5]))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (0, 1, 2)])
def test_reductions(axis, keepdims, rng):
    x, where = rng.normal(size=(3, 4, 2)), {"axis": axis, "keepdims": keepdims}
    assert_same(lambda x: ops.mean(x, **where), lambda x: x.mean(axis, keepdims), x)
    assert_same(lambda x: ops.max(x, **where), lambda x: torch.amax(x, axis, keepdims), x)
    assert_same(lambda x: ops.min(x, **where), lambda x: torch.amin(x, axis, keepdims), x)
    assert_same(lambda x: ops.norm(x, **where), lambda x: torch.linalg.vector_norm(x, dim=axis, keepdim=keepdims), x)
    assert_same(lambda x: ops.logsumexp(x, **where), lambda x: torch.logsumexp(x, axis, keepdims), x)
    for ddof in (0, 1):
        assert_same(
            lambda x, ddof=ddof: ops.var(x, ddof=ddof, **where), lambda x, ddof=ddof: torch.var(x, axis, correction=ddof, keepdim=keepdims), x
        )


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_along_one_axis(axis, rng):
    x = rng.normal(size=(3, 4, 2))
    assert_same(lambda x: ops.softmax(x, axis=axis), lambda x: torch.softmax(x, axis), x)
    assert_same(lambda x: ops.log_softmax(x, axis=axis), lambda x: torch.log_softmax(x, axis), x)
    assert_same(lambda x: ops.cumsum(x, axis=axis), lambda x: torch.cumsum(x, axis), x)
    assert_same(lambda x: ops.prod(x, axis=axis), lambda x: torch.prod(x, axis), x)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_products_with_zeros(zeros, rng):
    x = rng.normal(size=(7,))
    x[:zeros] = 0
    assert_same(ops.prod, torch.prod, x)


def test_ties_and_the_zero_vector_and_minus_infinity():
    x = np.array([[1.0, 5.0, 5.0], [2.0, 2.0, 2.0]])
    assert_same(lambda x: ops.max(x, axis=1), lambda x: torch.amax(x, 1), x)
    assert_same(lambda x: ops.min(x, axis=1), lambda x: torch.amin(x, 1), x)
    leaf, peer = ta.Tensor(np.zeros(3), requires_grad=True), torch.zeros(3, dtype=torch.float64, requires_grad=True)
    ops.norm(leaf).backward()
    torch.linalg.vector_norm(peer).backward()
    assert leaf.grad.tolist() == peer.grad.tolist()
    assert_same(lambda x: ops.logsumexp(x, axis=1), lambda x: torch.logsumexp(x, 1), np.array([[0.0, -math.inf], [1.0, 2.0]]))
