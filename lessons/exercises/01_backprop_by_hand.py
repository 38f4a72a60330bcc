"""Exercises of lesson 1: backprop by hand.

Fill in the three functions, then run `tinyae exercise 1` in this folder; `tinyae exercise 1 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.
"""

import numpy as np  # noqa: F401


def normalise_backward(gy, x):
    """The cotangent of x, where each row of x is divided by its length: y = x / |x|, with |x| the root of the row's sum of squares.

    x: (N, K), no row of it all zeros.  gy: (N, K), the cotangent of y.

    Returns an array (N, K), the cotangent of x.
    """
    raise NotImplementedError


def hiding_cotangent(n):
    """A cotangent for which a wrong rule of batch normalisation gives what the right rule gives.

    n: (N, H), the result of batch normalisation (step 7 of the lesson): each column has mean 0 and variance 1 over the batch.
    The right rule is s * (g - mean(g) - n * mean(g * n)), the wrong one s * g; means over the batch, s some numbers above 0.

    Returns an array g (N, H) for which both agree, no column of it all zeros.  N is at least 3.
    """
    raise NotImplementedError


def tied_gradients(x, W, b, c):
    """The loss of an autoencoder whose decoder uses the encoder's weights once more, and the gradients of its weights.

    h = tanh(x W^T + b), logits a = h W + c, and the loss is that of the lesson: minus the log-probability of the pixels in nats, summed over
    pixels, mean over the N images.

    x: (N, D) of zeros and ones.  W: (H, D).  b: (H,).  c: (D,).

    Returns a number and three arrays: the loss, and its gradients by W (H, D), b (H,) and c (D,).
    """
    raise NotImplementedError
