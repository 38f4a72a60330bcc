"""The networks that are measured, as data.  Every framework builds the same ones, with the same weights and the same loss.

A layer is a tuple, its kind and its sizes:

    ("linear", in, out)   ("conv", in, out, kernel, stride, padding)   ("conv_transpose", in, out, kernel, stride, padding)
    ("layer_norm", width)   ("max_pool", size)   ("upsample", factor)   ("reshape", *shape of an example)   ("flatten",)
    ("relu",)   ("tanh",)   ("softplus",)   ("gelu",), the approximation with tanh

The loss is a sum over features, a mean over the batch, in nats: for an autoencoder the squared error; for a VAE
-log p(x | z) + beta KL(q || N(0, I)) with one draw z; for an IWAE the bound of `samples` draws.  Adam with a learning rate of 0.001.
"""

import dataclasses
import itertools
import math

import numpy as np

LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8


@dataclasses.dataclass(frozen=True)
class Network:
    """One network to be trained.

    kind: "vae", "iwae" or "autoencoder".  features: D of an example.  latent: J of the code; the encoder of the first two gives 2 J numbers,
    mean and log-variance.  batch: N.  likelihood: "bernoulli" (the decoder gives logits) or "gaussian" (the squared error; autoencoders only).
    like: the listed network after which one nobody tuned for is judged.
    """

    title: str
    kind: str
    features: int
    latent: int
    batch: int
    encoder: tuple
    decoder: tuple
    likelihood: str = "bernoulli"
    beta: float = 1.0
    samples: int = 1
    like: str = ""

    @property
    def noise_shape(self):
        """Of the draws from N(0, 1) that a step needs: (N, J), (K, N, J), or None."""
        if self.kind == "autoencoder":
            return None
        return ((self.samples,) if self.kind == "iwae" else ()) + (self.batch, self.latent)

    @property
    def layer_kinds(self):
        """The kinds of layers in it, a set."""
        return {kind for kind, *_ in self.encoder + self.decoder}


def dense(*widths, activation="relu", norm=False):
    """Linear layers of these widths, between them an activation (none after the last), before it a layer norm if asked for."""
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [("linear", inputs, outputs), *([("layer_norm", outputs)] if norm else []), (activation,)]
    return tuple(layers[: -2 if norm else -1])


RELU, IMAGE = ("relu",), ("reshape", 1, 28, 28)
CONV_ENCODER = (IMAGE, ("conv", 1, 32, 4, 2, 1), RELU, ("conv", 32, 64, 4, 2, 1), RELU, ("flatten",), *dense(3136, 256, 40))
CONV_DECODER = (*dense(20, 256, 3136), ("reshape", 64, 7, 7), RELU, ("conv_transpose", 64, 32, 4, 2, 1), RELU)
CONV_DECODER += (("conv_transpose", 32, 1, 4, 2, 1), ("flatten",))
POOLED_ENCODER = (IMAGE, ("conv", 1, 16, 3, 1, 1), RELU, ("max_pool", 2), ("conv", 16, 32, 3, 1, 1), RELU, ("max_pool", 2), ("flatten",))
POOLED_ENCODER += dense(1568, 64)
POOLED_DECODER = (*dense(64, 1568), ("reshape", 32, 7, 7), RELU, ("upsample", 2), ("conv", 32, 16, 3, 1, 1), RELU)
POOLED_DECODER += (("upsample", 2), ("conv", 16, 1, 3, 1, 1), ("flatten",))

NETWORKS = {
    "dense": Network("dense VAE, 784-400-20-400-784", "vae", 784, 20, 128, dense(784, 400, 40), dense(20, 400, 784)),
    "conv": Network("convolutional VAE, 32 and 64 channels, 4x4, stride 2", "vae", 784, 20, 128, CONV_ENCODER, CONV_DECODER),
    "small": Network("small VAE, 64-64-2-64-64", "vae", 64, 2, 64, dense(64, 64, 4), dense(2, 64, 64)),
    "iwae": Network(
        "IWAE, 784-200-200-50, tanh, 50 draws", "iwae", 784, 50, 20,
        dense(784, 200, 200, 100, activation="tanh"), dense(50, 200, 200, 784, activation="tanh"), samples=50,
    ),
    "deep": Network(
        "autoencoder, 784-500-250-100-30 and back, tanh and softplus", "autoencoder", 784, 30, 100,
        dense(784, 500, 250, 100, 30, activation="tanh"), dense(30, 100, 250, 500, 784, activation="softplus"), "gaussian", like="dense",
    ),
    "normed": Network(
        "beta-VAE, 441-311-173-13 and back, layer norm, GELU", "vae", 441, 13, 96,
        dense(441, 311, 173, 26, activation="gelu", norm=True), dense(13, 173, 311, 441, activation="gelu", norm=True), beta=4.0, like="dense",
    ),
    "pooled": Network(
        "convolutional autoencoder, 3x3, max-pooling and up-sampling", "autoencoder", 784, 64, 32,
        POOLED_ENCODER, POOLED_DECODER, "gaussian", like="conv",
    ),
}  # fmt: skip


def parameters_of(layer):
    """(name, shape, how many inputs an output has) of each parameter of a layer; shapes as in PyTorch."""
    kind, *sizes = layer
    if kind == "linear":
        inputs, outputs = sizes
        return [("weight", (outputs, inputs), inputs), ("bias", (outputs,), inputs)]
    if kind in ("conv", "conv_transpose"):
        inputs, outputs, k, *_ = sizes
        channels = (outputs, inputs) if kind == "conv" else (inputs, outputs)
        return [("weight", (*channels, k, k), inputs * k * k), ("bias", (outputs,), inputs * k * k)]
    return [("weight", (sizes[0],), 1), ("bias", (sizes[0],), 1)] if kind == "layer_norm" else []


def weights_of(network, seed=0):
    """name -> float32 array: "encoder.0.weight" and so on, uniform within 1 / sqrt(inputs); a layer norm's begin near 1 and 0."""
    rng, weights = np.random.default_rng(seed), {}
    for part in ("encoder", "decoder"):
        for i, layer in enumerate(getattr(network, part)):
            for name, shape, inputs in parameters_of(layer):
                draw = (2 * rng.random(shape, np.float32) - 1) / np.float32(math.sqrt(inputs))
                if layer[0] == "layer_norm":
                    draw = draw / 10 + (name == "weight")
                weights[f"{part}.{i}.{name}"] = draw.astype(np.float32)
    return weights


def batches_of(network, count, seed=1):
    """`count` batches (N, D) float32: binary for a Bernoulli likelihood, a fifth of them ones; else uniform on [0, 1)."""
    draw = np.random.default_rng(seed).random((count, network.batch, network.features), np.float32)
    return list((draw < 0.2).astype(np.float32) if network.likelihood == "bernoulli" else draw)


def noise_of(network, count, seed=2):
    """`count` arrays of noise, or None for networks that need none."""
    rng, shape = np.random.default_rng(seed), network.noise_shape
    return [None if shape is None else rng.standard_normal(shape, np.float32) for _ in range(count)]
