"""Golden texts: every way to misuse the engine, and word for word what it answers, the user's own line included."""

import re

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.checks import fake_device
from tinyae.errors import BackendError, DtypeError, GraphError, ShapeError


def leaf(*values, dtype=np.float32):
    return ta.Tensor(np.array(values, dtype), requires_grad=True)


def shapes_that_do_not_fit():
    x, W = ta.Tensor(np.ones((128, 784))), ta.Tensor(np.ones((400, 20)), requires_grad=True)
    return ops.matmul(x, W)


def shapes_that_do_not_broadcast():
    return leaf(1.0, 2.0) + np.ones(3, np.float32)


def core_axes_that_do_not_fit():
    return ops.kl_standard_normal(leaf([1.0, 2.0]), leaf([1.0]))


def backward_twice():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward()
    y.backward()


def several_entries_without_a_cotangent():
    y = leaf(1.0, 2.0) * 2.0
    y.backward()


def a_cotangent_of_another_shape():
    y = leaf(1.0, 2.0) * 2.0
    y.backward(np.ones(3, np.float32))


def nothing_requires_a_gradient():
    ta.Tensor([1.0]).sum().backward()


def a_parameter_changed_before_backward():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    loss = (x * w).sum()
    w.assign(np.zeros(2, np.float32))
    loss.backward()


def mixed_backends():
    with fake_device.installed():
        x = leaf(1.0, 2.0)
        with ta.using("fake"):
            w = leaf(3.0, 4.0)
        return x * w


def an_integer_tensor_that_wants_a_gradient():
    return ta.Tensor(np.array([1, 2], np.int32), requires_grad=True)


def an_integer_tensor_that_wants_a_gradient_later():
    labels = ta.Tensor(np.array([1, 2], np.int32))
    labels.requires_grad = True


def a_computed_tensor_that_wants_none():
    h = leaf(1.0) * 2.0
    h.requires_grad = False


def a_branch_on_a_value():
    x = leaf(1.0)
    if x:
        return x


def a_numpy_function():
    return np.exp(leaf(1.0))


def a_numpy_function_that_converts():
    return np.concatenate([leaf(1.0), leaf(2.0)])


def a_numpy_array_updated_in_place():
    total = np.zeros(2, np.float32)
    total += leaf(1.0, 2.0)


def a_missing_input():
    return ops.matmul(leaf(1.0))


def an_attribute_by_position():
    return ops.clip(leaf(1.0), -1.0, 1.0)


def a_list_as_operand():
    return leaf(1.0, 2.0) * [1.0, 2.0]


def a_tensor_as_attribute():
    return ops.getitem(leaf(1.0, 2.0), index=ta.Tensor(np.array([0])))


def a_numpy_number_that_widens():
    return leaf(1.0, 2.0) * np.sqrt(2.0)


def an_array_of_no_axes_that_widens():
    return leaf(1.0, 2.0) / np.array(3.0)


def a_part_of_a_leaf_assigned():
    x = leaf(1.0, 2.0)
    x[0] = 5.0


def a_computed_tensor_overwritten():
    h = leaf(1.0) * 2.0
    h.assign(np.zeros(1, np.float32))


def a_step_outside_no_grad():
    w = leaf(1.0)
    w -= 0.1


def a_tensor_for_a_list_of_inputs():
    x = leaf(1.0)
    return ta.grad((x * x).sum(), x)


def a_constant_among_the_inputs():
    x, c = leaf(2.0), ta.Tensor([1.0])
    return ta.grad((x * c).sum(), [c])


