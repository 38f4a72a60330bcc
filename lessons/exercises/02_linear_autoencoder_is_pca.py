"""Exercises of lesson 2: the linear autoencoder is PCA.

Fill in the three functions, then run `tinyae exercise 2` in this folder; `tinyae exercise 2 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.  An image is a row: x is (N, D).
"""

import numpy as np  # noqa: F401


def weighted_gradients(covariance, encoder, decoder, weight):
    """The gradients of a linear autoencoder in whose loss some pixels count more than others.

    The loss is the sum over pixels d of weight_d (x'_d - x_d)^2, mean over images, with x' = B A x.  Derive both gradients as in step 3 of the
    lesson: what stands beside each entry of dB, and of dA?  Then let the covariance take the place of the images.

    covariance: (D, D), the mean of x x^T over images, symmetric.  encoder: A, (k, D).  decoder: B, (D, k).  weight: (D,), above 0.

    Returns two arrays: the derivative of the loss in A, (k, D), and that in B, (D, k).
    """
    raise NotImplementedError


def wrong_stop(covariance, k):
    """Weights at which gradient descent stops, though they are not the best.

    The loss is |B A x - x|^2, the sum over the D pixels, mean over images, with the encoder A (k, D) and the decoder B (D, k).  The images come
    in through their covariance C alone: it is the trace of (B A - I) C (B A - I)^T, with I the identity.

    covariance: C, (D, D), the mean of x x^T over images, symmetric; its eigenvalues are all different, and above 0.
    k: the width of the code, 1 or more and smaller than D.

    Returns two arrays, A (k, D) and B (D, k), so that
    - both gradients are 0, up to rounding;
    - the k rows of A are independent (none is a sum of multiples of the others), and so are the k columns of B: no weights of 0;
    - the loss is larger than the least there is, by a thousandth of the total variance (the trace of C) or more.
    """
    raise NotImplementedError


def least_loss_with_decay(eigenvalues, k, decay):
    """The least loss of a linear autoencoder with weight decay, from the eigenvalues of the covariance alone.

    The loss is |x' - x|^2, mean over images, plus decay times (the sum of the squares of A, plus that of B), as in step 7 of the lesson.
    An axis that is not worth its price is not kept: mind eigenvalues below the decay.

    eigenvalues: (D,), above 0, from the largest to the smallest.  k: the width of the code, 1 to D.  decay: a number, 0 or more.

    Returns one number: error and price together, at the weights where they are least.
    """
    raise NotImplementedError
