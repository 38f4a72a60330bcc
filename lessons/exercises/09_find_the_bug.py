"""Exercises of lesson 9: find the bug.

Here you write the checks, and others write the bugs.  Each of your functions is given a function, calls it on arrays of its own choice, and
returns True where it is the right one, else False.  It is tried on right ones in several styles, on a wrong one that is named here, and on
wrong ones that are not.  To pass, accept every right one, reject the named one, and half of the others or more.

Fill in the three functions, then run `tinyae exercise 9` in this folder; `tinyae exercise 9 --hint` helps, step by step.
NumPy is all you need.  Right functions may differ in the fifth digit; where a wrong one raises an error, that counts as False.
"""

import numpy as np  # noqa: F401


def check_kl(kl):
    """Whether a function is the KL divergence from N(mean, exp(log_variance)) to N(0, I), in nats per example.

    kl: a function of two arrays (N, J), kl(mean, log_variance).  The right one returns an array (N,): for each example the sum over its
    J latent dimensions.

    The named bug: a mean over the latent dimensions in the place of the sum.

    Returns True or False.
    """
    raise NotImplementedError


def check_sampler(sampler):
    """Whether a function draws from N(mean, exp(log_variance)), and with the noise that it is given.

    sampler: a function of three arrays (N, J), sampler(mean, log_variance, noise).  The right one returns an array (N, J), the mean plus
    the noise times the standard deviation: log_variance is the logarithm of the variance, not of the standard deviation.

    The named bug: exp(log_variance) for the standard deviation.  Break it, and those that are not named.

    Returns True or False.
    """
    raise NotImplementedError


def check_loss(loss):
    """Whether a function is the negative ELBO of a VAE with binary pixels, in nats per example.

    loss: a function of two arrays and two functions, loss(x, noise, encode, decode).  x: (N, D), zeros and ones.  noise: (N, J), standard
    normal.  encode and decode are yours, as simple as you like: encode(x) returns two arrays (N, J), mean and log_variance; decode(z)
    takes (N, J) and returns the logits, (N, D).
    The right one draws z with the noise, and returns a number: the mean over the N examples of reconstruction plus KL, where the
    reconstruction is summed over the D pixels, and the KL to N(0, I) over the J latent dimensions.

    The named bug: a mean over the latent dimensions in the KL.

    Returns True or False.
    """
    raise NotImplementedError
