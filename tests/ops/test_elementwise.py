"""Elementwise operations and the softmax family where random inputs do not reach: extremes, kinks, infinities, errors."""

import decimal
import math

import numpy as np
import pytest
import scipy.special

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.checks import GradientError, gradcheck
from tinyae.errors import ShapeError

EXTREMES = np.array([-1e30, -1e4, -200.0, -90.0, -20.0, -1.0, -1e-30, 0.0, 1e-30, 1.0, 20.0, 90.0, 200.0, 1e4, 1e30])
INF = math.inf


def gradient(f, *arrays):
    """The gradients of the sum of f with respect to all arrays, as NumPy arrays."""
    leaves = [ta.Tensor(x, requires_grad=True) for x in arrays]
    return [to_numpy(g.data) for g in ta.grad(f(*leaves).sum(), leaves)]


def digits(f):
    """f, a function of a Decimal, as one of arrays: computed to 900 digits, then rounded."""

    def exactly(x):
        with decimal.localcontext(prec=900):
            return np.array([float(f(decimal.Decimal(float(v)))) for v in x])

    return exactly


def cosh(v):
    return (v.exp() + (-v).exp()) / 2


def gate(v):
    """(1 + tanh(u)) / 2 of gelu."""
    pi = decimal.Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
    return 1 / (1 + (-2 * (2 / pi).sqrt() * (v + decimal.Decimal("0.044715") * v**3)).exp())


EXACT = {
    "log_cosh": (ops.log_cosh, lambda v: cosh(v).ln()),
    "gelu": (ops.gelu, lambda v: v * gate(v)),
    "silu": (ops.silu, lambda v: v / (1 + (-v).exp())),
    "expm1": (ops.expm1, lambda v: v.exp() - 1),
    "slope of expm1": (lambda x: gradient(ops.expm1, x)[0], lambda v: v.exp()),
    "slope of log_cosh": (lambda x: gradient(ops.log_cosh, x)[0], lambda v: (v.exp() - (-v).exp()) / 2 / cosh(v)),
    "slope of silu": (lambda x: gradient(ops.silu, x)[0], lambda v: (1 + v / (1 + v.exp())) / (1 + (-v).exp())),
    "slope of arctan": (lambda x: gradient(ops.arctan, x)[0], lambda v: 1 / (1 + v * v)),
    "slope of elu": (lambda x: gradient(ops.elu, x)[0], lambda v: min(v, 0).exp() if v < 0 else 1),
}


@pytest.mark.parametrize("name", EXACT)
def test_digits_are_kept_near_zero_and_far_from_it(name):
    f, exact = EXACT[name]
    sizes = [1e-300, 1e-20, 1e-8, 1e-3, 0.1, 0.5, 1 - 1e-7, 1.0, 1 + 1e-7, 2.0, 5.0, 12.0]
    for dtype, rtol in ((np.float64, 2e-14), (np.float32, 3e-6)):
        x = np.array([0.0, *sizes, *(-s for s in sizes)], dtype)
        np.testing.assert_allclose(f(x), digits(exact)(x), rtol=rtol, atol=np.finfo(dtype).tiny)


def test_log1p_keeps_digits_and_so_does_its_slope():
    x = np.array([-1 + 2.0**-52, -0.5, -1e-20, 0.0, 1e-20, 1e-8, 1e300])
    np.testing.assert_allclose(ops.log1p(x), scipy.special.log1p(x), rtol=1e-15)
    np.testing.assert_array_equal(gradient(ops.log1p, x)[0], 1 / (1 + x))


BY_ENTRY = "sin cos arctan abs sign leaky_relu elu gelu silu log_cosh sigmoid softplus tanh relu".split()
TOGETHER = "softmax log_softmax logsumexp norm max min".split()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BY_ENTRY + TOGETHER)
def test_nothing_overflows_at_the_extremes(name, dtype):
    """A warning is an error here.  The slope, and the slope of the slope, are finite too."""
    largest = np.finfo(dtype).max  # of several such, the sum or the difference is too large
    x = ta.Tensor(np.append(EXTREMES, [largest, -largest] if name in BY_ENTRY else []).astype(dtype), requires_grad=True)
    y = ops.registry[name](x)
    (first,) = ta.grad(y, [x], ta.Tensor(np.ones(y.shape, dtype)), create_graph=True)
    results = [y, first]
    if first.requires_grad:
        results += ta.grad(first, [x], ta.Tensor(np.ones(x.shape, dtype)))
    for result in results:
        assert result.dtype == dtype
        assert np.isfinite(result.numpy()).all()


