"""Solutions of the exercises of lesson 8."""

import numpy as np


def two_layers_backward(x, W1, b1, W2, b2, g_k):
    """The gradients of an encoder with two hidden layers, k = tanh(h W2^T + b2) with h = tanh(x W1^T + b1)."""
    h = np.tanh(x @ W1.T + b1)
    k = np.tanh(h @ W2.T + b2)
    g_u = g_k * (1 - k * k)
    g_W2, g_b2, g_h = g_u.T @ h, g_u.sum(axis=0), g_u @ W2
    g_t = g_h * (1 - h * h)
    return g_t.T @ x, g_t.sum(axis=0), g_W2, g_b2, g_t @ W1


def fool_line_10(mean, g_mean):
    """A wrong gradient of the mean that line 10 of the lesson does not notice."""
    error = np.zeros_like(mean)
    error.flat[0], error.flat[1] = mean.flat[1], -mean.flat[0]
    error *= np.abs(g_mean).max() / np.abs(error).max()
    return g_mean + error


def balances(mean, log_variance, noise, g_z, beta):
    """Line 11 for a loss of reconstruction + beta * kl: two numbers that are both 1 where such a training ends."""
    n = len(mean)
    kl_mean = (mean * mean / n).sum()
    kl_log_variance = (log_variance * (np.exp(log_variance) - 1) / (2 * n)).sum()
    away_mean = (mean * g_z).sum()
    away_log_variance = (log_variance * g_z * noise * np.exp(log_variance / 2) / 2).sum()
    return -away_mean / (beta * kl_mean), -away_log_variance / (beta * kl_log_variance)
