"""Each optimiser against its published update; groups, frozen parameters, skipped steps, state."""

import numpy as np
import published
import pytest

import tinyae as ta
from tinyae import nn
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, DtypeError, GraphError, ShapeError

KINDS = {"SGD": {"momentum": 0.9, "nesterov": True}, "RMSprop": {}, "Adam": {}, "AdamW": {}, "Adamax": {}}
SHAPES = [(3, 2), (5,), ()]


def parameters(rng, dtype=np.float64):
    return [nn.Parameter(to_device(rng.normal(size=shape).astype(dtype))) for shape in SHAPES]


def run(optimizer, gradients):
    """A step for each list of gradients, one a parameter; None is no gradient."""
    for step in gradients:
        for p, g in zip(optimizer.flat.parameters, step, strict=True):
            p.grad = None if g is None else to_device(g.astype(p.dtype))
        optimizer.step()


def values(optimizer):
    return [to_numpy(p.data).copy() for p in optimizer.flat.parameters]


def draws(rng, steps):
    return [[np.asarray(rng.normal(size=shape)) for shape in SHAPES] for _ in range(steps)]


@pytest.mark.parametrize(("kind", "settings"), published.CASES)
def test_a_hundred_steps_equal_the_published_update(kind, settings, backend, rng):
    optimizer, gradients = getattr(ta.optim, kind)(parameters(rng), **settings), draws(rng, 100)
    starts = values(optimizer)
    run(optimizer, gradients)
    for i, found in enumerate(values(optimizer)):
        expected = published.UPDATES[kind](starts[i], [step[i] for step in gradients], **settings)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32_and_the_gradient_what_it_is(kind, backend, rng):
    optimizer = getattr(ta.optim, kind)(parameters(rng, np.float32), lr=np.float64(0.01), weight_decay=np.float64(0.1), **KINDS[kind])
    before, gradients = values(optimizer), draws(rng, 2)
    run(optimizer, gradients)
    for p, g in zip(optimizer.flat.parameters, gradients[-1], strict=True):
        assert (to_numpy(p.grad) == g.astype(np.float32)).all()  # weight decay leaves it as it is
    assert all(found.dtype == np.float32 and (found != old).all() for found, old in zip(values(optimizer), before, strict=True))
    assert all(array.dtype == np.float32 for array in optimizer.arrays.values())


def test_decoupled_decay_shrinks_weights_that_the_penalty_leaves_to_adam():
    """With one constant gradient a step of Adam is lr, whatever is added to the gradient; AdamW decays besides."""
    found = []
    for kind in (ta.optim.Adam, ta.optim.AdamW):
        p = nn.Parameter(np.array([2.0]))
        run(kind([p], lr=0.1, weight_decay=0.5), [[np.ones(1)]])
        found.append(p.data[0])
    np.testing.assert_allclose(found, [2 - 0.1, 2 * (1 - 0.1 * 0.5) - 0.1], rtol=1e-7)


def test_groups_have_settings_of_their_own(backend, rng):
    a, b, c = parameters(rng)
    groups = [{"params": [a]}, {"params": [b, c], "lr": 0.3, "weight_decay": 0.2}]
    optimizer, gradients = ta.optim.SGD(groups, lr=0.1, momentum=0.5), draws(rng, 5)
    starts = values(optimizer)
    run(optimizer, gradients)
    for i, settings in enumerate([{"lr": 0.1}, *[{"lr": 0.3, "weight_decay": 0.2}] * 2]):
        expected = published.sgd(starts[i], [step[i] for step in gradients], momentum=0.5, **settings)
        np.testing.assert_allclose(values(optimizer)[i], expected, rtol=1e-12)
    assert groups[0] == {"params": [a]}  # the caller's dicts stay as they are


def test_a_rate_set_keeps_the_proportions_of_the_groups_even_through_zero(rng):
    a, b, _ = parameters(rng)
    adam = ta.optim.Adam([{"params": [a], "lr": 0.2}, {"params": [b]}], lr=0.1)
    assert adam.lr == 0.2
    for rate in (0.0, 0.02, 0.2):
        adam.lr = rate
        assert [group["lr"] for group in adam.groups] == [rate, rate * 0.5]
    with pytest.raises(ArgumentError, match=r"learning rate must be 0 or more(.|\n)*-0.1"):
        adam.lr = -0.1
    with pytest.raises(ArgumentError, match="learning rate must be 0 or more"):
        adam.lr = float("nan")
    assert adam.lr == 0.2


