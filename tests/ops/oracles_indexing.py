"""Plain loops and NumPy's functions for the formulas of shapes, joining and indexing."""

import itertools

import numpy as np


def crop(x, pad_width):
    """The entries that are not padding: padding is where a padded array of ones is zero."""
    widths = np.broadcast_to(pad_width, (x.ndim, 2))
    shape = tuple(n - before - after for n, (before, after) in zip(x.shape, widths, strict=True))
    return x[np.pad(np.ones(shape, bool), widths)].reshape(shape)


def unstack(x, axis):
    """One entry of the axis after another."""
    return tuple(np.take(x, i, axis=axis) for i in range(x.shape[axis]))


def gather(x, index, axis):
    """A loop over the entries of `index`, which has the shape of x but along `axis`."""
    result = np.empty(index.shape)
    for place in np.ndindex(*index.shape):
        source = list(place)
        source[axis] = index[place]
        result[place] = x[tuple(source)]
    return result


def scatter_along(gy, index, axis, shape):
    """A loop over the entries of `index`: each adds its entry of gy to the one it was taken from."""
    result = np.zeros(shape)
    for place in np.ndindex(*index.shape):
        target = list(place)
        target[axis] = index[place]
        result[tuple(target)] += gy[place]
    return result


def insertion_sort(x, axis):
    """Each line by inserting one entry after the other."""
    result = np.moveaxis(np.array(x), axis, -1)
    for place in np.ndindex(*result.shape[:-1]):
        line = []
        for value in result[place]:
            line.insert(next((i for i, v in enumerate(line) if v > value), len(line)), value)
        result[place] = line
    return np.moveaxis(result, -1, axis)


INDEXING = {
    "stack": np.stack, "unstack": unstack, "split": lambda x, cuts, axis: tuple(np.split(x, cuts, axis)), "squeeze": np.squeeze,
    "expand_dims": np.expand_dims, "flip": np.flip, "pad": np.pad, "crop": crop,
    "seams": lambda shapes, axis: list(itertools.accumulate(shape[axis] for shape in shapes[:-1])),
}  # fmt: skip
