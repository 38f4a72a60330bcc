"""Stochastic gradient descent, with momentum; and RMSprop, which divides by the size of the recent gradients."""

from tinyae.errors import ArgumentError
from tinyae.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent: p <- p - lr g, or with momentum p <- p - lr v, where v <- momentum v + g.

    nesterov: p <- p - lr (g + momentum v), the gradient as if looked up one step ahead.
    weight_decay is added to the gradient, g + weight_decay p.  Polyak 1964; Sutskever et al. 2013, with lr outside v, as in PyTorch.
    """

    moments = ("v",)

    def __init__(self, parameters, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def checked(self, group):
        """As of every optimiser; and no looking ahead without momentum."""
        group = super().checked(group)
        if group["nesterov"] and not group["momentum"]:
            raise ArgumentError("SGD: nesterov looks ahead along the momentum.", expected="momentum > 0", got="momentum=0.0")
        return group

    def update(self, p, g, t, v, *, lr, momentum, nesterov):
        """The published step."""
        if momentum:
            v *= momentum
            v += g
            g = g + momentum * v if nesterov else v
        p -= lr * g


class RMSprop(Optimizer):
    """RMSprop: steps along the gradient divided by the root of its recent mean square.

    v <- alpha v + (1 - alpha) g^2;  p <- p - lr g / (sqrt(v) + eps)

    weight_decay is added to the gradient, g + weight_decay p.  Tieleman & Hinton 2012, lecture 6.5; defaults and place of eps as in PyTorch.
    """

    moments = ("v",)

    def __init__(self, parameters, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)

    def update(self, p, g, t, v, *, lr, alpha, eps):
        """The published step."""
        v *= alpha
        v += (1 - alpha) * g * g
        p -= lr * g / (self.flat.xp.sqrt(v) + eps)
