"""The loss of a network in plain words, for any framework that has NumPy's functions; and in NumPy alone, what all are compared with."""

import math

import numpy as np

from benchmarks.speed.networks import BETAS, EPS, LR


class Functions:
    """Layers and likelihoods on the arrays of `xp`, a module with NumPy's names.  Convolutions are a subclass's own."""

    def __init__(self, xp):
        self.xp = xp

    def linear(self, x, weight, bias, *_):
        """x: (..., in); weight: (out, in).  Returns (..., out)."""
        return self.xp.matmul(x, weight.T) + bias

    def layer_norm(self, x, weight, bias, *_):
        """Each row to mean 0 and variance 1."""
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / self.xp.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5) * weight + bias

    def relu(self, x):
        """max(x, 0)."""
        return self.xp.maximum(x, 0)

    def tanh(self, x):
        """The hyperbolic tangent."""
        return self.xp.tanh(x)

    def softplus(self, x):
        """log(1 + exp(x))."""
        return self.xp.maximum(x, 0) + self.xp.log1p(self.xp.exp(-self.xp.abs(x)))

    def gelu(self, x):
        """x times the probability that a standard normal is below x, approximately."""
        return 0.5 * x * (1 + self.xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

    def reshape(self, x, *shape):
        """Rows as images."""
        return x.reshape((-1, *shape))

    def flatten(self, x):
        """Images as rows."""
        return x.reshape((len(x), -1))

    def run(self, layers, part, weights, x):
        """The layers, one after the other; their weights begin with the name `part`."""
        for i, (kind, *sizes) in enumerate(layers):
            own = [weights[f"{part}.{i}.{name}"] for name in ("weight", "bias") if f"{part}.{i}.{name}" in weights]
            x = getattr(self, kind)(x, *own, *sizes)
        return x

    def loss(self, network, weights, x, noise):
        """Nats per example, one number.  x: (N, D); noise: (N, J), (K, N, J) or None."""
        exp, h = self.xp.exp, self.run(network.encoder, "encoder", weights, x)
        if network.kind == "autoencoder":
            error = self.run(network.decoder, "decoder", weights, h) - x
            return (error * error).sum(axis=-1).mean()
        mean, log_variance = h[:, : network.latent], h[:, network.latent :]
        z = mean + exp(log_variance / 2) * noise
        logits = self.run(network.decoder, "decoder", weights, z)
        cross_entropy = (self.softplus(logits) - x * logits).sum(axis=-1)
        if network.kind == "vae":
            kl = 0.5 * (mean * mean + exp(log_variance) - 1 - log_variance).sum(axis=-1)
            return (cross_entropy + network.beta * kl).mean()
        log_ratio = 0.5 * (z * z - noise * noise - log_variance).sum(axis=-1)
        log_weights = -cross_entropy - log_ratio
        largest = log_weights.max(axis=0)
        return (math.log(network.samples) - largest - self.xp.log(exp(log_weights - largest).sum(axis=0))).mean()


class Plain(Functions):
    """NumPy alone, as simple as can be."""

    def __init__(self):
        super().__init__(np)

    def conv(self, x, weight, bias, inputs, outputs, kernel, stride, padding):
        """x: (N, in, H, W); weight: (out, in, k, k).  Returns (N, out, H', W')."""
        x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
        return np.einsum("nchwkl,ockl->nohw", windows, weight) + bias[:, None, None]

    def conv_transpose(self, x, weight, bias, inputs, outputs, kernel, stride, padding):
        """x: (N, in, H, W); weight: (in, out, k, k).  Every entry of x adds its kernel to the result."""
        n, _, height, width = x.shape
        y = np.zeros((n, outputs, (height - 1) * stride + kernel, (width - 1) * stride + kernel), x.dtype)
        for i in range(height):
            for j in range(width):
                y[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel] += np.einsum("nc,cokl->nokl", x[:, :, i, j], weight)
        return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding] + bias[:, None, None]

    def max_pool(self, x, size):
        """The largest entry of each square of size x size."""
        n, c, height, width = x.shape
        return x.reshape(n, c, height // size, size, width // size, size).max(axis=(3, 5))

    def upsample(self, x, factor):
        """Every entry factor x factor times."""
        return x.repeat(factor, axis=2).repeat(factor, axis=3)


class ArrayAdam:
    """Adam on NumPy arrays, changed in place, for frameworks that bring none.  weights: name -> array."""

    def __init__(self, weights):
        self.t, self.state = 0, {name: (w, np.zeros_like(w), np.zeros_like(w)) for name, w in weights.items()}

    def step(self, gradients):
        """gradients: name -> array."""
        self.t += 1
        (b1, b2), t = BETAS, self.t
        for name, (w, m, v) in self.state.items():
            g = gradients[name]
            m *= b1
            m += (1 - b1) * g
            v *= b2
            v += (1 - b2) * (g * g)
            w -= LR / (1 - b1**t) * m / (np.sqrt(v / (1 - b2**t)) + EPS)