GOLDEN = {
    shapes_that_do_not_fit: (
        ShapeError,
        """
matmul: the inner axes do not fit.
  expected  a, b: (n?,k),(k,m?)->(n?,m?)
  got       a (128, 784), b (400, 20)
  at        test_guards.py:N   return ops.matmul(x, W)""",
    ),
    shapes_that_do_not_broadcast: (
        ShapeError,
        """
add: operands could not be broadcast together with shapes (2,) (3,).
  got       a (2,), b (3,)
  at        test_guards.py:N   return leaf(1.0, 2.0) + np.ones(3, np.float32)""",
    ),
    core_axes_that_do_not_fit: (
        ShapeError,
        """
kl_standard_normal: the axes called j have lengths 2 and 1.
  expected  mean, log_variance: (j),(j)->()
  got       mean (1, 2), log_variance (1, 1)
  at        test_guards.py:N   return ops.kl_standard_normal(leaf([1.0, 2.0]), leaf([1.0]))""",
    ),
    backward_twice: (
        GraphError,
        """
sum: backward went through this operation before, and its arrays are freed.
  at        test_guards.py:N   y = (x * x).sum()
  remedy    call backward once, or the first time with retain_graph=True""",
    ),
    several_entries_without_a_cotangent: (
        GraphError,
        """
backward: the result has more than one entry, so a cotangent is needed.
  expected  a single entry, or a cotangent of the same shape
  got       shape (2,) and no cotangent
  at        test_guards.py:N   y.backward()
  remedy    take .sum() or .mean(), or pass an array of that shape""",
    ),
    a_cotangent_of_another_shape: (
        ShapeError,
        """
backward: the cotangent must be an array like the result.
  expected  (2,) float32
  got       (3,) float32
  at        test_guards.py:N   y.backward(np.ones(3, np.float32))""",
    ),
    nothing_requires_a_gradient: (
        GraphError,
        """
backward: nothing here requires a gradient.
  at        test_guards.py:N   ta.Tensor([1.0]).sum().backward()
  remedy    make the leaf with requires_grad=True, outside no_grad; a gradient that is differentiated again needs create_graph=True""",
    ),
    a_parameter_changed_before_backward: (
        GraphError,
        """
multiply: its input b was changed after the forward pass, which still needs the old values.
  at        test_guards.py:N   loss = (x * w).sum()
  remedy    run backward before the optimiser's step (or other change in place), or run the forward pass again""",
    ),
    mixed_backends: (
        BackendError,
        """
multiply: its inputs lie on different backends.
  expected  one backend
  got       a on numpy, b on fake
  at        test_guards.py:N   return x * w
  remedy    move the data with ta.backend.to_device, or make them inside the same ta.using(...)""",
    ),
    an_integer_tensor_that_wants_a_gradient: (
        DtypeError,
        """
Tensor: only floating-point numbers have a gradient.
  expected  dtype float32 or float64
  got       dtype int32
  at        test_guards.py:N   return ta.Tensor(np.array([1, 2], np.int32), requires_grad=True)
  remedy    tensor = ta.Tensor(array.astype('float32'), requires_grad=True)""",
    ),
    an_integer_tensor_that_wants_a_gradient_later: (
        DtypeError,
        """
Tensor: only floating-point numbers have a gradient.
  expected  dtype float32 or float64
  got       dtype int32
  at        test_guards.py:N   labels.requires_grad = True
  remedy    tensor = ta.Tensor(array.astype('float32'), requires_grad=True)""",
    ),
    a_computed_tensor_that_wants_none: (
        GraphError,
        """
requires_grad is set on leaves only.
  expected  a leaf (made from data)
  got       the result of multiply
  at        test_guards.py:N   h.requires_grad = False
  remedy    detach() it""",
    ),
    a_branch_on_a_value: (
        DtypeError,
        """
bool(tensor): a branch on a value is not part of the graph.
  at        test_guards.py:N   if x:
  remedy    compare the data: tensor.data > 0, or tensor.item() > 0""",
    ),
    a_numpy_function: (
        DtypeError,
        """
a Tensor met np.exp; the graph would be lost.
  at        test_guards.py:N   return np.exp(leaf(1.0))
  remedy    use the operation in ta.ops, or tensor.numpy() for the values""",
    ),
    a_numpy_function_that_converts: (
        DtypeError,
        """
a Tensor met a NumPy function; the graph would be lost.
  at        test_guards.py:N   return np.concatenate([leaf(1.0), leaf(2.0)])
  remedy    use the operation in ta.ops, or tensor.numpy() for the values""",
    ),
    a_numpy_array_updated_in_place: (
        DtypeError,
        """
a Tensor met np.add with out=; the graph would be lost.
  at        test_guards.py:N   total += leaf(1.0, 2.0)
  remedy    use the operation in ta.ops, or tensor.numpy() for the values""",
    ),
    a_missing_input: (
        DtypeError,
        """
matmul: missing a required argument: 'b'.
  expected  matmul(a, b)
  at        test_guards.py:N   return ops.matmul(leaf(1.0))""",
    ),
    an_attribute_by_position: (
        DtypeError,
        """
clip: too many positional arguments.
  expected  clip(x, *, min=None, max=None)
  at        test_guards.py:N   return ops.clip(leaf(1.0), -1.0, 1.0)
  remedy    what stands after * goes by its name""",
    ),
    a_list_as_operand: (
        DtypeError,
        """
multiply: a list is not an array.
  expected  a Tensor, an array or a number
  at        test_guards.py:N   return leaf(1.0, 2.0) * [1.0, 2.0]
  remedy    wrap it: ta.Tensor([...])""",
    ),
    a_tensor_as_attribute: (
        DtypeError,
        """
getitem: the attribute index cannot be a Tensor, it has no gradient.
  at        test_guards.py:N   return ops.getitem(leaf(1.0, 2.0), index=ta.Tensor(np.array([0])))
  remedy    tensor.data""",
    ),
    a_numpy_number_that_widens: (
        DtypeError,
        """
multiply: its result is wider than all its floating inputs, and so would be all that follows.
  expected  the dtype of an input
  got       float64 from a (2,) float32, b () float64
  at        test_guards.py:N   return leaf(1.0, 2.0) * np.sqrt(2.0)
  remedy    make the NumPy number a Python one, float(number); or convert on purpose, with .astype""",
    ),
    an_array_of_no_axes_that_widens: (
        DtypeError,
        """
divide: its result is wider than all its floating inputs, and so would be all that follows.
  expected  the dtype of an input
  got       float64 from a (2,) float32, b () float64
  at        test_guards.py:N   return leaf(1.0, 2.0) / np.array(3.0)
  remedy    make the NumPy number a Python one, float(number); or convert on purpose, with .astype""",
    ),
    a_part_of_a_leaf_assigned: (
        GraphError,
        """
assignment to a part of a Tensor is not recorded, so its gradient would be wrong.
  at        test_guards.py:N   x[0] = 5.0
  remedy    build the result with ta.ops.where or ta.ops.concatenate, or change a constant Tensor""",
    ),
    a_computed_tensor_overwritten: (
        GraphError,
        """
assign: a computed Tensor cannot be overwritten; its inputs would no longer give its value.
  expected  a leaf (made from data)
  got       the result of multiply
  at        test_guards.py:N   h.assign(np.zeros(1, np.float32))
  remedy    detach() it, or make a new Tensor""",
    ),
    a_step_outside_no_grad: (
        GraphError,
        """
a leaf that requires a gradient was changed in place while operations are recorded.
  at        test_guards.py:N   w -= 0.1
  remedy    with ta.no_grad(): p -= lr * p.grad; or write p = p - ... for a new Tensor""",
    ),
    a_tensor_for_a_list_of_inputs: (
        GraphError,
        """
grad: the inputs are a list.
  got       a Tensor
  at        test_guards.py:N   return ta.grad((x * x).sum(), x)
  remedy    ta.grad(y, [x])""",
    ),
    a_constant_among_the_inputs: (
        GraphError,
        """
grad: an input does not require a gradient.
  got       Tensor([1.], shape (1,), float32)
  at        test_guards.py:N   return ta.grad((x * c).sum(), [c])
  remedy    ta.Tensor(array, requires_grad=True), before y is computed from it""",
    ),
}


