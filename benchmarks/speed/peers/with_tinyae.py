"""tinyae: the model of the library, with the layers of the specification; the loop by hand, as in the README."""

import tinyae as ta
from benchmarks.speed.machine import on_gpu
from benchmarks.speed.networks import BETAS, EPS, LR
from benchmarks.speed.peers.by_hand import ByHand
from tinyae import nn
from tinyae.backend import array_module, to_device


def layer_of(kind, *sizes):
    """A layer of the specification."""
    rng = ta.rng(0)
    make = {
        "linear": lambda i, o: nn.Linear(i, o, rng=rng),
        "conv": lambda *sizes: nn.Conv2d(*sizes, rng=rng),
        "conv_transpose": lambda *sizes: nn.ConvTranspose2d(*sizes, rng=rng),
        "layer_norm": nn.LayerNorm,
        "max_pool": nn.MaxPool2d,
        "upsample": lambda factor: nn.Upsample(scale_factor=factor),
        "reshape": lambda *shape: nn.Unflatten(1, shape),
        "flatten": nn.Flatten,
        "relu": nn.ReLU,
        "tanh": nn.Tanh,
        "softplus": nn.Softplus,
        "gelu": nn.GELU,
    }
    return make[kind](*sizes)


def model_of(network):
    """The model of tinyae.models, its encoder and decoder those of the specification."""
    models, sizes = ta.models, {"latent": network.latent, "hidden": ()}
    if network.kind == "autoencoder":
        model = models.Autoencoder(network.features, **sizes)
    elif network.kind == "iwae":
        model = models.IWAE(network.features, samples=network.samples, **sizes)
    else:
        model = models.BetaVAE(network.features, beta=network.beta, **sizes)
    for part in ("encoder", "decoder"):
        setattr(model, part, nn.Sequential(*(layer_of(*layer) for layer in getattr(network, part))))
    return model


class Peer(ByHand):
    """One training with tinyae."""

    def __init__(self, network, weights, variant=""):
        self.model, self.noisy, self.rng = model_of(network), network.noise_shape is not None, ta.rng(0)
        self.model.load_state_dict(weights)
        if on_gpu():
            ta.use("cupy")
            self.model.to("cupy")
        self.adam = ta.optim.Adam(self.model.parameters(), lr=LR, betas=BETAS, eps=EPS)
        self.replay, self.noise_shape = ta.Replay(self.model) if variant == "replay" else None, network.noise_shape

    def array(self, x):
        """As it is, or a copy on the GPU."""
        return to_device(x)

    def loss(self, x, noise=None):
        """The loss, a Tensor."""
        return self.model.loss(x, **({"noise": noise, "rng": self.rng} if self.noisy else {})).loss

    def step(self, x, noise=None):
        """One step of training, by the engine or played back."""
        if self.replay is None:
            super().step(x, noise)
            return
        noise = self.rng.normal(self.noise_shape) if noise is None and self.noisy else noise
        self.adam.zero_grad()
        self.replay(x, *([noise] if self.noisy else []))
        self.adam.step()

    def wait(self):
        """Nothing is ever under way, but on a GPU."""
        if on_gpu():
            array_module(self.adam.flat.values).cuda.get_current_stream().synchronize()
