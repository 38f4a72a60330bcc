"""What must notice the mutants of distributions and their divergences: semcheck and gradcheck of one or more of each kind."""

import contextlib
import math
from functools import partial

import numpy as np

from tinyae.autograd import Tensor, grad, raw
from tinyae.backend import Rng, rng
from tinyae.checks.gradcheck import gradcheck
from tinyae.checks.semcheck import assert_distribution
from tinyae.distributions import (
    Normal,
    StandardNormal,
    bernoulli,
    categorical,
    continuous_bernoulli,
    discretised_logistic,
    distribution,
    divergence,
    kl_divergence,
    laplace,
    mixture,
    normal,
    uniform,
)
from tinyae.errors import ArgumentError, DataError


def same(found, expected):
    """Raise AssertionError unless two arrays or Tensors agree."""
    found, expected = (x.data if isinstance(x, Tensor) else x for x in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def numbers(*shape, low=-1.0, high=1.5):
    """Different numbers between low and high, in no order."""
    return np.random.default_rng(0).permutation(np.linspace(low, high, math.prod(shape))).reshape(shape)


# module -> (distribution, its parameters, those of another one for their divergence), in float64, one feature or few.
DISTRIBUTIONS = {
    normal: [(Normal, [numbers(2, 2, 1), numbers(2, 2, 1, high=0.4)], [numbers(2, 1), numbers(1, low=0.3)]), (Normal, [numbers(3, 1), 0.4], None)],
    bernoulli: [(bernoulli.Bernoulli, [2 * numbers(2, 2, 3)], [numbers(2, 3)])],
    continuous_bernoulli: [(continuous_bernoulli.ContinuousBernoulli, [size * numbers(2, 2, 1)], [numbers(2, 1)]) for size in (9.0, 0.3, 4e-3)],
    categorical: [
        (categorical.Categorical, [2 * numbers(2, 2, 3)], [numbers(2, 3)]),
        (categorical.Concrete, [numbers(3), 0.7], None),
        (categorical.Concrete, [numbers(3, 2, 2), 1.6], None),
    ],
    laplace: [
        (laplace.Laplace, [numbers(2, 2, 1), numbers(2, 2, 1, high=0.4)], [numbers(2, 1), numbers(1, low=0.3)]),
        (laplace.Laplace, [numbers(2, 2, 1), 0.4], None),
    ],
    uniform: [
        (uniform.Uniform, [numbers(2, 2, 1), numbers(2, 2, 1) + 1.7], other)
        for other in ([-4.0, numbers(1) + 7.0], [numbers(1) + 1.0, 9.0], [-9.0, numbers(1) + 1.5], None)
    ],
    mixture: [
        (lambda a, b, c: mixture.Mixture(a, Normal(b, c)), [numbers(2, 2, 3), numbers(2, 2, 3, 1), numbers(3, 1) - 1.5], None),
        (lambda a, c: mixture.Mixture(a, Normal(0.3, c)), [numbers(3), numbers(3, 2)], None),
    ],
    discretised_logistic: [
        (discretised_logistic.DiscretisedLogistic, [numbers(2, 2, 1), numbers(2, 2, 1) - 2.0], None),
        (discretised_logistic.DiscretisedLogistic, [numbers(2, 2, 1), -6.0], None),
        (discretised_logistic.DiscretisedLogisticMixture, [2 * numbers(2, 2, 1, 3), numbers(2, 2, 1, 3), numbers(2, 2, 1, 3) - 2.0], None),
    ],
}


def distribution_checks():
    """module -> its checks: semcheck and gradcheck of its own distributions; of all of them for what they share."""
    found = {}
    for module, instances in DISTRIBUTIONS.items():
        semantic = [partial(check_distribution, *instance, dtype) for instance in instances for dtype in (np.float64, np.float32)]
        found[module] = {"semcheck": semantic, "gradcheck": [partial(check_distribution_gradients, *instance) for instance in instances]}
    for module, low in ((bernoulli, 0), (continuous_bernoulli, 0), (categorical, 0), (discretised_logistic, -1)):
        found[module]["semcheck"].append(partial(check_refusals, *DISTRIBUTIONS[module][0][:2], low))
    found[categorical]["semcheck"].append(check_straight_through)
    found[continuous_bernoulli]["semcheck"].append(check_near_zero)
    found[uniform]["semcheck"] += [check_ends, check_order]
    found[normal]["semcheck"].append(check_divergences)
    everything = {name: [check for checks in found.values() for check in checks[name]] for name in ("semcheck", "gradcheck")}
    everything["semcheck"] = [check_divergences, *everything["semcheck"]]
    return found | {distribution: everything, divergence: everything}


def check_distribution(kind, given, other, dtype):
    """What it says of itself and its divergences are those of its density; it keeps its parameters, Tensors or numbers."""
    given, other = ([as_tensor(value, dtype) for value in values or []] for values in (given, other))
    q = kind(*given)
    held = [part for part in q.parameters if part != "components"]
    held = [getattr(q, name) for name in held] + [getattr(q.components, name) for name in getattr(getattr(q, "components", None), "parameters", ())]
    for value, expected in zip(*([raw(v).ravel() for v in values if isinstance(v, Tensor)] for values in (held, given)), strict=True):
        same(value, expected)
    drawn = q.sample(rng(0))
    assert drawn.shape == q.shape
    many = [raw(q.sample(rng(0), draws)) for draws in (3, (3,), [3])]
    assert [y.shape for y in many] == 3 * [(3, *q.shape)]
    assert all((y == many[0]).all() for y in many)
    assert not isinstance(getattr(type(q), "mean", None), property) or q.mean.shape == q.shape
    assert isinstance(drawn, Tensor) == hasattr(q, "rsample")  # others have no gradient
    others = [kind(*other)] + [StandardNormal()] * (kind is Normal) if other else []
    assert_distribution(q, others=others, kl=kl_divergence, draws=50_000)


def as_tensor(value, dtype):
    """A parameter as a Tensor of this dtype, one number as it is."""
    return Tensor(value.astype(dtype)) if isinstance(value, np.ndarray) else value


def check_distribution_gradients(kind, given, other):
    """log_prob, rsample, mean, entropy and a finite divergence have the right gradients in the parameters."""
    given, other = ([value.copy() if isinstance(value, np.ndarray) else value for value in values or []] for values in (given, other))
    x, leaves = kind(*given).sample(rng(0)), [value for value in given + other if isinstance(value, np.ndarray)]

    def everything(*tensors):
        tensors = iter(tensors)
        q, *p = (kind(*(next(tensors) if isinstance(value, np.ndarray) else value for value in values)) for values in (given, other) if values)
        found = [q.log_prob(x)]
        if not isinstance(q.support, list) or len(q.support) == 2:  # those of 256 levels are sums of as many of the first
            found += [getattr(q, "mean", 0.0), q.entropy() if hasattr(q, "entropy") else 0.0]
        found += [q.rsample(q.draw_noise(rng(1)))] if hasattr(q, "rsample") else []
        found += [y for y in (kl_divergence(q, one) for one in p) if np.isfinite(y.data).all()]
        return sum(((i + y) ** 2).sum() for i, y in enumerate(found) if isinstance(y, Tensor))

    gradcheck(everything, leaves)


def check_refusals(kind, given, low):
    """Values beyond an end of the support, which is from `low` to 1, are refused, the ends themselves are not."""
    q = kind(*given)
    for x in (low, 1):
        q.log_prob(np.full(q.shape, float(x)))
    for x in (low - 0.5, 1.5):
        try:
            q.log_prob(np.full(q.shape, x))
        except DataError:
            continue
        raise AssertionError("values outside the support were taken")


def check_straight_through():
    """A hard draw of a Concrete is the corner nearest to the soft one, and its gradient the soft one's; the corners are a Categorical's."""
    logits, drawn = numbers(2, 4), []
    for hard in (False, True):
        leaf = Tensor(logits, requires_grad=True)
        q = categorical.Concrete(leaf, 0.7)
        drawn.append(q.rsample(q.draw_noise(rng(0)), hard=hard))
        drawn.append(grad(drawn[-1], [leaf], numbers(2, 4, high=3.0))[0])
    soft, slope, hard, same_slope = drawn
    same(hard, soft.data == soft.data.max(axis=-1, keepdims=True))
    same(slope, same_slope)
    same(hard, categorical.Categorical(logits).sample(rng(0)))


def check_near_zero():
    """A continuous Bernoulli's draw is the inverse of its distribution function, to 8 digits near logits 0, where nothing is 0 / 0.

    Its mean, the integral of its density and its entropy are the quotients for which series stand, and all are smooth at 0.
    """
    b = np.array([[-0.45], [-0.1], [0.2], [0.45], [0.8]])
    q, mean, normaliser = continuous_bernoulli.ContinuousBernoulli(b), 1 / -np.expm1(-b) - 1 / b, np.log(np.expm1(b) / b)
    same(q.mean, mean)
    np.testing.assert_allclose(q.mean - 0.5, mean - 0.5, rtol=1e-11)
    np.testing.assert_allclose(continuous_bernoulli.log_normaliser(b), normaliser, rtol=1e-12)
    np.testing.assert_allclose(q.entropy(), (normaliser - b * mean)[:, 0], rtol=1e-9)
    zero = Tensor(np.zeros((1, 1)), requires_grad=True)
    q = continuous_bernoulli.ContinuousBernoulli(zero)
    for value, slope in ((q.mean, 1 / 12), (q.rsample(np.array([[0.3]])), 0.105), (q.entropy(), 0), (q.log_prob(np.array([[0.3]])), -0.2)):
        same(grad(value.sum(), [zero], retain_graph=True)[0], slope)
    a, u = np.array([-5.0, -9e-3, -4e-3, 3e-3, 9e-3, 0.8]), np.array([[0.1], [0.6], [0.9]])
    q = continuous_bernoulli.ContinuousBernoulli(a)
    np.testing.assert_allclose(np.expm1(a * q.rsample(u)) / np.expm1(a), np.broadcast_to(u, (3, 6)), rtol=3e-8)
    np.testing.assert_allclose([one.log_prob(np.zeros(1)) for one in map(type(q), a[:, None])], -np.log(np.expm1(a) / a), rtol=0, atol=1e-9)
    leaf = Tensor(np.array([0, 1e60, -1e60]), requires_grad=True)
    q = continuous_bernoulli.ContinuousBernoulli(leaf)
    for y in (q.mean, q.rsample(np.full(1, 0.3)), q.log_prob(np.full(1, 0.3)), q.entropy()):
        assert np.isfinite(grad(y.sum(), [leaf])[0].data).all()


def check_order():
    """An interval has some length, for arrays and Tensors alike."""
    for low, high in ((1.0, 1.0), (numbers(2), numbers(2)), (Tensor(numbers(2)), 0.0), (1.0, Tensor(numbers(2)))):
        try:
            uniform.Uniform(low, high)
        except ArgumentError:
            continue
        raise AssertionError("an interval without length was taken")


def check_ends():
    """Both ends of an interval belong to it, and numbers alone widen no dtype."""
    q = uniform.Uniform(numbers(1), 2.0)
    assert np.isfinite(q.log_prob(np.array([[-1.0], [2.0]]))).all()
    assert kl_divergence(q, q) == 0
    assert uniform.Uniform(0.0, 1.0).log_prob(np.full(2, 0.5, np.float32)).dtype == np.float32


def check_divergences():
    """Estimates agree with closed forms, which are found for subclasses too; noise has no end at which its logarithm is infinite."""
    q, p = Normal(numbers(3, 2), numbers(3, 2, high=0.5)), StandardNormal()
    tensors = Normal(Tensor(numbers(3, 2)), 0.5), Normal(Tensor(numbers(2)), 0.3)
    for one, other in ((q, p), (p, Normal(numbers(2), 0.3)), tensors, (bernoulli.Bernoulli(numbers(2, 3)), bernoulli.Bernoulli(numbers(3)))):
        mean, error = kl_divergence(one, other, samples=4000, rng=rng(0))
        exact = raw(kl_divergence(Normal(np.zeros(2), 0.0) if one is p else one, other))
        assert mean.shape == error.shape == exact.shape
        assert (np.abs(mean - exact) < 5 * error).all()
        x = one.sample(rng(0), (4000, *(() if one.shape else (2,))))
        ratio = raw(one.log_prob(x) - other.log_prob(x))
        same(error, ratio.std(axis=0, ddof=1) / 4000**0.5)
    same(kl_divergence(q, p, rng=rng(0)), kl_divergence(q, p))
    same(q.standard_deviation, np.exp(q.log_variance / 2))
    for one, other in ((q, laplace.Laplace(q.mean, 0.0)), (laplace.Laplace(q.mean, 0.0), q)):
        with contextlib.suppress(ArgumentError):
            kl_divergence(one, other)
            raise AssertionError("no closed form is known")
    assert kl_divergence(uniform.Uniform(np.zeros(1), 2.0), uniform.Uniform(0.0, 1.0), samples=100, rng=rng(0)).mean == np.inf
    for dtype in (np.float32, np.float64):
        for noise in (distribution.uniform, distribution.laplace, distribution.logistic, distribution.gumbel):
            assert np.isfinite(noise(Lowest(), (2,), dtype)).all()
        assert 0 < distribution.uniform(Lowest(), (), dtype) < np.finfo(dtype).eps / 4
    assert p.sample(rng(0), (3, 2)).dtype == np.float32


class Lowest(Rng):
    """A stream that gives the smallest number it may."""

    def uniform(self, shape, low=0.0, high=1.0, dtype=np.float32):
        """low."""
        return np.full(shape, low, dtype)
