"""Fused operations against PyTorch, values and gradients in float64."""

import numpy as np
import pytest

from tinyae import ops

torch = pytest.importorskip("torch")
assert_same = pytest.importorskip("torch_peer").assert_same
F = torch.nn.functional
pytestmark = pytest.mark.bench


def normal(mean, log_variance):
    """PyTorch's normal distribution."""
    return torch.distributions.Normal(mean, torch.exp(log_variance / 2))


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5)])
def test_cross_entropies(shape, rng):
    logits, target, p = rng.normal(size=shape), rng.dirichlet(np.ones(5), size=shape[:-1]), rng.uniform(0.05, 0.95, size=shape)

    def categorical(a, t):
        return F.cross_entropy(a.reshape(-1, 5), t.reshape(-1, 5), reduction="none").reshape(shape[:-1])

    def binary(p, x):
        return F.binary_cross_entropy(p, x, reduction="none").sum(-1)

    assert_same(ops.cross_entropy_with_logits, categorical, logits, target)
    assert_same(lambda p: ops.binary_cross_entropy(p, target), lambda p: binary(p, torch.tensor(target)), p)
    assert_same(ops.bce_with_logits, lambda a, x: F.binary_cross_entropy_with_logits(a, x, reduction="none").sum(-1), logits, target)


def test_labels_as_one_hot_rows(rng):
    logits, labels = rng.normal(size=(6, 4)), rng.integers(0, 4, size=6)
    target = ops.one_hot(labels, 4)
    assert_same(lambda a: ops.cross_entropy_with_logits(a, target), lambda a: F.cross_entropy(a, torch.tensor(labels), reduction="none"), logits)


@pytest.mark.parametrize("shape", [(5,), (4, 5)])
def test_gaussians(shape, rng):
    mean, log_variance, other, other_log_variance = rng.normal(size=(4, *shape))
    assert_same(ops.gaussian_nll, lambda m, s, x: -normal(m, s).log_prob(x).sum(-1), mean, log_variance, other)
    kl = torch.distributions.kl_divergence
    assert_same(ops.kl_normal_normal, lambda m, s, n, t: kl(normal(m, s), normal(n, t)).sum(-1), mean, log_variance, other, other_log_variance)
    assert_same(ops.kl_standard_normal, lambda m, s: kl(normal(m, s), normal(0 * m, 0 * s)).sum(-1), mean, log_variance)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", [(6,), (4, 6), (2, 3, 6)])
def test_layer_norm(shape, eps, rng):
    x, weight, bias = rng.normal(size=shape), *rng.normal(size=(2, 6))
    assert_same(lambda *v: ops.layer_norm(*v, eps=eps), lambda x, w, b: F.layer_norm(x, (6,), w, b, eps), x, weight, bias)
    assert_same(lambda x: ops.layer_norm(x, eps=eps), lambda x: F.layer_norm(x, (6,), eps=eps), x)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5), (2, 3, 4, 5), (1, 3, 2, 2)])
def test_batch_norm(shape, eps, rng):
    x, weight, bias = rng.normal(size=shape), *rng.normal(size=(2, 3))
    theirs = lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True, eps=eps)  # noqa: E731
    assert_same(lambda *v: ops.batch_norm(*v, eps=eps), theirs, x, weight, bias)


def test_straight_through_gumbel_softmax(rng):
    logits, gumbel = rng.normal(size=(2, 5, 4))

    def theirs(a):
        soft = torch.softmax((a + torch.tensor(gumbel)) / 0.7, -1)
        return soft + (F.one_hot(soft.argmax(-1), 4) - soft).detach()

    assert_same(lambda a: ops.one_hot_straight_through((a + gumbel) / 0.7), theirs, logits)