def test_arctan_has_a_slope_where_the_square_overflows():
    assert gradient(ops.arctan, np.array([1e100, -1e100]))[0] == pytest.approx(1e-200, rel=1e-14, abs=0)
    assert gradient(ops.arctan, np.array([np.finfo(np.float32).max], np.float32))[0] == 0


def test_far_from_zero_activations_are_their_asymptotes():
    x = np.array([-1e30, -1e4, 1e4, 1e30])
    for f in (ops.gelu, ops.silu):
        assert f(x).tolist() == [0, 0, 1e4, 1e30]
        assert gradient(f, x)[0].tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(ops.log_cosh(x), np.abs(x) - math.log(2))


def test_gelu_is_near_the_exact_one():
    x = np.linspace(-10, 10, 20_001)
    error = np.abs(ops.gelu(x) - x * scipy.special.ndtr(x)).max()
    assert 4.5e-4 < error < 5e-4  # its docstring promises 5e-4; an error far below would be another function


@pytest.mark.parametrize("f", [ops.gelu, ops.silu])
def test_a_gate_and_its_mirror_image_sum_to_one(f, rng):
    x = 3 * rng.normal(size=100)
    np.testing.assert_allclose(f(x) - f(-x), x, rtol=1e-13)


# name: function, the point of the kink, the slopes that we take there
KINKS = {
    "abs": (ops.abs, [0.0], 0),
    "leaky_relu": (ops.leaky_relu, [0.0], 0.01),
    "leaky_relu, another slope": (lambda x: ops.leaky_relu(x, slope=-0.5), [0.0], -0.5),
    "elu": (lambda x: ops.elu(x, alpha=2.0), [0.0], 2),
    "clip": (lambda x: ops.clip(x, min=-1.0, max=2.0), [-1.0, 2.0], 1),
    "clip below": (lambda x: ops.clip(x, min=-1.0), [-1.0], 1),
    "clip above": (lambda x: ops.clip(x, max=2.0), [2.0], 1),
    "maximum": (lambda x: ops.maximum(x, np.array([3.0, -1.0])), [3.0, -1.0], 0.5),
    "maximum, from the right": (lambda x: ops.maximum(np.array([3.0, -1.0]), x), [3.0, -1.0], 0.5),
    "minimum": (lambda x: ops.minimum(x, np.array([3.0, -1.0])), [3.0, -1.0], 0.5),
    "minimum, from the right": (lambda x: ops.minimum(np.array([3.0, -1.0]), x), [3.0, -1.0], 0.5),
    "relu by maximum": (lambda x: ops.maximum(x, 0.0), [0.0], 0.5),
}


@pytest.mark.parametrize("name", KINKS)
def test_the_slope_at_a_kink_is_the_stated_one_and_lies_between_its_sides(name):
    f, x, slope = KINKS[name]
    x = np.array(x)
    assert gradient(f, x)[0].tolist() == [slope] * len(x)
    assert gradcheck(f, [x]).kinks == len(x)


def test_a_slope_outside_those_of_the_sides_is_refused(monkeypatch):
    (rule,) = ops.abs.rules
    monkeypatch.setattr(rule, "function", lambda gy, x: 2 * gy * ops.sign(x + 1))
    with pytest.raises(GradientError, match="a kink"):
        gradcheck(ops.abs, [np.array([0.0])])


def test_smooth_joints_are_no_kinks():
    assert gradcheck(ops.elu, [np.array([0.0])]).kinks == 0
    assert gradient(ops.elu, np.array([0.0]))[0] == 1
    assert gradcheck(ops.log_cosh, [np.array([-1.0, 0.0, 1.0])], order=2).kinks == 0


def test_the_sign_has_slope_zero_everywhere():
    assert gradient(ops.sign, np.array([-2.0, 0.0, 3.0]))[0].tolist() == [0, 0, 0]
    assert ops.sign(np.array([-2.0, 0.0, 3.0])).tolist() == [-1, 0, 1]


def test_a_tie_of_a_tensor_with_itself_gives_all_of_it_the_slope_one():
    for f in (ops.maximum, ops.minimum):
        x = ta.Tensor([1.0, -2.0], requires_grad=True)
        f(x, x).sum().backward()
        assert x.grad.tolist() == [1, 1]


