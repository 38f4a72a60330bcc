"""A step of Adam in one pass over the memory, where the plain one takes ten."""

import functools

import numpy as np

from tinyae.backend import array_module
from tinyae.kernels.compiled import compiled

# what `loops.adam` does to one entry; C and Python agree on it
ENTRY = "m = m * beta1 + g; v = v * beta2 + g * g; p -= m / (sqrt(v) * scale + eps) * rate"


def adam(p, g, m, v, *numbers):
    """m <- beta1 m + g;  v <- beta2 v + g^2;  p <- p - rate m / (scale sqrt(v) + eps).  Returns NotImplemented where there is no faster way.

    p, g, m, v: flat arrays of one dtype, all but g changed in place.  numbers: beta1, beta2, scale, eps, rate.
    """
    loop, xp = compiled("adam", p), array_module(p)
    if not loop and (xp is np or not hasattr(xp, "ElementwiseKernel")):
        return NotImplemented
    numbers = [p.dtype.type(number) for number in numbers]
    return loop(p, g, m, v, *numbers) if loop else launch(xp)(g, *numbers, p, m, v)


@functools.cache
def launch(xp):
    """The step as one launch on a GPU."""
    return xp.ElementwiseKernel("T g, T beta1, T beta2, T scale, T eps, T rate", "T p, T m, T v", ENTRY, "tinyae_adam")
