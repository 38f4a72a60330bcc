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
    a, b = nn.Parameter(given), nn.Parameter(given)
    with ta.no_grad():
        a -= 1.0
    assert (given.tolist(), b.numpy().tolist()) == ([0, 0], [0, 0])


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
