"""Exercises of lesson 5: denoising and the score.

Fill in the three functions, then run `tinyae exercise 5` in this folder; `tinyae exercise 5 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.
"""

import numpy as np  # noqa: F401


def denoise_two_points(y, a, s, probability):
    """The best denoiser of x, which is a or -a, from y = x + s n.

    It is the mean of x, given y.  n is a draw from the normal distribution with mean 0 and variance 1.

    y: (N,).  a, s: numbers above 0.  probability: that of x = a, above 0 and below 1 (that of x = -a is the rest).

    Returns an array (N,), with entries between -a and a.
    """
    raise NotImplementedError


def memorise(noisy, data, s):
    """The best denoiser if the training points were all there is: each of them equally likely, and nothing else possible.

    Step 2 of the lesson, with a sum over the M training points in place of the integral over p: a noisy point is a training point plus noise,
    independent in each of the D numbers, normal with mean 0 and standard deviation s.  The denoiser has the least error of all functions on
    noisy copies of the training points.  As s goes to 0, it has error 0 and slope 0 there, and has learned nothing.

    noisy: (N, D).  data: (M, D), the training points.  s: a number above 0; 0.001 must work too, far from all of them.

    Returns an array (N, D).
    """
    raise NotImplementedError


def heun_step(y, denoise, s, t):
    """A step of diffusion from noise s to noise t by Heun's rule: with the mean of the slopes at both of its ends.

    The slope of a path at the point y and the noise s is dy/ds = (y - denoise(y, s)) / s.  First go to t with the slope at s (step 6 of the
    lesson).  Take the slope where that ends, at noise t.  Then go from y to t with the mean of the two slopes.
    At t = 0 the second slope cannot be computed: then the result is that of the first slope alone.

    y: (N,).  denoise: a function of (points (N,), noise) that returns (N,).  s, t: numbers with s > t >= 0.

    Returns an array (N,).
    """
    raise NotImplementedError
