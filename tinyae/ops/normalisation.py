"""Normalisation: numbers shifted and scaled to mean 0 and variance 1, then by weight and bias to what the network prefers."""

from tinyae.autograd import primitive
from tinyae.errors import ShapeError, caller, show
from tinyae.ops.exponential import sqrt
from tinyae.ops.reductions import mean
from tinyae.ops.shapes import reshape


def row_mean(x):
    """The mean over the last axis, kept as an axis of length 1."""
    return x.mean(axis=-1, keepdims=True)


def channel_mean(x):
    """The mean over all axes but 1, each kept as an axis of length 1."""
    return x.mean(axis=(0, *range(2, x.ndim)), keepdims=True)


def channel_sum(x):
    """The sum over all axes but 1.  Returns (C,)."""
    return x.sum(axis=(0, *range(2, x.ndim)))


def by_channel(v, x):
    """v (C,) as (C, 1, ...), which broadcasts along axis 1 of x."""
    return v.reshape((-1,) + (1,) * (x.ndim - 2))


def standardise(x, average, eps):
    """(n, scale): n = (x - mean) scale with scale = 1 / sqrt(variance + eps), both over what `average` averages."""
    centred = x - average(x)
    centred = centred - average(centred)  # again: in float32 the mean of large numbers comes rounded
    scale = 1 / sqrt(average(centred * centred) + eps)
    return centred * scale, scale


def standardised(x, average, eps):
    """(x - mean) / sqrt(variance + eps), both over what `average` averages: mean 0 and variance 1, the first result of `standardise`."""
    return standardise(x, average, eps)[0]


def standardise_vjp(gn, n, scale, average):
    """The cotangent of x from that of n, where n, scale = standardise(x, average, eps) (Ioffe & Szegedy 2015, section 3).

    1. With m the mean, v the variance over D numbers: n_i = (x_i - m) s, s = (v + eps)^(-1/2).
    2. dm/dx_i = 1 / D;  dv/dx_i = 2 (x_i - m) / D (what m contributes sums to 0);  ds/dx_i = -s^3 (x_i - m) / D = -s^2 n_i / D.
    3. x_i reaches the loss directly, through m and through s, and sum_j gn_j (x_j - m) = sum_j gn_j n_j / s.  So
       gx_i = s gn_i - s mean(gn) - s n_i mean(gn n): gn without what a shift and a stretch of x would do, for n does not see these.
    """
    return scale * (gn - average(gn) - n * average(gn * n))


@primitive(shapes="(d),(d),(d)->(d)", formula="weight * (x - row_mean(x)) / sqrt(row_mean((x - row_mean(x)) ** 2) + eps) + bias")
def layer_norm(x, weight=1.0, bias=0.0, *, eps=1e-5):
    """Each row to mean 0 and variance 1, times weight, plus bias.  A row of equal numbers becomes the bias.

    x: (..., D).  weight, bias: (D,), or left out.  Returns (..., D).  The derivation: `standardise_vjp`.  Ba et al. 2016, equation 4.
    """
    return standardised(x, row_mean, eps) * weight + bias


@layer_norm.vjp(
    "x",
    "weight",
    formula="(1 / sqrt(row_mean((x - row_mean(x)) ** 2) + eps)"
    " * (gy * weight - row_mean(gy * weight) - standardised(x, row_mean, eps) * row_mean(gy * weight * standardised(x, row_mean, eps))),"
    " gy * standardised(x, row_mean, eps))",
)
def _(gy, x, weight, eps):
    n, scale = standardise(x, row_mean, eps)
    return standardise_vjp(gy * weight, n, scale, row_mean), gy * n


@layer_norm.vjp("bias")
def _(gy):
    return gy


@layer_norm.twin
def _(x, weight=1.0, bias=0.0, *, eps=1e-5):
    m = mean(x, axis=-1, keepdims=True)
    variance = mean(x * x, axis=-1, keepdims=True) - m * m
    return weight * (x - m) / sqrt(variance + eps) + bias


@primitive(
    shapes="(n,c,h?,w?),(c),(c)->(n,c,h?,w?)",
    formula="by_channel(weight, x) * (x - channel_mean(x)) / sqrt(channel_mean((x - channel_mean(x)) ** 2) + eps) + by_channel(bias, x)",
)
def batch_norm(x, weight, bias, *, eps=1e-5):
    """Each channel to mean 0 and variance 1 over the batch, times weight, plus bias: the form used in training.

    The variance is the biased one (the sum divided by the count).  A channel of equal numbers becomes its bias.  In evaluation a
    layer uses running statistics instead, which is an affine map.  The derivation: `standardise_vjp`.
    x: (N, C) or (N, C, ...).  weight, bias: (C,).  Returns the shape of x.  Raises ShapeError where a channel has one number only,
    which has no variance.  Ioffe & Szegedy 2015, algorithm 1.
    """
    check_channels(x, weight, bias)
    return standardised(x, channel_mean, eps) * by_channel(weight, x) + by_channel(bias, x)


def check_channels(x, weight, bias):
    """Raise where x has no channels, fewer than two numbers in one, or not as many channels as weight and bias have entries."""
    channels = x.shape[1:2]
    if not channels or any(getattr(v, "shape", None) != channels for v in (weight, bias)):
        raise ValueError("weight and bias must have one entry for each channel, axis 1 of x")
    if x.size < 2 * x.shape[1]:
        raise ShapeError(
            "batch_norm: one number has no variance, so a channel needs two or more.",
            expected="x (N, C) or (N, C, ...) with N > 1 or further axes",
            got=f"x {x.shape}",
            at=show(caller()),
            remedy="a larger batch; running statistics, in evaluation; or layer_norm, which needs one example only",
        )


@batch_norm.vjp(
    "x",
    "weight",
    formula="(1 / sqrt(channel_mean((x - channel_mean(x)) ** 2) + eps)"
    " * (gy * by_channel(weight, x) - channel_mean(gy * by_channel(weight, x)) - standardised(x, channel_mean, eps)"
    " * channel_mean(gy * by_channel(weight, x) * standardised(x, channel_mean, eps))), channel_sum(gy * standardised(x, channel_mean, eps)))",
)
def _(gy, x, weight, eps):
    n, scale = standardise(x, channel_mean, eps)
    return standardise_vjp(gy * by_channel(weight, x), n, scale, channel_mean), channel_sum(gy * n)


@batch_norm.vjp("bias")
def _(gy):
    return channel_sum(gy)


@batch_norm.twin
def _(x, weight, bias, *, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    one_each = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    m = mean(x, axis=axes, keepdims=True)
    variance = mean(x * x, axis=axes, keepdims=True) - m * m
    return reshape(weight, shape=one_each) * (x - m) / sqrt(variance + eps) + reshape(bias, shape=one_each)
