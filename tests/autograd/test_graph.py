"""The graph: accumulation, diamonds, depth, memory, and the guards against wrong gradients."""

import gc
import threading
import weakref

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, DtypeError, GraphError, ShapeError


def leaf(*values):
    return ta.Tensor(to_device(np.array(values)), requires_grad=True)


def test_an_input_used_twice_gets_both_gradients(backend):
    x = leaf(2.0, 3.0)
    (x * x + x).sum().backward()
    assert to_numpy(x.grad).tolist() == [5, 7]


def test_a_diamond_is_walked_in_topological_order(backend):
    a = leaf(3.0)
    b = a + a
    c = b + b * a
    c.sum().backward()
    assert to_numpy(a.grad).tolist() == [2 + 4 * 3]


def test_gradients_add_up_over_backward_passes_until_they_are_forgotten():
    x = leaf(1.0)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5]


def test_a_hundred_thousand_operations_in_a_row():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.sum().backward()
    assert x.grad.tolist() == [1]


def test_a_deep_graph_that_is_never_walked_is_freed_without_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = -y
    node = weakref.ref(y.data.base if y.data.base is not None else y)
    del y
    assert node() is None


def test_a_step_leaves_nothing_for_the_garbage_collector():
    model = ta.models.VAE(8, 2, (4,), rng=ta.rng(0))
    adam, x = ta.optim.Adam(model.parameters()), np.ones((5, 8), np.float32)

    def steps(n):
        for i in range(n):
            terms = model.loss(x, rng=ta.rng(i))
            adam.zero_grad()
            terms.loss.backward()
            adam.step()

    steps(2)
    gc.collect()
    gc.disable()
    try:
        steps(50)
        assert gc.collect() == 0  # nothing was unreachable: no reference cycles
    finally:
        gc.enable()


def test_only_what_rules_name_is_kept(rng):
    a, b = (ta.Tensor(rng.normal(size=(3, 3)), requires_grad=True) for _ in range(2))
    assert (a + b).node.saved == []
    kept = ops.exp(a)
    assert [id(x) for x in kept.node.saved] == [id(kept.data)]
    constant = rng.normal(size=(3, 3))
    product = a * constant
    assert [id(x) for x in product.node.saved] == [id(constant)]


def test_backward_twice_is_an_error_that_names_the_operation_and_line():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GraphError, match=r"sum: backward went through this operation before") as caught:
        y.backward()
    assert "y = (x * x).sum()" in str(caught.value)
    assert x.grad.tolist() == [4]


def test_a_retained_graph_can_be_walked_again():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8]


def test_a_result_with_several_entries_needs_a_cotangent():
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match="more than one entry"):
        (x * 2).backward()
    with pytest.raises(ShapeError, match="cotangent"):
        (x * 2).backward(np.ones(3))
    (x * 2).backward(np.array([1.0, 10.0]))
    assert x.grad.tolist() == [2, 20]


def test_backward_from_what_needs_no_gradient_is_an_error():
    with pytest.raises(GraphError, match="nothing here requires a gradient"):
        ta.Tensor([1.0]).backward()
    with ta.no_grad():
        y = leaf(1.0) * 2
    with pytest.raises(GraphError, match="nothing here requires a gradient"):
        y.backward()


def test_a_leaf_changed_between_forward_and_backward_is_noticed():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = (x * w).sum()
    w.assign(np.array([5.0, 6.0]))
    with pytest.raises(GraphError, match=r"multiply: its input b was changed") as caught:
        y.backward()
    assert "y = (x * w).sum()" in str(caught.value)


def test_an_optimiser_step_between_forward_and_backward_is_noticed():
    model = ta.nn.Sequential(ta.nn.Linear(3, 4, rng=ta.rng(0)), ta.nn.Tanh(), ta.nn.Linear(4, 1, rng=ta.rng(1)))
    adam, x = ta.optim.Adam(model.parameters()), np.ones((2, 3), np.float32)
    model(x).sum().backward()
    late = model(x).sum()
    adam.step()
    with pytest.raises(GraphError, match=r"linear: its input weight was changed"):
        late.backward()


