"""The matrix products of a training step alone, in NumPy, into arrays that are there: what no engine on NumPy can be faster than."""

import math

import numpy as np


def products_of(network):
    """(rows, inner, columns, whether the gradient of the left factor is needed) of the forward product of each layer that has one."""
    found = []
    for part, draws in (("encoder", 1), ("decoder", network.samples)):
        shape, rows = (), network.batch * draws
        for kind, *sizes in getattr(network, part):
            first = not found
            if kind == "linear":
                found.append((rows, sizes[0], sizes[1], not first))
                shape = (sizes[1],)
            elif kind == "conv":
                inputs, outputs, k, stride, padding = sizes
                shape = (outputs, *((n + 2 * padding - k) // stride + 1 for n in shape[1:]))
                found.append((rows * math.prod(shape[1:]), inputs * k * k, outputs, not first))
            elif kind == "conv_transpose":
                inputs, outputs, k, stride, padding = sizes
                found.append((rows * math.prod(shape[1:]), inputs, outputs * k * k, not first))
                shape = (outputs, *((n - 1) * stride - 2 * padding + k for n in shape[1:]))
            elif kind == "reshape":
                shape = tuple(sizes)
            elif kind in ("max_pool", "upsample"):
                by = sizes[0] if kind == "upsample" else 1 / sizes[0]
                shape = (shape[0], *(int(n * by) for n in shape[1:]))
    return found


class Peer:
    """The products, with the face of a framework."""

    def __init__(self, network, weights, variant=""):
        rng = np.random.default_rng(0)
        self.calls = []
        for m, k, n, needed in products_of(network):
            x, w, y = (rng.random(shape, np.float32) for shape in ((m, k), (n, k), (m, n)))
            self.calls += [(x, w.T, np.empty((m, n), np.float32)), (y.T, x, np.empty((n, k), np.float32))]
            self.calls += [(y, w, np.empty((m, k), np.float32))] if needed else []

    def array(self, x):
        """As it is."""
        return x

    def step(self, x, noise=None):
        """All products once; x and noise play no part."""
        for left, right, out in self.calls:
            np.matmul(left, right, out=out)

    def wait(self):
        """Nothing is ever under way."""
