"""The flat buffer of an optimiser, with Adam as the example."""

import numpy as np
import published
import pytest

import tinyae as ta
from tinyae import nn
from tinyae.errors import ArgumentError, DtypeError, GraphError, ShapeError
from tinyae.optim.optimizer import CHUNK


def test_parameters_larger_than_a_chunk_are_stepped_whole(rng):
    start, gradients = rng.normal(size=2 * CHUNK + 17), rng.normal(size=(2, 2 * CHUNK + 17))
    p = nn.Parameter(start.copy())
    adam = ta.optim.Adam([p], lr=0.1)
    for g in gradients:
        p.grad = g
        adam.step()
    np.testing.assert_allclose(p.data, published.adam(start, gradients, 0.1), rtol=1e-12, atol=1e-12)


def test_a_parameter_without_gradient_is_left_alone_and_catches_up(rng):
    a, b = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(3))
    adam, gradients = ta.optim.Adam([a, b], lr=0.1), rng.normal(size=(3, 3))
    for i, g in enumerate(gradients):
        adam.zero_grad()
        a.grad = g[:2].copy()
        if i == 2:
            b.grad = g.copy()
        adam.step()
        if i < 2:
            assert (b.data == 1).all()
    np.testing.assert_allclose(b.data, published.adam(np.ones(3), gradients[2:], 0.1), rtol=1e-12)
    np.testing.assert_allclose(a.data, published.adam(np.ones(2), gradients[:, :2], 0.1), rtol=1e-12)


def test_gradients_are_written_straight_into_the_flat_buffer():
    layer = nn.Linear(3, 2, rng=ta.rng(0))
    adam = ta.optim.Adam(layer.parameters())
    layer(np.ones((4, 3), np.float32)).sum().backward()
    assert all(np.shares_memory(p.grad, adam.flat.gradients) for p in layer.parameters())
    assert all(np.shares_memory(p.data, adam.flat.values) for p in layer.parameters())


def test_gradients_are_the_same_with_and_without_an_optimiser(rng):
    x = rng.normal(size=(4, 3)).astype(np.float32)
    plain, packed = (nn.mlp(3, 5, 2, rng=ta.rng(0)) for _ in range(2))
    ta.optim.Adam(packed.parameters())
    for net in (plain, packed):
        (net(x) * net(x)).sum().backward()
    assert all((p.grad == q.grad).all() for p, q in zip(plain.parameters(), packed.parameters(), strict=True))


def test_new_data_given_to_a_parameter_are_taken_over():
    p = nn.Parameter(np.zeros(2))
    adam = ta.optim.Adam([p], lr=0.1)
    p.data = np.array([5.0, 6.0])
    p.grad = np.ones(2)
    adam.step()
    np.testing.assert_allclose(p.data, [4.9, 5.9])


def test_a_state_goes_round_bit_for_bit(rng):
    def run(steps, adam, p):
        for g in steps:
            p.grad = g.copy()
            adam.step()

    gradients = rng.normal(size=(6, 4))
    p, q = nn.Parameter(np.ones(4)), nn.Parameter(np.ones(4))
    first = ta.optim.Adam([p])
    run(gradients[:3], first, p)
    second = ta.optim.Adam([q])
    q.assign(p.data)
    second.load_state_dict(first.state_dict())
    run(gradients[3:], first, p)
    run(gradients[3:], second, q)
    assert (p.data == q.data).all()
    with pytest.raises(ShapeError, match="other parameters"):
        ta.optim.Adam([nn.Parameter(np.ones(5))]).load_state_dict(first.state_dict())


@pytest.mark.parametrize("settings", [{"lr": 0}, {"lr": -1.0}, {"lr": float("nan")}, {"betas": (1.0, 0.9)}, {"eps": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ArgumentError, match="out of range"):
        ta.optim.Adam([nn.Parameter(np.ones(2))], **settings)


def test_what_cannot_be_trained_is_refused():
    p = nn.Parameter(np.ones(2))
    with pytest.raises(GraphError, match="no parameters"):
        ta.optim.Adam([])
    with pytest.raises(DtypeError, match=r"pass model\.parameters"):
        ta.optim.Adam(nn.Linear(2, 2, rng=ta.rng(0)))
    with pytest.raises(GraphError, match="no parameter has a gradient"):
        ta.optim.Adam([nn.Parameter(np.ones(2))]).step()
    with pytest.raises(GraphError, match="given twice"):
        ta.optim.Adam([p, p])
    with pytest.raises(GraphError, match="only leaves"):
        ta.optim.Adam([p * 2])
    with pytest.raises(DtypeError, match="one dtype"):
        ta.optim.Adam([p, nn.Parameter(np.ones(2, np.float32))])
    adam = ta.optim.Adam([p])
    p.data = p.data.astype(np.float32)
    p.grad = np.ones(2, np.float32)
    with pytest.raises(DtypeError, match="new optimiser"):
        adam.step()
