"""The exponential moving average of weights against the explicit weighted sum."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, DtypeError, GraphError, ShapeError
from tinyae.optim import SGD, WeightAverage


def follow(average, parameter, path):
    for value in path:
        parameter.assign(to_device(value))
        average.update()


def test_the_average_is_the_explicit_weighted_sum(backend, rng):
    path, decay = rng.normal(size=(30, 2, 3)), 0.8
    p = nn.Parameter(to_device(path[0]))
    average = WeightAverage([p], decay)
    follow(average, p, path[1:])
    weights = (1 - decay) * decay ** np.arange(29, -1, -1.0)
    weights[0] = decay**29
    assert np.isclose(weights.sum(), 1)
    np.testing.assert_allclose(to_numpy(average.averages["0"]), np.tensordot(weights, path, 1), rtol=1e-12, atol=1e-14)


def test_the_decay_warms_up(rng):
    path = rng.normal(size=(50, 2))
    p = nn.Parameter(path[0])
    average, expected = WeightAverage([p], 0.7, warm_up=True), path[0]
    for t, value in enumerate(path[1:], 1):
        follow(average, p, [value])
        decay = min(0.7, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * value
        np.testing.assert_allclose(average.averages["0"], expected, rtol=1e-12)


def trained(backend_rng):
    """A net whose weights are views of an optimiser's buffer, after five steps, with its average."""
    net = nn.mlp(3, 4, 2, rng=ta.rng(0))
    sgd, average = SGD(net.parameters(), lr=0.1, momentum=0.9), WeightAverage(net, 0.5)
    x = to_device(backend_rng.normal(size=(5, 3)).astype(np.float32))
    for _ in range(5):
        sgd.zero_grad()
        ta.ops.square(net(x)).sum().backward()
        sgd.step()
        average.update()
    return net, sgd, average, x


def test_the_averages_are_put_in_place_and_the_weights_back_bit_for_bit(backend, rng):
    net, sgd, average, x = trained(rng)
    before, state = net.state_dict(), sgd.state_dict()
    with average.applied():
        inside, y = net.state_dict(), to_numpy(net(x).data)
        assert all((inside[name] == to_numpy(a)).all() for name, a in average.averages.items())
        assert any((inside[name] != before[name]).any() for name in before)
        average.averages["0.bias"][...] = 7  # the weights in place are a copy
        assert (to_numpy(net[0].bias.data) != 7).all()
    assert all((before[name] == array).all() for name, array in net.state_dict().items())
    assert all((state[name] == array).all() for name, array in sgd.state_dict().items())
    assert all(p.data is view for p, view in zip(sgd.flat.parameters, sgd.flat.views, strict=True))
    assert (to_numpy(net(x).data) != y).any()


def test_the_weights_come_back_after_an_error(rng):
    net, _, average, _ = trained(rng)
    before = net.state_dict()
    with pytest.raises(KeyError), average.applied():
        raise KeyError
    assert all((before[name] == array).all() for name, array in net.state_dict().items())


def test_a_graph_from_before_refuses_to_go_backward_inside(rng):
    net, _, average, x = trained(rng)
    loss = ta.ops.square(net(x)).sum()
    with average.applied(), pytest.raises(GraphError, match="was changed after the forward pass"):
        loss.backward()


def test_frozen_weights_stay_exactly_what_they_are(rng):
    p = nn.Parameter(rng.normal(size=100).astype(np.float32))
    p.requires_grad = False
    average = WeightAverage([p], 0.999)
    for _ in range(100):
        average.update()
    assert (average.averages["0"] == p.data).all()


def test_a_state_goes_on_bit_for_bit(backend, rng):
    path = rng.normal(size=(20, 3)).astype(np.float32)
    p, q = (nn.Parameter(to_device(path[0].copy())) for _ in range(2))
    first, second = (WeightAverage([x], 0.9, warm_up=True) for x in (p, q))
    follow(first, p, path[:10])
    second.load_state_dict(first.state_dict())
    follow(first, p, path[10:])
    follow(second, q, path[10:])
    assert all((x == y).all() for x, y in zip(first.state_dict().values(), second.state_dict().values(), strict=True))
    assert first.updates == second.updates == 20


def test_waits_for_nothing():
    with ta.checks.fake_device.fake_gpu() as counters:
        average = WeightAverage(nn.mlp(3, 4, 2, rng=ta.rng(0)))
        counters.reset()
        average.update()
        with average.applied():
            pass
        assert (counters.copies_to_host, counters.copies_to_device, counters.synchronisations) == (0, 0, 0)


def test_misuse_is_refused_before_anything_is_changed(rng):
    p = nn.Parameter(np.ones(3))
    average = WeightAverage([p])
    for other in (WeightAverage([nn.Parameter(np.ones(2))]), WeightAverage([p, p]), WeightAverage([nn.Parameter(np.ones(3, np.float32))])):
        other.updates = 5
        with pytest.raises(ShapeError, match=r"belongs to other parameters \(average\.[01]\)"):
            average.load_state_dict(other.state_dict())
    with pytest.raises(ShapeError, match=r"average\.weight"):
        WeightAverage(nn.Linear(2, 2, rng=ta.rng(0))).load_state_dict({"average.bias": np.zeros(2, np.float32), "updates": np.array([1])})
    assert average.updates == 0
    for decay in (-0.1, 1.0, np.nan):
        with pytest.raises(ArgumentError, match=r"decay must be in \[0, 1\)"):
            WeightAverage([p], decay)
    p.data = p.data.astype(np.float32)
    with pytest.raises(DtypeError, match="moved or converted"):
        average.update()
    with pytest.raises(DtypeError, match="moved or converted"), average.applied():
        pass
