"""Solutions of the exercises of lesson 6."""

import numpy as np


def kl_to_scaled_prior(mean, log_variance, scale, gy):
    """KL divergence from N(mean, exp(log_variance)) to N(0, scale^2 I), in nats per example, and its two gradients."""
    relative = np.exp(log_variance) / scale**2
    kl = (mean**2 / scale**2 + relative - np.log(relative) - 1).sum(axis=-1) / 2
    return kl, gy[:, None] * mean / scale**2, gy[:, None] * (relative - 1) / 2


def wrong_sampler(mean, log_variance, noise):
    """A draw with perfect gradients and the wrong spread: what a gradient check cannot see."""
    spread = np.exp(log_variance)
    return mean + spread * noise, np.ones_like(mean), spread * noise


def best_posterior(x, weight, bias, sigma):
    """The mean and log-variance that minimise -ELBO, for each image on its own: no encoder has to guess."""
    precision = 1 + (weight**2).sum(axis=0) / sigma**2
    step = 1 / (1 + np.linalg.norm(weight, 2) ** 2 / sigma**2)
    mean = log_variance = np.zeros((len(x), weight.shape[1]))
    for _ in range(2000):
        missing = x - bias - mean @ weight.T
        mean = mean - step * (mean - missing @ weight / sigma**2)
        log_variance = log_variance - (np.exp(log_variance) * precision - 1) / 2
    return mean, log_variance
