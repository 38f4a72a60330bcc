"""Hypothesis strategies for gradient tests: arrays away from kinks and ties by construction, never by filtering."""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyae.errors import ArgumentError

LATTICE = 20  # values are half-lattice points (i + 1/2) / LATTICE: never 0, no two alike


def arrays(shape, domain="real", dtype=np.float64):
    """Arrays of `shape` with values of order one, all different and at least 1/40 from 0.

    domain: "real", "positive" (within 0.1 and about 3), "nonzero" (at least 0.5 from 0), "unit" (inside (0, 1)).
    """
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
    if domain == "positive":
        return np.exp(values / 3)
    if domain == "nonzero":
        return values + 0.5 * np.sign(values)
    if domain == "unit":
        return (values + 3.1) / 6.2
    raise ArgumentError(f"strategies: no values for the domain {domain!r}.")


@st.composite
def inputs(draw, operation, dtype=np.float64):
    """(input arrays, attributes) for any primitive, from its registry data."""
    attributes_known = {"dtype", "axis", "keepdims", "shape", "axes", "index"}
    if unknown := operation.attributes.keys() - attributes_known:
        raise ArgumentError(f"{operation.name}: no strategy for its attribute {unknown.pop()!r}.", remedy="add it to checks/strategies.py")
    shapes = draw(shapes_of(operation))
    values = [draw(arrays(shape, operation.domain[name], dtype)) for shape, name in zip(shapes, names_of(operation, len(shapes)), strict=True)]
    attributes = draw(attributes_of(operation, shapes))
    if operation.name == "scatter_add":  # its input has the shape of what its index selects
        values = [draw(arrays(np.zeros(attributes["shape"])[attributes["index"]].shape, dtype=dtype))]
    return values, attributes


def names_of(operation, count):
    """The name of each input in a call with `count` of them."""
    return operation.inputs * count if operation.variadic else operation.inputs


def shapes_of(operation):
    """The shapes of the inputs: fitting the operation's signature, or mutually broadcastable."""
    if operation.variadic:
        return st.integers(1, 3).flatmap(lambda n: SHAPE.filter(len).map(lambda shape: [shape] * n))
    if operation.shapes is None and len(operation.inputs) == 1:
        found = SHAPE if operation.name != "mean" else SHAPE.filter(math.prod)  # the mean of nothing does not exist
        return found.map(lambda shape: [shape])
    given_signature = {"signature": operation.shapes} if operation.shapes else {"num_shapes": len(operation.inputs)}
    found = hnp.mutually_broadcastable_shapes(**given_signature, max_dims=0 if operation.name == "linear" else 2, max_side=3, min_side=1)
    return found.map(lambda result: list(result.input_shapes))


SHAPE = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def attributes_of(operation, shapes):
    """Values of the keyword-only attributes that fit the shapes."""
    shape = shapes[0]
    known = {
        "dtype": st.just(np.float64),
        "axis": st.integers(-len(shape), len(shape) - 1) if operation.variadic else axes(shape),
        "keepdims": st.booleans(),
        "axes": st.none() | st.permutations(range(len(shape))).map(tuple),
        "shape": target_shapes(operation, shape),
        "index": indices(shape),
    }
    return st.fixed_dictionaries({name: known[name] for name in operation.attributes})


def axes(shape):
    """None, an axis, or a tuple of axes of `shape`."""
    if not shape:
        return st.none()
    return st.none() | st.integers(-len(shape), len(shape) - 1) | hnp.valid_tuple_axes(len(shape), min_size=1)


def target_shapes(operation, shape):
    """The attribute `shape`: of the same size for reshape, one that `shape` broadcasts to for broadcast_to."""
    if operation.name == "broadcast_to":
        return st.lists(st.integers(1, 3), max_size=2).map(lambda extra: (*extra, *shape))
    if operation.name == "reshape":
        return st.permutations(shape).map(tuple) | st.just((math.prod(shape),)) | st.just((1, *shape))
    return st.just(shape)


def indices(shape):
    """Slices, integers, None and Ellipsis; integer arrays with repetitions; boolean masks."""
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    if not shape or 0 in shape:
        return basic
    integer = st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4).map(np.array)
    return basic | integer | hnp.arrays(bool, shape)
