"""Adam and Adamax.  Kingma & Ba 2015, algorithms 1 and 2.  AdamW.  Loshchilov & Hutter 2019."""

import math

from tinyae.kernels.adam import adam
from tinyae.optim.optimizer import Optimizer


class Adam(Optimizer):
    """Adam: steps of the size lr along mean / sqrt(mean square) of the recent gradients.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
    p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    weight_decay is added to the gradient, g + weight_decay p; AdamW has it outside.  Groups, state and the flat buffer: see Optimizer.
    Kingma & Ba 2015, algorithm 1.
    """

    moments = ("m", "v")  # m / (1 - beta1) and v / (1 - beta2) are kept: two passes less over the memory

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.scratch = self.flat.xp.zeros_like(self.flat.values[: self.width])

    def update(self, p, g, t, m, v, *, lr, betas, eps):
        """The published step, without a new array."""
        xp, s, (beta1, beta2) = self.flat.xp, self.scratch[: len(p)], betas
        scale, rate = math.sqrt((1 - beta2) / (1 - beta2**t)), lr * (1 - beta1) / (1 - beta1**t)
        if adam(p, g, m, v, beta1, beta2, scale, eps, rate) is not NotImplemented:
            return
        m *= beta1
        m += g
        v *= beta2
        xp.multiply(g, g, out=s)
        v += s
        xp.sqrt(v, out=s)
        s *= scale
        s += eps
        xp.divide(m, s, out=s)
        s *= rate
        p -= s


class AdamW(Adam):
    """Adam whose weight decay is no part of the gradient, and so not divided by its size: p <- (1 - lr weight_decay) p, then Adam's step.

    Loshchilov & Hutter 2019, algorithm 2, with the decay multiplied by lr, as in PyTorch.
    """

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def decay(self, p, g, group):
        """Shrink p; the gradient stays as it is."""
        p *= 1 - group["lr"] * group["weight_decay"]
        return g


class Adamax(Optimizer):
    """Adam with the largest recent gradient in place of the root of the mean square.

    m <- beta1 m + (1 - beta1) g;  u <- max(beta2 u, |g| + eps);  p <- p - lr / (1 - beta1^t) m / u

    Kingma & Ba 2015, algorithm 2; eps, as in PyTorch, keeps u above 0 where no gradient came yet.
    """

    moments = ("m", "u")

    def __init__(self, parameters, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, p, g, t, m, u, *, lr, betas, eps):
        """The published step."""
        xp, (beta1, beta2) = self.flat.xp, betas
        m *= beta1
        m += (1 - beta1) * g
        xp.maximum(beta2 * u, xp.abs(g) + eps, out=u)
        p -= lr / (1 - beta1**t) * m / u
