"""How calls are drawn for normalisation, dropout and the surrogates."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyae.checks.strategies.calls import inputs_of
from tinyae.checks.strategies.values import SHAPE, arrays, fitting

SOME = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)  # at least one axis, and an entry along each


def spread_out(draw, shape, axes, dtype):
    """An array whose entries along `axes` lie half a step or more apart, in any order: their variance is not small."""
    sizes = [shape[axis] for axis in axes]
    steps = np.array(draw(st.permutations(range(int(np.prod(sizes)))))).reshape(sizes)
    kept = tuple(axis for axis in range(len(shape)) if axis not in axes)
    return (draw(arrays(shape)) / 12 + np.expand_dims(steps, kept)).astype(dtype)


@inputs_of("layer_norm")
def _(draw, operation, dtype):
    shape = (*draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2)), draw(st.integers(1, 4)))
    x = spread_out(draw, shape, [len(shape) - 1], dtype)
    return [x, *(draw(arrays(shape[-1:], dtype=dtype)) for _ in range(2))], {"eps": draw(st.sampled_from([1e-5, 0.1]))}


@inputs_of("batch_norm")
def _(draw, operation, dtype):
    shape = (draw(st.integers(2, 4)), draw(st.integers(0, 3)), *draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=2)))
    x = spread_out(draw, shape, [axis for axis in range(len(shape)) if axis != 1], dtype)
    return [x, *(draw(arrays(shape[1:2], dtype=dtype)) for _ in range(2))], {"eps": draw(st.sampled_from([1e-5, 0.1]))}


@inputs_of("dropout")
def _(draw, operation, dtype):
    shape = draw(SHAPE)
    return [draw(arrays(shape, dtype=dtype))], {"noise": draw(arrays(shape, "unit")), "rate": draw(st.sampled_from([0, 0.2, 0.5, 0.9]))}


@inputs_of("straight_through")
def _(draw, operation, dtype):
    shape = draw(SHAPE)
    return [draw(arrays(shape, dtype=dtype))], {"value": draw(arrays(shape))}


@inputs_of("one_hot_straight_through")
def _(draw, operation, dtype):
    shape = draw(SOME)
    return [draw(arrays(shape, dtype=dtype))], {"axis": draw(st.integers(-len(shape), len(shape) - 1))}


@inputs_of("kl_normal_normal")
def _(draw, operation, dtype):
    found = draw(fitting(operation.shapes))
    # variances of the same order: a KL of hundreds of nats would drown the small gradients in its rounding
    return [draw(arrays(shape, dtype=dtype)) / (3 if "log_variance" in name else 1) for shape, name in zip(found, operation.inputs, strict=True)], {}


@inputs_of("binary_cross_entropy")
def _(draw, operation, dtype):
    found = draw(fitting(operation.shapes))
    # near the edges, where p = x and the slope is zero, finite differences cannot tell the strong bend from a kink
    return [draw(arrays(shape, domain, dtype)) for shape, domain in zip(found, [(0.1, 0.9), "unit"], strict=True)], {}