def test_a_setting_changed_in_a_group_holds_from_the_next_step_on(rng):
    p = nn.Parameter(np.ones(2))
    sgd = ta.optim.SGD([p], lr=0.1)
    sgd.groups[0]["lr"] = 0.5
    assert sgd.lr == 0.5
    run(sgd, [[np.ones(2)]])
    np.testing.assert_allclose(p.data, 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_parameter_is_left_alone_and_trains_when_it_is_unfrozen(kind, backend, rng):
    a, b, c = parameters(rng)
    a.requires_grad = False  # before the optimiser is made
    settings = {"lr": 0.1, **KINDS[kind]} | {"weight_decay": 0.1}
    optimizer, gradients = getattr(ta.optim, kind)([a, b, c], **settings), draws(rng, 6)
    starts = values(optimizer)
    run(optimizer, gradients[:2])
    b.requires_grad = False  # with a gradient from before, which no longer counts
    a.requires_grad = True
    run(optimizer, gradients[2:4])
    b.requires_grad = True
    run(optimizer, gradients[4:])
    for i, when in enumerate([[2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3, 4, 5]]):
        expected = published.UPDATES[kind](starts[i], [gradients[k][i] for k in when], **settings)
        np.testing.assert_allclose(values(optimizer)[i], expected, rtol=1e-6 if kind == "Adamax" else 1e-12)  # its eps


def test_a_backward_pass_through_a_frozen_layer_trains_the_others():
    net = nn.mlp(3, 4, 2, rng=ta.rng(0))
    frozen = net.parameters()[:2]
    adam, before = ta.optim.Adam(net.parameters(), lr=0.1), [p.numpy().copy() for p in net.parameters()]
    for p in frozen:
        p.requires_grad = False
    ta.ops.square(net(np.ones((5, 3), np.float32))).sum().backward()
    adam.step()
    moved = [bool((p.numpy() != old).any()) for p, old in zip(net.parameters(), before, strict=True)]
    assert moved == [False, False, True, True]


def test_a_graph_that_needs_the_old_weights_refuses_after_a_step():
    p, other = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    sgd, stale, fresh = ta.optim.SGD([p, other], lr=1.0), ta.ops.square(p).sum(), ta.ops.square(other).sum()
    run(sgd, [[np.ones(2), None]])
    with pytest.raises(GraphError, match="was changed after the forward pass"):
        stale.backward()
    fresh.backward()


def test_a_parameter_without_entries_is_no_obstacle():
    p, q = nn.Parameter(np.zeros((0, 3))), nn.Parameter(np.zeros(2))
    run(ta.optim.SGD([p, q], lr=1.0), [[np.zeros((0, 3)), np.ones(2)]])
    assert (q.data == -1).all()


def test_a_gradient_given_by_hand_is_the_one_that_the_step_uses(rng):
    p = nn.Parameter(np.zeros(3))
    sgd = ta.optim.SGD([p], lr=1.0)
    p.grad = np.ones(3)
    sgd.step()
    p.grad *= 2  # by now the optimiser's buffer
    sgd.step()
    assert (p.data == -3).all()
    p.grad = np.ones(1)
    with pytest.raises(ShapeError, match="must have its parameter's shape"):
        sgd.step()
    assert (p.data == -3).all()


@pytest.mark.parametrize("bad", [1e3, np.nan, np.inf])
def test_a_step_is_skipped_above_a_norm_and_changes_nothing(bad, backend):
    p = nn.Parameter(to_device(np.zeros(2)))
    adam = ta.optim.Adam([p], lr=0.1)
    run(adam, [[np.array([3.0, 4.0])]])
    before, data = adam.state_dict(), to_numpy(p.data).copy()
    p.grad = to_device(np.array([1.0, bad]))
    assert adam.step(skip_above=5.0) is False
    assert all((before[name] == array).all() for name, array in adam.state_dict().items())
    assert (to_numpy(p.data) == data).all()
    p.grad = to_device(np.array([3.0, 4.0]))
    assert adam.step(skip_above=5.0) is True
    assert (to_numpy(p.data) != data).all()


def test_skipping_goes_by_the_norm_before_clipping_where_it_is_passed():
    p = nn.Parameter(np.zeros(2))
    sgd = ta.optim.SGD([p], lr=1.0)
    p.grad = np.array([300.0, 400.0])
    norm = ta.optim.clip_norm(sgd, 1.0)
    assert not sgd.step(skip_above=400.0, norm=norm)
    assert sgd.step(skip_above=600.0, norm=norm)
    np.testing.assert_allclose(p.data, [-0.6, -0.8])


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_goes_on_bit_for_bit(kind, backend, rng):
    """Groups whose rates were changed, and a parameter that had no gradient at first."""
    gradients = draws(rng, 8)
    gradients[0][1] = gradients[1][1] = None

    def make(seed):
        a, b, c = parameters(np.random.default_rng(seed), np.float32)
        settings = {"lr": 0.1, "weight_decay": 0.01, **KINDS[kind]}
        return getattr(ta.optim, kind)([{"params": [a, b]}, {"params": [c], "lr": 0.03}], **settings)

    first, second = make(0), make(1)
    run(first, gradients[:4])
    first.lr = 0.07
    first.groups[1]["weight_decay"] = 0.5
    for p, q in zip(first.flat.parameters, second.flat.parameters, strict=True):
        q.assign(p.data)
    second.load_state_dict(first.state_dict())
    for optimizer in (first, second):
        run(optimizer, gradients[4:6])
        optimizer.lr = 0.01
        run(optimizer, gradients[6:])
    assert all((x == y).all() for x, y in zip(values(first), values(second), strict=True))
    assert all(type(x) is np.ndarray and x.ndim for x in first.state_dict().values())
    assert [{**group, "params": 0} for group in first.groups] == [{**group, "params": 0} for group in second.groups]


def test_what_is_in_a_state_is_a_copy(rng):
    p = nn.Parameter(np.ones(2))
    sgd = ta.optim.SGD([p], momentum=0.9)
    state = sgd.state_dict()
    run(sgd, [[np.ones(2)]])
    assert (state["SGD.v"] == 0).all()
    assert state["SGD.steps"] == [0]
    sgd.load_state_dict(state)
    state["SGD.v"][:] = 7
    assert (sgd.arrays["v"] == 0).all()


def test_a_state_that_does_not_fit_is_refused_before_anything_is_changed(rng):
    def adam(*shapes, dtype=np.float64, kind=ta.optim.Adam, split=1):
        made = [nn.Parameter(np.ones(shape, dtype)) for shape in shapes]
        return kind([{"params": made[:split], "lr": 0.5}, {"params": made[split:]}])

    mine = adam((2, 3), (4,), (1,))
    before = mine.state_dict()
    with pytest.raises(ArgumentError, match=r"^Adam: this is the state of another optimiser\.(.|\n)*got       AdamW$"):
        mine.load_state_dict(adam((2, 3), (4,), (1,), kind=ta.optim.AdamW).state_dict())
    others = [adam((3, 2), (4,), (1,)), adam((2, 3), (5,)), adam((2, 3), (4,), (1,), dtype=np.float32), adam((2, 3), (4,), (1,), split=2)]
    others += [ta.optim.Adam([nn.Parameter(np.ones(shape)) for shape in [(2, 3), (4,), (1,)]])]
    for other in others:
        with pytest.raises(ShapeError, match=r"^Adam: this state belongs to other parameters or groups\.\n  expected  Adam\."):
            mine.load_state_dict(other.state_dict())
    assert all((before[name] == array).all() for name, array in mine.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("SGD", {"momentum": 1.0}), ("SGD", {"lr": 0}), ("SGD", {"weight_decay": -1.0}), ("RMSprop", {"alpha": 1.0}), ("RMSprop", {"eps": 0.0}),
        ("Adam", {"betas": (0.9, 0.9, 0.9)}), ("AdamW", {"weight_decay": float("nan")}), ("Adamax", {"betas": (0.9, -0.1)}),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused_for_all_and_in_a_group(kind, settings):
    name = next(iter(settings))
    for group, given in [({}, settings), (settings, {})]:
        with pytest.raises(ArgumentError, match=rf"^{kind}: a setting is out of range\.(.|\n)*got       {name}="):
            getattr(ta.optim, kind)([{"params": [nn.Parameter(np.ones(2))], **group}], **given)


def test_groups_that_are_none_are_refused():
    p = nn.Parameter(np.ones(2))
    with pytest.raises(ArgumentError, match=r"unknown settings\.(.|\n)*expected  lr, betas, eps, weight_decay(.|\n)*got       learning_rate"):
        ta.optim.Adam([{"params": [p], "learning_rate": 0.1}])
    with pytest.raises(ArgumentError, match="under 'params'"):
        ta.optim.Adam([{"lr": 0.1}])
    with pytest.raises(DtypeError, match=r"pass model\.parameters"):
        ta.optim.Adam([{"params": nn.Linear(2, 2, rng=ta.rng(0))}])
    with pytest.raises(GraphError, match="given twice"):
        ta.optim.Adam([{"params": [p]}, {"params": [p]}])
    with pytest.raises(GraphError, match="only leaves"):
        ta.optim.Adam([ta.Tensor(np.ones(2))])
    with pytest.raises(GraphError, match="only leaves"):
        ta.optim.Adam([p, {"params": [p]}])
    with pytest.raises(ArgumentError, match="looks ahead along the momentum"):
        ta.optim.SGD([p], nesterov=True)


def test_an_optimiser_of_ones_own_is_its_update():
    class SignDescent(ta.optim.Optimizer):
        def __init__(self, parameters, lr=0.1):
            super().__init__(parameters, lr=lr)

        def update(self, p, g, t, *, lr):
            p -= lr * np.sign(g)

    p = nn.Parameter(np.zeros(3))
    run(SignDescent([p]), [[np.array([5.0, -7.0, 0.0])]])
    assert p.data.tolist() == [-0.1, 0.1, 0.0]


def test_of_two_optimisers_of_one_parameter_the_later_owns_it_and_the_earlier_says_so():
    shared, alone = (ta.nn.Parameter(np.ones(2, np.float32)) for _ in range(2))
    earlier, later = ta.optim.SGD([alone, shared], lr=0.1), ta.optim.SGD([shared], lr=0.1)
    (shared * shared).sum().backward()
    later.step()
    np.testing.assert_allclose(shared.data, 0.8)
    before = alone.data.copy(), shared.data.copy()
    with pytest.raises(GraphError, match="belongs to another optimiser, which was made later"):
        earlier.step()
    np.testing.assert_array_equal([alone.data, shared.data], before)
    earlier = ta.optim.SGD([alone, shared], lr=0.1)  # a cell that is run again: the newest one owns them all
    (shared * alone).sum().backward()
    earlier.step()
    with pytest.raises(GraphError, match="another optimiser"):
        later.step()


def test_an_optimiser_that_was_refused_leaves_the_parameters_to_the_one_they_have(rng):
    ps = parameters(rng)
    first = ta.optim.SGD(ps)
    with pytest.raises(ArgumentError, match="nesterov"):
        ta.optim.SGD(ps, nesterov=True)
    run(first, [[np.ones(shape) for shape in SHAPES]])


def test_a_model_moved_to_where_it_is_goes_on_with_its_optimiser():
    model = nn.Linear(3, 2, rng=ta.rng(0))
    adam = ta.optim.Adam(model.parameters())
    model.to("numpy")
    before = model.state_dict()
    model(np.ones((4, 3), np.float32)).sum().backward()
    adam.step()
    assert (model.weight.data != before["weight"]).all()


def test_groups_keep_their_proportions_in_the_state(rng):
    def made(first, second):
        ps = parameters(rng)
        return ta.optim.Adam([{"params": ps[:1], "lr": first}, {"params": ps[1:], "lr": second}])

    old, new = made(1e-3, 1e-4), made(1e-3, 1e-3)
    new.load_state_dict(old.state_dict())
    new.lr = 5e-4
    assert [group["lr"] for group in new.groups] == [5e-4, 5e-5]
    older = {name: array for name, array in old.state_dict().items() if not name.endswith("proportions")}
    made(1e-3, 1e-4).load_state_dict(older)
