"""Exercises of lesson 0: checks that lie.

Fill in the three functions, then run `tinyae exercise 0` in this folder; `tinyae exercise 0 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.
"""

import numpy as np  # noqa: F401


def gradient_error(f, backward, x, cotangent, step):
    """How far a gradient is from central differences, as a share of the largest difference quotient.

    f: a function of one array, f(x), to an array y; the shapes of x and y may be anything.
    backward: backward(cotangent, x) claims to be the gradient, with respect to x, of the sum of cotangent * f(x): an array of x's shape.
    x: an array.  cotangent: an array of y's shape.  step: the h of central differences, a number above 0.

    Compute the same gradient by differences, one entry of x after another.  Returns a number: the largest absolute difference between the
    two gradients, divided by the largest absolute entry of the one by differences.
    """
    raise NotImplementedError


def wrong_softmax_rule(gy, y):
    """A wrong backward rule of the softmax that a cotangent of ones cannot tell from the right one.

    y: (N, K), rows of probabilities, the result of a softmax along the last axis.  gy: (N, K), the cotangent of y.

    Returns an array (N, K) in the place of the gradient with respect to the softmax's input.  All of this must hold:
    - where gy is all ones it is what the right rule gives there;
    - for a random gy it is not: neither right nor all zeros;
    - it is linear in gy, as the rule of any operation: twice the cotangent gives twice the result, a sum gives the sum.
    """
    raise NotImplementedError


def total_probability(log_likelihood, logits):
    """The probabilities of all images that there are, summed: 1 for a likelihood.

    logits: (D,), what a decoder gave for the D pixels of an image, D at most 8.
    log_likelihood: a function of two arrays, log_likelihood(logits, images), with images (M, D) of zeros and ones.  It returns (M,), what
    somebody takes for the logarithm of the probability of each image.

    Returns a number: the sum, over every image of D pixels that are 0 or 1, of its probability.
    """
    raise NotImplementedError
