"""Distributions against PyTorch's, in float64: log_prob, entropy, mean and divergences."""

import numpy as np
import pytest

from tinyae import distributions as d

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.bench
theirs = torch.distributions

A, B = np.random.default_rng(0).normal(size=(2, 4, 3))
X = np.random.default_rng(1).normal(size=(4, 3))
UNIT = 1 / (1 + np.exp(-X))
ONE_HOT = np.eye(3)[[0, 2, 1, 1]]
T = torch.tensor(0.7, dtype=torch.float64)
LOGITS = [size * A for size in (1.0, 3.0)]
CASES = {
    "normal": (d.Normal, lambda m, s: theirs.Normal(m, torch.exp(s / 2)), [A, B], X),
    "bernoulli": (d.Bernoulli, lambda a: theirs.Bernoulli(logits=a), [A], (X > 0) * 1.0),
    "categorical": (d.Categorical, lambda a: theirs.OneHotCategorical(logits=a), [A], ONE_HOT),
    "laplace": (d.Laplace, lambda m, s: theirs.Laplace(m, torch.exp(s)), [A, B], X),
    "uniform": (d.Uniform, lambda a, b: theirs.Uniform(a, b, validate_args=False), [A - 9, B + 9], X),
    "concrete": (lambda a: d.Concrete(a, 0.7), lambda a: theirs.RelaxedOneHotCategorical(T, logits=a), [A], UNIT / UNIT.sum(1)[:, None]),
    "mixture": (
        lambda w, m, s: d.Mixture(w, d.Normal(m, s)),
        lambda w, m, s: theirs.MixtureSameFamily(theirs.Categorical(logits=w), theirs.Independent(theirs.Normal(m, torch.exp(s / 2)), 1)),
        [A, np.stack([A, B]).transpose(1, 2, 0), np.stack([B, X]).transpose(1, 2, 0)],
        X[:, :2],
    ),
} | {
    f"continuous Bernoulli {i}": (d.ContinuousBernoulli, lambda a: theirs.ContinuousBernoulli(logits=a), [logits], UNIT)
    for i, logits in enumerate(LOGITS)
}  # fmt: skip


def summed(value, peer):
    """PyTorch's numbers a feature, summed over the features."""
    return value if value.ndim == 1 or peer.event_shape else value.sum(-1)


@pytest.mark.parametrize("name", CASES)
def test_density_entropy_and_mean(name):
    ours, peer, given, x = CASES[name]
    q, p = ours(*given), peer(*map(torch.tensor, given))
    tolerance = {"rtol": 2e-4, "atol": 1e-6} if "continuous" in name else {"rtol": 1e-9}  # PyTorch clamps probabilities, with a cut at 0.499
    np.testing.assert_allclose(q.log_prob(x), summed(p.log_prob(torch.tensor(x)), p).numpy(), **tolerance)
    if name != "concrete":
        np.testing.assert_allclose(q.mean, p.mean.numpy(), **tolerance)
    if name not in ("concrete", "mixture"):
        np.testing.assert_allclose(q.entropy(), summed(p.entropy(), p).numpy(), **tolerance)


@pytest.mark.parametrize("name", ["normal", "bernoulli", "categorical", "laplace", "uniform"])
def test_divergences(name):
    ours, peer, given, _ = CASES[name]
    for other in ([0.5 * value + 0.1 for value in given], [2 * value for value in given]):
        p = peer(*map(torch.tensor, given))
        expected = theirs.kl_divergence(p, peer(*map(torch.tensor, other)))
        np.testing.assert_allclose(d.kl_divergence(ours(*given), ours(*other)), summed(expected, p).numpy(), rtol=1e-9)
