"""float32 within 4 units in the last place, or a stated reason; the 120-digit reference against mpmath; planted errors are seen."""

import math
import pathlib

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.checks import exact
from tinyae.checks.accuracy import LIMIT, REASONS, SPECIAL, accuracy, is_wide, numbers, ulps

PRIMITIVES = list(ops.registry.values())
ELEMENTARY = "exp log sqrt log1p expm1 sin cos arctan tanh sigmoid softplus log_cosh relu leaky_relu elu".split()
TABLE = pathlib.Path(ta.__file__).parent.parent / "benchmarks" / "accuracy.md"


@pytest.mark.parametrize("operation", PRIMITIVES, ids=lambda p: p.name)
def test_float32_is_within_the_limit_or_a_reason_is_stated(operation):
    found = accuracy(operation)
    assert found.passed, found
    for part, error in (("value", found.forward), ("gradient", found.gradient)):
        assert error <= LIMIT or (operation.name, part) in REASONS


@pytest.mark.parametrize("name", ELEMENTARY)
def test_the_value_of_an_elementary_function_needs_no_reason(name):
    assert (name, "value") not in REASONS
    assert is_wide(ops.registry[name])


def test_every_reason_belongs_to_an_operation():
    assert {name for name, _ in REASONS} <= set(ops.registry)
    assert {part for _, part in REASONS} == {"value", "gradient"}


def test_every_operation_on_the_whole_range_is_compared_with_its_formula(monkeypatch):
    """Not with itself in float64: its formulas have no name that is unknown there."""
    compared = []
    evaluate = exact.evaluate
    monkeypatch.setattr(exact, "evaluate", lambda formula, *rest: (evaluate(formula, *rest), compared.append(formula))[0])
    wide = [operation for operation in PRIMITIVES if is_wide(operation)]
    assert len(wide) > 35
    for operation in wide:
        compared.clear()
        accuracy(operation, points=20)
        assert len(compared) >= 1 + sum(len(rule.inputs) for rule in operation.rules), operation.name


def test_the_committed_table_has_every_operation_and_no_failure():
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(ops.registry)
    assert all(row.endswith("| ok |") for row in rows)


# ---- the unit


def test_an_ulp_is_the_distance_to_the_next_number():
    x = np.array([1.0, -3.0, 1e-40, 2.0**-149, 3e38], np.float32)
    after = np.nextafter(x, np.float32(np.inf))
    assert ulps(after, x.astype(np.float64)).tolist() == [1] * 5
    assert ulps(np.float32(1.0), 1 + 2.0**-24) == 0.5


def test_infinity_counts_as_the_number_after_the_largest():
    largest = float(np.finfo(np.float32).max)
    assert ulps(np.float32(np.inf), 1e300) == 0
    assert ulps(np.float32(np.inf), largest) == 0  # within a factor of 4: forgiven
    assert ulps(np.float32(np.inf), 1.0) > 1e38
    assert ulps(np.float32(-np.inf), np.inf) > 2.0**24
    assert ulps(np.float32(largest), np.inf) == 1


def test_not_a_number_is_wrong_where_there_is_one_and_not_compared_where_there_is_none():
    assert np.isinf(ulps(np.float32(np.nan), 1.0))
    assert ulps(np.float32(np.nan), np.nan) == 0


def test_a_larger_size_makes_the_unit_larger():
    assert ulps(np.float32(2.0**-24), 0.0, 1.0) == 0.5


# ---- the numbers


@pytest.mark.parametrize(("domain", "low", "high"), [("positive", 0, np.inf), ("unit", 0, 1), ((-1, np.inf), -1, np.inf), ((2, 3), 2, 3)])
def test_numbers_lie_in_their_domain_and_come_near_its_ends(domain, low, high, rng):
    x = numbers(domain, (1000,), rng)
    assert x.dtype == np.float32
    closed = domain == "unit"
    assert ((x >= low) & (x <= high)).all() if closed else ((x > low) & ((x < high) | (high == np.inf))).all()
    assert x.min() <= low + 1e-5
    assert x.max() >= (high - 1e-5 if np.isfinite(high) else 1e38)


def test_real_numbers_have_both_signs_all_sizes_and_the_special_ones(rng):
    x = numbers("real", (1000,), rng)
    assert set(np.abs(x)) >= set(np.array(SPECIAL, np.float32))
    assert ((x > 0).sum() > 300) & ((x < 0).sum() > 300)
    size = np.abs(x[np.isfinite(x) & (x != 0)])
    assert (size < 2.0**-126).any()
    assert (np.histogram(np.log2(size), bins=np.arange(-150, 129, 20))[0] > 0).all()
    assert (numbers("nonzero", (1000,), rng) != 0).all()


