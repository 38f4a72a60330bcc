"""Each optimiser, clipping and the average against PyTorch, in float64."""

import numpy as np
import published
import pytest

import tinyae as ta
from tinyae import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.bench
SHAPES = [(4, 3), (4,), (2, 4)]


def both(rng):
    starts = [rng.normal(size=shape) for shape in SHAPES]
    return [nn.Parameter(x) for x in starts], [torch.nn.Parameter(torch.tensor(x)) for x in starts]


def grouped(parameters, settings):
    """The last two in a group of their own, with another rate and another decay."""
    return [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 3 * settings["lr"], "weight_decay": 0.07}]


@pytest.mark.parametrize("groups", [False, True], ids=["alone", "groups"])
@pytest.mark.parametrize(("kind", "settings"), [*published.CASES, ("Adamax", {"lr": 0.01})])
def test_fifty_steps(kind, settings, groups, rng):
    ours, theirs = both(rng)
    a, b = (grouped(x, settings) if groups else x for x in (ours, theirs))
    a, b = getattr(ta.optim, kind)(a, **settings), getattr(torch.optim, kind)(b, **settings)
    for step in range(50):
        for p, q in zip(ours, theirs, strict=True):
            g = rng.normal(size=p.shape)
            p.grad, q.grad = (None, None) if step in (7, 8) and p is ours[1] else (g, torch.tensor(g))
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_clipping(rng):
    for limit in (0.5, 100.0):
        ours, theirs = both(rng)
        for p, q in zip(ours, theirs, strict=True):
            p.grad = rng.normal(size=p.shape)
            q.grad = torch.tensor(p.grad)
        norms = ta.optim.clip_norm(ours, limit), torch.nn.utils.clip_grad_norm_(theirs, limit)
        assert np.isclose(norms[0], norms[1].item(), rtol=1e-12)
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-6)  # it adds 1e-6 to the norm
        ta.optim.clip_value(ours, 0.1)
        torch.nn.utils.clip_grad_value_(theirs, 0.1)
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-6)


def test_cosine_and_piecewise_constant():
    for ours, make in [
        (ta.optim.cosine(0.3, 0.01, 20), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20, 0.01)),
        (ta.optim.piecewise_constant({0: 0.3, 5: 0.03, 12: 0.003}), lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [5, 12], 0.1)),
    ]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.3)
        schedule = make(optimizer)
        for t in range(20):
            assert np.isclose(ours(t), schedule.get_last_lr()[0], rtol=1e-12)
            optimizer.step()
            schedule.step()


def test_the_average_of_weights(rng):
    path = rng.normal(size=(30, 4))
    p, layer = nn.Parameter(path[0]), torch.nn.Linear(4, 1, bias=False).double()
    theirs = torch.optim.swa_utils.AveragedModel(layer, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    average = ta.optim.WeightAverage([p], 0.9)
    for i, value in enumerate(path):
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(value))
        theirs.update_parameters(layer)  # the first time it copies
        if i:
            p.assign(value)
            average.update()
    np.testing.assert_allclose(average.averages["0"], theirs.module.weight.detach().numpy()[0], rtol=1e-12)
