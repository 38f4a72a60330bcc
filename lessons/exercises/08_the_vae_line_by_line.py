"""Exercises of lesson 8: the VAE, line by line.

Fill in the three functions, then run `tinyae exercise 8` in this folder; `tinyae exercise 8 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.  A name like g_y is the derivative of the loss in y.
"""

import numpy as np  # noqa: F401


def two_layers_backward(x, W1, b1, W2, b2, g_k):
    """The gradients of an encoder with two hidden layers, k = tanh(h W2^T + b2) with h = tanh(x W1^T + b1).

    Derive the backward lines, then write the forward lines again (you need h and k) and go back through them, from the last to the first.

    x: (N, D), images.  W1: (H, D), b1: (H,), W2: (K, H), b2: (K,), weights and biases.
    g_k: (N, K), the derivative of the loss in k.  (The loss takes the mean over the batch; that is in g_k already.)

    Returns five arrays: g_W1 (H, D), g_b1 (H,), g_W2 (K, H), g_b2 (K,), and g_x (N, D).
    """
    raise NotImplementedError


def fool_line_10(mean, g_mean):
    """A wrong gradient of the mean that line 10 of the lesson does not notice.

    Line 10 compares sums over all entries: of mean * g_mean, and of the weights times their gradients.  Return an array for which that sum is
    what it is for the right gradient, and which is wrong all the same.

    mean: (N, J), no entry is 0.  g_mean: (N, J), the right gradient.  N J is 2 or more.

    Returns an array (N, J) so that
    - the sum of mean times it, over all entries, is the sum of mean * g_mean, up to rounding;
    - its largest error is at least a tenth of the largest entry of g_mean.
    """
    raise NotImplementedError


def balances(mean, log_variance, noise, g_z, beta):
    """Line 11 for a loss of reconstruction + beta * kl: two numbers that are both 1 where such a training ends.

    A balance is the pull of the reconstruction divided by the pull of all that the loss adds to it, each weighted and added up.  With beta = 1,
    as in the lesson, that of the mean is -(sum of mean * g_z) / (sum of mean * (mean / N)), with sums over all entries.  That of the
    log-variance has log_variance in place of the weight, mean; g_z * noise * exp(log_variance / 2) / 2 in place of g_z; and
    (exp(log_variance) - 1) / (2 N) in place of (mean / N).  Where does beta come in?

    mean, log_variance, noise: (N, J).  z = mean + exp(log_variance / 2) * noise, and kl is the mean over the N images of the KL of lesson 6.
    g_z: (N, J), the derivative of the reconstruction in z; the mean over the batch is in it already.  beta: a number above 0.

    Returns two numbers: the balance of the mean, and that of the log-variance.
    """
    raise NotImplementedError
