"""Linear layers, activations as modules, and chains of them."""

import itertools
import math

from tinyae.backend import check_rng
from tinyae.errors import ArgumentError
from tinyae.nn.initialisers import lecun_uniform
from tinyae.nn.module import Module, Parameter
from tinyae.ops.activations import relu, sigmoid, softplus, tanh
from tinyae.ops.linear_algebra import linear


class Linear(Module):
    """x -> x @ weight.T + bias.  weight: (outputs, inputs), bias: (outputs,) or None; x: (..., inputs).

    initialiser: a function of (rng, shape) from `nn.initialisers`; the bias is uniform within 1 / sqrt(inputs).
    """

    def __init__(self, inputs, outputs, *, rng, bias=True, initialiser=lecun_uniform):
        if inputs < 1 or outputs < 1:
            raise ArgumentError("Linear: a layer has at least one input and one output.", got=f"Linear({inputs}, {outputs})")
        self.weight = Parameter(initialiser(check_rng(rng), (outputs, inputs)))
        bound = 1 / math.sqrt(inputs)
        self.bias = Parameter(rng.uniform((outputs,), -bound, bound)) if bias else None

    def forward(self, x):
        """x: (..., inputs).  Returns (..., outputs)."""
        return linear(x, self.weight, self.bias)


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x):
        """Any shape."""
        return relu(x)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x):
        """Any shape."""
        return tanh(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x):
        """Any shape."""
        return sigmoid(x)


class Softplus(Module):
    """log(1 + exp(x))."""

    def forward(self, x):
        """Any shape."""
        return softplus(x)


class Sequential(Module):
    """Modules (or functions), one after the other; names in the state are their numbers, as in PyTorch."""

    def __init__(self, *layers):
        self.layers = layers

    def children(self):
        """(number, layer) of the layers; then what a subclass holds besides, by its name."""
        for name, part in super().children():
            yield name.removeprefix("layers."), part

    def forward(self, x):
        """x: what the first layer takes.  Returns what the last one gives."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __getitem__(self, index):
        return self.layers[index]

    def __len__(self):
        return len(self.layers)


ACTIVATIONS = {"relu": ReLU, "tanh": Tanh, "softplus": Softplus, "sigmoid": Sigmoid}


def mlp(*widths, activation="relu", rng):
    """Linear layers of these widths with an activation between them (none after the last)."""
    if activation not in ACTIVATIONS:
        raise ArgumentError(f"unknown activation {activation!r}.", expected="one of " + ", ".join(ACTIVATIONS))
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [Linear(inputs, outputs, rng=rng), ACTIVATIONS[activation]()]
    return Sequential(*layers[:-1])
