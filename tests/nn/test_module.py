"""Modules: what they own, their state, their initial values."""

import copy
import math

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn
from tinyae.backend import to_numpy
from tinyae.errors import ArgumentError, DtypeError, GraphError, ShapeError


class Net(nn.Module):
    """Two layers of one shared weight, and a list."""

    def __init__(self):
        rng = ta.rng(0)
        self.first = nn.Linear(3, 3, rng=rng)
        self.again = self.first
        self.blocks = [nn.Linear(3, 2, rng=rng, bias=False)]
        self.scale = nn.Parameter(np.ones(2, np.float32))

    def forward(self, x):
        return self.blocks[0](self.again(self.first(x))) * self.scale


def test_parameters_are_found_by_name_and_a_shared_one_once():
    assert [name for name, _ in Net().named_parameters()] == ["first.weight", "first.bias", "blocks.0.weight", "scale"]


def test_a_shared_weight_gets_both_gradients(rng):
    net = Net().astype(np.float64)
    x = rng.normal(size=(4, 3))
    assert ta.checks.gradcheck(lambda: net(x), net).worst < 1e-6


def test_names_and_shapes_are_pytorchs():
    layers = nn.mlp(5, 4, 3, rng=ta.rng(0))
    assert {name: p.shape for name, p in layers.named_parameters()} == {
        "0.weight": (4, 5), "0.bias": (4,), "2.weight": (3, 4), "2.bias": (3,)
    }  # fmt: skip


def test_a_state_goes_round(rng):
    net, other = Net(), Net()
    for p in net.parameters():
        p.assign(rng.normal(size=p.shape))
    other.load_state_dict(net.state_dict())
    x = np.ones((2, 3), np.float32)
    assert (net(x).numpy() == other(x).numpy()).all()


@pytest.mark.parametrize("change", [lambda s: s.pop("scale"), lambda s: s.update(more=np.ones(1)), lambda s: s.update(scale=np.ones(3))])
def test_a_state_that_does_not_fit_changes_nothing(change):
    net = Net()
    before, state = net.state_dict(), {name: value + 1 for name, value in net.state_dict().items()}
    change(state)
    with pytest.raises(ShapeError, match="load_state_dict"):
        net.load_state_dict(state)
    assert all((net.state_dict()[name] == value).all() for name, value in before.items())


def test_train_and_eval_reach_every_part():
    net = Net()
    assert all(not m.training for m in net.eval().modules())
    assert all(m.training for m in net.train().modules())


def test_a_model_moves_between_dtypes_and_backends(backend):
    net = Net().to(backend)
    x = ta.Tensor(np.ones((2, 3), np.float32)).data if backend == "numpy" else ta.backend.to_device(np.ones((2, 3), np.float32))
    there = to_numpy(net(x).data)
    with ta.using("numpy"):
        back = net.to("numpy")(np.ones((2, 3), np.float32)).numpy()
    np.testing.assert_allclose(there, back, rtol=1e-5)
    assert net.astype("float64")(np.ones((2, 3))).dtype == np.float64


@pytest.mark.parametrize(
    ("initialiser", "variance"),
    [(nn.initialisers.lecun_uniform, 1 / (3 * 300)), (nn.initialisers.xavier_uniform, 2 / (300 + 200)), (nn.initialisers.he_uniform, 2 / 300)],
)
def test_initial_weights_have_the_variance_of_their_source(initialiser, variance):
    w = nn.Linear(300, 200, rng=ta.rng(0), initialiser=initialiser).weight.numpy()
    n = w.size
    assert abs(w.mean()) < 5 * math.sqrt(variance / n)
    assert abs(w.var() / variance - 1) < 5 * math.sqrt(0.8 / n)  # a uniform's variance of squares is 4/5 of its variance squared
    assert w.dtype == np.float32


def test_parameters_stay_floating_point_numbers():
    net = Net()
    for dtype in ("int32", "float16"):
        with pytest.raises(DtypeError, match="float32 or float64"):
            net.astype(dtype)
    assert {p.dtype for p in net.parameters()} == {np.dtype("float32")}


