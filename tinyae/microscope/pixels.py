"""Pictures of arrays in a record: which rows are images, and their entries as bytes."""

import base64
import math

import numpy as np

ROWS, COLUMNS = 16, 48  # at most so many of a picture


class Pixels:
    """Which arrays of a trace hold images of `image_shape`, (height, width) or (channels, height, width), one in a row.

    Those are the data, what meets them entry by entry (a reconstruction, logits), and weights that multiply them; not every array that
    has as many columns as an image has pixels.
    """

    def __init__(self, trace, image_shape):
        self.image_shape = None if image_shape is None else tuple(image_shape)
        self.rows = set() if image_shape is None else self.find(trace)

    def find(self, trace):
        """The numbers of lines, and ids of given arrays, that hold images."""
        given = [a for line in trace.lines for a in line.arguments if a.kind == "constant" and not a.is_noise and self.fits(a.shape)]
        found, before = {id(argument.given) for argument in given}, -1
        while len(found) != before:
            before = len(found)
            for line in trace.lines:
                found |= self.met(line, found)
        for line in trace.lines:  # after all else: a weight tells nothing of what it makes
            if line.primitive.name in ("linear", "matmul") and key(line.arguments[0]) in found:
                found |= {key(a) for a in line.arguments[1:2] if line.primitive.name == "linear" and self.fits(a.shape)}
        return found

    def met(self, line, found):
        """The keys of all that an operation on entries takes and gives, where one of them holds images."""
        names = line.primitive.shapes
        if names is not None and not names.startswith("(d),(d)"):  # (d),(d)->(): a likelihood
            return set()
        keys = {key(argument) for argument in line.arguments if self.fits(argument.shape)}
        keys |= {line.number} if names is None and self.fits(line.value.shape) else set()
        return keys if keys & found else set()

    def fits(self, shape):
        """Whether an array of this shape may hold an image in each row."""
        return len(shape) == 2 and shape[1] == math.prod(self.image_shape)

    def shape_of(self, number, array):
        """The image shape of an array, the value of line `number` or a leaf with this id; None where it holds no images."""
        if self.image_shape is None:
            return None
        stacked = len(array.shape) == 4 and array.shape[1:] in (self.image_shape, (1, *self.image_shape))
        return self.image_shape if stacked or number in self.rows else None


def key(argument):
    """The number of the line that made an input, or the id of what was given."""
    return argument.line or id(argument.given)


def picture_of(array, image_shape=None):
    """At most ROWS x COLUMNS entries of an array as bytes: 0 stands for -limit and 255 for limit, the largest size of a finite entry.

    An array of images is shown as images, side by side: {"images": how many}; `of` is the shape of what was there.
    """
    flat = np.atleast_2d(array.reshape(array.shape[0], -1) if array.ndim > 1 else array)
    images, of = 0, list(flat.shape)
    if image_shape is not None:
        images = min(len(flat), 6)
        first = flat[:images].reshape(images, -1, *image_shape[-2:])[:, 0]  # the first channel
        flat = first.transpose(1, 0, 2).reshape(image_shape[-2], -1)
    elif array.ndim == 4:
        images = min(array.shape[1], 8)  # the channels of the first example
        flat = array[0, :images].transpose(1, 0, 2).reshape(array.shape[2], -1)
    else:
        flat = flat[:ROWS, :COLUMNS]
    finite = np.where(np.isfinite(flat), flat, 0.0)
    limit = float(np.abs(finite).max()) or 1.0
    data = np.clip(np.rint(finite / limit * 127.5 + 127.5), 0, 255).astype(np.uint8)
    return {
        "rows": flat.shape[0],
        "columns": flat.shape[1],
        "limit": limit,
        "images": images,
        "of": of,
        "data": base64.b64encode(data.tobytes()).decode(),
    }
