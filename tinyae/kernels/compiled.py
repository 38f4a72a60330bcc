"""Numba, an optional extra (`pip install tinyae[fast]`): loops compiled at their first use, one thread, kept on disk.

It is imported for large arrays only: importing it may take longer than a small training.  The environment variable TINYAE_FAST=0
leaves it out.
"""

import functools
import importlib
import os

import numpy as np

LARGE = 65_536  # entries


def compiled(name, array):
    """The compiled function of this name in `loops.py`, or None where there is no Numba, or the array is small or no NumPy array."""
    if type(array) is not np.ndarray or array.size < LARGE or array.dtype.kind != "f":
        return None
    return found(name)


@functools.cache
def found(name):
    """The function, compiled; None without Numba."""
    if os.environ.get("TINYAE_FAST", "1") == "0":
        return None
    try:
        numba = importlib.import_module("numba")
    except ImportError:
        return None
    loop = getattr(importlib.import_module("tinyae.kernels.loops"), name)
    settings = {"error_model": "numpy"}  # a division by zero is infinite, as in NumPy; a check for it would keep the loop from vector code
    try:
        return numba.njit(loop, cache=True, **settings)
    except RuntimeError:  # no folder can be written: each process compiles it anew
        return numba.njit(loop, **settings)