def test_layers_without_a_size_are_refused():
    with pytest.raises(ArgumentError, match="at least one input"):
        nn.Linear(0, 3, rng=ta.rng(0))
    with pytest.raises(ArgumentError, match="relu, tanh"):
        nn.mlp(2, 2, activation="swish", rng=ta.rng(0))
    with pytest.raises(ArgumentError, match="forward"):
        nn.Module()(1)


class Nested(nn.Sequential):
    """A chain with a part besides, and parts in lists of dicts."""

    def __init__(self):
        super().__init__(nn.Linear(2, 2, rng=ta.rng(0)), np.tanh)
        self.head = nn.Linear(2, 1, rng=ta.rng(1))
        self.more = [{"a": nn.Linear(1, 1, rng=ta.rng(2), bias=False)}, [nn.Parameter(np.ones(1))]]


def test_no_part_is_overlooked():
    names = [name for name, _ in Nested().named_parameters()]
    assert names == ["0.weight", "0.bias", "head.weight", "head.bias", "more.0.a.weight", "more.1.0"]


def test_parameters_have_memory_of_their_own():
    given = np.zeros(2)
    a, b, buffer = nn.Parameter(given), nn.Parameter(given), nn.Buffer(given)
    with ta.no_grad():
        a -= 1.0
    buffer.assign(2.0)
    assert (given.tolist(), b.numpy().tolist()) == ([0, 0], [0, 0])


def test_a_state_is_contiguous_whatever_the_order_in_memory():
    net = Net()
    net.scale = nn.Parameter(np.arange(6.0).reshape(2, 3).T)
    state = net.state_dict()["scale"]
    assert state.flags.c_contiguous
    assert state.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_copied_model_works_alone():
    model = ta.models.VAE(4, 2, (3,), rng=ta.rng(0))
    other, x = copy.deepcopy(model), np.ones((2, 4), np.float32)
    assert other.loss(x, rng=ta.rng(1)).loss.item() == model.loss(x, rng=ta.rng(1)).loss.item()
    with ta.no_grad():
        for p in other.parameters():
            p += 1.0
    assert other.loss(x, rng=ta.rng(1)).loss.item() != model.loss(x, rng=ta.rng(1)).loss.item()
    with pytest.raises(GraphError, match="cannot be copied"):
        copy.deepcopy(ta.optim.Adam(model.parameters()))


def normalised():
    """A chain with parameters, buffers of both kinds, and two streams, one of them held twice."""
    noise = ta.rng(3)
    return nn.Sequential(
        nn.Linear(3, 4, rng=ta.rng(0)), nn.BatchNorm1d(4), nn.Dropout(0.5, rng=noise), nn.Residual(nn.Dropout(0.2, rng=ta.rng(4))),
        nn.Dropout(0.1, rng=noise),
    )  # fmt: skip


def test_buffers_are_in_the_state_and_not_among_the_parameters():
    net = normalised()
    running = ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
    assert [name for name, _ in net.named_buffers()] == running
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias", *running]
    assert len(net.parameters()) == 4
    net(np.arange(6, dtype=np.float32).reshape(2, 3))
    other = normalised()
    other.load_state_dict(net.state_dict())
    assert all((other.state_dict()[name] == value).all() for name, value in net.state_dict().items())
    assert other[1].num_batches_tracked.item() == 1


def test_integers_stay_integers_when_a_model_is_converted_and_moved(backend):
    net = normalised().to(backend).astype("float64")
    kinds = {name: buffer.dtype for name, buffer in net.named_buffers()}
    assert kinds == {"1.running_mean": np.float64, "1.running_var": np.float64, "1.num_batches_tracked": np.int64}
    net(ta.backend.to_device(np.arange(6, dtype=np.float64).reshape(2, 3)))
    with ta.using("numpy"):
        assert net.to("numpy").eval()(np.ones((2, 3))).dtype == np.float64


