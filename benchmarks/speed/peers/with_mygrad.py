"""MyGrad: NumPy's functions on its tensors, without its guard on memory, as its guide advises for speed; Adam on arrays, as it brings none."""

import functools

import mygrad as mg
import numpy as np

from benchmarks.speed.plain import ArrayAdam, Functions

mg.turn_memory_guarding_off()


class Peer:
    """One training with MyGrad."""

    def __init__(self, network, weights, variant=""):
        self.weights = {name: mg.tensor(w, copy=True) for name, w in weights.items()}
        self.loss = functools.partial(Functions(mg).loss, network, self.weights)
        self.adam = ArrayAdam({name: w.data for name, w in self.weights.items()})
        self.noise_shape, self.rng = network.noise_shape, np.random.default_rng(0)

    def array(self, x):
        """As it is."""
        return x

    def loss_at(self, x, noise):
        """The loss, a number."""
        with mg.no_autodiff:
            return self.loss(x, noise).item()

    def step(self, x, noise=None):
        """One step of training."""
        if noise is None and self.noise_shape:
            noise = self.rng.standard_normal(self.noise_shape, np.float32)
        self.loss(x, noise).backward()
        self.adam.step({name: w.grad for name, w in self.weights.items()})

    def wait(self):
        """Nothing is ever under way."""
