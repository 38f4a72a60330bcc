"""Networks in which an output sees only the inputs before it: a product of conditional distributions in one pass."""

import itertools

import numpy as np

from tinyae.nn.layers import Linear
from tinyae.nn.module import Buffer
from tinyae.ops.linear_algebra import linear


class MaskedLinear(Linear):
    """x -> x @ (weight * mask).T + bias.  mask: (out_features, in_features) of 0 and 1, which says which output sees which input."""

    def __init__(self, mask, *, rng, bias=True):
        super().__init__(*np.shape(mask)[::-1], rng=rng, bias=bias)
        self.mask = Buffer(mask, np.float32)

    def forward(self, x):
        """x: (..., in_features).  Returns (..., out_features)."""
        return linear(x, self.weight * self.mask, self.bias)


def autoregressive_masks(features, hidden, outputs=1):
    """The masks of the layers features -> *hidden -> outputs * features, such that output d depends on the inputs before d only.

    1. Input d has the degree d = 1, ..., D; a hidden unit may see the inputs up to its own degree, one of 1, ..., D - 1 in turn,
       or spread evenly over them where the layer is narrower: the last one is D - 1, so that no input but the last goes unseen.
    2. So it sees the units below whose degree is at most its own, and output d sees those whose degree is less than d.
    3. Along a path the degree never falls, and the last step raises it: an input reaches only the outputs after it.

    outputs: how many numbers each feature gets (2 for a mean and a log-variance): the result is (N, outputs * D), first the D
    of the first kind.  Returns a list of arrays (out, in), for `MaskedLinear`.  Germain, Gregor, Murray & Larochelle 2015, equations 12, 13.
    """
    top = max(1, features - 1)
    degrees = [np.arange(features) + 1]
    degrees += [np.arange(width) % top + 1 if width >= top else np.linspace(1, top, width + 1)[1:].round() for width in hidden]
    masks = [above[:, None] >= below for below, above in itertools.pairwise(degrees)]
    masks.append(np.tile(degrees[0], outputs)[:, None] > degrees[-1])
    return [mask.astype(np.float32) for mask in masks]
