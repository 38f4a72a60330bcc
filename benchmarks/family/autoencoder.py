"""A code of two numbers: does bending the encoder and the decoder make more of them than PCA does?"""

import family
import numpy as np

METRIC, UNIT, LOWER = "squared error", "per pixel of digits", True
BASELINE = "PCA with two axes, the best of all linear codes on the training split"


def measure(seed):
    """Test errors of the model and of PCA, which has no seed."""
    model, data, test = family.trained("autoencoder", seed)
    x, mean = test.images, data.images.mean(axis=0)
    axes = np.linalg.svd(data.images - mean, full_matrices=False)[2][: model.latent]
    flat = (x - mean) @ axes.T @ axes + mean
    return {"model": float(np.square(model.reconstruct(x) - x).mean()), "baseline": float(np.square(flat - x).mean())}
