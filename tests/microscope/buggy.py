"""A small VAE as a learner writes it, right and with a bug on one line."""

RIGHT = """
import numpy as np
import tinyae as ta
from tinyae.ops import bce_with_logits, exp, square, tanh

draw = np.random.default_rng(0)
shapes = {"w1": (6, 4), "w2": (2, 6)}
w1 = ta.Tensor(draw.normal(size=(6, 4)), requires_grad=True)
w2 = ta.Tensor(draw.normal(size=(2, 6)), requires_grad=True)
x = (draw.random((5, 6)) > 0.5).astype(float)
noise = draw.normal(size=(5, 2))


def loss(x, noise, w1, w2):
    h = tanh(x @ w1)
    mean, log_variance = h[:, :2], h[:, 2:]
    std = exp(log_variance / 2)
    z = mean + std * noise
    reconstruction = bce_with_logits(z @ w2, x).mean()
    kl = 0.5 * (square(mean) + exp(log_variance) - log_variance - 1).sum(axis=1).mean()
    return reconstruction + kl
"""
BUGS = {  # the line, and what a learner makes of it
    "std": ("std = exp(log_variance / 2)", "std = exp(log_variance)"),
    "kl": ("kl = 0.5 * (square", "kl = (square"),
    "sign": ("return reconstruction + kl", "return reconstruction - kl"),
    "noise": ("z = mean + std * noise", "z = mean - std * noise"),
    "mean": ("bce_with_logits(z @ w2, x).mean()", "bce_with_logits(z @ w2, x).sum()"),
    "order": ("h[:, :2], h[:, 2:]", "h[:, 2:], h[:, :2]"),
    "constant": ("- log_variance - 1)", "- log_variance - 2)"),
    "factor": ("tanh(x @ w1)", "tanh(x @ w1 * 1.001)"),
}


def write(folder, bug=None):
    """Write the program; returns its path."""
    path = folder / f"own_{bug or 'right'}.py"
    path.write_text(RIGHT.replace(*BUGS[bug]) if bug else RIGHT)
    return path


def line(bug):
    """The line with the bug, as it is in the right program."""
    return next(text.strip() for text in RIGHT.splitlines() if BUGS[bug][0] in text)
