"""How calls are drawn for the primitives whose attributes must fit their shapes, a domain after the other."""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyae.backend import to_device
from tinyae.checks.strategies.calls import inputs_of
from tinyae.checks.strategies.values import FULL, SHAPE, arrays, axes, fitting, indices

AXES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)


@inputs_of("mean")
def _(draw, operation, dtype):
    shape = draw(FULL)  # the mean of nothing does not exist
    return [draw(arrays(shape, dtype=dtype))], {"axis": draw(axes(shape)), "keepdims": draw(st.booleans())}


@inputs_of("linear")
def _(draw, operation, dtype):
    return [draw(arrays(shape, dtype=dtype)) for shape in draw(fitting(operation.shapes, max_dims=0))], {}


@inputs_of("concatenate", "stack")
def _(draw, operation, dtype):
    shape = draw(AXES)
    new_axes = operation.name == "stack"
    axis = draw(st.integers(-len(shape) - new_axes, len(shape) - 1 + new_axes))
    shapes = [shape] * draw(st.integers(1, 3))
    if not new_axes:
        shapes = [tuple(draw(st.integers(0, 3)) if i == axis % len(shape) else n for i, n in enumerate(shape)) for shape in shapes]
    return [draw(arrays(shape, dtype=dtype)) for shape in shapes], {"axis": axis}


@inputs_of("squeeze", "expand_dims")
def _(draw, operation, dtype):
    axes = draw(hnp.valid_tuple_axes(4, min_size=1, max_size=2).map(lambda axes: tuple(axis % 4 for axis in axes)))
    rest = draw(st.lists(st.integers(2, 3), min_size=4 - len(axes), max_size=4 - len(axes)))
    shape = [1 if axis in axes else rest.pop() for axis in range(4)]
    axis = draw(st.just(axes) | st.just(axes[0]) | st.just(axes[0] - 4))
    if operation.name == "squeeze":
        axis = draw(st.none() | st.just(axis))
    else:
        shape = [n for i, n in enumerate(shape) if i not in ([a % 4 for a in axis] if isinstance(axis, tuple) else [axis % 4])]
    return [draw(arrays(tuple(shape), dtype=dtype))], {"axis": axis}


@inputs_of("repeat", "pad")
def _(draw, operation, dtype):
    shape = draw(AXES)
    if operation.name == "repeat":
        attributes = {"repeats": draw(st.integers(0, 3)), "axis": draw(st.integers(-len(shape), len(shape) - 1))}
    else:
        pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
        widths = st.integers(0, 2) | pair | st.lists(pair, min_size=len(shape), max_size=len(shape)).map(tuple)
        attributes = {"pad_width": draw(widths), "value": draw(st.sampled_from([0.0, -1.5]))}
    return [draw(arrays(shape, dtype=dtype))], attributes


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
    index = draw(indices(shape) | mixed_indices(shape))
    selected = np.zeros(shape)[index].shape  # the input of scatter_add has the shape of what its index selects
    if isinstance(index, tuple):
        index = tuple(to_device(part) if isinstance(part, np.ndarray) else part for part in index)
    if operation.name == "getitem":
        return [draw(arrays(shape, dtype=dtype))], {"index": index}
    return [draw(arrays(selected, dtype=dtype))], {"index": index, "shape": shape}


@st.composite
def mixed_indices(draw, shape):
    """A tuple of slices, integers, None, an Ellipsis, and integer arrays and boolean masks that broadcast with each other."""
    count = draw(st.integers(0, 3))  # how many entries each array names
    parts = [draw(index_along(n, count)) for n in shape]
    first, last = sorted(draw(st.tuples(st.integers(0, len(shape)), st.integers(0, len(shape)))))
    index = [*parts[:first], ..., *parts[last:]] if draw(st.booleans()) else parts[:last]
    for place in draw(st.lists(st.integers(0, len(index)), max_size=2)):
        index.insert(place, None)
    return tuple(index)


def index_along(n, count):
    """An index along one axis of length n; an array names `count` entries, or one."""
    options = [st.slices(n)]
    if n:
        number = st.integers(-n, n - 1)
        options += [number, number.map(np.int64), number.map(lambda i: np.array([i]))]
    if n or not count:
        places = st.integers(-n, max(n - 1, 0))
        options.append(st.lists(places, min_size=count, max_size=count).map(lambda found: np.array(found, dtype=np.int64)))
    if count <= n:
        options.append(st.permutations([True] * count + [False] * (n - count)).map(lambda mask: np.array(mask, dtype=bool)))
    return st.one_of(options)


@inputs_of("gather")
def _(draw, operation, dtype):
    shape = draw(AXES)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    selected = tuple(draw(st.integers(0, 3 if n else 0)) if i == axis % len(shape) else m for i, m in enumerate(shape))
    index = draw(hnp.arrays(np.int64, selected, elements=st.integers(0, max(n - 1, 0))))
    return [draw(arrays(shape, dtype=dtype))], {"index": index, "axis": axis}
