"""Exercises of lesson 7: reparameterization against the score function.

Fill in the three functions, then run `tinyae exercise 7` in this folder; `tinyae exercise 7 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.
"""

import numpy as np  # noqa: F401


def score_gradients(value, noise, log_variance, baseline):
    """The score-function estimates of the gradient of E_q[f(z)], for a batch of draws.

    Each of N rows has a q = N(mean, exp(log_variance)) of its own, and one draw from it, mean + exp(log_variance / 2) * noise.

    value: (N,), f at each draw.  noise: (N, J), of the draws.  log_variance: (N, J).
    baseline: (N,), to be subtracted from each value (step 4 of the lesson).

    Returns two arrays (N, J): the estimates of the derivatives in mean, and in log_variance.  No average over the batch is taken.
    """
    raise NotImplementedError


def hard_function(z):
    """A function for which the pathwise estimator is far noisier than the score function.

    z: (N,), draws from N(0.5, 1).

    Returns two arrays (N,): f at each entry of z, and the derivative f' there.  All of this must hold:
    - each entry of the results depends on the same entry of z alone, and finite differences of f confirm f';
    - over many draws, the variance of the pathwise estimates of dE[f]/dmean, which are f'(z), is at least ten times that of the
      score-function estimates, which are f(z) (z - 0.5), without a baseline.
    """
    raise NotImplementedError


def leave_one_out(values, scores):
    """The score-function estimate from K draws of each image, where the other draws are the baseline of each.

    With K draws no moving average is needed: the baseline of a draw is the mean of f over the other K - 1 draws of the same image.
    It knows nothing of the draw itself, so the estimate stays unbiased.

    values: (K, N), f at K draws for each of N images; K is at least 2.
    scores: (K, N, J), the derivatives of log q in the mean, at each of these draws.

    Returns an array (N, J): for each image the mean over its K draws of (f minus its baseline) times the score.
    """
    raise NotImplementedError
