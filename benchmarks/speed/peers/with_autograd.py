"""HIPS autograd: a NumPy program and its gradient; Adam on arrays, as it brings none for them."""

import functools

import autograd
import autograd.numpy as anp
import numpy as np

from benchmarks.speed.plain import ArrayAdam, Functions


class Peer:
    """One training with autograd."""

    def __init__(self, network, weights, variant=""):
        self.weights = {name: w.copy() for name, w in weights.items()}
        self.loss = functools.partial(Functions(anp).loss, network)
        self.gradient, self.adam = autograd.grad(self.loss), ArrayAdam(self.weights)
        self.noise_shape, self.rng = network.noise_shape, np.random.default_rng(0)

    def array(self, x):
        """As it is."""
        return x

    def loss_at(self, x, noise):
        """The loss, a number."""
        return float(self.loss(self.weights, x, noise))

    def step(self, x, noise=None):
        """One step of training."""
        if noise is None and self.noise_shape:
            noise = self.rng.standard_normal(self.noise_shape, np.float32)
        self.adam.step(self.gradient(self.weights, x, noise))

    def wait(self):
        """Nothing is ever under way."""
