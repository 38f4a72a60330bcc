"""Convolutions, pooling and up-sampling as layers.  Sequences are (N, C, L), images (N, C, H, W); the numbers of a
geometry (kernel_size, stride, ...) may be tuples with one for each axis."""

import math

from tinyae.backend import check_rng
from tinyae.errors import ArgumentError
from tinyae.nn.initialisers import lecun_uniform
from tinyae.nn.module import Module, Parameter
from tinyae.ops.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from tinyae.ops.pooling import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d, upsample_nearest
from tinyae.ops.windows import per_axis


class Convolution(Module):
    """What the four convolutions share: weight (out_channels, in_channels, *kernel), bias (out_channels,) or None, and the geometry.

    initialiser: a function of (rng, shape) from `nn.initialisers`; the bias is uniform within 1 / sqrt(prod(weight.shape[1:])).
    """

    operation, axes, transposed = None, None, False

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, *, rng, bias=True, initialiser=lecun_uniform):
        if in_channels < 1 or out_channels < 1:
            raise ArgumentError(f"{type(self).__name__}: at least one channel goes in and one comes out.", got=f"{in_channels}, {out_channels}")
        self.geometry = {
            "stride": self.sizes("stride", stride),
            "padding": self.sizes("padding", padding, 0),
            "dilation": self.sizes("dilation", dilation),
        }
        channels = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(initialiser(check_rng(rng), (*channels, *self.sizes("kernel_size", kernel_size))))
        bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
        self.bias = Parameter(rng.uniform((out_channels,), -bound, bound)) if bias else None

    def sizes(self, name, value, least=1):
        """A number of the geometry as a tuple with one for each axis.  Raises ArgumentError for what is none."""
        try:
            return per_axis(name, value, self.axes, least)
        except ValueError as error:
            raise ArgumentError(f"{type(self).__name__}: {error}.") from None

    def forward(self, x):
        """x: (N, in_channels, *size).  Returns (N, out_channels, *steps); the steps are counted in `ops.convolution`."""
        return self.operation(x, self.weight, self.bias, **self.geometry)


class Conv1d(Convolution):
    """Convolution of sequences."""

    operation, axes = conv1d, 1


class Conv2d(Convolution):
    """Convolution of images."""

    operation, axes = conv2d, 2


class TransposedConvolution(Convolution):
    """What both transposed convolutions share: weight (in_channels, out_channels, *kernel).

    The result has the size on which the convolution takes as many steps as x has; output_padding, less than stride, says which one.
    """

    transposed = True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, **options):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, **options)
        self.geometry["output_padding"] = self.sizes("output_padding", output_padding, 0)


class ConvTranspose1d(TransposedConvolution):
    """Transposed convolution of sequences."""

    operation, axes = conv_transpose1d, 1


class ConvTranspose2d(TransposedConvolution):
    """Transposed convolution of images."""

    operation, axes = conv_transpose2d, 2


class Pooling(Module):
    """One number for each window of the input; stride None is kernel_size."""

    operation = None

    def __init__(self, kernel_size, stride=None):
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x):
        """x: (N, C, *size).  Returns (N, C, *steps)."""
        return self.operation(x, kernel_size=self.kernel_size, stride=self.stride)


class MaxPool1d(Pooling):
    """The largest entry of each window of a sequence."""

    operation = max_pool1d


class MaxPool2d(Pooling):
    """The largest entry of each window of an image."""

    operation = max_pool2d


class AvgPool1d(Pooling):
    """The mean of each window of a sequence."""

    operation = avg_pool1d


class AvgPool2d(Pooling):
    """The mean of each window of an image."""

    operation = avg_pool2d


class Upsample(Module):
    """Every entry repeated scale_factor times along each spatial axis."""

    def __init__(self, *, scale_factor):
        self.scale_factor = scale_factor

    def forward(self, x):
        """x: (N, C, *size).  Returns (N, C, *(size * scale_factor))."""
        return upsample_nearest(x, scale=self.scale_factor)
