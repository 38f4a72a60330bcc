"""The strategies construct what they promise: no ties, no kinks, shapes that fit, and nothing is filtered."""

import ast
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae import ops
from tinyae.checks import strategies
from tinyae.checks.strategies import values
from tinyae.errors import ArgumentError

DOMAINS = {
    "real": (-4, 4),
    "nonzero": (-4, 4),
    "positive": (0, 9),
    "unit": (0, 1),
    (-1.0, np.inf): (-1, 9),
    (2.0, 5.0): (2, 5),
    (-np.inf, 1.0): (-9, 1),
}


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
@given(data=st.data())
def test_arrays_have_no_ties_and_stay_inside_their_domain_away_from_kinks(domain, data):
    shape = data.draw(strategies.SHAPE)
    x = data.draw(strategies.arrays(shape, domain))
    assert (x.shape, x.dtype) == (shape, np.float64)
    low, high = DOMAINS[domain]
    assert ((x > low) & (x < high)).all()
    assert len(set(x.ravel())) == x.size
    gaps = np.diff(np.sort(x.ravel()))
    assert gaps.min(initial=1) > 1e-3
    if domain in ("real", "nonzero"):
        assert np.abs(x).min(initial=9) >= (0.5 if domain == "nonzero" else 1 / 40)


@given(x=strategies.arrays((12, 30)))
def test_large_arrays_have_no_ties_either(x):
    assert len(set(x.ravel())) == x.size
    assert np.abs(x).min() > 0
    assert np.abs(x).max() < 4


@given(x=strategies.arrays((3, 4), "binary", np.float32), mask=strategies.arrays((3, 4), "boolean"))
def test_binary_arrays_hold_zeros_and_ones_and_boolean_ones_truth_values(x, mask):
    assert x.dtype == np.float32
    assert set(x.ravel()) <= {0, 1}
    assert mask.dtype == bool


@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (20, 30)])
@given(data=st.data())
def test_no_two_cotangents_are_alike_and_none_is_one(shape, data):
    c = data.draw(strategies.cotangents(shape))
    assert len(set(c.ravel())) == c.size
    assert not (c == 1).any()
    assert np.abs(c).min() >= 0.5


@given(data=st.data())
def test_a_softmax_without_gradient_does_not_pass_with_these_cotangents(data):
    x = data.draw(strategies.arrays((2, 3)))
    leaf = ta.Tensor(x, requires_grad=True)
    (g,) = ta.grad(ops.softmax(leaf), [leaf], data.draw(strategies.cotangents((2, 3))))
    assert np.abs(g.numpy()).max() > 1e-6


@given(data=st.data(), count=st.integers(1, 4))
def test_broadcastable_shapes_broadcast(data, count):
    shapes = data.draw(strategies.broadcastable(count))
    assert len(shapes) == count
    np.broadcast_shapes(*shapes)


@given(shapes=strategies.matmul_shapes())
def test_matmul_shapes_have_a_product(shapes):
    a, b = map(np.ones, shapes)
    assert (a @ b == a.shape[-1]).all()


@given(shapes=strategies.fitting("(n,k),(k)->(n)"))
def test_shapes_fit_a_signature(shapes):
    a, b = shapes
    assert a[-1] == b[-1]
    np.broadcast_shapes(a[:-2], b[:-1])


