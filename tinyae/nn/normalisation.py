"""Layers that shift and scale their input to mean 0 and variance 1, then by weight and bias.  They differ in what the mean is over."""

import math

import numpy as np

from tinyae.autograd import raw
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.nn.module import Buffer, Module, Parameter
from tinyae.ops.exponential import sqrt
from tinyae.ops.normalisation import batch_norm, by_channel, layer_norm


class Normalisation(Module):
    """weight (ones) and bias (zeros) of `shape`."""

    def __init__(self, shape, eps):
        self.weight, self.bias = Parameter(np.ones(shape, np.float32)), Parameter(np.zeros(shape, np.float32))
        self.eps = eps


class BatchNorm(Normalisation):
    """Each channel to mean 0 and variance 1: over the batch in training, by the running statistics in evaluation.

    running_mean <- (1 - momentum) running_mean + momentum mean, and running_var in the same way with the unbiased variance;
    momentum None: the mean over all batches so far.  num_batches_tracked: how many.  Ioffe & Szegedy 2015, algorithms 1 and 2.
    """

    shapes, ndims = None, ()

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__((num_features,), eps)
        self.momentum = momentum
        self.running_mean, self.running_var = Buffer(np.zeros(num_features, np.float32)), Buffer(np.ones(num_features, np.float32))
        self.num_batches_tracked = Buffer(np.array(0, np.int64))

    def forward(self, x):
        """x, and the result: (N, num_features), or with axes of space after it.  Raises ShapeError for another shape."""
        if x.ndim not in self.ndims or x.shape[1:2] != self.weight.shape:
            expected = self.shapes.format(*self.weight.shape)
            raise ShapeError(f"{type(self).__name__}: x has another shape.", expected=expected, got=x.shape, at=show(caller()))
        if self.training:
            y = batch_norm(x, self.weight, self.bias, eps=self.eps)
            self.track(raw(x))
            return y
        scale = self.weight / sqrt(self.running_var + self.eps)
        return (x - by_channel(self.running_mean, x)) * by_channel(scale, x) + by_channel(self.bias, x)

    def track(self, x):
        """Move the running statistics towards those of the array x, without a graph."""
        count, axes = self.num_batches_tracked.data + 1, (0, *range(2, x.ndim))
        rate = 1 / count if self.momentum is None else self.momentum
        self.num_batches_tracked.assign(count)
        for running, now in ((self.running_mean, x.mean(axis=axes)), (self.running_var, x.var(axis=axes, ddof=1))):
            running.assign(running.data + rate * (now - running.data))


class BatchNorm1d(BatchNorm):
    """Batch normalisation of rows or sequences."""

    shapes, ndims = "(N, {0}) or (N, {0}, L)", (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalisation of images."""

    shapes, ndims = "(N, {0}, H, W)", (4,)


class LayerNorm(Normalisation):
    """Each example to mean 0 and variance 1 over its last axes, `normalized_shape`.  Ba, Kiros & Hinton 2016."""

    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__(normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,), eps)

    def forward(self, x):
        """x, and the result: (..., *normalized_shape).  Raises ShapeError for another shape."""
        shape = self.weight.shape
        if x.shape[-len(shape) :] != shape:
            raise ShapeError("LayerNorm: x has another shape.", expected=f"last axes {shape}", got=x.shape, at=show(caller()))
        if len(shape) == 1:
            return layer_norm(x, self.weight, self.bias, eps=self.eps)
        rows = x.reshape((*x.shape[: -len(shape)], math.prod(shape)))
        return layer_norm(rows, self.weight.reshape(-1), self.bias.reshape(-1), eps=self.eps).reshape(x.shape)


class GroupNorm(Normalisation):
    """Each group of neighbouring channels of an example to mean 0 and variance 1, over channels and space.  Wu & He 2018."""

    def __init__(self, num_groups, num_channels, eps=1e-5):
        if num_groups < 1 or num_channels % num_groups:
            raise ArgumentError("GroupNorm: the groups have as many channels each.", got=f"{num_channels} channels in {num_groups} groups")
        super().__init__((num_channels,), eps)
        self.num_groups = num_groups

    def forward(self, x):
        """x, and the result: (N, num_channels, ...).  Raises ShapeError for another shape."""
        if x.shape[1:2] != self.weight.shape:
            expected = f"(N, {len(self.weight)}, ...)"
            raise ShapeError("GroupNorm: x has another shape.", expected=expected, got=x.shape, at=show(caller()))
        groups = x.reshape((x.shape[0], self.num_groups, math.prod(x.shape[1:]) // self.num_groups))
        return layer_norm(groups, eps=self.eps).reshape(x.shape) * by_channel(self.weight, x) + by_channel(self.bias, x)
