"""Arrays, shapes, axes and indices for gradient tests: away from kinks and ties by construction, never by filtering."""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyae.errors import ArgumentError

LATTICE = 20  # values are half-lattice points (i + 1/2) / LATTICE: never 0, no two alike
DOMAINS = "real", "nonzero", "positive", "unit", "boolean", "binary"
INTERVALS = {"positive": (0, math.inf), "unit": (0, 1)}
SHAPE = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
FULL = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)  # at least one entry


def arrays(shape, domain="real", dtype=np.float64):
    """Arrays of `shape` with values of order one, all different and none near 0 (1/40 away from it; less above 80 entries).

    domain: "real" (-3 to 3), "nonzero" (-3.5 to -0.5, and 0.5 to 3.5), "positive" (0.36 to 2.72), "unit" (0.01 to 0.99), or an open
    interval (low, high), where a side may be infinite.  Two have equal values: "boolean" gives truth values, "binary" the numbers 0 and 1.
    Raises ArgumentError for another domain.
    """
    if domain not in DOMAINS and not (isinstance(domain, (tuple, list)) and len(domain) == 2 and domain[0] < domain[1]):
        raise ArgumentError(f"arrays: there is no domain {domain!r}.", expected=", ".join(DOMAINS) + ", or an interval (low, high)")
    if domain == "boolean":
        return hnp.arrays(bool, shape)
    if domain == "binary":
        return hnp.arrays(bool, shape).map(lambda x: x.astype(dtype))
    size = math.prod(shape)
    lattice = st.lists(st.integers(-3 * LATTICE, 3 * LATTICE - 1), min_size=size, max_size=size, unique=True)
    if size > 4 * LATTICE:  # unique draws from a small range get slow
        lattice = st.randoms(use_true_random=False).map(lambda r: r.sample(range(-10 * size, 10 * size), size))
    scale = LATTICE if size <= 4 * LATTICE else 10 * size / 3
    return lattice.map(lambda points: place(np.array(points, dtype=np.float64), scale, domain).reshape(shape).astype(dtype))


def place(points, scale, domain):
    """Lattice points as values of a domain."""
    values = (points + 0.5) / scale
    if domain == "real":
        return values
    if domain == "nonzero":
        return values + 0.5 * np.sign(values)
    low, high = INTERVALS.get(domain, domain)
    if low == -math.inf:
        return high - np.exp(values / 3)
    return low + (np.exp(values / 3) if high == math.inf else (values + 3.1) / 6.2 * (high - low))


def cotangents(shape, dtype=np.float64):
    """What a backward pass starts from: random numbers of both signs between 0.5 and 3.5 in size, no two alike, none of them 1.

    With a cotangent of ones, a softmax without any gradient passes every test.
    """
    return arrays(shape, "nonzero", dtype)


def broadcastable(count=2, *, max_dims=2, max_side=3, min_side=1):
    """A list of `count` shapes that broadcast with each other."""
    found = hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=max_dims, max_side=max_side, min_side=min_side)
    return found.map(lambda result: list(result.input_shapes))


def fitting(signature, *, max_dims=2, max_side=3, min_side=1):
    """A list of shapes that fit a signature such as "(n,k),(k,m)->(n,m)"; up to `max_dims` axes before these broadcast."""
    found = hnp.mutually_broadcastable_shapes(signature=signature, max_dims=max_dims, max_side=max_side, min_side=min_side)
    return found.map(lambda result: list(result.input_shapes))


def matmul_shapes():
    """Two shapes whose arrays have a matrix product: vectors, matrices, and stacks of matrices that broadcast."""
    return fitting("(n?,k),(k,m?)->(n?,m?)")


def axes(shape):
    """None, an axis, or a tuple of axes of `shape`."""
    if not shape:
        return st.none()
    return st.none() | st.integers(-len(shape), len(shape) - 1) | hnp.valid_tuple_axes(len(shape), min_size=1)


def indices(shape):
    """Slices, integers, None and Ellipsis; integer arrays with repetitions; boolean masks."""
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    if not shape or 0 in shape:
        return basic
    integer = st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4).map(np.array)
    return basic | integer | hnp.arrays(bool, shape)