def without_line_numbers(text):
    return re.sub(r"\.py:\d+", ".py:N", text)


@pytest.mark.parametrize("misuse", GOLDEN, ids=lambda f: f.__name__)
def test_misuse_is_answered_word_for_word(misuse):
    kind, text = GOLDEN[misuse]
    with pytest.raises(kind) as caught:
        misuse()
    assert without_line_numbers(str(caught.value)) == text.strip()


def half(gy, y):
    return (gy * y)[:1]


def widened(gy, y):
    return (gy * y).astype(np.float64)


def number(gy, y):
    return 1.0


def broken(gy, y):
    return gy @ y.reshape(3, 1)


WRONG_RULES = {
    half: """
exp: its rule for x returned a gradient that does not fit the input.
  expected  (2,) float32
  got       (1,) float32
  at        test_guards.py:N   y = ops.exp(leaf(1.0, 2.0))
  remedy    correct the rule of exp""",
    widened: """
exp: its rule for x returned a gradient that does not fit the input.
  expected  (2,) float32
  got       (2,) float64
  at        test_guards.py:N   y = ops.exp(leaf(1.0, 2.0))
  remedy    correct the rule of exp""",
    number: """
exp: its rule for x returned a gradient that does not fit the input.
  expected  (2,) float32
  got       float
  at        test_guards.py:N   y = ops.exp(leaf(1.0, 2.0))
  remedy    correct the rule of exp""",
    broken: """
exp: its rule for x failed: cannot reshape array of size 2 into shape (3,1)
  at        test_guards.py:N   y = ops.exp(leaf(1.0, 2.0))
  remedy    correct the rule of exp; gradcheck calls it alone""",
}


