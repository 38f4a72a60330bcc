"""Exercises of lesson 6: the ELBO and the KL divergence.

Fill in the three functions, then run `tinyae exercise 6` in this folder; `tinyae exercise 6 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.
"""

import numpy as np  # noqa: F401


def kl_to_scaled_prior(mean, log_variance, scale, gy):
    """KL divergence from N(mean, exp(log_variance)) to N(0, scale^2 I), in nats per example, and its two gradients.

    The prior of the lesson has standard deviation 1; this one has standard deviation `scale` in every latent dimension.

    mean, log_variance: arrays (N, J).  scale: a number above 0.
    gy: (N,), the cotangent: the derivative of some loss with respect to each of the N divergences.

    Returns three arrays: the divergence (N,), summed over the J latent dimensions; the gradient of the loss with respect to mean (N, J);
    and the one with respect to log_variance (N, J).
    """
    raise NotImplementedError


def wrong_sampler(mean, log_variance, noise):
    """A draw with perfect gradients and the wrong spread: what a gradient check cannot see.

    mean, log_variance, noise: arrays (N, J); the noise is standard normal.

    Returns three arrays (N, J): the draw z, its derivative dz/dmean, and its derivative dz/dlog_variance.  All of this must hold:
    - each entry of z is made of the mean, the log-variance and the noise of the same entry, and of no other;
    - the derivatives are those of your z, so that finite differences confirm them;
    - the average of z over the noise is the mean;
    - where log_variance is 0 the standard deviation of z is 1, as it should be;
    - where log_variance is 0.5 or more away from 0, above or below, the standard deviation of z is more than 5 % larger or smaller than the
      right one, exp(log_variance / 2).
    """
    raise NotImplementedError


def best_posterior(x, weight, bias, sigma):
    """The mean and log-variance that minimise -ELBO, for each image on its own: no encoder has to guess.

    The decoder is linear: x = weight @ z + bias + sigma * e, with z ~ N(0, I) of J dimensions and e ~ N(0, I) of D pixels.
    The approximate posterior of an image is N(mean, exp(log_variance)), independent in each latent dimension.

    x: (N, D).  weight: (D, J).  bias: (D,).  sigma: a number from 0.5 to 2, the standard deviation of a pixel.  D is 4 at most, J is 3 at
    most, and all entries of x, weight and bias are between -1.5 and 1.5.

    Returns two arrays (N, J), mean and log_variance, each within 0.001 of the best.  Write an optimiser of your own: start at zeros, follow
    the gradient of the expected -ELBO (for this decoder it needs no noise) until nothing moves.
    """
    raise NotImplementedError
