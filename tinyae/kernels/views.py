"""Views of arrays, made without NumPy's general machinery."""

import numpy as np


def broadcast_to(x, *, shape):
    """One number seen as an array of this shape, read-only.  x: (), an array or a NumPy number, which is what arithmetic makes of it."""
    if isinstance(x, np.generic):
        x = np.asarray(x)
    if type(x) is not np.ndarray or x.ndim or type(shape) is not tuple:
        return NotImplemented
    y = np.ndarray(shape, x.dtype, x, strides=(0,) * len(shape))
    y.flags.writeable = False
    return y
