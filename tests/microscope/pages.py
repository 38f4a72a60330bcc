"""Records that the tests of the page share."""

import importlib.util

import numpy as np

import tinyae as ta
from tinyae.microscope.record import record_of
from tinyae.microscope.trace import trace

EVIL = '</script><img src=x onerror="window.evil = 1">'
SCRIPT = f'''
from tinyae import ops
import tinyae as ta

weight = ta.Tensor([[0.5, -0.2], [0.1, 0.4]], requires_grad=True)
bias = ta.Tensor([0.3, -0.1], requires_grad=True)


def loss(x):
    """{EVIL}"""
    h = x
    for turn in range(9):
        h = ops.tanh(h @ weight + bias)
    hard = ops.round_straight_through(h)
    r = ops.relu(hard)  # {EVIL}
    fit = (
        (r * 2).sum()
        + abs(h).sum()
    )
    return fit + 0.1 * (weight ** 2).sum()
'''


def vae_record(features=64, hidden=(16,), images=(8, 8), scale=1.0, draws=20):
    """The record of a step of a small VAE.  scale: of its noise."""
    rng = ta.rng(3)
    model = ta.models.VAE(features, 2, hidden, activation="tanh", rng=rng)
    x = rng.bernoulli(np.full((6, features), 0.5, np.float32))
    found = trace(model.loss, x, noise=scale * rng.normal((6, 2)))
    return record_of(found, title=f"A VAE {EVIL}", seed=3, image_shape=images, draws=draws)


def users_record(folder):
    """The record of a script of somebody's, with a loop, a kink, a surrogate, and source that would be a tag."""
    path = folder / "of_somebody.py"
    path.write_text(SCRIPT)
    spec = importlib.util.spec_from_file_location("of_somebody", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return record_of(trace(module.loss, np.array([[0.6, -1.1], [2.0, 0.3], [0.1, 0.9]])), title="Somebody's")


def to_number(text):
    """A number as the page writes it."""
    return float(text.replace("−", "-"))
