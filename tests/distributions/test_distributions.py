"""Distributions: densities, draws, entropies, divergences, gradients, and what they do far out."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device
from tinyae.checks import assert_distribution, assert_gradients, fake_device, semcheck_distribution
from tinyae.distributions import (
    CLOSED_FORMS,
    Bernoulli,
    Categorical,
    Concrete,
    ContinuousBernoulli,
    DiscretisedLogistic,
    DiscretisedLogisticMixture,
    Laplace,
    Mixture,
    Normal,
    StandardNormal,
    Uniform,
    kl_divergence,
)
from tinyae.errors import ArgumentError, DataError, DtypeError, ShapeError


def numbers(*shape, low=-1.0, high=1.5):
    """Different numbers between low and high, in no order."""
    return np.random.default_rng(len(shape)).permutation(np.linspace(low, high, math.prod(shape))).reshape(shape)


def concrete(logits):
    return Concrete(logits, 0.7)


def uniform(low, width):
    return Uniform(low, low + ops.exp(width))


def gaussians(logits, mean, log_variance):
    return Mixture(logits, Normal(mean, log_variance))


# name -> (distribution, parameters, where a parameter lies far out).  Rows of one feature; vectors of three; three components.
ONE, FAR = numbers(2, 1), (-80.0, 80.0)
TABLE = {
    "normal": (Normal, [ONE, numbers(2, 1, high=0.3)], [(-1e4, 1e4), FAR]),
    "bernoulli": (Bernoulli, [2 * numbers(2, 3)], [(-1e4, 1e4)]),
    "continuous Bernoulli": (ContinuousBernoulli, [np.array([[-7.0], [4.0]])], [(-1e4, 1e4)]),
    "continuous Bernoulli near 1/2": (ContinuousBernoulli, [np.array([[0.003], [-0.45]])], [(-1e-30, 0.0)]),
    "categorical": (Categorical, [2 * numbers(2, 3)], [(-1e4, 1e4)]),
    "concrete": (concrete, [numbers(3)], [(-1e4, 1e4)]),
    "laplace": (Laplace, [ONE, numbers(2, 1, high=0.3)], [(-1e4, 1e4), FAR]),
    "uniform": (uniform, [ONE, numbers(2, 1, high=0.3)], [(-1.0, 1.0), (-10.0, 80.0)]),
    "discretised logistic": (DiscretisedLogistic, [ONE, numbers(2, 1) - 2.5], [(-9.0, 9.0), FAR]),
    "mixture of Gaussians": (gaussians, [numbers(2, 3), numbers(2, 3, 1), numbers(2, 3, 1)], [(-1e4, 1e4), (-9.0, 9.0), FAR]),
    "mixture of discretised logistics": (
        DiscretisedLogisticMixture,
        [numbers(2, 1, 3), numbers(2, 1, 3), numbers(2, 1, 3) - 2.0],
        [(-1e4, 1e4), (-9.0, 9.0), FAR],
    ),
}
CASES = [pytest.param(kind, given, id=name) for name, (kind, given, _) in TABLE.items()]
PAIRS = [pytest.param(*case.values, id=case.id) for case in CASES if any(type(case.values[0](*case.values[1])) is q for q, _ in CLOSED_FORMS)]


def functions_of(kind, x, noise=None):
    """name -> what the distribution says, as a function of its parameters."""
    found = {"log_prob": lambda *given: kind(*given).log_prob(x)}
    found |= {"mean": lambda *given: kind(*given).mean} if kind is not concrete else {}
    found |= {"entropy": lambda *given: kind(*given).entropy()} if hasattr(kind, "entropy") or kind is uniform else {}
    return found | ({"rsample": lambda *given: kind(*given).rsample(noise)} if noise is not None else {})


def drawn(kind, given):
    """(a draw, its noise or None)."""
    q = kind(*given)
    noise = q.draw_noise(ta.rng(0)) if hasattr(q, "rsample") else None
    return ops.stack([q.rsample(noise)])[0] if noise is not None else q.sample(ta.rng(0)), noise


# ---- meaning


@pytest.mark.parametrize(("kind", "given"), CASES)
def test_the_negative_log_likelihood_is_minus_the_log_probability(kind, given):
    x, _ = drawn(kind, given)
    np.testing.assert_array_equal(kind(*given).nll(x), -kind(*given).log_prob(x))


@pytest.mark.parametrize("kind", [Normal, Bernoulli, Laplace])
def test_whoever_changes_one_of_them_changes_both(kind):
    class Half(kind):
        def log_prob(self, x):
            return super().log_prob(x) / 2

    class Sixth(Half):
        def nll(self, x):
            return super().nll(x) / 3

    x, given = np.ones((2, 3)), [numbers(2, 3)] * len(kind.parameters)
    for changed, share in ((Half, 2), (Sixth, 6)):
        np.testing.assert_allclose(changed(*given).nll(x), kind(*given).nll(x) / share)
        np.testing.assert_allclose(changed(*given).log_prob(x), kind(*given).log_prob(x) / share)


@pytest.mark.parametrize(("kind", "given"), CASES)
def test_a_density_sums_to_one_and_draws_mean_and_entropy_belong_to_it(kind, given):
    table = assert_distribution(kind(*given), draws=100_000)
    assert not table.where("not tested")


@pytest.mark.parametrize(("kind", "given"), PAIRS)
def test_a_closed_divergence_is_the_sum_over_the_density_and_the_mean_over_draws(kind, given):
    q, p = kind(*given), kind(*[value * 0.5 + (0.5 if kind is uniform and i else 0.1) for i, value in enumerate(given)])
    q = Uniform(q.low / 8, q.low / 8 + 0.5) if kind is uniform else q
    p = Uniform(-1.0, p.high) if kind is uniform else p
    assert_distribution(q, others=[p], kl=kl_divergence, draws=20_000)
    mean, error = kl_divergence(q, p, samples=20_000, rng=ta.rng(1))
    assert mean.shape == error.shape == q.shape[:-1]
    assert (np.abs(mean - kl_divergence(q, p)) <= 5 * error + 1e-12).all()
    np.testing.assert_allclose(kl_divergence(q, q), 0, atol=1e-12)


def test_the_divergence_to_the_prior_is_the_closed_form():
    q = Normal(np.array([[0.7]]), np.array([[-1.2]]))
    assert round(kl_divergence(q, StandardNormal()).item(), 4) == 0.4956
    np.testing.assert_allclose(kl_divergence(q, Normal(0.0, 0.0)), kl_divergence(q, StandardNormal()))


def test_a_divergence_is_infinite_where_the_support_is_not_covered():
    q = Uniform(np.array([0.0, 0.2]), np.array([1.0, 0.9]))
    assert kl_divergence(q, Uniform(0.1, 3.0)) == math.inf
    assert kl_divergence(q, Uniform(-1.0, 0.95)) == math.inf
    assert kl_divergence(q, Uniform(0.0, 1.0)) == -math.log(0.9 - 0.2)
    found = kl_divergence(q, Uniform(0.1, 3.0), samples=500, rng=ta.rng(0))
    assert found.mean == math.inf
    assert math.isnan(found.standard_error)


def test_without_a_closed_form_there_is_an_estimate_that_says_so():
    q, p = Normal(numbers(2, 3), -1.0), Mixture(np.zeros(4), Normal(numbers(4, 3), 0.0))
    with pytest.raises(ArgumentError, match=r"Laplace, Laplace[\s\S]*Normal, Mixture[\s\S]*samples=1000"):
        kl_divergence(q, p)
    few, many = (kl_divergence(q, p, samples=n, rng=ta.rng(0)) for n in (100, 10_000))
    assert few.standard_error.shape == (2,)
    assert (few.standard_error > 5 * many.standard_error).all()
    assert (np.abs(few.mean - many.mean) < 5 * few.standard_error).all()
    with pytest.raises(ArgumentError, match="samples is a whole number"):
        kl_divergence(q, p, samples=1, rng=ta.rng(0))
    with pytest.raises(DtypeError, match="not a random stream"):
        kl_divergence(q, p, samples=10)


def test_known_values():
    levels = np.arange(256) / 127.5 - 1
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    upper, lower = sigmoid((levels + 1 / 255 - 0.2) / 0.3), sigmoid((levels - 1 / 255 - 0.2) / 0.3)
    upper[-1], lower[0] = 1, 0
    found = DiscretisedLogistic(np.array([0.2]), math.log(0.3)).log_prob(levels[:, None])
    np.testing.assert_allclose(found, np.log(upper - lower), rtol=1e-9)
    lam = 0.2
    constant = 2 * np.arctanh(1 - 2 * lam) / (1 - 2 * lam)
    expected = math.log(constant * lam**0.3 * (1 - lam) ** 0.7)
    np.testing.assert_allclose(ContinuousBernoulli(np.array([math.log(lam / (1 - lam))])).log_prob(np.array([0.3])), expected)
    alpha, t, x = np.array([0.5, 2.0, 1.0]), 0.7, np.array([0.2, 0.5, 0.3])
    expected = 2 * t**2 * np.prod(alpha * x ** (-t - 1)) / (alpha * x**-t).sum() ** 3
    np.testing.assert_allclose(Concrete(np.log(alpha), t).log_prob(x), math.log(expected))
    weights, means = np.array([0.3, 0.7]), np.array([[0.0, 1.0], [2.0, -1.0]])
    expected = sum(w * np.exp(-((np.array([0.5, 0.1]) - m) ** 2).sum() / 2) / (2 * math.pi) for w, m in zip(weights, means, strict=True))
    np.testing.assert_allclose(Mixture(np.log(weights), Normal(means, 0.0)).log_prob(np.array([0.5, 0.1])), math.log(expected))


def test_a_component_for_each_feature_is_a_product_of_mixtures():
    logits, location, log_scale = numbers(3, 4), numbers(3, 4), numbers(3, 4) - 2
    q = DiscretisedLogisticMixture(logits, location, log_scale)
    x = q.sample(ta.rng(0), (5,))
    assert x.shape == (5, 3)
    single = [Mixture(a, DiscretisedLogistic(b[:, None], c[:, None])) for a, b, c in zip(logits, location, log_scale, strict=True)]
    np.testing.assert_allclose(q.log_prob(x), sum(one.log_prob(x[:, [j]]) for j, one in enumerate(single)))


def test_a_cold_concrete_draw_is_a_categorical_one():
    logits, noise = numbers(4), Concrete(numbers(4), 1.0).draw_noise(ta.rng(0), (500,))
    cold = Concrete(logits, 1e-3)
    hard, soft = cold.rsample(noise, hard=True), cold.rsample(noise)
    assert set(hard.ravel()) == {0, 1}
    assert (hard.argmax(axis=-1) == soft.argmax(axis=-1)).all()
    np.testing.assert_array_equal(hard, Categorical(logits).sample(ta.rng(0), (500,)))


# ---- gradients and arithmetic


@pytest.mark.parametrize(("kind", "given"), CASES)
def test_gradients(kind, given):
    x, noise = drawn(kind, given)
    for name, function in functions_of(kind, x, noise).items():
        if name == "log_prob" or not kind.__name__.startswith("Discretised"):  # the mean of 256 levels is a sum over log_prob
            assert_gradients(function, given, orders=(1,) if kind is DiscretisedLogisticMixture else (1, 2), rtol=1e-5)


@pytest.mark.parametrize(("kind", "given"), PAIRS)
def test_gradients_of_divergences(kind, given):
    other = [0.7 * value - 0.2 for value in given]
    if kind is not uniform:
        assert_gradients(lambda *both: kl_divergence(kind(*both[: len(given)]), kind(*both[len(given) :])), given + other)
    else:
        assert_gradients(lambda low, high: kl_divergence(Uniform(low, high), Uniform(-2.0, 9.0)), [ONE, ONE + 1.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TABLE)
def test_parameters_far_out_give_finite_values_and_gradients(name, dtype):
    kind, given, far = TABLE[name]
    for k, values in enumerate(far):
        for value in values:
            leaves = [ta.Tensor(np.full_like(v, value, dtype=dtype) if i == k else v.astype(dtype), requires_grad=True) for i, v in enumerate(given)]
            x, noise = drawn(kind, [leaf.data for leaf in leaves])
            for what, function in functions_of(kind, x, noise).items():
                y = function(*leaves)
                levels = kind.__name__.startswith("Discretised") and what != "log_prob"  # sums over 256 log_probs
                gradients = ta.grad(y.sum(), leaves) if y.requires_grad and not levels else []
                assert y.dtype == dtype
                assert all(np.isfinite(part.data).all() for part in (y, *gradients)), (what, k, value)


@pytest.mark.parametrize("name", TABLE)
def test_on_a_device_nothing_waits_and_float32_stays(name, backend):
    kind, given, _ = TABLE[name]
    expected = kind(*[v.astype(np.float32) for v in given])
    q = kind(*[ta.Tensor(to_device(v.astype(np.float32)), requires_grad=True) for v in given])
    before = fake_device.counters.synchronisations
    x = q.sample(ta.rng(0), (4,))
    y = q.log_prob(x)
    y.sum().backward()
    results = {"draw": x, "log_prob": y} | ({"mean": q.mean} if kind is not concrete else {})
    results |= {"entropy": q.entropy()} if hasattr(q, "entropy") else {}
    assert fake_device.counters.synchronisations == before
    assert all(value.dtype == np.float32 for value in results.values())
    host = np.asarray(ta.backend.to_numpy(x.data if isinstance(x, ta.Tensor) else x))
    np.testing.assert_allclose(y.numpy(), expected.log_prob(host), rtol=1e-4, atol=1e-4)
    assert all(type(ta.autograd.raw(value)) is type(to_device(np.ones(1))) for value in results.values())


@pytest.mark.parametrize(("one", "all_alike"), [
    (Normal(numbers(2, 3), 0.4), Normal(numbers(2, 3), np.full((2, 3), 0.4))),
    (Normal(0.4, numbers(2, 3)), Normal(np.full((2, 3), 0.4), numbers(2, 3))),
    (Laplace(numbers(2, 3), 0.4), Laplace(numbers(2, 3), np.full((2, 3), 0.4))),
    (Laplace(0.4, numbers(2, 3)), Laplace(np.full((2, 3), 0.4), numbers(2, 3))),
    (Uniform(numbers(2, 3), 2.0), Uniform(numbers(2, 3), np.full((2, 3), 2.0))),
    (DiscretisedLogistic(numbers(2, 3), -3.0), DiscretisedLogistic(numbers(2, 3), np.full((2, 3), -3.0))),
])  # fmt: skip
def test_one_number_serves_all_features(one, all_alike):
    x = one.sample(ta.rng(0), (5,))
    np.testing.assert_array_equal(x, all_alike.sample(ta.rng(0), (5,)))
    np.testing.assert_allclose(one.log_prob(x), all_alike.log_prob(x))
    np.testing.assert_allclose(one.entropy(), all_alike.entropy())
    np.testing.assert_allclose(one.mean + np.zeros((2, 3)), all_alike.mean)
    if not isinstance(one, DiscretisedLogistic):
        np.testing.assert_allclose(kl_divergence(one, all_alike), 0, atol=1e-12)


def test_the_standard_normal_has_as_many_dimensions_as_are_asked_for():
    z = StandardNormal().sample(ta.rng(0), (4, 3))
    assert (z.shape, z.dtype) == ((4, 3), np.float32)
    assert StandardNormal().log_prob(z).shape == (4,)
    estimate = kl_divergence(StandardNormal(), Normal(numbers(2, 3), 0.3), samples=5000, rng=ta.rng(0))
    exact = kl_divergence(Normal(np.zeros(3), 0.0), Normal(numbers(2, 3), 0.3))
    assert (np.abs(estimate.mean - exact) < 5 * estimate.standard_error).all()


# ---- errors


def test_misuse_is_named():
    with pytest.raises(ArgumentError, match="temperature must be a positive number"):
        Concrete(np.zeros(3), 0.0)
    with pytest.raises(ShapeError, match="each component has one logit"):
        Mixture(np.zeros(3), Normal(np.zeros((4, 2)), 0.0))
    with pytest.raises(DtypeError, match=r"ops\.one_hot"):
        Categorical(np.zeros((2, 3))).log_prob(np.array([0, 2]))
    for q in (Bernoulli(np.zeros(2)), Normal(np.zeros(2), 0.0), Categorical(np.zeros(2)), DiscretisedLogistic(np.zeros(2), 0.0)):
        with pytest.raises(DtypeError, match="not a random stream"):
            q.sample(3)
    assert repr(Normal(np.zeros((2, 3)), 0.0)) == "Normal(mean (2, 3), log_variance ())"


@pytest.mark.parametrize(("q", "inside", "outside"), [
    (Bernoulli(np.zeros(1)), [0, 0.3, 1.0, np.ones(1, bool)], [2, -0.5, np.array([1.1]), math.nan]),
    (ContinuousBernoulli(np.zeros(1)), [0.0, 1 + 1e-7], [np.array([1.5]), ta.Tensor(np.array([-1.0]))]),
    (Categorical(np.zeros(2)), [np.eye(2)], [np.array([2.0, -1.0])]),
    (DiscretisedLogistic(np.zeros(1), 0.0), [-1.0, 1.0], [128.0]),
    (DiscretisedLogisticMixture(*np.zeros((3, 1, 2))), [np.ones(1)], [np.full(1, 255.0)]),
])  # fmt: skip
def test_values_outside_the_support_are_refused_on_the_host(q, inside, outside):
    for x in inside:
        assert np.isfinite(q.log_prob(x)).all()
    for x in outside:
        with pytest.raises(DataError, match=r"values outside its support.\n  expected  values in \["):
            q.log_prob(x)


def test_a_uniform_distribution_needs_room():
    for low, high in [(1.0, 0.0), (0.0, 0.0), (np.zeros(2), np.array([1.0, -1.0])), (ta.Tensor(np.ones(2)), 0.5)]:
        with pytest.raises(ArgumentError, match="low must be below high"):
            Uniform(low, high)


@pytest.mark.parametrize("q", [StandardNormal(), Normal(np.zeros(3), 0.0), Bernoulli(np.zeros(3)), Categorical(np.zeros(3)),
    DiscretisedLogistic(np.zeros(3), 0.0), Mixture(np.zeros(2), Normal(np.zeros((2, 3)), 0.0)), Concrete(np.zeros(3), 1.0)])  # fmt: skip
def test_a_number_of_draws_is_an_axis_in_front(q):
    assert (q.sample(ta.rng(0), 5) == q.sample(ta.rng(0), (5,))).all()
    with pytest.raises(ArgumentError, match="a whole number, or a tuple of them"):
        q.sample(ta.rng(0), 5.0)


# ---- planted errors

WRONG = {
    "1 % in the scale of the draws": (Laplace, "rsample", lambda q, noise: q.mean + 1.01 * ops.exp(q.log_scale) * noise, "draws"),
    "1 % in the scale of the density": (Laplace, "log_prob", lambda q, x: -(abs(x - q.mean) / 1.01 + q.log_scale + math.log(2)).sum(-1), "sum"),
    "a constant left out": (Normal, "log_prob", lambda q, x: -((x - q.mean) ** 2 / np.exp(q.log_variance) + q.log_variance).sum(-1) / 2, "sum"),
    "a mean where a sum belongs": (Normal, "entropy", lambda q: (q.log_variance + 1 + math.log(2 * math.pi)).mean(-1) / 2, "entropy"),
    "a sigmoid for a mean": (ContinuousBernoulli, "mean", property(lambda q: ops.sigmoid(q.logits)), "mean"),
    "one noise for all rows": (Normal, "rsample", lambda q, noise: q.mean + q.standard_deviation * noise[..., :1, :], "draws: independence"),
    "edges without their tails": (
        DiscretisedLogistic,
        "log_prob",
        lambda q, x: np.log(1 / (1 + np.exp(-(x + 1 / 255 - 0.2))) - 1 / (1 + np.exp(-(x - 1 / 255 - 0.2)))).sum(-1),
        "sum",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_planted_error_is_found(name, monkeypatch):
    kind, method, wrong, row = WRONG[name]
    shape = (1, 2) if "sum belongs" in name else (2, 1)
    given = {Laplace: [numbers(2, 1), 0.0], Normal: [numbers(*shape), numbers(*shape)], ContinuousBernoulli: [np.array([[3.0], [-1.0]])]}
    given[DiscretisedLogistic] = [np.full((2, 1), 0.2), 0.0]
    draws = 1_000_000 if "1 %" in name else 50_000
    assert semcheck_distribution(kind(*given[kind]), draws=draws).passed
    monkeypatch.setattr(kind, method, wrong)
    assert any(failure.check.startswith(row) for failure in semcheck_distribution(kind(*given[kind]), draws=draws).failures)


LOGITS = np.array([-30.0, -1, -0.51, -0.49, -0.02, -0.0101, -0.0099, -1e-3, -1e-6, 0, 1e-6, 1e-3, 0.0099, 0.0101, 0.02, 0.3, 0.49, 0.51, 1, 5, 80])


def test_a_continuous_bernoulli_is_smooth_at_logits_0():
    a = ta.Tensor(np.zeros((1, 1)), requires_grad=True)
    q, u = ContinuousBernoulli(a), np.array([[0.3]])
    for value, slope in ((q.mean, 1 / 12), (q.rsample(u), 0.3 * 0.7 / 2), (q.entropy(), 0), (q.log_prob(u), 0.3 - 0.5)):
        assert math.isclose(ta.grad(value.sum(), [a], retain_graph=True)[0].item(), slope, abs_tol=1e-15)
    (slope,) = ta.grad(kl_divergence(q, ContinuousBernoulli(np.array([[2.0]]))), [a], cotangent=np.ones(1))
    assert math.isclose(slope.item(), -2 / 12)  # logits - logits' times the variance


def test_the_series_of_a_continuous_bernoulli_meets_the_quotient():
    """The variance, the derivative of the mean: 1/a^2 - 1/(4 sinh(a/2)^2), whose digits cancel near 0; here in 64 bits of them."""
    a = LOGITS[np.abs(LOGITS) > 1e-5].astype(np.float32)
    wide = a.astype(np.longdouble)
    exact = 1 / wide**2 - 1 / (4 * np.sinh(wide / 2) ** 2)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-11)):
        x = ta.Tensor(a.astype(dtype), requires_grad=True)
        found = ta.grad(ContinuousBernoulli(x).mean.sum(), [x])[0].data
        np.testing.assert_allclose(found, exact.astype(float), rtol=tolerance)
