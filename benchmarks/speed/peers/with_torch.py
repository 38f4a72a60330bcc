"""PyTorch: modules, and Adam as it comes ("eager"), fused ("fused"), or fused with loss and backward pass compiled ("compiled")."""

import math

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.speed.machine import on_gpu
from benchmarks.speed.networks import BETAS, EPS, LR
from benchmarks.speed.peers.by_hand import ByHand

LAYERS = {
    "linear": nn.Linear,
    "conv": nn.Conv2d,
    "conv_transpose": nn.ConvTranspose2d,
    "layer_norm": nn.LayerNorm,
    "max_pool": nn.MaxPool2d,
    "upsample": lambda factor: nn.Upsample(scale_factor=factor),
    "reshape": lambda *shape: nn.Unflatten(1, shape),
    "flatten": nn.Flatten,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "gelu": lambda: nn.GELU(approximate="tanh"),
}


class Model(nn.Module):
    """The network, whose result is the loss."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.encoder = nn.Sequential(*(LAYERS[kind](*sizes) for kind, *sizes in network.encoder))
        self.decoder = nn.Sequential(*(LAYERS[kind](*sizes) for kind, *sizes in network.decoder))

    def forward(self, x, noise=None):
        """The loss, nats per example.  x: (N, D); noise: see networks.py; None: drawn here."""
        h, network = self.encoder(x), self.network
        if network.kind == "autoencoder":
            return (self.decoder(h) - x).square().sum(dim=-1).mean()
        noise = torch.randn(network.noise_shape, device=x.device) if noise is None else noise
        mean, log_variance = h.chunk(2, dim=-1)
        z = mean + torch.exp(log_variance / 2) * noise
        logits = self.decoder(z)
        cross_entropy = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(dim=-1)
        if network.kind == "vae":
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)
            return (cross_entropy + network.beta * kl).mean()
        log_ratio = 0.5 * (z.square() - noise.square() - log_variance).sum(dim=-1)
        return (math.log(network.samples) - torch.logsumexp(-cross_entropy - log_ratio, dim=0)).mean()


class Peer(ByHand):
    """One training with PyTorch."""

    def __init__(self, network, weights, variant="eager"):
        torch.manual_seed(0)
        self.model = Model(network)
        self.model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
        self.device = "cuda" if on_gpu() else "cpu"
        self.model.to(self.device)
        mode = {"mode": "reduce-overhead"} if on_gpu() else {}
        self.loss = torch.compile(self.model, **mode) if variant == "compiled" else self.model
        fused = {} if variant == "eager" else {"fused": True}
        self.adam = torch.optim.Adam(self.model.parameters(), lr=LR, betas=BETAS, eps=EPS, **fused)

    def array(self, x):
        """A torch.Tensor on the same memory, or a copy on the GPU."""
        return torch.from_numpy(x).to(self.device)

    def wait(self):
        """Nothing is ever under way on a CPU."""
        if on_gpu():
            torch.cuda.synchronize()
