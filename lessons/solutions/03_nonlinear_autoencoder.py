"""Solutions of the exercises of lesson 3."""

import numpy as np


def leaky_backward(x, weights, biases, g):
    """The gradients of a chain of layers, each a leaky relu of h W^T + b, the slope of which is 1 above 0 and 0.1 below."""
    hs, ts = [x], []
    for w, b in zip(weights, biases, strict=True):
        ts.append(hs[-1] @ w.T + b)
        hs.append(np.where(ts[-1] > 0, ts[-1], 0.1 * ts[-1]))
    g_weights, g_biases = [], []
    for w, h, t in zip(weights[::-1], hs[-2::-1], ts[::-1], strict=True):
        g_t = np.where(t > 0, g, 0.1 * g)
        g_weights.insert(0, g_t.T @ h)
        g_biases.insert(0, g_t.sum(axis=0))
        g = g_t @ w
    return g_weights, g_biases, g


def dead_network(x, width):
    """A relu autoencoder that learns nothing from these points, though its loss is large."""
    d = x.shape[1]
    W1, W2 = np.ones((width, d)), np.ones((d, width))
    b1 = -1 - (x @ W1.T).max(axis=0)
    return W1, b1, W2, np.zeros(d)


def weight_variance(width, depth, slope, ratio):
    """The variance of random weights which makes a gradient `ratio` times as long on its way back through a chain of leaky relu layers."""
    share = (1 + slope**2) / 2
    factor = ratio ** (1 / depth)
    return factor**2 / (share * width)
