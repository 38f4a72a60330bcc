"""What the models share: terms of a loss, networks, and the checks of what comes in."""

import math
from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor
from tinyae.backend import is_array
from tinyae.distributions import Normal
from tinyae.errors import ArgumentError, DataError, DtypeError, ShapeError, caller, show
from tinyae.nn import Module, Parameter, conv_decoder, conv_encoder, mlp


class Terms(NamedTuple):
    """The named terms of a VAE's loss, Tensors with one entry, in nats per example.

    loss is what is minimised, negative_elbo = reconstruction + kl the bound on -log p(x).
    """

    loss: Tensor
    negative_elbo: Tensor
    reconstruction: Tensor
    kl: Tensor


def code_of(encoded):
    """What stands for an example without noise: the mean of a Normal posterior, a code as it is.  Returns (N, J)."""
    return encoded.mean if isinstance(encoded, Normal) else encoded


class Likelihood:
    """`likelihood(decoded)` is the Distribution p(x | z), with log_prob(x) and nll(x) in nats and a mean in the scale of x.

    decoded: (..., outputs D), first the D numbers of the first kind, then the D of the second, ...; x: (..., D).  Support of x:
    [low, high].  binary: whether x must be 0 or 1 for log_prob to be a log-probability.  coupled: whether log_prob of an example depends on
    the others of the batch, and on other draws.
    """

    low, high, outputs, binary, coupled = -math.inf, math.inf, 1, False, False

    def check_data(self, data):
        """Raise DataError where log_prob of the values of a Dataset would be no log-likelihood: grey values under a Bernoulli."""
        if self.binary and data.binarisation == "grey" and not np.isin(data.pixels, (0, data.scale)).all():
            rule = f"{data.name}: grey values have no likelihood under a {self.name} distribution, only a cross entropy."
            raise DataError(rule, remedy="binarise them (--binarisation dynamic), or use likelihood='continuous-bernoulli'")


def check_sizes(**sizes):
    """Raise ArgumentError unless every named size (or each of a tuple of them) is a whole number, 1 or more."""
    for name, value in sizes.items():
        for size in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
                raise ArgumentError(f"{name}: a size must be a whole number, 1 or more.", got=repr(value))


def as_widths(hidden, name="hidden"):
    """`hidden`, `channels`, ... as a tuple of widths.  Raises ArgumentError for what is no sequence."""
    if not isinstance(hidden, (tuple, list)):
        raise ArgumentError(f"{name}: a sequence of widths is needed.", expected=f"{name}=(64,) or {name}=(512, 256)", got=f"{name}={hidden!r}")
    return tuple(int(width) if isinstance(width, np.integer) else width for width in hidden)


def encoder_and_decoder(features, encoded, latent, decoded, hidden, channels, image_shape, activation, rng):
    """The two networks of a model for rows of `features` numbers: linear layers, with `channels` convolutions before and after them.

    The encoder has `encoded` outputs, the decoder, which takes `latent` numbers, `decoded`: a multiple of `features`.
    Raises ArgumentError where the image shape does not fit, or is missing where there are channels.
    """
    if not channels:
        networks = (features, *hidden, encoded), (latent, *reversed(hidden), decoded)
        return tuple(mlp(*widths, activation=activation, rng=rng) for widths in networks)
    if image_shape is None or math.prod(image_shape) != features:
        raise ArgumentError("image_shape: convolutions need it.", expected=f"(C, height, width) of {features} features", got=image_shape)
    encoder = conv_encoder(image_shape, channels, hidden, encoded, activation=activation, rng=rng)
    shape = (math.prod(image_shape[:-2]) * decoded // features, *image_shape[-2:])
    return encoder, conv_decoder(latent, hidden, channels, shape, activation=activation, rng=rng)


def dtype_of(model):
    """The dtype of a model's weights: that of the first one."""
    return first_parameter(vars(model).values()).dtype


def first_parameter(values):
    """The first Parameter among values, in modules, lists and dicts to any depth; None where there is none.

    That of `named_parameters`, without the names: every loss asks for it.  So models put their configuration behind their networks.
    """
    for value in values:
        if isinstance(value, Parameter):
            return value
        if isinstance(value, Module):
            value = vars(value).values()
        elif isinstance(value, dict):
            value = value.values()
        elif not isinstance(value, (list, tuple)):
            continue
        if (found := first_parameter(value)) is not None:
            return found
    return None


def as_rows(x, features, dtype, low=-math.inf, high=math.inf):
    """The batch x, (N, ...) with `features` entries an example, as (N, features) of the model's dtype.

    Raises ShapeError where the width does not fit, and DataError for NaN, infinities, or values outside [low, high].
    The values are looked at on the host only: on a GPU a look would wait for it, so `fit` checks the data set instead.
    """
    if not isinstance(x, Tensor) and not is_array(x):
        raise DtypeError("a model takes an array (N, features).", got=type(x).__name__, at=show(caller()))
    if x.dtype.kind not in "fiub":
        raise DtypeError("examples are real numbers.", got=f"dtype {x.dtype}", at=show(caller()))
    if x.ndim < 2 or math.prod(x.shape[1:]) != features or not len(x):
        raise ShapeError("the batch does not fit the model.", expected=f"(N, {features})", got=x.shape, at=show(caller()))
    values = x.data if isinstance(x, Tensor) else x
    if isinstance(values, np.ndarray):
        check_values(values, low, high)
    if x.dtype != dtype and not isinstance(x, Tensor):
        x = x.astype(dtype)
    return x if x.ndim == 2 else x.reshape(len(x), features)


def check_values(x, low, high):
    """Raise DataError unless every entry of the NumPy array x is finite and within [low, high]."""
    smallest, largest = float(x.min()), float(x.max())
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        raise DataError("the examples hold NaN or infinite values.", at=show(caller()), remedy="clean the data first")
    if smallest < low or largest > high:
        raise DataError(
            "examples outside the support of the likelihood.",
            expected=f"values in [{low:g}, {high:g}]",
            got=f"values from {smallest:g} to {largest:g}",
            at=show(caller()),
            remedy="scale them to [0, 1], or use likelihood='gaussian' (--likelihood gaussian)",
        )