# ---- the reference


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "cosh", "sigmoid", "sin", "cos", "arctan"])
def test_the_functions_in_120_digits_agree_with_mpmath(name, rng):
    mpmath = pytest.importorskip("mpmath")
    function = {"sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "arctan": mpmath.atan}.get(name) or getattr(mpmath, name)
    x = numbers("positive" if name in ("log", "sqrt") else "real", (300,), rng).astype(np.float64)
    x = x[np.isfinite(x) & (np.abs(x) < 2.0**50)]
    found = exact.floats(exact.evaluate(exact.formulas.parse(f"{name}(x)"), {"x": x}, x.shape))
    with mpmath.workdps(150):
        expected = np.array([float(function(mpmath.mpf(float(v)))) for v in x])
    np.testing.assert_allclose(found, expected, rtol=4e-16, atol=0)


@pytest.mark.parametrize(
    ("formula", "x", "value"),
    [
        ("log(1 + exp(x))", -100.0, 3.720075976020836e-44),
        ("exp(x) - x - 1", 2.0**-120, 2.0**-241),
        ("log(cosh(x))", 2.0**-70, 2.0**-141),
        ("1 - tanh(x) ** 2", 40.0, 4 * math.exp(-80)),
        ("0.044715 * x", 1.0, 0.044715),
    ],
)
def test_formulas_that_cancel_keep_their_digits(formula, x, value):
    found = exact.evaluate(exact.formulas.parse(formula), {"x": np.array([x])}, (1,))
    np.testing.assert_allclose(exact.floats(found), value, rtol=1e-12)


def test_a_formula_in_index_notation_is_exact_too():
    x = np.array([[0.1, -200.0]])
    found = exact.evaluate(ops.softmax.formula, {"x": x, "axis": -1}, x.shape)
    np.testing.assert_allclose(exact.floats(found), [[1.0, math.exp(-200.1)]], rtol=1e-12)


def test_the_terms_of_a_formula_are_its_outer_sums_taken_positive():
    text = exact.formulas.text
    assert text(exact.terms(exact.formulas.parse("gy * y * (1 - y)"))) == "abs(gy) * abs(y) * (abs(1) + abs(y))"
    assert text(exact.terms(exact.formulas.parse("sum((x - m) ** 2 - v, axis=-1) / 2"))) == "sum(abs((x - m) ** 2) + abs(v), axis=-1) / abs(2)"


def test_a_name_without_a_meaning_is_said():
    with pytest.raises(NameError):
        exact.evaluate(exact.formulas.parse("einsum(x)"), {"x": np.ones(1)}, (1,))


# ---- planted errors


def naive_softplus(x):
    return np.log(1 + np.exp(x))


def biased_tanh(x):
    return np.tanh(x) * np.float32(1 + 1e-6)


def flushed_exp(x):
    y = np.exp(x)
    return np.where(y < 2.0**-126, np.float32(0), y)


@pytest.mark.parametrize(("name", "wrong"), [("softplus", naive_softplus), ("tanh", biased_tanh), ("exp", flushed_exp)])
def test_a_value_that_loses_digits_is_seen(name, wrong, monkeypatch):
    monkeypatch.setattr(ops.registry[name], "forward", wrong)
    assert not accuracy(ops.registry[name]).passed


def test_a_gradient_that_loses_digits_is_seen(monkeypatch):
    rule = ops.expm1.rules[0]
    monkeypatch.setattr(rule, "function", lambda gy, x: gy * (ops.expm1(x) + 1))
    assert accuracy(ops.expm1).gradient > 1e6


def test_a_reason_does_not_excuse_everything(monkeypatch):
    rule = ops.kl_standard_normal.rules[0]
    monkeypatch.setattr(rule, "function", lambda gy, mean: gy[..., None] * mean * np.float32(1.00001))
    assert not accuracy(ops.kl_standard_normal).passed


# ---- what models meet


def gradients(f, *values):
    leaves = [ta.Tensor(np.array(value, np.float32), requires_grad=True) for value in values]
    y = f(*leaves)
    y.sum().backward()
    return [y.numpy(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("logit", [1e4, -1e4])
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_logits_of_ten_thousand_give_finite_losses_and_gradients(logit, x):
    for found in gradients(ops.bce_with_logits, [[logit]], [[x]]) + gradients(
        ops.cross_entropy_with_logits, [[logit, 0.0, -logit]], [[x, 1 - x, 0.0]]
    ):
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
    loss, slope, _ = gradients(ops.bce_with_logits, [[logit]], [[x]])
    assert loss[0] == pytest.approx(max(logit, 0) - x * logit, rel=1e-6)
    assert slope[0, 0] == np.float32((logit > 0) - np.float32(x))


@pytest.mark.parametrize("log_variance", [80.0, -80.0])
def test_log_variances_of_eighty_give_finite_losses_and_gradients(log_variance):
    mean, other = [[0.7, -2.0]], [[log_variance, log_variance]]
    calls = {
        "gaussian_nll": (mean, other, [[0.5, 1.0]]),
        "kl_standard_normal": (mean, other),
        "kl_normal_normal": (mean, [[0.0, 1.0]], [[0.1, 0.2]], other),
        "reparameterize": (mean, other, [[1.5, -3.0]]),
    }
    for name, values in calls.items():
        for found in gradients(ops.registry[name], *values):
            assert found.dtype == np.float32
            assert np.isfinite(found).all(), name


def test_the_gradient_of_logsumexp_is_a_softmax_also_of_large_numbers():
    """exp(x - y) with y rounded to float32 gave 1 for each of two equal entries of 2^24, a gradient that sums to 2."""
    _, slope = gradients(ops.logsumexp, [2.0**24, 2.0**24, -1e4])
    assert slope.tolist() == [0.5, 0.5, 0.0]
