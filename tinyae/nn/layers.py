"""Linear layers, activations as modules, other layers for rows, blocks, and chains of them."""

import itertools
import math

import numpy as np

from tinyae.autograd import raw
from tinyae.backend import check_rng
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.nn.initialisers import lecun_uniform
from tinyae.nn.module import Module, Parameter
from tinyae.ops.activations import elu, gelu, leaky_relu, relu, sigmoid, silu, softplus, tanh
from tinyae.ops.indexing import take
from tinyae.ops.linear_algebra import linear
from tinyae.ops.noise import dropout
from tinyae.ops.shapes import axis_of


class Linear(Module):
    """x -> x @ weight.T + bias.  weight: (out_features, in_features), bias: (out_features,) or None; x: (..., in_features).

    initialiser: a function of (rng, shape) from `nn.initialisers`; the bias is uniform within 1 / sqrt(in_features).
    """

    def __init__(self, in_features, out_features, *, rng, bias=True, initialiser=lecun_uniform):
        if in_features < 1 or out_features < 1:
            raise ArgumentError("Linear: a layer has at least one input and one output.", got=f"Linear({in_features}, {out_features})")
        self.weight = Parameter(initialiser(check_rng(rng), (out_features, in_features)))
        bound = 1 / math.sqrt(in_features)
        self.bias = Parameter(rng.uniform((out_features,), -bound, bound)) if bias else None

    def forward(self, x):
        """x: (..., in_features).  Returns (..., out_features)."""
        return linear(x, self.weight, self.bias)


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x):
        """Any shape."""
        return relu(x)


class LeakyReLU(Module):
    """x where it is positive, negative_slope x elsewhere."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        """Any shape."""
        return leaky_relu(x, slope=self.negative_slope)


class ELU(Module):
    """x where it is positive, alpha (exp(x) - 1) elsewhere."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def forward(self, x):
        """Any shape."""
        return elu(x, alpha=self.alpha)


class GELU(Module):
    """x times the probability that a standard normal is below x, approximately: PyTorch's GELU(approximate="tanh")."""

    def forward(self, x):
        """Any shape."""
        return gelu(x)


class SiLU(Module):
    """x sigmoid(x)."""

    def forward(self, x):
        """Any shape."""
        return silu(x)


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


class Embedding(Module):
    """A vector for each whole number in 0, ..., num_embeddings - 1.  weight: (num_embeddings, embedding_dim), drawn from N(0, 1)."""

    def __init__(self, num_embeddings, embedding_dim, *, rng):
        if num_embeddings < 1 or embedding_dim < 1:
            raise ArgumentError("Embedding: at least one vector of one entry.", got=f"Embedding({num_embeddings}, {embedding_dim})")
        self.weight = Parameter(check_rng(rng).normal((num_embeddings, embedding_dim)))

    def forward(self, x):
        """x: whole numbers (...).  Returns (..., embedding_dim).  Raises ArgumentError for a number outside (on the host; see `ops.indexing`)."""
        numbers, count = raw(x), len(self.weight)
        if isinstance(numbers, np.ndarray) and numbers.size and not 0 <= numbers.min() <= numbers.max() < count:
            outside = f"from {numbers.min()} to {numbers.max()}"
            raise ArgumentError("Embedding: a number has no vector.", expected=f"0 to {count - 1}", got=outside, at=show(caller()))
        return take(self.weight, x, axis=0)


class Dropout(Module):
    """In training, each entry becomes 0 with probability `rate`, the others are divided by 1 - rate; else nothing changes.

    rng: the stream of the noise, held and drawn from in training only.  Srivastava et al. 2014.
    """

    def __init__(self, rate=0.5, *, rng):
        if not 0 <= rate < 1:
            raise ArgumentError("Dropout: the rate is the probability that an entry is dropped.", expected="0 <= rate < 1", got=rate)
        self.rate, self.rng = rate, check_rng(rng)

    def forward(self, x):
        """Any shape."""
        return dropout(x, noise=self.rng.uniform(x.shape), rate=self.rate) if self.training else x


class Flatten(Module):
    """The axes from start_dim to end_dim as one."""

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        """x: (N, ...).  Returns (N, D), with the axes given by default."""
        start, end = axis_of(self.start_dim, x), axis_of(self.end_dim, x) + 1
        return x.reshape((*x.shape[:start], math.prod(x.shape[start:end]), *x.shape[end:]))


class Unflatten(Module):
    """The axis `dim` as axes of the sizes `unflattened_size`."""

    def __init__(self, dim, unflattened_size):
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x):
        """x: (N, D), say.  Returns (N, *unflattened_size) for dim=1.  Raises ShapeError where the sizes do not multiply to D."""
        dim = axis_of(self.dim, x)
        if math.prod(self.unflattened_size) != x.shape[dim]:
            sizes = f"the product of {self.unflattened_size}"
            raise ShapeError(f"Unflatten: axis {dim} has another length.", expected=sizes, got=x.shape, at=show(caller()))
        return x.reshape((*x.shape[:dim], *self.unflattened_size, *x.shape[dim + 1 :]))


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


class Residual(Module):
    """x + f(x): the module f learns what is to be added.  He, Zhang, Ren & Sun 2016, equation 1."""

    def __init__(self, module):
        self.module = module

    def forward(self, x):
        """Any shape that the module keeps."""
        return x + self.module(x)


class Gated(Module):
    """f(x) sigmoid(g(x)): the module g says how much of f passes.  Dauphin, Fan, Auli & Grangier 2017, equation 1."""

    def __init__(self, module, gate):
        self.module, self.gate = module, gate

    def forward(self, x):
        """x: what both modules take.  Returns what each of them gives."""
        return self.module(x) * sigmoid(self.gate(x))


ACTIVATIONS = {
    "relu": ReLU, "tanh": Tanh, "softplus": Softplus, "sigmoid": Sigmoid, "leaky_relu": LeakyReLU, "elu": ELU, "gelu": GELU, "silu": SiLU,
}  # fmt: skip


def activation_named(name):
    """A new activation of this name.  Raises ArgumentError for an unknown one."""
    if name not in ACTIVATIONS:
        raise ArgumentError(f"unknown activation {name!r}.", expected="one of " + ", ".join(ACTIVATIONS))
    return ACTIVATIONS[name]()


def mlp(*widths, activation="relu", rng):
    """Linear layers of these widths with an activation between them (none after the last)."""
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [activation_named(activation), Linear(inputs, outputs, rng=rng)]
    return Sequential(*layers[1:])
