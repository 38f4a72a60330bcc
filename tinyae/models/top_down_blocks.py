"""The parts of a top-down VAE of images: the string that lists its layers, and the convolutional blocks that these are made of."""

import itertools
import math
import re
from typing import NamedTuple

from tinyae.errors import ArgumentError
from tinyae.nn import Conv2d, ConvTranspose2d, Module, Sequential
from tinyae.nn.initialisers import he_uniform
from tinyae.nn.layers import activation_named
from tinyae.ops.joining import concatenate


class Stage(NamedTuple):
    """`blocks` stochastic layers on maps of size x size: of `channels` channels, of which each layer draws `latent` channels of z."""

    size: int
    blocks: int
    channels: int
    latent: int


def stages_of(layers, image_size):
    """The Stages that a string lists, the top first.  Raises ArgumentError for a bad string, or one that does not fit the image.

    layers: stages SIZExBLOCKS:CHANNELS:LATENT from the top down, with commas between them: "1x4:64:4,4x4:32:2,7x4:16:1" are four
    stochastic layers on maps of 1x1 with 64 channels and z of 4, then four on 4x4 and four on 7x7.  The sizes rise; each is what is left of
    the image when it is halved (rounded up) some times, 28, 14, 7, 4, 2, 1, and 1 may follow any of them.
    """
    parts = [re.fullmatch(r"(\d+)x(\d+):(\d+):(\d+)", part.strip()) for part in str(layers).split(",")]
    if not all(parts):
        wrong = str(layers).split(",")[parts.index(None)].strip()
        expected = "SIZExBLOCKS:CHANNELS:LATENT, as in 1x4:64:4,4x4:32:2"
        raise ArgumentError("layers: a stage cannot be read.", expected=expected, got=repr(wrong))
    stages = [Stage(*map(int, part.groups())) for part in parts]
    if min(map(min, stages)) < 1:
        raise ArgumentError("layers: sizes, blocks, channels and latent are 1 or more.", got=repr(layers))
    if any(above.size >= below.size for above, below in itertools.pairwise(stages)):
        raise ArgumentError("layers: the sizes rise from the top down.", expected="as in 1x4:64:4,4x4:32:2", got=repr(layers))
    known = halvings(image_size)
    if wrong := [stage.size for stage in stages if stage.size not in known]:
        sizes = ", ".join(map(str, known[::-1]))
        raise ArgumentError(f"layers: images of {image_size}x{image_size} have no maps of {wrong[0]}x{wrong[0]}.", expected=f"sizes of {sizes}")
    return stages


def halvings(size):
    """size, half of it rounded up, and so on, to 1."""
    return [size] + (halvings((size + 1) // 2) if size > 1 else [])


def between(large, small):
    """The (larger, smaller) sizes of the steps from `large` to `small`: halvings, but to 1 in one step."""
    sizes = [large, 1] if small == 1 < large else [size for size in halvings(large) if size >= small]
    return list(itertools.pairwise(sizes))


def geometry(large, small):
    """Kernel, stride and padding of the convolution from maps of one size to the next smaller one."""
    return (large, 1, 0) if small == 1 else (3 if large % 2 else 4, 2, 1)


def convolution(inputs, outputs, kernel=1, stride=1, padding=0, *, rng, scale=1.0):
    """A Conv2d that keeps the size of what an activation lets through, times `scale` at first (He, Zhang, Ren & Sun 2015); its bias is 0."""
    return prepared(Conv2d(inputs, outputs, kernel, stride, padding, rng=rng, initialiser=he_uniform), scale)


def transposed_convolution(inputs, outputs, kernel, stride, padding, *, rng):
    """A ConvTranspose2d that does the same: each of its outputs is a sum over inputs kernel^2 / stride^2 numbers."""
    layer = ConvTranspose2d(inputs, outputs, kernel, stride, padding, rng=rng, initialiser=he_uniform)
    return prepared(layer, stride / kernel * math.sqrt(math.prod(layer.weight.shape[1:]) / inputs))


def prepared(layer, scale):
    """The layer with its weights times `scale`, and a bias of 0."""
    layer.weight.assign(layer.weight.data * scale)
    layer.bias.assign(layer.bias.data * 0)
    return layer


def shrink(source, target, activation, rng):
    """Convolutions from maps (channels, size) to smaller ones, with activations between; maps in between have half of target's channels."""
    (channels, large), (wanted, small) = source, target
    layers = []
    for one, smaller in between(large, small):
        outputs = wanted if smaller == small else (wanted + 1) // 2
        layers += [activation_named(activation)] if layers else []
        layers += [convolution(channels, outputs, *geometry(one, smaller), rng=rng)]
        channels = outputs
    return Sequential(*(layers or [convolution(channels, wanted, rng=rng)]))


def grow(source, target, activation, rng):
    """The mirror: activations and transposed convolutions from maps (channels, size) to larger ones; half of source's channels in between."""
    (channels, small), (wanted, large) = source, target
    layers, half = [], (channels + 1) // 2
    for larger, one in reversed(between(large, small)):
        outputs = wanted if larger == large else half
        layers += [activation_named(activation), transposed_convolution(channels, outputs, *geometry(larger, one), rng=rng)]
        channels = outputs
    return Sequential(*(layers or [activation_named(activation), convolution(channels, wanted, rng=rng)]))


class Bottleneck(Module):
    """Activation and convolution, three times: 1x1 to half the channels, 3x3 (1x1 on the smallest maps), and 1x1 to `outputs`.

    scale: of the last weights at first.  He, Zhang, Ren & Sun 2016, figure 5, with the activation before the convolution.
    """

    def __init__(self, inputs, outputs, size, activation, rng, scale=1.0):
        half, kernel = (inputs + 1) // 2, 3 if size > 2 else 1
        self.activation = activation_named(activation)
        self.squeeze, self.mix = convolution(inputs, half, rng=rng), convolution(half, half, kernel, padding=kernel // 2, rng=rng)
        self.expand = convolution(half, outputs, rng=rng, scale=scale)

    def forward(self, x):
        """x: (N, inputs, size, size).  Returns (N, outputs, size, size)."""
        for layer in (self.squeeze, self.mix, self.expand):
            x = layer(self.activation(x))
        return x


class TopDownBlock(Module):
    """One stochastic layer: the prior of z from the state h, what the posterior changes of it from h and the encoder's map e, the next state.

        prior           mean, log-variance = c(h), zero at first, so N(0, I)
        posterior       their changes      = f([h, e])
        next state      h' + g(h')   with   h' = h + w(z)

    c and w are 1x1 convolutions, f and g Bottlenecks.  scale: of w and of the last weights of f and g at first.  top: z has the prior N(0, I).
    """

    def __init__(self, stage, activation, rng, scale, top=False):
        size, _, channels, latent = stage
        self.prior = None if top else Sequential(activation_named(activation), convolution(channels, 2 * latent, rng=rng, scale=0.0))
        self.posterior = Bottleneck(2 * channels, 2 * latent, size, activation, rng, scale)
        self.insert = convolution(latent, channels, rng=rng, scale=scale)
        self.residual = Bottleneck(channels, channels, size, activation, rng, scale)

    def change(self, h, seen):
        """What the posterior adds to the prior's mean and log-variance: (N, 2 latent, size, size).  h, seen: (N, channels, size, size)."""
        return self.posterior(concatenate([h, seen], axis=1))

    def forward(self, h, z):
        """The next state.  h: (N, channels, size, size), or (1, ...) for all.  z: (N, latent, size, size)."""
        h = h + self.insert(z)
        return h + self.residual(h)
