"""tinygrad on the processor: loss, backward pass and Adam in one TinyJit, noise included."""

import math

from tinygrad import Device, Tensor, TinyJit
from tinygrad.nn.optim import Adam

from benchmarks.speed.networks import BETAS, EPS, LR
from benchmarks.speed.plain import Functions


class TinygradFunctions(Functions):
    """tinygrad's own functions, which are methods of its tensors."""

    def __init__(self):
        super().__init__(None)

    def linear(self, x, weight, bias, *_):
        """x: (..., in); weight: (out, in)."""
        return x.linear(weight.T, bias)

    def layer_norm(self, x, weight, bias, *_):
        """Each row to mean 0 and variance 1."""
        return x.layernorm(eps=1e-5) * weight + bias

    def conv(self, x, weight, bias, inputs, outputs, kernel, stride, padding):
        """x: (N, in, H, W); weight: (out, in, k, k)."""
        return x.conv2d(weight, bias, stride=stride, padding=padding)

    def conv_transpose(self, x, weight, bias, inputs, outputs, kernel, stride, padding):
        """x: (N, in, H, W); weight: (in, out, k, k)."""
        return x.conv_transpose2d(weight, bias, stride=stride, padding=padding)

    def max_pool(self, x, size):
        """The largest entry of each square."""
        return x.max_pool2d((size, size))

    def upsample(self, x, factor):
        """Every entry factor x factor times."""
        return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)

    def relu(self, x):
        """max(x, 0)."""
        return x.relu()

    def tanh(self, x):
        """The hyperbolic tangent."""
        return x.tanh()

    def softplus(self, x):
        """log(1 + exp(x))."""
        return x.softplus()

    def gelu(self, x):
        """With tanh."""
        return x.gelu()

    def loss(self, network, weights, x, noise):
        """The same as in plain words; tinygrad has methods where NumPy has functions."""
        h = self.run(network.encoder, "encoder", weights, x)
        if network.kind == "autoencoder":
            return (self.run(network.decoder, "decoder", weights, h) - x).square().sum(-1).mean()
        mean, log_variance = h[:, : network.latent], h[:, network.latent :]
        z = mean + (log_variance / 2).exp() * noise
        logits = self.run(network.decoder, "decoder", weights, z)
        cross_entropy = (logits.softplus() - x * logits).sum(-1)
        if network.kind == "vae":
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
            return (cross_entropy + network.beta * kl).mean()
        log_ratio = 0.5 * (z.square() - noise.square() - log_variance).sum(-1)
        return (math.log(network.samples) - (-cross_entropy - log_ratio).logsumexp(0)).mean()


class Peer:
    """One training with tinygrad."""

    def __init__(self, network, weights, variant=""):
        Tensor.manual_seed(0)
        self.network, self.functions = network, TinygradFunctions()
        self.weights = {name: Tensor(w).contiguous().realize() for name, w in weights.items()}
        for w in self.weights.values():
            w.requires_grad = True
        self.adam = Adam(list(self.weights.values()), lr=LR, b1=BETAS[0], b2=BETAS[1], eps=EPS)
        self.given_step, self.own_step = TinyJit(self.one_step), TinyJit(self.one_step)

    def array(self, x):
        """A realised Tensor."""
        return Tensor(x).realize()

    def one_step(self, x, noise=None):
        """What is compiled."""
        shape = self.network.noise_shape
        noise = Tensor.randn(*shape) if noise is None and shape else noise
        loss = self.functions.loss(self.network, self.weights, x, noise)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss.realize()

    def loss_at(self, x, noise):
        """The loss, a number."""
        return self.functions.loss(self.network, self.weights, x, noise).item()

    def step(self, x, noise=None):
        """One step of training."""
        self.last = self.own_step(x) if noise is None else self.given_step(x, noise)

    def wait(self):
        """Until the last step is done."""
        Device[Device.DEFAULT].synchronize()
