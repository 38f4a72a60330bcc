"""Solutions of the exercises of lesson 10."""

import numpy as np


def rate_and_distortion(eigenvalues, variance, beta, latent):
    """The rate and the distortion of the best linear VAE, in nats: a point of the curve of the lesson."""
    t = beta * variance
    kept, left = eigenvalues[:latent], eigenvalues[latent:]
    rate = np.log(np.maximum(kept, t) / t).sum() / 2
    error = np.minimum(kept, t).sum() + left.sum()
    return rate, error / (2 * variance)


def false_end(covariance, variance, beta):
    """Weights of a linear VAE with one latent variable, at which training could stop, and which are not the best."""
    values, vectors = np.linalg.eigh(covariance)
    t = beta * variance
    a, u = values[-2], vectors[:, -2]
    r = np.sqrt(a - t)
    return r * u[:, None], r / a * u[None, :], np.log(np.array([t / a]))


def best_variance(eigenvalues, latent, beta):
    """The decoder's variance that a linear VAE chooses when it may learn it, and the rate with it."""
    used, left = eigenvalues[:latent], eigenvalues[latent:]
    variance = left.sum() / (len(eigenvalues) - beta * latent)
    return variance, np.log(used / (beta * variance)).sum() / 2