def test_a_change_that_no_rule_minds_is_allowed():
    x, b = leaf(1.0), leaf(2.0)
    y = (x + b).sum()
    b.assign(np.array([7.0]))
    y.backward()
    assert x.grad.tolist() == [1]


def test_detached_data_that_change_are_noticed_too():
    x = leaf(1.0)
    y = ops.exp(x)
    z = (y * y).sum()
    y.detach().assign(np.array([0.0]))
    with pytest.raises(GraphError, match="was changed"):
        z.backward()


def test_computed_tensors_and_parts_of_leaves_cannot_be_overwritten():
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match="computed Tensor"):
        (x * 2).assign(np.zeros(2))
    with pytest.raises(GraphError, match="not recorded"):
        x[0] = 5.0
    constant = ta.Tensor([1.0, 2.0])
    constant[0] = 5.0
    assert constant.numpy().tolist() == [5, 2]


def test_adding_in_place_makes_a_new_tensor():
    x = leaf(1.0)
    y = x * x
    z = y
    y += 1.0
    assert z.numpy().tolist() == [1]
    assert y.numpy().tolist() == [2]


def test_a_step_by_hand_changes_the_leaf_under_no_grad_and_is_refused_outside(backend):
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    with ta.no_grad():
        same = x
        x -= 0.1 * x.grad
    assert x is same
    np.testing.assert_allclose(x.numpy(), [0.8, 1.6])
    assert x.requires_grad
    with pytest.raises(GraphError, match="changed in place while operations are recorded"):
        x *= 2.0


def test_an_in_place_change_between_forward_and_backward_is_noticed():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    with ta.no_grad():
        x += 1.0
    with pytest.raises(GraphError, match="was changed"):
        y.backward()


def test_no_grad_is_a_switch_of_each_thread():
    x, recorded = leaf(1.0), []
    with ta.no_grad():
        thread = threading.Thread(target=lambda: recorded.append((x * 2).requires_grad))
        thread.start()
        thread.join()
        assert not (x * 2).requires_grad
    assert recorded == [True]
    assert (x * 2).requires_grad


def test_grad_touches_no_leaf_and_finds_computed_tensors_too():
    x = leaf(2.0)
    y = x * x
    z = (y * 3).sum()
    gx, gy = ta.grad(z, [x, y])
    assert (gx.numpy().tolist(), gy.numpy().tolist()) == ([12], [3])
    assert x.grad is None


def test_grad_of_what_does_not_matter_is_zero():
    x, unused = leaf(2.0), leaf(1.0, 1.0)
    (g,) = ta.grad((x * x).sum(), [unused])
    assert g.numpy().tolist() == [0, 0]


def test_a_gradient_can_be_differentiated_again_and_again(backend):
    x = leaf(2.0)
    y = x * x * x * x
    for expected in (32.0, 48.0, 48.0, 24.0):
        (y,) = ta.grad(y.sum(), [x], create_graph=True)
        assert to_numpy(y.data).tolist() == [expected]


