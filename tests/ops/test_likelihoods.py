"""Cross entropies against SciPy, at the edges of their domains, and against the defects of public code."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.errors import DtypeError, ShapeError


def gradients(f, *values):
    """The gradients of sum(f(*values)) for each of the values."""
    leaves = [ta.Tensor(value, requires_grad=True) for value in values]
    f(*leaves).sum().backward()
    return [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_is_exact_at_huge_logits(dtype):
    logits = np.array([[1e4, -1e4, 0.0], [-200.0, 90.0, 89.0], [0.0, 0.0, 0.0]], dtype)
    target = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype)
    expected = -(target * scipy.special.log_softmax(logits.astype(float), axis=-1)).sum(-1)
    np.testing.assert_allclose(ops.cross_entropy_with_logits(logits, target), expected, rtol=1e-6)
    found, _ = gradients(ops.cross_entropy_with_logits, logits, target)
    np.testing.assert_allclose(found, scipy.special.softmax(logits.astype(float), axis=-1) - target, atol=1e-7)


def test_categorical_probabilities_sum_to_one(rng):
    logits = 3 * rng.normal(size=5)
    assert math.isclose(np.exp(-ops.cross_entropy_with_logits(logits, np.eye(5))).sum(), 1, rel_tol=1e-12)


def test_the_cross_entropy_is_least_where_the_softmax_is_the_target(rng):
    target = rng.dirichlet(np.ones(4), size=6)
    best = ops.cross_entropy_with_logits(np.log(target), target)
    np.testing.assert_allclose(best, scipy.stats.entropy(target, axis=-1), rtol=1e-12)
    assert (ops.cross_entropy_with_logits(np.log(target) + rng.normal(size=target.shape), target) > best).all()
    np.testing.assert_allclose(gradients(ops.cross_entropy_with_logits, np.log(target), target)[0], 0, atol=1e-15)


def test_two_categories_are_a_bernoulli(rng):
    logit, x = rng.normal(size=(7, 1)), rng.uniform(size=(7, 1))
    both, target = np.concatenate([0 * logit, logit], axis=-1), np.concatenate([1 - x, x], axis=-1)
    np.testing.assert_allclose(ops.cross_entropy_with_logits(both, target), ops.bce_with_logits(logit, x), rtol=1e-12)


def test_a_category_left_out_costs_nothing_and_gets_no_gradient(backend):
    logits = ta.Tensor(to_device(np.array([1.0, -math.inf, 2.0])), requires_grad=True)
    y = ops.cross_entropy_with_logits(logits, to_device(np.array([1.0, 0.0, 0.0])))
    assert math.isclose(y.item(), math.log(1 + math.e), rel_tol=1e-14)
    y.backward()
    np.testing.assert_allclose(to_numpy(logits.grad), [-1 / (1 + 1 / math.e), 0, 1 / (1 + 1 / math.e)], rtol=1e-14)


def test_the_usual_rule_for_the_logits_holds_only_for_targets_that_sum_to_one(monkeypatch, rng):
    """A planted error: softmax - target forgets the factor sum(target)."""
    (rule,) = [r for r in ops.cross_entropy_with_logits.rules if r.inputs == ("logits",)]
    monkeypatch.setattr(rule, "function", lambda gy, logits, target: gy[..., None] * (ops.softmax(logits, axis=-1) - target))
    logits, target = rng.normal(size=(2, 3, 4))
    rows = scipy.special.softmax(target, axis=-1)
    ta.checks.gradcheck(lambda a: ops.cross_entropy_with_logits(a, rows), [logits])
    with pytest.raises(ta.checks.GradientError, match="wrong"):
        ta.checks.gradcheck(lambda a: ops.cross_entropy_with_logits(a, target), [logits])


@pytest.mark.parametrize("labels", [np.array([0, 2, 1]), np.array([[0], [2], [1]]), np.eye(3, dtype=np.int64)])
def test_integer_labels_are_refused_with_a_remedy_that_works(labels):
    logits = ta.Tensor(np.zeros((3, 3)), requires_grad=True)
    with pytest.raises(DtypeError) as caught:
        ops.cross_entropy_with_logits(logits, labels)
    text = str(caught.value)
    assert text.startswith("cross_entropy_with_logits: the target is a row of probabilities for each example, not a label.")
    assert "expected  floating-point target (..., 3)" in text
    assert f"got       target {labels.shape} int64" in text
    assert "test_likelihoods.py:" in text
    assert "ops.one_hot(labels, 3)" in text
    found = ops.cross_entropy_with_logits(logits, ops.one_hot(np.array([0, 2, 1]), 3))
    np.testing.assert_allclose(found.numpy(), math.log(3), rtol=1e-7)


@pytest.mark.parametrize("target", [np.zeros((2, 4)), np.zeros(2), np.zeros((2, 1)), 0.5])
def test_a_target_that_does_not_fit_the_logits_is_explained(target):
    with pytest.raises(ShapeError, match=r"one probability for each logit(.|\n)*expected  logits, target: \(k\),\(k\)->\(\)"):
        ops.cross_entropy_with_logits(ta.Tensor(np.zeros((2, 3))), target)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_is_the_bernoulli_log_likelihood_at_the_edges_too(dtype):
    tiny = dtype(1e-30)
    p = np.array([0, 0, 1, 1, 0.25, 0.25, tiny, tiny], dtype)
    x = np.array([0, 1, 0, 1, 0, 1, 0, 1], dtype)
    expected = -scipy.stats.bernoulli(p.astype(float)).logpmf(x.astype(int))
    expected[6] = tiny  # log(1 + p) is p; SciPy rounds it to 0
    np.testing.assert_allclose(ops.binary_cross_entropy(p[:, None], x[:, None]), expected, rtol=1e-6)
    found, _ = gradients(ops.binary_cross_entropy, p[:, None], x[:, None])
    np.testing.assert_allclose(found[:, 0], [1, -np.inf, np.inf, -1, 4 / 3, -4, 1, -1 / tiny], rtol=1e-6)


def test_binary_cross_entropy_agrees_with_the_form_for_logits(rng):
    logits, x = 3 * rng.normal(size=(5, 4)), rng.uniform(size=(5, 4))
    leaves = [ta.Tensor(logits, requires_grad=True) for _ in range(2)]
    composed, fused = ops.binary_cross_entropy(ops.sigmoid(leaves[0]), x), ops.bce_with_logits(leaves[1], x)
    np.testing.assert_allclose(composed.numpy(), fused.numpy(), rtol=1e-12)
    composed.sum().backward()
    fused.sum().backward()
    np.testing.assert_allclose(leaves[0].grad, leaves[1].grad, rtol=1e-10)


def clipped(p, x, eps=1e-7):
    """What teaching code often does."""
    p = ops.clip(p, min=eps, max=1 - eps)
    return -(x * ops.log(p) + (1 - x) * ops.log(1 - p)).sum(axis=-1)


def test_a_clipped_cross_entropy_has_no_gradient_where_the_error_is_worst():
    p, x = np.array([[1e-9], [1 - 1e-9], [0.3]]), np.array([[1.0], [0.0], [1.0]])
    exact, cut = (gradients(lambda p, f=f: f(p, x), p)[0][:, 0] for f in (ops.binary_cross_entropy, clipped))
    np.testing.assert_allclose(exact, [-1e9, 1e9, -1 / 0.3], rtol=1e-6)
    np.testing.assert_allclose(cut, [0, 0, -1 / 0.3], rtol=1e-12)


def test_float32_rounds_a_probability_that_its_logit_keeps():
    p = np.float32(1 - 1e-9)
    assert p == 1
    assert ops.binary_cross_entropy(np.full((1, 1), p), np.zeros((1, 1), np.float32))[0] == np.inf
    assert ops.binary_cross_entropy(np.full((1, 1), p), np.ones((1, 1), np.float32))[0] == 0
    logit = np.full((1, 1), math.log(1e9), np.float32)  # that of 1 - 1e-9
    assert math.isclose(ops.bce_with_logits(logit, np.zeros((1, 1), np.float32))[0], math.log(1e9), rel_tol=1e-6)
    assert math.isclose(ops.binary_cross_entropy(np.full((1, 1), 1 - 1e-9), np.zeros((1, 1)))[0], math.log(1e9), rel_tol=1e-8)


def test_a_probability_outside_of_its_range_is_not_silent():
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(ops.binary_cross_entropy(np.array([1.5]), np.array([0.0])))
