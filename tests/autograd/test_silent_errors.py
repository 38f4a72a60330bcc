"""Regressions: what once gave a wrong number without a word."""

import copy
import math
import pickle

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.autograd.graph import state
from tinyae.checks import GradientError, gradcheck
from tinyae.errors import AnomalyError, ArgumentError, DtypeError, GraphError, ShapeError


def leaf(*values, dtype=np.float32):
    return ta.Tensor(np.array(values, dtype), requires_grad=True)


@pytest.fixture
def own():
    """`own(forward, **rules)`: a primitive for one test."""
    before = set(ops.user_registry)

    def make(forward, /, **rules):
        made = ops.primitive(forward)
        for name, rule in rules.items():
            made.vjp(name)(rule)
        return made

    yield make
    for name in set(ops.user_registry) - before:
        del ops.user_registry[name]


# ---- gradients that would be lost on the way


def test_a_value_with_a_gradient_is_not_put_into_a_constant():
    w, c = leaf(1.0, 2.0), ta.Tensor(np.zeros(2, np.float32))
    with pytest.raises(GraphError, match="the value requires a gradient, which would stop here"):
        c[0] = w[0] * w[0]
    with pytest.raises(GraphError, match="the value requires a gradient, which would stop here"):
        c.assign(w * 2)
    with ta.no_grad():
        c.assign(w * 2)
        c[0] = w[1]
    assert c.numpy().tolist() == [2, 4]


def test_a_float_of_what_has_a_gradient_is_refused_and_one_of_a_constant_is_not():
    w = leaf(2.0).sum()
    with pytest.raises(DtypeError, match="the number has no gradient"):
        math.exp(w)
    with ta.no_grad():
        assert float(w) == 2
    assert float(w.detach()) == 2
    assert w.item() == 2


def test_derivatives_of_derivatives_are_found_under_no_grad_too():
    x, v = leaf(1.0, 2.0, dtype=np.float64), np.array([1.0, 1.0])
    y = (x**3).sum()
    with ta.no_grad():
        (product,) = ta.hessian_vector_product(y, [x], [v])
        (g,) = ta.grad(y, [x], create_graph=True)
        assert not state.recording
    assert product.numpy().tolist() == [6, 12]
    assert ta.grad(g.sum(), [x])[0].numpy().tolist() == [6, 12]


def test_whole_numbers_and_truth_values_carry_no_gradient(own):
    x = leaf(1.7, 2.2)
    assert not x.astype("int64").requires_grad

    def largest(x):
        """The place of the largest entry."""
        return np.argmax(x)

    assert not own(largest, x=lambda gy: gy)(x).requires_grad


def test_a_rule_that_is_missing_is_said_of_a_variadic_primitive_too(own):
    def total(*arrays):
        """The sum of all."""
        return sum(arrays)

    with pytest.raises(DtypeError, match="total: it has no gradient for arrays"):
        own(total)(leaf(1.0), leaf(2.0))


# ---- values that changed behind the graph


def test_the_guard_against_changes_holds_for_constants_in_gradients_of_gradients():
    a, z, c = leaf(2.0), leaf(1.0), ta.Tensor(np.array([1.0], np.float32))
    (g,) = ta.grad((a * c * z).sum(), [a], create_graph=True)
    c[0] = 7.0
    with pytest.raises(GraphError, match="was changed after the forward pass"):
        ta.grad(g.sum(), [z])


def test_the_guard_holds_for_views_in_gradients_of_gradients():
    x = leaf(1.0, 2.0)
    (g,) = ta.grad((x.reshape(2, 1) ** 3).sum(), [x], create_graph=True)
    x.assign(np.zeros(2, np.float32))
    with pytest.raises(GraphError, match="was changed after the forward pass"):
        g.sum().backward()


def test_the_guard_sees_through_a_users_view(own):
    def first_two(x):
        """Two entries, in x's own memory."""
        return x[:2]

    def rule(gy, x_shape):
        return ops.pad(gy, pad_width=((0, x_shape[0] - 2),))

    for made in (own(first_two, x=rule), own(lambda x: x, x=lambda gy: gy)):
        x = leaf(1.0, 2.0, 3.0)
        z = (made(x) ** 2).sum()
        x.assign(np.zeros(3, np.float32))
        with pytest.raises(GraphError, match="was changed after the forward pass"):
            z.backward()


def test_two_leaves_made_of_one_array_do_not_share_it():
    init = np.ones(2, np.float32)
    a, b = ta.Tensor(init, requires_grad=True), ta.Tensor(init, requires_grad=True)
    with ta.no_grad():
        a -= 1.0
    assert (b.numpy().tolist(), init.tolist()) == ([1, 1], [1, 1])


def test_gradients_given_back_share_no_memory_with_each_other_or_the_cotangent():
    a, b, cotangent = leaf(1.0, 2.0), leaf(3.0, 4.0), np.ones(2, np.float32)
    g, h = ta.grad(a + b, [a, b], cotangent, create_graph=True)
    g.data[0] = 9.0
    assert (h.numpy().tolist(), cotangent.tolist()) == ([1, 1], [1, 1])


