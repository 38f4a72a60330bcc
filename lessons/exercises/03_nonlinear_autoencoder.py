"""Exercises of lesson 3: the nonlinear autoencoder.

Fill in the three functions, then run `tinyae exercise 3` in this folder; `tinyae exercise 3 --hint` helps, step by step.
NumPy is all you need.  Return new arrays, and leave the arguments as they are.  A name like g_y is the derivative of the loss in y.
"""

import numpy as np  # noqa: F401


def leaky_backward(x, weights, biases, g):
    """The gradients of a chain of layers, each a leaky relu of h W^T + b, the slope of which is 1 above 0 and 0.1 below.

    Encoder and decoder are one chain here.  Write its forward pass first (you need what is inside of every bend), then go back through it.

    x: (N, D0), points.  weights: a list of L tables, number l of shape (D_l, D_l-1).  biases: a list of L arrays, number l of shape (D_l,).
    g: (N, D_L), the derivative of the loss in the output of the last layer.  Nothing inside of a bend is exactly 0.

    Returns three things: the list of the gradients of the weights, that of the biases, both from the first layer to the last, and the
    gradient of x, (N, D0).
    """
    raise NotImplementedError


def dead_network(x, width):
    """A relu autoencoder that learns nothing from these points, though its loss is large.

    Its output is relu(x W1^T + b1) W2^T + b2, its loss the squared error, summed over the D numbers of a point, mean over the N points.

    x: (N, D), points; some number of each is not 0.  width: of the hidden layer.

    Returns four arrays, W1 (width, D), b1 (width,), W2 (D, width), b2 (D,), so that
    - the gradients of W1, b1 and W2 are exactly 0, and that of b2 may be anything;
    - no entry of W1 and W2 is between -0.01 and 0.01;
    - the loss is at least half of the mean of |x|^2.
    """
    raise NotImplementedError


def weight_variance(width, depth, slope, ratio):
    """The variance of random weights which makes a gradient `ratio` times as long on its way back through a chain of leaky relu layers.

    Go back to step 4 of the lesson, with a bend whose slope is 1 for half of the units, and `slope` for the others.  The weights are
    independent, with mean 0; what the lesson calls c is their variance times the width.

    width: of every layer, a whole number.  depth: the number of layers.  slope: 0 gives relu.  ratio: a number above 0: the length at layer 0,
    divided by that at the last layer; 1 keeps it.

    Returns one number: the variance of each weight (not c, and not the standard deviation).
    """
    raise NotImplementedError
