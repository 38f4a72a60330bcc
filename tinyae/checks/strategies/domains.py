"""How calls are drawn for the primitives whose attributes must fit their shapes, a domain after the other."""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyae.checks.strategies.calls import inputs_of
from tinyae.checks.strategies.values import SHAPE, arrays, axes, indices


@inputs_of("mean")
def _(draw, operation, dtype):
    shape = draw(SHAPE.filter(math.prod))  # the mean of nothing does not exist
    return [draw(arrays(shape, dtype=dtype))], {"axis": draw(axes(shape)), "keepdims": draw(st.booleans())}


@inputs_of("linear")
def _(draw, operation, dtype):
    found = hnp.mutually_broadcastable_shapes(signature=operation.shapes, max_dims=0, max_side=3, min_side=1)
    return [draw(arrays(shape, dtype=dtype)) for shape in draw(found).input_shapes], {}


@inputs_of("concatenate")
def _(draw, operation, dtype):
    shape = draw(SHAPE.filter(len))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return [draw(arrays(shape, dtype=dtype)) for _ in range(draw(st.integers(1, 3)))], {"axis": axis}


@inputs_of("reshape", "transpose", "broadcast_to")
def _(draw, operation, dtype):
    shape = draw(SHAPE)
    if operation.name == "transpose":
        attributes = {"axes": draw(st.none() | st.permutations(range(len(shape))).map(tuple))}
    elif operation.name == "broadcast_to":
        attributes = {"shape": draw(st.lists(st.integers(1, 3), max_size=2).map(lambda extra: (*extra, *shape)))}
    else:
        attributes = {"shape": draw(st.permutations(shape).map(tuple) | st.just((math.prod(shape),)) | st.just((1, *shape)))}
    return [draw(arrays(shape, dtype=dtype))], attributes


@inputs_of("getitem", "scatter_add")
def _(draw, operation, dtype):
    shape = draw(SHAPE)
    index = draw(indices(shape))
    if operation.name == "getitem":
        return [draw(arrays(shape, dtype=dtype))], {"index": index}
    selected = np.zeros(shape)[index].shape  # the input of scatter_add has the shape of what its index selects
    return [draw(arrays(selected, dtype=dtype))], {"index": index, "shape": shape}
