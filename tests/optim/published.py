"""The published update of each optimiser, line by line in plain NumPy: p after the gradients g_1, g_2, ..."""

import numpy as np


def sgd(p, gradients, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    """Sutskever et al. 2013 in PyTorch's form."""
    v = np.zeros_like(p)
    for g in gradients:
        g = g + weight_decay * p
        v = momentum * v + g
        p = p - lr * (g + momentum * v if nesterov else v)
    return p


def rmsprop(p, gradients, lr, alpha=0.99, eps=1e-8, weight_decay=0.0):
    """Tieleman & Hinton 2012, lecture 6.5."""
    v = np.zeros_like(p)
    for g in gradients:
        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        p = p - lr * g / (np.sqrt(v) + eps)
    return p


def adam(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=0.0):
    """Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2: weight_decay in line 6, decoupled in line 12."""
    (beta1, beta2), m, v = betas, np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        p = p - lr * m_hat / (np.sqrt(v_hat) + eps) - lr * decoupled * p
    return p


def adamw(p, gradients, lr, weight_decay=0.01, **settings):
    """The decay outside of the gradient."""
    return adam(p, gradients, lr, decoupled=weight_decay, **settings)


def adamax(p, gradients, lr, betas=(0.9, 0.999), eps=0.0, weight_decay=0.0):
    """Kingma & Ba 2015, algorithm 2, where eps = 0; with it, as PyTorch adds it."""
    (beta1, beta2), m, u = betas, np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        u = np.maximum(beta2 * u, np.abs(g) + eps)
        p = p - lr / (1 - beta1**t) * m / u
    return p


UPDATES = {"SGD": sgd, "RMSprop": rmsprop, "Adam": adam, "AdamW": adamw, "Adamax": adamax}

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.5, "eps": 1e-2, "weight_decay": 0.2}),
    ("Adam", {"lr": 1e-3}),
    ("Adam", {"lr": 0.3, "betas": (0.5, 0.7), "eps": 1e-2}),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.0), "eps": 1e-3}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.4}),
    ("Adamax", {"lr": 0.01, "eps": 1e-300}),
    ("Adamax", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-2, "weight_decay": 0.2}),
]