@pytest.mark.parametrize("rule", WRONG_RULES, ids=lambda f: f.__name__)
def test_a_wrong_rule_is_named_with_the_line_of_its_forward_call(monkeypatch, rule):
    monkeypatch.setattr(ops.exp.rules[0], "function", rule)
    y = ops.exp(leaf(1.0, 2.0))
    with pytest.raises((ShapeError, GraphError)) as caught:
        y.sum().backward()
    assert without_line_numbers(str(caught.value)) == WRONG_RULES[rule].strip()


def test_a_joint_rule_that_returns_another_number_of_gradients_is_named(monkeypatch):
    monkeypatch.setattr(ops.concatenate.rules[0], "function", lambda gy, arrays_shape, axis: (gy,))
    y = ops.concatenate([leaf(1.0), leaf(2.0)])
    with pytest.raises(ShapeError) as caught:
        y.sum().backward()
    assert (
        without_line_numbers(str(caught.value))
        == """
concatenate: its rule for arrays returns a tuple, one gradient for each.
  expected  2 gradients
  got       1 gradients
  at        test_guards.py:N   y = ops.concatenate([leaf(1.0), leaf(2.0)])
  remedy    correct the rule of concatenate""".strip()
    )


def test_the_line_is_the_users_also_where_a_statement_spans_several():
    with pytest.raises(ShapeError, match=r"test_guards\.py:\d+   leaf\(1\.0, 2\.0, 3\.0\) \+"):
        ops.exp(
            leaf(1.0, 2.0, 3.0) +
            leaf(1.0, 2.0)
        )  # fmt: skip


def test_what_was_meant_to_be_wide_is_not_refused():
    x = leaf(1.0, 2.0)
    assert x.astype("float64").dtype == np.float64
    assert (x * np.ones(2)).dtype == np.float64  # one of the inputs is as wide
    assert (x * 2.0 * np.float32(2.0)).dtype == np.float32
    assert (ta.Tensor(np.array([1, 2])) * 0.5).dtype == np.float64  # no floating input to be wider than
    assert ops.mean(ta.Tensor(np.array([1, 2]))).dtype == np.float64


def test_what_widens_inside_a_rule_is_refused_in_gradients_of_gradients(monkeypatch):
    monkeypatch.setattr(ops.exp.rules[0], "function", lambda gy, y: gy * y * np.sqrt(1.0))
    x = leaf(1.0, 2.0)
    with pytest.raises(DtypeError, match="multiply: its result is wider"):
        ta.grad(ops.exp(x).sum(), [x], create_graph=True)


def test_numpy_operators_on_the_left_are_ours():
    x, array = leaf(1.0, 2.0), np.array([3.0, 4.0], np.float32)
    for found in (array * x, np.multiply(array, x), np.float32(3.0) * x, array @ x):
        assert isinstance(found, ta.Tensor)
        assert found.node is not None
    assert (array > x).tolist() == [True, True]
    assert isinstance(np.equal(array, x), np.ndarray)
    for misuse in (lambda: np.add.reduce(x), lambda: np.multiply(array, x, dtype=np.float64), lambda: np.floor_divide(array, x)):
        with pytest.raises(DtypeError, match="a Tensor met np"):
            misuse()
