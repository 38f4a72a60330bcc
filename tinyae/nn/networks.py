"""Convolutional encoders and decoders of images that come and go as rows."""

import itertools
import math

from tinyae.errors import ArgumentError
from tinyae.nn.convolution import Conv2d, ConvTranspose2d
from tinyae.nn.layers import Flatten, Sequential, Unflatten, activation_named, mlp


def conv_encoder(image_shape, channels, hidden, outputs, *, activation="relu", rng):
    """Rows (N, D) of images to (N, outputs): convolutions that halve the image, then an `mlp`.

    image_shape: (height, width) or (C, height, width), D its product.  channels: of the convolutions, 4x4 with stride 2 and
    padding 1.  hidden: widths of the layers between the last convolution and the outputs.
    """
    shapes = stages(image_shape, channels)
    layers = [Unflatten(1, shapes[0])]
    for large, small in itertools.pairwise(shapes):
        layers += [Conv2d(large[0], small[0], 4, stride=2, padding=1, rng=rng), activation_named(activation)]
    return Sequential(*layers, Flatten(), *mlp(math.prod(shapes[-1]), *hidden, outputs, activation=activation, rng=rng))


def conv_decoder(latent, hidden, channels, image_shape, *, activation="relu", rng):
    """Codes (..., latent) to rows (..., D) of images: the mirror of `conv_encoder`, with `hidden` and `channels` as listed there.

    A size that is halved with a rest, 7 to 3, is given back by output_padding.
    """
    shapes = stages(image_shape, channels)[::-1]
    layers = [*mlp(latent, *reversed(hidden), math.prod(shapes[0]), activation=activation, rng=rng), Unflatten(1, shapes[0])]
    for small, large in itertools.pairwise(shapes):
        rest = tuple(size % 2 for size in large[1:])
        layers += [activation_named(activation), ConvTranspose2d(small[0], large[0], 4, 2, 1, output_padding=rest, rng=rng)]
    return OfRows(*layers, Flatten())


class OfRows(Sequential):
    """A chain whose layers know one axis of examples, for rows with any axes before them, as of several draws of a code: (..., K) to (..., D)."""

    def forward(self, x):
        """x: (..., K).  Returns (..., D)."""
        if x.ndim == 2:
            return super().forward(x)
        y = super().forward(x.reshape((math.prod(x.shape[:-1]), x.shape[-1])))
        return y.reshape((*x.shape[:-1], y.shape[-1]))


def stages(image_shape, channels):
    """The shapes (C, height, width) of an image and of what each convolution makes of it, half as high and wide, rounded down."""
    found = [(1, *image_shape) if len(image_shape) == 2 else tuple(image_shape)]
    for count in channels:
        found.append((count, *(size // 2 for size in found[-1][1:])))
    if len(found[0]) != 3 or min(map(min, found)) < 1:
        rule = "the image shape or the channels do not fit: each convolution halves the image."
        raise ArgumentError(rule, expected="(height, width) or (C, height, width), large enough", got=f"{image_shape} with channels {channels}")
    return found
