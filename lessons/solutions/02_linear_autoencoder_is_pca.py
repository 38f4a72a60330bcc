"""Solutions of the exercises of lesson 2."""

import numpy as np


def weighted_gradients(covariance, encoder, decoder, weight):
    """The gradients of a linear autoencoder in whose loss some pixels count more than others."""
    residual = (decoder @ encoder - np.eye(len(covariance))) @ covariance
    slope = 2 * weight[:, None] * residual
    return decoder.T @ slope, slope @ encoder.T


def wrong_stop(covariance, k):
    """Weights at which gradient descent stops, though they are not the best."""
    axes = np.linalg.eigh(covariance)[1][:, :k]
    return axes.T, axes


def least_loss_with_decay(eigenvalues, k, decay):
    """The least loss of a linear autoencoder with weight decay, from the eigenvalues of the covariance alone."""
    kept, left_out = eigenvalues[:k], eigenvalues[k:]
    m = np.maximum(0, 1 - decay / kept)
    error, price = kept * (1 - m) ** 2, 2 * decay * m
    return error.sum() + price.sum() + left_out.sum()
