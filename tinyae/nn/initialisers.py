"""Initial values of weights, each with its source.  All take (rng, shape), the shape being (fan_out, fan_in, *kernel)."""

import math


def lecun_uniform(rng, shape):
    """Uniform with bound 1 / sqrt(fan_in), so variance 1 / (3 fan_in): PyTorch's default for linear layers and convolutions.

    LeCun, Bottou, Orr & Mueller 1998, section 4.6, asks for variance 1 / fan_in; the factor 1/3 is PyTorch's.
    """
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return rng.uniform(shape, -bound, bound)


def xavier_uniform(rng, shape):
    """Uniform with variance 2 / (fan_in + fan_out): for tanh.  Glorot & Bengio 2010, equation 16."""
    bound = math.sqrt(6 / ((shape[0] + shape[1]) * math.prod(shape[2:])))
    return rng.uniform(shape, -bound, bound)


def he_uniform(rng, shape):
    """Uniform with variance 2 / fan_in: for relu.  He, Zhang, Ren & Sun 2015, equation 10."""
    bound = math.sqrt(6 / math.prod(shape[1:]))
    return rng.uniform(shape, -bound, bound)
