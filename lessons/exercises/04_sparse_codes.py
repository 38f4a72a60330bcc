"""Exercises of lesson 4: sparse codes.

Fill in the three functions, then run `tinyae exercise 4` in this folder; `tinyae exercise 4 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.
"""

import numpy as np  # noqa: F401


def elastic_code(a, price, ridge):
    """The code h that makes (a - h)^2 + price |h| + ridge h^2 least, for each entry of a.

    The loss of step 2 of the lesson, with a penalty on the square of the code as well ("elastic net").

    a: (N, F), of either sign.  price, ridge: numbers, 0 or more.

    Returns an array (N, F).
    """
    raise NotImplementedError


def cheat(weights, thresholds, dictionary, factor):
    """Another sparse autoencoder with the same reconstructions, and a penalty that is `factor` times smaller.

    The autoencoder: codes h = max(weights x + thresholds, 0), reconstruction = dictionary h, penalty = the sum of the codes.

    weights: (F, D).  thresholds: (F,).  dictionary: (D, F).  factor: a number above 1.

    Returns three arrays: its weights, thresholds and dictionary.  For every x the reconstruction is the same as before, and the sum of
    the codes is divided by `factor`.
    """
    raise NotImplementedError


def refit(x, dictionary, codes):
    """Codes without shrinkage: those above 0 get the sizes with the least squared error, the others stay 0.

    For each point by itself: of all codes h that are 0 wherever its row of `codes` is 0, that with the least |x - dictionary h|^2.
    There is no penalty and no sign to be kept: a size may come out negative.

    x: (N, D), the points.  dictionary: (D, F).  codes: (N, F), 0 or more; in each row fewer than D are above 0, and their columns of
    the dictionary are linearly independent.  A row may be 0 throughout.

    Returns an array (N, F).
    """
    raise NotImplementedError
