"""Clipping against its definitions, on optimisers and on lists of parameters."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn, optim
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, DtypeError, GraphError


@pytest.fixture(params=["list", "optimiser"])
def trained(request, backend, rng):
    """(parameters, what is clipped, their gradients laid end to end): one in the middle has no gradient, one is frozen."""
    parameters = [nn.Parameter(to_device(rng.normal(size=shape))) for shape in [(3, 2), (4,), (5,), (), (2,)]]
    whole = optim.SGD(parameters, lr=1.0) if request.param == "optimiser" else parameters
    for p in parameters:
        p.grad = to_device(np.asarray(rng.normal(size=p.shape)))
    if request.param == "optimiser":
        optim.gradient_norm(whole)  # all gradients lie in the buffer now, where stale numbers must not count
    parameters[1].grad, parameters[4].requires_grad = None, False
    return parameters, whole, laid_out(parameters)


def laid_out(parameters):
    return np.concatenate([to_numpy(p.grad).ravel() for p in parameters if p.grad is not None and p.requires_grad])


def test_the_norm_is_that_of_the_gradients_laid_end_to_end(trained):
    parameters, whole, g = trained
    norm = optim.gradient_norm(whole)
    assert norm.shape == ()
    assert type(norm) is type(parameters[0].data)
    assert np.isclose(to_numpy(norm), np.sqrt((g**2).sum()), rtol=1e-14)
    assert (laid_out(parameters) == g).all()


@pytest.mark.parametrize("part", [0.01, 0.5, 1.5])
def test_clipping_by_norm_keeps_the_direction_and_limits_the_length(part, trained):
    parameters, whole, g = trained
    limit = part * float(np.linalg.norm(g))
    norm = optim.clip_norm(whole, limit)
    assert np.isclose(to_numpy(norm), np.linalg.norm(g), rtol=1e-14)
    np.testing.assert_allclose(laid_out(parameters), g * min(1, part), rtol=1e-13)
    if part > 1:
        assert (laid_out(parameters) == g).all()


def test_clipping_by_value_limits_each_entry(trained):
    parameters, whole, g = trained
    optim.clip_value(whole, 0.3)
    assert (laid_out(parameters) == np.clip(g, -0.3, 0.3)).all()


@pytest.mark.parametrize("clip", [lambda whole: optim.clip_norm(whole, 0.1), lambda whole: optim.clip_value(whole, 0.1)])
@pytest.mark.parametrize("of", ["optimiser", "list"])
def test_the_step_uses_what_grad_shows_after_clipping(clip, of, backend, rng):
    """Whether backward wrote the gradient or somebody's array was given."""
    parameters = [nn.Parameter(to_device(np.zeros(n))) for n in (3, 4)]
    sgd = optim.SGD(parameters, lr=1.0)
    (parameters[0] * to_device(rng.normal(size=3))).sum().backward()
    parameters[1].grad = to_device(rng.normal(size=4))
    clip(sgd if of == "optimiser" else parameters)
    shown = [to_numpy(p.grad).copy() for p in parameters]
    sgd.step()
    for p, g in zip(parameters, shown, strict=True):
        assert (to_numpy(p.data) == -g).all()
        assert (np.abs(g) <= 0.1).all()


def test_clipping_and_a_step_wait_for_nothing():
    with ta.checks.fake_device.fake_gpu() as counters:
        net = nn.mlp(3, 4, 2, rng=ta.rng(0))
        adam, x = optim.Adam(net.parameters()), ta.rng(1).normal((5, 3))
        for _ in range(2):
            adam.zero_grad()
            ta.ops.square(net(x)).sum().backward()
            counters.reset()
            optim.clip_norm(adam, 0.1)
            optim.clip_value(adam, 0.01)
            clipping = counters.launches
            assert adam.step()
            assert (counters.copies_to_host, counters.copies_to_device, counters.synchronisations) == (0, 0, 0)
        assert clipping == 7  # dot, sum, sqrt, maximum, division, scaling; clip
        adam.step(skip_above=1.0)
        assert (counters.copies_to_host, counters.synchronisations) == (1, 1)  # the one wait that was asked for


def test_gradients_in_any_memory_order_are_clipped_in_place():
    p = nn.Parameter(np.zeros((2, 3)))
    p.grad = np.arange(6.0).reshape(3, 2).T
    expected = p.grad / np.linalg.norm(p.grad)
    optim.clip_norm([p], 1.0)
    np.testing.assert_allclose(p.grad, expected, rtol=1e-14)


def test_float32_stays_float32_and_a_zero_gradient_zero(backend):
    p = nn.Parameter(to_device(np.ones(3, np.float32)))
    p.grad = to_device(np.zeros(3, np.float32))
    assert optim.clip_norm([p], 1.0).dtype == p.grad.dtype == np.float32
    assert (to_numpy(p.grad) == 0).all()


def test_a_norm_that_is_no_number_is_told():
    p = nn.Parameter(np.ones(2))
    p.grad = np.array([1.0, np.nan])
    assert np.isnan(optim.clip_norm([p], 1.0))
    assert np.isnan(p.grad).all()


def test_misuse_is_refused_before_anything_is_changed():
    p = nn.Parameter(np.ones(2))
    for whole in ([p], optim.SGD([p])):
        for call in (optim.gradient_norm, lambda x: optim.clip_norm(x, 1.0), lambda x: optim.clip_value(x, 1.0)):
            with pytest.raises(GraphError, match="no parameter has a gradient"):
                call(whole)
    p.grad = np.array([3.0, 4.0])
    for clip in (optim.clip_norm, optim.clip_value):
        for limit in (0.0, -1.0, np.nan, np.inf):
            with pytest.raises(ArgumentError, match=r"the limit must be above 0, and finite\.(.|\n)*gradient_norm, to measure"):
                clip([p], limit)
    assert p.grad.tolist() == [3, 4]
    with pytest.raises(DtypeError, match=r"pass model\.parameters"):
        optim.clip_norm(nn.Linear(2, 2, rng=ta.rng(0)), 1.0)