@given(call=strategies.einsum_calls())
def test_einsum_calls_are_understood_by_numpy(call):
    subscripts, arrays = call
    np.testing.assert_allclose(ops.einsum(subscripts, *arrays), np.einsum(subscripts, *arrays), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("kind", ["conv", "conv_transpose", "conv_weight"])
@given(data=st.data())
def test_convolution_calls_fit(axes, kind, data):
    arrays, attributes = data.draw(strategies.convolution_calls(axes, kind))
    name = f"conv{axes}d_weight" if kind == "conv_weight" else f"{kind}{axes}d"
    assert ops.registry[name](*arrays, **attributes).size > 0


@given(data=st.data())
def test_axes_and_indices_are_accepted_by_numpy(data):
    shape = data.draw(strategies.SHAPE)
    x, axis, index = np.arange(float(np.prod(shape))).reshape(shape), data.draw(strategies.axes(shape)), data.draw(strategies.indices(shape))
    gone = set(range(x.ndim)) if axis is None else {a % x.ndim for a in np.atleast_1d(np.array(axis, int))}
    assert x.sum(axis=axis).shape == tuple(n for i, n in enumerate(shape) if i not in gone)
    assert set(np.ravel(x[index])) <= set(np.ravel(x))


@pytest.mark.parametrize("name", ["normal", "bernoulli", "categorical"])
@given(data=st.data())
def test_points_of_the_support_have_a_finite_log_probability(name, data):
    shape = data.draw(st.sampled_from([(4,), (3, 2), (2, 1, 3)]))
    parameters, x = data.draw(strategies.parameters(name, shape)), data.draw(strategies.support(name, shape))
    assert all(value.shape == x.shape == shape for value in parameters.values())
    nll = {
        "normal": lambda mean, log_variance: ops.gaussian_nll(mean, log_variance, x),
        "bernoulli": lambda logits: ops.bce_with_logits(logits, x),
        "categorical": lambda logits: ops.cross_entropy_with_logits(logits, x),
    }[name](**parameters)
    assert nll.shape == shape[:-1]
    assert np.isfinite(nll).all()
    if name != "normal":
        assert (nll > 0).all()
        assert set(x.ravel()) <= {0, 1}
    if name == "categorical":
        assert (x.sum(-1) == 1).all()


OTHERS = {
    "continuous_bernoulli": ta.distributions.ContinuousBernoulli,
    "concrete": lambda logits: ta.distributions.Concrete(logits, 0.7),
    "laplace": ta.distributions.Laplace,
    "uniform": ta.distributions.Uniform,
    "discretised_logistic": ta.distributions.DiscretisedLogistic,
}


@pytest.mark.parametrize("name", OTHERS)
@given(data=st.data())
def test_parameters_and_points_are_those_of_the_distribution(name, data):
    shape = data.draw(st.sampled_from([(4,), (3, 2), (2, 1, 3)]))
    parameters, x = data.draw(strategies.parameters(name, shape)), data.draw(strategies.support(name, shape))
    found = OTHERS[name](**parameters).log_prob(x)
    assert x.shape == shape
    assert found.shape == shape[:-1]
    assert np.isfinite(found).all()
    if name == "concrete":
        np.testing.assert_allclose(x.sum(-1), 1)
    if name == "discretised_logistic":
        np.testing.assert_allclose((x + 1) * 127.5, np.rint((x + 1) * 127.5), atol=1e-9)


def test_an_unknown_distribution_is_refused():
    for strategy in (strategies.parameters, strategies.support):
        with pytest.raises(ArgumentError, match="no strategy for the distribution 'cauchy'"):
            strategy("cauchy", (2,))


def test_examples_are_the_same_for_the_same_seed_and_others_for_another():
    first, again, other = (strategies.examples(strategies.arrays((3,)), 5, seed) for seed in (0, 0, 1))
    assert len(first) == 5
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_what_a_test_does_not_draw_counts_no_examples_twice():
    assert len(strategies.examples(st.just(1), 5)) == 1  # there are no more


def filters(source):
    """The calls of `filter` and `assume` in a source."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [name for f in calls if (name := getattr(f, "attr", getattr(f, "id", None))) in ("filter", "assume")]


@pytest.mark.parametrize("path", sorted(pathlib.Path(strategies.__file__).parent.glob("*.py")), ids=lambda p: p.name)
def test_no_strategy_filters(path):
    assert filters(path.read_text()) == []


def test_a_filter_is_noticed():
    assert filters("SHAPE.filter(math.prod); assume(x > 0)") == ["filter", "assume"]


def test_every_attribute_without_a_strategy_is_named():
    @ops.primitive
    def of_mine(x, *, mode):
        """x."""
        return x

    try:
        with pytest.raises(ArgumentError, match=r"no strategy for its attribute 'mode'(?s:.*)inputs_of\('of_mine'\)"):
            strategies.examples(strategies.inputs(of_mine), 1)
    finally:
        del ops.user_registry["of_mine"]


def test_the_public_names_exist_and_are_documented():
    for name in strategies.__all__:
        value = getattr(strategies, name)
        assert name == "SHAPE" or value.__doc__, name
    assert values.LATTICE == 20
