"""The autoencoder: a code, and the image that is made from it.  Hinton & Salakhutdinov 2006."""

import math
from typing import NamedTuple

from tinyae.autograd import Tensor, no_grad
from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError
from tinyae.models.about import About
from tinyae.models.parts import as_rows, as_widths, check_sizes, dtype_of, encoder_and_decoder
from tinyae.nn import Module
from tinyae.ops.arithmetic import square


class AutoencoderTerms(NamedTuple):
    """loss: the squared error, summed over features, mean over the batch.  mse: the same per feature."""

    loss: Tensor
    mse: Tensor


class PenalisedTerms(NamedTuple):
    """loss = reconstruction + weight * penalty.  reconstruction: the squared error, summed over features, mean over the batch.

    penalty: mean over the batch, without its weight.  mse: the squared error per feature.
    """

    loss: Tensor
    reconstruction: Tensor
    penalty: Tensor
    mse: Tensor


def check_not_negative(**settings):
    """Raise ArgumentError unless every named setting is a finite number, 0 or more."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value >= 0 and math.isfinite(value)):
            raise ArgumentError(f"{name}: it must be a number, 0 or more.", got=repr(value))


class Autoencoder(Module):
    """decode(encode(x)), trained to give x back.

    features: width D of an example.  latent: width J of the code.  hidden: widths of the encoder's layers; the decoder
    has them in reverse.  channels: of convolutions before the hidden layers, for images of `image_shape`.  rng: a stream
    for the initial weights.  Without hidden layers it is PCA (benchmarks/linear_autoencoder.md).

    Measured (benchmarks/family.md): test squared error per pixel with two numbers a code 0.03635 against 0.052 of PCA: better.
    """

    likelihood = None
    about = About(
        title="Autoencoder",
        objective="|x - decode(encode(x))|^2",
        paper="Rumelhart, Hinton & Williams 1986; Hinton & Salakhutdinov 2006",
        good_for="a short code of the data, without labels; linear (no hidden layer), it is PCA",
        drawing="autoencoder",
    )

    def __init__(self, features, latent=2, hidden=(64,), activation="relu", channels=(), image_shape=None, *, rng=None):
        hidden, channels = as_widths(hidden), as_widths(channels, "channels")
        check_sizes(features=features, latent=latent, hidden=hidden, channels=channels)
        rng = make_rng(0) if rng is None else rng
        self.features, self.latent = features, latent
        self.encoder, self.decoder = encoder_and_decoder(features, latent, latent, features, hidden, channels, image_shape, activation, rng)
        self.config = {"model": "autoencoder", "features": int(features), "latent": int(latent), "hidden": hidden, "activation": activation}
        self.config |= {"channels": channels, "image_shape": image_shape}

    def rows(self, x):
        """x, (N, ...), as (N, D) of the weights' dtype."""
        return as_rows(x, self.features, dtype_of(self))

    def code(self, h):
        """The code that the encoder's output h stands for, here h itself; a variant may bend it.  h and the result: (N, J)."""
        return h

    def encode(self, x):
        """The code of x.  x: (N, D).  Returns (N, J)."""
        return self.code(self.encoder(self.rows(x)))

    def decode(self, z):
        """The images of codes.  z: (N, J).  Returns (N, D)."""
        return self.decoder(z)

    def error(self, x, z):
        """The squared error of the images of codes z, summed over features, mean over the batch.  x: (N, D).  z: (N, J)."""
        return square(self.decode(z) - x).sum(axis=-1).mean()

    def loss(self, x):
        """The squared error of the reconstruction, as AutoencoderTerms.  x: (N, D)."""
        x = self.rows(x)
        error = self.error(x, self.encode(x))
        return AutoencoderTerms(loss=error, mse=error / self.features)

    def reconstruct(self, x):
        """decode(encode(x)) as an array of x's shape."""
        with no_grad():
            return self.decode(self.encode(x)).data.reshape(x.shape)