def test_stepping_through_backward_gives_the_same_bits():
    from tinyae.autograd import backward_steps

    model = ta.models.VAE(16, 2, (8,), rng=ta.rng(0))
    x, noise = np.full((6, 16), 0.5, np.float32), ta.rng(1).normal((6, 2))
    model.loss(x, noise=noise).loss.backward()
    expected = [p.grad for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    loss = model.loss(x, noise=noise).loss
    for _, _, gradients in backward_steps(loss, np.ones((), np.float32)):
        for parent, gradient in gradients:
            if isinstance(parent, ta.Tensor):
                parent.accumulate(gradient)
    assert all((p.grad == e).all() for p, e in zip(model.parameters(), expected, strict=True))


@pytest.mark.parametrize(
    ("use", "error", "says"),
    [
        (lambda x: x * [1.0, 2.0], DtypeError, "a list is not an array"),
        (lambda x: bool(x), DtypeError, "a branch on a value"),
        (lambda x: np.exp(x), DtypeError, r"met np\.exp"),
        (lambda x: np.asarray(x), DtypeError, "met a NumPy function"),
        (lambda x: ta.Tensor(x), DtypeError, "a Tensor already"),
        (lambda x: ta.Tensor(np.array([1, 2]), requires_grad=True), DtypeError, "only floating-point numbers"),
        (lambda x: ta.Tensor(["a"]), DtypeError, "not numeric"),
        (lambda x: x.assign(np.zeros(5)), ShapeError, "shapes differ"),
    ],
)
def test_misuse_is_a_clear_error(use, error, says):
    with pytest.raises(error, match=says):
        use(leaf(1.0, 2.0))


def test_a_rule_that_returns_another_shape_is_named(monkeypatch):
    x = leaf(1.0, 2.0)
    monkeypatch.setattr(ops.exp.rules[0], "function", lambda gy, y: (gy * y)[:1])
    with pytest.raises(ShapeError, match="exp: its rule for x returned a gradient that does not fit"):
        ops.exp(x).sum().backward()


def test_a_rule_that_returns_another_dtype_is_named(monkeypatch):
    x = ta.Tensor([1.0, 2.0], requires_grad=True)
    monkeypatch.setattr(ops.exp.rules[0], "function", lambda gy, y: (gy * y).astype(np.float64))
    with pytest.raises(ShapeError, match="float64"):
        ops.exp(x).sum().backward()


def test_a_tensor_says_what_it_is():
    x = ta.Tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1. 2.], shape (2,), float32, requires_grad)"
    assert repr(x * 2) == "Tensor([2. 4.], shape (2,), float32, made by multiply)"


def test_a_primitive_of_ones_own(rng):
    @ops.primitive(domain={"x": "positive"})
    def reciprocal(x):
        """One over x."""
        return 1 / x

    @reciprocal.vjp("x")
    def _(gy, y):
        return -gy * y * y

    try:
        assert ta.checks.gradcheck(reciprocal, [rng.uniform(1, 2, size=(3, 2))]).worst < 1e-6
        assert reciprocal(4.0) == 0.25
        with pytest.raises(ArgumentError, match="exists already"):
            ops.primitive(reciprocal.forward)
    finally:
        del ops.user_registry["reciprocal"]


def test_a_rule_may_only_name_what_there_is():
    @ops.primitive
    def scaled(x, *, scale=1.0):
        """Scaled."""
        return x * scale

    try:
        with pytest.raises(ArgumentError, match="asks for 'weight'"):
            scaled.vjp("x")(lambda gy, weight: gy)
        with pytest.raises(ArgumentError, match="no input is called 'z'"):
            scaled.vjp("z")(lambda gy: gy)
        with pytest.raises(DtypeError, match="no gradient for x"):
            scaled(leaf(1.0))
        scaled.vjp("x")(lambda gy, scale: gy * scale)
        x = leaf(1.0)
        scaled(x, scale=4.0).sum().backward()
        assert x.grad.tolist() == [4]
    finally:
        del ops.user_registry["scaled"]


@pytest.mark.parametrize("view", [lambda w: w.reshape(-1), lambda w: w.T, lambda w: w[:], lambda w: ops.broadcast_to(w, shape=(3, 2, 2))])
def test_a_leaf_changed_under_a_view_of_it_is_noticed(view):
    w = leaf([1.0, 1.0], [1.0, 1.0])
    y = (view(w) ** 3).sum()
    with ta.no_grad():
        w -= 0.5
    with pytest.raises(GraphError, match="was changed"):
        y.backward()