# ---- zero times infinity


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ops.sqrt(ops.relu(x)),
        lambda x: ops.sqrt(ops.clip(x, min=0.0)),
        lambda x: ops.sqrt(ops.maximum(x, 0.0)),
        lambda x: ops.sqrt(-ops.minimum(-x, 0.0)),
        lambda x: ops.sqrt(ops.dropout(x, noise=np.array([0.1, 0.9], np.float32)) + 0.0),
    ],
)
def test_an_infinite_slope_behind_what_was_cut_off_does_not_make_nan(f):
    x = leaf(-1.0, 4.0)
    with np.errstate(all="ignore"):
        (g,) = ta.grad(f(x).sum(), [x])
    assert g.numpy()[0] == 0
    assert np.isfinite(g.numpy()[1])


def test_the_sign_has_gradient_zero_whatever_comes_in():
    x = leaf(1.0, -2.0)
    (g,) = ta.grad(ops.sign(x), [x], np.array([np.inf, np.nan], np.float32))
    assert g.numpy().tolist() == [0, 0]


# ---- arrays that are none


def test_results_that_are_no_real_numbers_are_refused():
    from fractions import Fraction

    for misuse in (lambda: leaf(1.0) * 1j, lambda: leaf(1.0) * Fraction(1, 3)):
        with pytest.raises(DtypeError, match="its result is no array of real numbers"):
            misuse()
    for made in (np.ma.array([1.0, 2.0], mask=[0, 1]), np.ones((1, 2)).view(np.matrix)):
        with pytest.raises(DtypeError, match="is not an array"):
            leaf(1.0, 2.0) * made


def test_lists_are_no_arrays_without_tensors_either():
    with pytest.raises(DtypeError, match="add: a list is not an array"):
        ops.add([1.0, 2.0], [3.0, 4.0])
    assert ops.concatenate([np.ones(1), np.ones(2)]).shape == (3,)


def test_core_axes_are_compared_without_tensors_too():
    with pytest.raises(ShapeError, match="the axes called d have lengths 3 and 1"):
        ops.bce_with_logits(np.zeros((4, 3)), np.ones((4, 1)))


def test_a_number_in_a_tensor_does_not_widen_what_has_axes():
    with pytest.raises(DtypeError, match="wider than all its floating inputs"):
        leaf(1.0, 2.0) * ta.Tensor(np.sqrt(2.0))
    with pytest.raises(DtypeError, match=r"integers\.astype"):
        leaf(1.0, 2.0) * np.arange(2)


# ---- rules and primitives that are written wrongly


def test_a_rule_that_writes_into_what_it_is_given_is_found(own):
    def scaled(a, b):
        """a b, whose first rule spoils the cotangent for the second."""
        return a * b

    def spoil(gy, b):
        gy *= b
        return gy

    made = own(scaled, a=spoil, b=lambda gy, a: gy * a)
    with ta.detect_anomaly():
        y = made(leaf(2.0), leaf(3.0)) * 1.0
        with pytest.raises(GraphError, match="scaled: a rule of it writes into the cotangent"):
            y.backward(np.ones(1, np.float32))
    with pytest.raises(GradientError, match="writes into the cotangent"):
        gradcheck(made, [np.array([2.0]), np.array([3.0])])


def test_a_rule_that_writes_into_what_was_kept_is_found(own):
    def doubled(x):
        """2 x."""
        return 2 * x

    def spoil(gy, x):
        x *= 4.0
        return 2 * gy

    with ta.detect_anomaly(), pytest.raises(GraphError, match="doubled: a rule of it writes into the input x"):
        own(doubled, x=spoil)(leaf(2.0)).sum().backward()


def test_a_joint_rule_that_returns_no_tuple_is_told_so(own):
    def both(a, b):
        """a + b."""
        return a + b

    made = own(both)
    made.vjp("a", "b")(lambda gy: None)
    with pytest.raises(ShapeError, match="returns a tuple, one gradient for each"):
        made(leaf(1.0), leaf(1.0)).sum().backward()


def test_signatures_that_the_engine_cannot_bind_are_refused(own):
    with pytest.raises(ArgumentError, match="its inputs are named, or they are"):
        own(lambda x, *rest: x)
    with pytest.raises(ArgumentError, match="its inputs are named, or they are"):
        own(lambda x, **options: x)
    with pytest.raises(ArgumentError, match="first parameter is the cotangent"):
        own(lambda x: x, x=lambda: 0)


def test_a_forward_that_returns_no_array_is_told_so(own):
    def nothing(x):
        """None."""

    with pytest.raises(DtypeError, match="nothing: its result is no array"):
        own(nothing, x=lambda gy: gy)(leaf(1.0))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_a_graph_is_not_copied(copied):
    with pytest.raises(GraphError, match="cannot be copied with its graph"):
        copied(leaf(1.0) * 2.0)
    copied(leaf(1.0))