def test_clip_takes_arrays_as_bounds_and_integers():
    x = np.array([[-2.0, 0.5, 3.0], [4.0, 5.0, 6.0]])
    low, high = np.array([-1.0, 0.0, 1.0]), np.array([[1.0], [5.5]])
    np.testing.assert_array_equal(ops.clip(x, min=low, max=high), np.clip(x, low, high))
    assert gradient(lambda x: ops.clip(x, min=low, max=high), x)[0].tolist() == [[0, 1, 0], [1, 1, 0]]
    assert gradient(lambda x: ops.clip(x, min=0.0, max=np.ones((4, 1, 3))), x)[0].tolist() == [[0, 4, 0], [0, 0, 0]]  # summed back
    assert ops.clip(np.array([1, 5, 9]), max=6).dtype.kind == "i"


def test_clip_without_bounds_is_refused():
    with pytest.raises(ShapeError, match=r"clip: min, max or both are needed\."):
        ops.clip(ta.Tensor([1.0]))


def test_numbers_may_stand_on_either_side_and_widen_nothing(backend):
    t = ta.Tensor(to_device(np.array([-1.0, 2.0], np.float32)), requires_grad=True)
    found = [
        ops.maximum(0.0, t), ops.maximum(t, 0), ops.minimum(0.0, t), ops.where(t > 0, t, 0.0), ops.where(t > 0, 0, t),
        ops.clip(t, min=0.0), ops.clip(t, max=1),
    ]  # fmt: skip
    values = [[0, 2], [0, 2], [-1, 0], [0, 2], [-1, 0], [0, 2], [-1, 1]]
    gradients = [[0, 1], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    for y, value, slope in zip(found, values, gradients, strict=True):
        assert y.dtype == np.float32
        assert y.numpy().tolist() == value
        (g,) = ta.grad(y.sum(), [t])
        assert g.dtype == np.float32
        assert g.numpy().tolist() == slope


BAD = np.array([0.0, INF, -INF, math.nan])


def test_the_branch_not_taken_poisons_nothing():
    condition = ta.Tensor(np.array([True, False, False, False]))
    x, bad = ta.Tensor(np.ones(4), requires_grad=True), ta.Tensor(BAD, requires_grad=True)
    y = ops.where(condition, bad, x)
    assert y.numpy().tolist() == [0, 1, 1, 1]
    cotangent = np.array([INF, 2.0, 3.0, math.nan])
    y.backward(cotangent)
    assert bad.grad.tolist() == [INF, 0, 0, 0]
    assert x.grad[:3].tolist() == [0, 2, 3]


def test_a_rule_of_where_that_multiplies_is_poisoned(monkeypatch):
    """The slip that the test above is for: 0 times infinity."""
    rule = ops.where.rules[0]
    monkeypatch.setattr(rule, "function", lambda gy, condition: gy * condition)
    a, b = (ta.Tensor(np.ones(2), requires_grad=True) for _ in "ab")
    with np.errstate(invalid="ignore"):
        ops.where(np.array([True, False]), a, b).backward(np.array([1.0, INF]))
    assert np.isnan(a.grad[1])


def test_a_logarithm_within_where_needs_a_safe_input():
    x = np.array([0.0, 2.0])
    safe = lambda x: ops.where(x > 0, ops.log(ops.where(x > 0, x, 1.0)), 0.0)  # noqa: E731
    assert gradient(safe, x)[0].tolist() == [0, 0.5]
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(gradient(lambda x: ops.where(x > 0, ops.log(x), 0.0), x)[0][0])  # as the docstring of where warns


def test_softmax_agrees_with_scipy_along_any_axes(rng):
    x = 5 * rng.normal(size=(3, 4, 2))
    for axis in (0, 1, -1, (0, 2), None):
        np.testing.assert_allclose(ops.softmax(x, axis=axis), scipy.special.softmax(x, axis), rtol=1e-13)
        np.testing.assert_allclose(ops.log_softmax(x, axis=axis), scipy.special.log_softmax(x, axis), rtol=1e-13)
        for keepdims in (False, True):
            expected = scipy.special.logsumexp(x, axis, keepdims=keepdims)
            np.testing.assert_allclose(ops.logsumexp(x, axis=axis, keepdims=keepdims), expected, rtol=1e-13)
        assert gradcheck(lambda x, axis=axis: ops.softmax(x, axis=axis), [x]).worst < 1e-6
        assert gradcheck(lambda x, axis=axis: ops.log_softmax(x, axis=axis), [x]).worst < 1e-6
    np.testing.assert_array_equal(ops.softmax(x), ops.softmax(x, axis=2))


def test_softmax_does_not_see_a_constant_added_to_all_logits(rng):
    x = rng.normal(size=(5, 7))
    np.testing.assert_allclose(ops.softmax(x + 1e4), ops.softmax(x), rtol=1e-10)
    np.testing.assert_allclose(ops.log_softmax(x - 1e4), ops.log_softmax(x), rtol=1e-10)
    weights = rng.normal(size=(5, 7))
    np.testing.assert_allclose(gradient(lambda x: ops.softmax(x) * weights, x)[0].sum(axis=-1), 0, atol=1e-14)
    np.testing.assert_allclose(gradient(lambda x: ops.log_softmax(x) * weights, x)[0].sum(axis=-1), 0, atol=1e-14)


def test_log_softmax_is_finite_where_the_softmax_is_zero():
    x = np.array([0.0, -2000.0])
    assert ops.softmax(x).tolist() == [1, 0]
    assert ops.log_softmax(x).tolist() == [0, -2000]
    assert gradient(lambda x: ops.log_softmax(x)[1], x)[0].tolist() == [-1, 1]


def test_the_gradient_of_logsumexp_is_the_softmax(rng):
    x = rng.normal(size=(4, 5))
    np.testing.assert_allclose(gradient(lambda x: ops.logsumexp(x, axis=-1), x)[0], scipy.special.softmax(x, -1), rtol=1e-13)
    assert ops.logsumexp(np.full(8, 700.0)) == pytest.approx(700 + math.log(8), rel=1e-15)


def test_masked_logits_have_probability_zero_and_no_gradient(backend):
    x = ta.Tensor(to_device(np.array([[1.0, -INF, 2.0], [-INF, -INF, 5.0]])), requires_grad=True)
    p = to_numpy(ops.softmax(x).data)
    np.testing.assert_allclose(p, [[0.26894142136999512, 0, 0.7310585786300049], [0, 0, 1]], rtol=1e-15)
    for f in (ops.softmax, lambda x: ops.logsumexp(x, axis=-1)):
        y = f(x)
        (first,) = ta.grad(y, [x], to_device(np.ones(y.shape)), create_graph=True)
        (second,) = ta.grad((first * first).sum(), [x])
        for g in (to_numpy(first.data), second.numpy()):
            assert (g[np.isinf(to_numpy(x.data))] == 0).all()
            assert np.isfinite(g).all()


def test_logsumexp_of_nothing_but_minus_infinity_is_minus_infinity_and_its_gradient_zero(backend):
    x = ta.Tensor(to_device(np.array([[-INF, -INF], [0.0, -INF]])), requires_grad=True)
    for keepdims in (False, True):
        y = ops.logsumexp(x, axis=1, keepdims=keepdims)
        assert y.numpy().ravel().tolist() == [-INF, 0]
        (first,) = ta.grad(y, [x], to_device(np.ones(y.shape)), create_graph=True)
        assert first.numpy().tolist() == [[0, 0], [1, 0]]
        assert ta.grad(first.sum(), [x])[0].numpy().tolist() == [[0, 0], [0, 0]]


def test_logsumexp_of_infinity_is_infinity():
    assert ops.logsumexp(np.array([1.0, INF])) == INF


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_an_empty_axis_has_no_softmax(name):
    x = ta.Tensor(np.zeros((3, 0)))
    with pytest.raises(ShapeError) as caught:
        ops.registry[name](x, axis=-1)
    assert str(caught.value).startswith(f"{name}: there are no entries along axis=-1 of shape (3, 0).")
    assert ops.registry[name](ta.Tensor(np.zeros((0, 3))), axis=-1).size == 0


def test_an_axis_that_does_not_exist_is_named():
    for operation in (ops.softmax, ops.max, ops.var, ops.cumsum, ops.norm):
        with pytest.raises(ShapeError, match=rf"{operation.name}: axis 5 is out of bounds for array of dimension 2"):
            operation(ta.Tensor(np.ones((2, 3))), axis=5)
