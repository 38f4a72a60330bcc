"""A step, and a whole training, with the kernels and without any: what rounding alone makes different."""

import numpy as np
import pytest

import tinyae as ta
from tinyae.kernels import plain
from tinyae.optim import adam as adam_file

SETTINGS = {
    "dense": {"hidden": (64,)},
    "gaussian": {"hidden": (32,), "likelihood": "gaussian", "activation": "gelu"},
    "convolutional": {"hidden": (32,), "channels": (8, 16), "image_shape": (1, 8, 8)},
}
DIGITS = ta.data.load("digits", split="train").rows(slice(0, 400))


def model_of(name):
    return ta.models.VAE(64, 2, rng=ta.rng(0), **SETTINGS[name])


def gradients(name):
    """The loss and the gradients of one step."""
    model, x = model_of(name), ta.rng(1).bernoulli(DIGITS.images[:50])
    loss = model.loss(x, rng=ta.rng(2)).loss
    loss.backward()
    return loss.item(), np.concatenate([p.grad.ravel() for p in model.parameters()])


def bound(name):
    """The negative ELBO after six epochs."""
    model = model_of(name)
    history = ta.fit(model, DIGITS, test=DIGITS, epochs=6, batch_size=50, lr=3e-3, progress=False)
    return history["test_negative_elbo"][-1]


@pytest.fixture
def without(monkeypatch):
    """Runs a function with no kernel at all, Adam's included."""

    def run(function, *args):
        with monkeypatch.context() as patch, plain():
            patch.setattr(adam_file, "adam", lambda *_: NotImplemented)
            return function(*args)

    return run


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_agrees_to_a_hundred_thousandth(name, without):
    (loss, gradient), (expected, theirs) = gradients(name), without(gradients, name)
    assert abs(loss - expected) <= 1e-5 * abs(expected)
    assert np.linalg.norm(gradient - theirs) <= 1e-5 * np.linalg.norm(theirs)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_ends_at_the_same_bound(name, without):
    assert abs(bound(name) - without(bound, name)) <= 0.05


def test_a_planted_error_in_a_kernel_shows_in_both(monkeypatch, without):
    right = ta.ops.sigmoid.fast
    monkeypatch.setattr(ta.ops.sigmoid, "fast", lambda x: right(x) * np.float32(0.95))
    (_, gradient), (_, theirs) = gradients("dense"), without(gradients, "dense")
    assert np.linalg.norm(gradient - theirs) > 1e-5 * np.linalg.norm(theirs)
    assert abs(bound("dense") - without(bound, "dense")) > 0.05