def test_a_constant_changed_under_a_view_of_it_is_noticed():
    w, c = leaf(1.0, 2.0), ta.Tensor(np.ones(2))
    y = (w * c.reshape(-1)).sum()
    c[0] = 9.0
    with pytest.raises(GraphError, match="was changed"):
        y.backward()


def test_a_rule_registered_again_replaces_the_first():
    @ops.primitive
    def cube(x):
        """The third power."""
        return x * x * x

    try:
        for _ in range(2):  # a notebook's cell that is run twice

            @cube.vjp("x")
            def _(gy, x):
                return 3 * gy * x * x

        x = leaf(1.0)
        cube(x).sum().backward()
        assert x.grad.tolist() == [3]
    finally:
        del ops.user_registry["cube"]


def test_rules_that_overlap_are_refused():
    with pytest.raises(ArgumentError, match="exists already"):
        ops.linear.vjp("x", "weight")(lambda gy, weight: (gy, weight))


def test_grad_asks_for_a_list_of_what_requires_a_gradient():
    x, w = ta.Tensor(np.ones(2)), leaf(1.0, 2.0)
    y = (w * x).sum()
    with pytest.raises(GraphError, match="does not require a gradient"):
        ta.grad(y, [x])
    with pytest.raises(GraphError, match="are a list"):
        ta.grad(y, w)
    assert [g.numpy().tolist() for g in ta.grad(y, (t for t in [w]))] == [[1, 1]]


def test_one_parameter_in_two_places_of_one_operation():
    for optimise in (False, True):
        w = ta.nn.Parameter(np.array([[1.0, 2.0], [3.0, 4.0]]))
        optimiser = ta.optim.Adam([w]) if optimise else None
        ops.linear(w, w).backward(np.ones((2, 2)))
        assert w.grad.tolist() == [[8, 12], [8, 12]]
        del optimiser


def test_an_input_with_a_default_may_be_left_out_or_named():
    @ops.primitive
    def affine(x, scale=2.0, shift=0.5):
        """scale x + shift."""
        return x * scale + shift

    affine.vjp("x")(lambda gy, scale: gy * scale)
    affine.vjp("scale")(lambda gy, x: gy * x)
    affine.vjp("shift")(lambda gy: gy)
    try:
        x, shift = leaf(3.0), leaf(1.0)
        affine(x).sum().backward()
        affine(x, shift=shift).sum().backward()
        assert (x.grad.tolist(), shift.grad.tolist()) == ([4], [1])
    finally:
        del ops.user_registry["affine"]


def test_an_input_that_is_missing_is_named():
    with pytest.raises(TypeError, match="missing a required argument: 'b'"):
        ops.matmul(leaf(1.0))


def test_an_attribute_cannot_be_a_tensor():
    with pytest.raises(DtypeError, match="attribute index cannot be a Tensor"):
        ops.getitem(leaf(1.0, 2.0), index=ta.Tensor([0], dtype=np.int64))


def test_python_numbers_never_widen_float32():
    x = ta.Tensor([1.0, 2.0], requires_grad=True)
    assert type(ops.exp(0.5)) is float
    y = (2.0**x + x**0 + ops.reparameterize(x, 0.5, np.ones(2, np.float32))).sum()
    y.backward()
    assert (y.dtype, x.grad.dtype) == (np.float32, np.float32)


def test_mixed_precision_can_be_differentiated_twice():
    x = ta.Tensor([1.0, 2.0], requires_grad=True)
    (g,) = ta.grad((x * x * np.array([1.0, 3.0])).sum(), [x], create_graph=True)
    (h,) = ta.grad(g.sum(), [x])
    assert (g.dtype, h.dtype, h.numpy().tolist()) == (np.float32, np.float32, [2, 6])


def test_powers_of_zero_have_their_derivatives():
    x = leaf(0.0)
    y = sum(x**k for k in range(4))
    for expected in (1.0, 2.0, 6.0):
        (y,) = ta.grad(y.sum(), [x], create_graph=True)
        assert y.numpy().tolist() == [expected]
