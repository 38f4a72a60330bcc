"""Solutions of the exercises of lesson 9."""

import numpy as np


def _normal(*shape):
    """Numbers that are the same each time."""
    return np.random.default_rng(0).standard_normal(shape)


def check_kl(kl):
    """Whether a function is the KL divergence from N(mean, exp(log_variance)) to N(0, I), in nats per example."""
    mean, log_variance = 2 * _normal(2, 5, 3)
    exact = (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1) / 2
    found = np.asarray(kl(mean, log_variance))
    return bool(found.shape == exact.shape and np.allclose(found, exact, rtol=1e-4))


def check_sampler(sampler):
    """Whether a function draws from N(mean, exp(log_variance)), and with the noise that it is given."""
    mean, log_variance, noise = 2 * _normal(3, 5, 3)
    exact = mean + np.exp(log_variance / 2) * noise
    found = np.asarray(sampler(mean, log_variance, noise))
    return bool(found.shape == exact.shape and np.allclose(found, exact, rtol=1e-4))


def check_loss(loss):
    """Whether a function is the negative ELBO of a VAE with binary pixels, in nats per example."""
    weight, (noise, mean, log_variance) = 2 * _normal(7, 3), 1 + _normal(3, 4, 3)
    x = (_normal(4, 7) > 0).astype(float)
    logits = (mean + np.exp(log_variance / 2) * noise) @ weight.T
    reconstruction = (np.logaddexp(0, logits) - x * logits).sum(axis=1)
    kl = (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1) / 2
    found = np.asarray(loss(x, noise, lambda x: (mean, log_variance), lambda z: z @ weight.T))
    return bool(found.shape == () and np.isclose(found, (reconstruction + kl).mean(), rtol=1e-4))
