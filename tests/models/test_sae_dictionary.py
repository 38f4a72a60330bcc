"""Sparse autoencoders around a step: columns of length 1, gradients without a part along them, dead units that come back."""

import numpy as np
import pytest
from test_sae import PRICES, every_kind, points, sae

import tinyae as ta
from tinyae.backend import to_device, to_numpy
from tinyae.evaluation.features import dead_share
from tinyae.models.sae import DEAD_AFTER, unit

resampled = pytest.mark.parametrize("kind", [kind for kind, prices in PRICES.items() if "aux" not in prices or "penalty" in prices])


@every_kind
@pytest.mark.parametrize("latent", [3, 10])
def test_columns_have_length_one_after_each_step_and_the_gradient_no_part_along_them(kind, latent, backend):
    model = sae(kind, latent=latent, **({"k": 1} if "top-k" in kind else {})).to(backend)
    adam = ta.optim.Adam(model.parameters(), lr=0.1)
    for step in range(4):
        adam.zero_grad()
        model.loss(to_device(points(seed=step))).loss.backward()
        before = to_numpy(model.dictionary.grad).copy()
        model.before_step()
        d, g = model.dictionary.numpy(), to_numpy(model.dictionary.grad)
        np.testing.assert_allclose((d * g).sum(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(g + d * (d * before).sum(axis=0), before, atol=1e-12)  # nothing else was taken away
        adam.step()
        assert abs(np.linalg.norm(model.dictionary.numpy(), axis=0) - 1).max() > 1e-4  # Adam's step is not tangent
        model.after_step(ta.rng(step))
        np.testing.assert_allclose(np.linalg.norm(model.dictionary.numpy(), axis=0), 1, rtol=1e-12)


def lengths_after_training(model):
    ta.fit(model, points(40).astype(np.float32), epochs=1, batch_size=10, lr=0.1, progress=False)
    return np.linalg.norm(model.dictionary.numpy(), axis=0)


def test_a_dictionary_that_is_normalised_before_the_step_is_found():
    """The planted error of a public code base: what is evaluated and saved has columns of another length."""

    class Before(ta.models.SAE):
        def before_step(self):
            super().before_step()
            self.dictionary.assign(unit(self.dictionary.data))

        def after_step(self, rng):
            pass

    np.testing.assert_allclose(lengths_after_training(ta.models.SAE(6, 10)), 1, rtol=1e-6)
    assert abs(lengths_after_training(Before(6, 10)) - 1).max() > 1e-3


def test_free_columns_cheat_the_penalty():
    """Why lengths are fixed: the encoder by a tenth and the columns by ten are the same reconstruction for a tenth of the price."""
    model, x = sae(), points()
    before = model.loss(x)
    for p, factor in ((model.dictionary, 10), (model.encoder.weight, 0.1), (model.encoder.bias, 0.1)):
        p.assign(p.data * factor)
    after = model.loss(x)
    assert after.reconstruction.item() == pytest.approx(before.reconstruction.item(), rel=1e-9)
    assert after.penalty.item() == pytest.approx(before.penalty.item() / 10, rel=1e-9)


def test_units_are_counted_idle_by_examples_not_by_steps(backend):
    model = sae().to(backend)
    model.encoder.bias.data[3] = -1e3
    expected = np.zeros(10)
    for n in (8, 5, 1):
        x = to_device(points(n))
        off = (model.encode(x).numpy() == 0).all(axis=0)
        expected = (expected + n) * off
        model.loss(x)
        model.dictionary.grad = model.dictionary.data * 0
        model.after_step(ta.rng(0))
        np.testing.assert_array_equal(model.idle.numpy(), expected)
    assert model.idle.numpy()[3] == 14


@resampled
def test_a_dead_unit_begins_again_along_an_error_and_the_others_stay(kind, backend):
    model, x = sae(kind).to(backend), to_device(points())
    model.encoder.bias.data[:] = to_device(np.where(np.isin(np.arange(10), (2, 5)), -1e3, 0.3))
    idle = np.zeros(10)
    idle[[2, 5]] = DEAD_AFTER - len(x)
    model.idle.assign(to_device(idle))
    before = model.state_dict()
    model.loss(x)
    h, error = (to_numpy(part) for part in model.last)
    model.after_step(ta.rng(0))
    after, alive = model.state_dict(), [0, 1, 3, 4, 6, 7, 8, 9]
    np.testing.assert_allclose(after["dictionary"][:, alive], before["dictionary"][:, alive], rtol=1e-12)
    for name, _ in [(n, p) for n, p in model.named_parameters() if n not in ("dictionary", "bias")]:
        np.testing.assert_array_equal(after[name][alive], before[name][alive])
    for column in after["dictionary"][:, [2, 5]].T:
        assert (error @ column / np.linalg.norm(error, axis=1)).max() > 1 - 1e-9
    np.testing.assert_allclose(after["encoder.weight"][[2, 5]], after["dictionary"][:, [2, 5]].T)
    assert (after["idle"][[2, 5]] == 0).all()
    assert (model.encode(x).numpy()[:, [2, 5]] > 0).any()
    assert (h[:, [2, 5]] == 0).all()


def test_the_examples_of_new_beginnings_are_drawn_by_their_squared_loss():
    model = sae(latent=4000)
    model.idle.assign(np.full(4000, DEAD_AFTER))
    error = np.diag([0.0, 1.0, 1.2, 1.5, 0.0, 0.5])
    model.revive(error, ta.rng(0))
    share, weight = (model.dictionary.data == 1).mean(axis=1), np.diag(error) ** 4
    expected = weight / weight.sum()
    assert (abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / 4000)).all()
    assert (abs(share - np.diag(error) ** 2 / (np.diag(error) ** 2).sum()) > 0.02).any()  # by their loss: another law


def test_errors_of_zero_leave_no_nan():
    model = sae()
    model.idle.assign(np.full(10, DEAD_AFTER))
    model.revive(np.zeros((5, 6)), ta.rng(0))
    assert all(np.isfinite(value).all() for value in model.state_dict().values())


@every_kind
def test_dead_units_come_back_in_training(kind):
    """Half of the units begin far below zero (top-k: far below the others).  The planted error: a count that never grows."""
    data, low = ta.data.load("superposition", binarisation="grey"), np.arange(32) < 16

    def dead_after_training(forget):
        model = ta.models.build({"model": kind, "features": 16, "latent": 32}, ta.rng(0))
        if "top-k" in kind:
            model.encoder.weight.assign(model.encoder.weight.data * np.where(low, 0.02, 1).astype(np.float32)[:, None])
        else:
            model.encoder.bias.assign(np.where(low, -5, 0).astype(np.float32))
        if forget:
            model.dead = lambda: np.zeros(32, bool)
        ta.fit(model, data, epochs=3, batch_size=200, lr=3e-3, progress=False)
        return dead_share(model.encode(data.images).numpy())

    assert dead_after_training(forget=False) <= 0.1
    assert dead_after_training(forget=True) >= 0.25
