"""Exercises of lesson 10: beta, rate and distortion, collapse.

Fill in the three functions, then run `tinyae exercise 10` in this folder; `tinyae exercise 10 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.
The linear VAE of the lesson: p(x | z) = N(W z, s^2 I), q(z | x) = N(V x, diag(exp(log_variance))), loss = distortion + beta * rate.
"""

import numpy as np  # noqa: F401


def rate_and_distortion(eigenvalues, variance, beta, latent):
    """The rate and the distortion of the best linear VAE, in nats: a point of the curve of the lesson.

    eigenvalues: (D,), of the data's covariance matrix, the largest first.  variance: s^2, of the decoder.  beta: the weight of the KL.
    latent: how many latent variables there are; not all of them need be used.

    Returns two numbers: the rate, and the distortion without its constant: the mean squared error of an image, summed over its pixels,
    divided by 2 s^2.
    """
    raise NotImplementedError


def false_end(covariance, variance, beta):
    """Weights of a linear VAE with one latent variable, at which training could stop, and which are not the best.

    Make a checker of gradients believe that training is over: every derivative of the loss is 0 (to 1e-8), the latent variable is used, and
    yet other weights have a smaller loss.

    covariance: (D, D), of the data, with different eigenvalues; two of them or more are larger than beta * variance.
    variance: s^2, of the decoder.  beta: the weight of the KL.

    Returns three arrays: W (D, 1), V (1, D) and log_variance (1,).
    """
    raise NotImplementedError


def best_variance(eigenvalues, latent, beta):
    """The decoder's variance that a linear VAE chooses when it may learn it, and the rate with it.

    The loss has its constants again, for they depend on s^2: distortion = squared error / (2 s^2) + D / 2 * log(2 pi s^2).  Everything else
    is at its best for each s^2.

    eigenvalues: (D,), of the data's covariance matrix, the largest first.  latent: J, the number of latent variables, all of them used;
    beta * J is smaller than D.  beta: the weight of the KL.

    Returns two numbers: the best s^2, and the rate of the best linear VAE with it, in nats.
    """
    raise NotImplementedError
