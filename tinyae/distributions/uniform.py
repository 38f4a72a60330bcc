"""The uniform distribution on an interval."""

import math

import numpy as np

from tinyae.autograd import raw
from tinyae.distributions.distribution import Reparameterised, uniform
from tinyae.errors import ArgumentError
from tinyae.ops.exponential import log
from tinyae.ops.selection import where


class Uniform(Reparameterised):
    """Density 1 / (high - low) on [low, high], 0 elsewhere, independent in each of D features.  low < high: (..., D), or one number for all."""

    parameters, noise = ("low", "high"), staticmethod(uniform)

    def __init__(self, low, high):
        ordered = raw(low) < raw(high)
        if isinstance(ordered, (bool, np.bool_, np.ndarray)) and not np.all(ordered):  # on a GPU a look would wait for it
            raise ArgumentError("Uniform: low must be below high.", got=f"low={raw(low)}, high={raw(high)}")
        self.low, self.high = low, high

    @property
    def support(self):
        """(low, high)."""
        return self.low, self.high

    @property
    def mean(self):
        """(low + high) / 2."""
        return (self.low + self.high) / 2

    def rsample(self, noise):
        """low + (high - low) * noise, (..., D), with noise (..., D) uniform on (0, 1)."""
        return self.low + (self.high - self.low) * noise

    def log_prob(self, x):
        """The log-density of x, (..., D), in nats, minus infinity outside; summed over D.  Returns (...,)."""
        inside = (x >= self.low) & (x <= self.high)
        return where(inside, -self.log_width(), -math.inf).sum(axis=-1)

    def entropy(self):
        """log(high - low), in nats, summed over D.  Returns (...,)."""
        return self.log_width().sum(axis=-1)

    def log_width(self):
        """log(high - low), (..., D)."""
        return log(self.high - self.low + self.zeros())