# ---- detect_anomaly


def test_an_infinite_loss_without_axes_is_named():
    with np.errstate(all="ignore"), ta.detect_anomaly(), pytest.raises(AnomalyError, match=r"sum: it made the first infinity(.|\n)*at \(\)"):
        leaf(3e38, 3e38).sum()


def test_an_infinite_gradient_without_axes_is_named():
    with np.errstate(all="ignore"), ta.detect_anomaly(), pytest.raises(AnomalyError, match="sqrt: its rule for x made the first infinity"):
        ops.sqrt(ta.Tensor(np.array(0.0), requires_grad=True)).backward()


def test_gradients_whose_sum_is_infinite_are_named():
    h = leaf(1.0) * 1.0
    with np.errstate(all="ignore"), ta.detect_anomaly(), pytest.raises(AnomalyError, match="multiply: the gradients that reach its result sum up"):
        ops.stack([h * 2e38, h * 2e38]).backward(np.ones((2, 1), np.float32))


def test_an_infinity_that_is_written_down_is_no_anomaly():
    x, mask = leaf(1.0, 2.0), np.array([True, False])
    with ta.detect_anomaly():
        (y := ops.softmax(ops.where(mask, x, -np.inf))).sum().backward()
        ops.pad(x, pad_width=1, value=-np.inf).max().backward()
    np.testing.assert_array_equal(y.data, [1.0, 0.0])
    np.testing.assert_array_equal(x.grad, [0.0, 1.0])  # the softmax gives none, the maximum all to the larger


def test_an_index_list_that_changes_is_noticed():
    w, i = leaf(1.0, 2.0, 3.0), [0, 1]
    with ta.detect_anomaly():
        y = w[i].sum()
        i[0] = 2
        with pytest.raises(GraphError, match="getitem: its attribute index was changed"):
            y.backward()


# ---- places that do not exist


def test_an_axis_that_does_not_exist_is_refused():
    x = leaf([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    for misuse in (lambda: ops.take(x, [0], axis=5), lambda: x.swapaxes(0, 5), lambda: ops.split(x, 2, axis=5), lambda: ops.top_k(x, 1, axis=3)):
        with pytest.raises(ShapeError, match="there is no axis"):
            misuse()


def test_take_asks_for_integers_and_top_k_knows_numbers_without_sign():
    with pytest.raises(DtypeError, match="the indices are integers"):
        ops.take(leaf(1.0, 2.0), np.array([True, False]))
    values, indices = ops.top_k(np.array([0, 5, 3], np.uint8), 1)
    assert (values.tolist(), indices.tolist()) == ([5], [1])


def test_a_leaf_shares_no_memory_with_what_it_was_made_of():
    for source in (np.ones(3).view(np.recarray), memoryview(np.ones(3)), np.ones(3)):
        x = ta.Tensor(source, requires_grad=True)
        x.assign(np.zeros(3))
        assert np.asarray(source).tolist() == [1, 1, 1]


def test_what_was_copied_is_no_view():
    c, w = ta.Tensor(np.arange(6.0).reshape(2, 3)), leaf(1, 1, 1, dtype=np.float64)
    for copied in (c[[0, 1]].sum(axis=0), c[0, 1], c.T.reshape(-1)[:3]):
        y = (w * copied).sum()
        c[0] = 7.0
        y.backward()
    for seen in (c[0], c.T[:, 0], c.reshape(-1)[:3]):
        y = (w * seen).sum()
        c[0] = 8.0
        with pytest.raises(GraphError, match="its input b was changed"):
            y.backward()


def test_what_has_no_gradient_is_refused_on_the_way_forward():
    x, w = leaf([1, 2, 3], [4, 5, 6]), leaf([1, 2, 3], [4, 5, 6])
    with pytest.raises(ArgumentError, match=r"to flatten the arrays"):
        ops.concatenate([x, x], axis=None)
    for weight, bias in ((w, leaf([1, 2])), (w, leaf([1, 2], [3, 4])), (leaf([[1, 2, 3]]), None)):
        with pytest.raises(ShapeError, match=r"weight is a matrix \(O, I\), and bias a vector"):
            ops.linear(x, weight, bias)
    v = leaf(1, 2, 3)
    ops.transpose(v, axes=0).sum().backward()
    assert v.grad.tolist() == [1, 1, 1]
    assert ops.broadcast_to(leaf(2)[0], shape=3).data.tolist() == [2, 2, 2]


def test_a_method_says_how_it_is_called():
    x = leaf([1, 2, 3])
    for call, signature in ((lambda: x.clip(0, 1), r"clip\(x, \*, min=None, max=None\)"), (lambda: x.cumsum(0), r"cumsum\(x, \*, axis\)")):
        with pytest.raises(DtypeError, match=signature):
            call()