def test_streams_are_named_and_a_shared_one_comes_once():
    net = normalised()
    assert [(name, repr(stream)) for name, stream in net.named_streams()] == [("2.rng", "rng(3)"), ("3.module.rng", "rng(4)")]


def test_modules_are_named_and_a_shared_one_comes_once():
    assert [name for name, _ in Net().named_modules()] == ["", "first", "blocks.0"]


def test_a_frozen_part_gets_no_gradient_and_an_optimiser_leaves_it_alone():
    net, x = nn.mlp(3, 4, 2, rng=ta.rng(0)), np.ones((5, 3), np.float32)
    adam = ta.optim.Adam(net.parameters(), lr=0.1)
    net(x).sum().backward()  # a gradient from before must not move it either
    assert net[0].freeze() is net[0]
    before = net.state_dict()
    for _ in range(2):
        net(x).sum().backward()
        adam.step()
        adam.zero_grad()
    after = net.state_dict()
    assert {name for name in before if (before[name] != after[name]).any()} == {"2.weight", "2.bias"}
    assert len(net.parameters()) == 4
    assert net[0].weight.grad is None
    net.unfreeze()
    net(x).sum().backward()
    adam.step()
    assert (net.state_dict()["0.bias"] != after["0.bias"]).any()


def test_an_optimiser_made_after_freezing_trains_the_rest():
    net = nn.mlp(3, 4, 2, rng=ta.rng(0))
    net[0].freeze()
    before, adam = net.state_dict(), ta.optim.Adam(net.parameters(), lr=0.1)
    net(np.ones((5, 3), np.float32)).sum().backward()
    adam.step()
    assert [name for name, value in net.state_dict().items() if (before[name] != value).any()] == ["2.weight", "2.bias"]


def test_a_frozen_layer_still_passes_the_gradient_on():
    net = nn.mlp(3, 4, 2, rng=ta.rng(0))
    net[2].freeze()
    net(np.ones((5, 3), np.float32)).sum().backward()
    assert (net[0].weight.grad != 0).any()
    assert net[2].weight.grad is None


def test_a_summary_shows_every_layer_and_changes_nothing():
    net = normalised()
    net[0].freeze()
    before, streams = net.state_dict(), [stream.state() for _, stream in net.named_streams()]
    assert nn.summary(net, (1, 3)).splitlines() == [  # one example: batch norm in training would refuse it
        "layer     class        output  parameters",
        "0         Linear       (1, 4)          16  16 frozen",
        "1         BatchNorm1d  (1, 4)           8",
        "2         Dropout      (1, 4)           0",
        "3.module  Dropout      (1, 4)           0",
        "4         Dropout      (1, 4)           0",
        "total                                  24  16 frozen",
    ]
    assert all((before[name] == value).all() for name, value in net.state_dict().items())
    assert streams == [stream.state() for _, stream in net.named_streams()]
    assert all(module.training for module in net.modules())
    assert "forward" not in vars(net[0])


def test_a_summary_of_parts_that_are_shared_or_never_reached():
    lines = nn.summary(Net(), (1, 3)).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["Net", "(1,"], ["first", "Linear"], ["blocks.0", "Linear"], ["total", "20"]]
    assert nn.summary(nn.Embedding(5, 2, rng=ta.rng(0)), np.array([1, 2])).splitlines()[1].split() == ["Embedding", "(2,", "2)", "10"]
    net = nn.mlp(2, 2, 2, rng=ta.rng(0))
    net[2].weight, net.forward = net[0].weight, net[0]
    assert nn.summary(net, (1, 2)).splitlines()[3].split() == ["2", "Linear", "-", "2"]


def test_a_summary_of_a_model_that_reconstructs(backend):
    model = ta.models.VAE(4, 2, (3,), rng=ta.rng(0))
    assert nn.summary(model, (7, 4)).splitlines()[1].split() == ["encoder.0", "Linear", "(7,", "3)", "15"]
    assert nn.summary(model, (7, 4)).splitlines()[-1].split() == ["total", "56"]
