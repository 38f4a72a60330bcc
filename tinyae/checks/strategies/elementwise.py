"""How calls of elementwise operations and reductions are drawn: away from ties, along axes that are not empty, zeros in a product."""

import math

from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyae.checks.strategies.calls import inputs_of, shapes_of
from tinyae.checks.strategies.values import FULL, LATTICE, SHAPE, arrays, axes
from tinyae.ops.reductions import count


@inputs_of("maximum", "minimum")
def _(draw, operation, dtype):
    a, b = (draw(arrays(shape, dtype=dtype)) for shape in draw(shapes_of(operation)))
    return [a, b + dtype(0.5 / LATTICE)], {}  # between the points of the lattice, so nowhere alike


@inputs_of("clip")
def _(draw, operation, dtype):
    x = draw(arrays(draw(SHAPE), dtype=dtype))
    low, high = sorted(point / LATTICE for point in draw(st.tuples(*[st.integers(-3 * LATTICE, 3 * LATTICE)] * 2)))  # between all x
    return [x], draw(st.sampled_from([{"min": low, "max": high}, {"min": low}, {"max": high}]))


@inputs_of("sign")
def _(draw, operation, dtype):
    return [draw(arrays(draw(FULL), dtype=dtype))], {}


@inputs_of("leaky_relu", "elu")
def _(draw, operation, dtype):
    x = draw(arrays(draw(SHAPE), dtype=dtype))
    return [x], {name: draw(st.sampled_from([default, 0.0, 0.3, 2.0])) for name, default in operation.attributes.items()}


@inputs_of("max", "min", "logsumexp", "norm", "var")
def _(draw, operation, dtype):
    shape = draw(FULL)
    attributes = {"axis": draw(axes(shape)), "keepdims": draw(st.booleans())}
    if operation.name == "var":
        attributes["ddof"] = draw(st.integers(0, min(count(shape, attributes["axis"]) - 1, 2)))
    return [draw(arrays(shape, dtype=dtype))], attributes


@inputs_of("softmax", "log_softmax", "cumsum")
def _(draw, operation, dtype):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    return [draw(arrays(shape, dtype=dtype))], {"axis": draw(st.integers(-len(shape), len(shape) - 1))}


@inputs_of("prod")
def _(draw, operation, dtype):
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    x = draw(arrays(shape, dtype=dtype))
    x *= 0.5  # near 1 in size, so that no product is large
    zeros = draw(st.lists(st.integers(0, math.prod(shape) - 1), max_size=2)) if math.prod(shape) else []
    x.reshape(-1)[zeros] = 0
    return [x], {"axis": draw(axes(shape)), "keepdims": draw(st.booleans())}
