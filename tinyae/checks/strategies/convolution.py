"""How calls of convolution and pooling are drawn: from the number of steps backwards, so that everything fits.  Half of them are tiny."""

import math

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies.calls import inputs_of
from tinyae.checks.strategies.values import arrays


def geometry(draw, axes, tiny, padded=True):
    """Sizes, steps, kernel, stride, padding, dilation and what is left over, each a tuple with one for every axis."""
    few = st.integers(1, 2 if tiny else 3)
    columns = []
    for _ in range(axes):
        kernel, stride, steps = draw(few), draw(few), draw(st.integers(1, 2 if tiny or axes > 1 else 3))
        dilation, left_over = draw(st.integers(1, 2)) if padded else 1, draw(st.integers(0, stride - 1))
        size = stride * (steps - 1) + dilation * (kernel - 1) + 1 + left_over
        padding = draw(st.integers(0, min(2, (size - 1) // 2))) if padded else 0
        columns.append((size - 2 * padding, steps, kernel, stride, padding, dilation, left_over))
    return tuple(zip(*columns, strict=True))


def named(axes, **attributes):
    """Attributes as the formulas speak of them: a number for sequences, a pair for images."""
    return {name: values[0] if axes == 1 else values for name, values in attributes.items()}


@st.composite
def convolution_calls(draw, axes=2, kind="conv", dtype=np.float64):
    """(arrays, attributes) of a convolution over `axes` axes: stride, padding and dilation drawn, tuples where there are two axes.

    kind: "conv" gives [x, weight, bias]; "conv_transpose" the same, with output_padding; "conv_weight" gives [x, gy], with kernel_size.
    """
    tiny = draw(st.booleans())
    size, steps, kernel, stride, padding, dilation, left_over = geometry(draw, axes, tiny)
    n, c, o = (draw(st.integers(1, 1 if tiny else 2)) for _ in range(3))
    attributes = named(axes, stride=stride, padding=padding, dilation=dilation)
    if kind == "conv_weight":
        shapes = (n, c, *size), (n, o, *steps)
        attributes |= named(axes, kernel_size=kernel)
    elif kind == "conv_transpose":
        shapes = (n, c, *steps), (c, o, *kernel), (o,)
        attributes |= named(axes, output_padding=left_over)
    else:
        shapes = (n, c, *size), (o, c, *kernel), (o,)
    return [draw(arrays(shape, dtype=dtype)) for shape in shapes], attributes


@inputs_of("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "conv1d_weight", "conv2d_weight")
def _(draw, operation, dtype):
    axes = 1 if "1d" in operation.name else 2
    return draw(convolution_calls(axes, operation.name.replace(f"{axes}d", ""), dtype))


@inputs_of("avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d")
def _(draw, operation, dtype):
    axes, tiny = 1 if "1d" in operation.name else 2, draw(st.booleans())
    size, _, kernel, stride, *_ = geometry(draw, axes, tiny, padded=False)
    shape = (draw(st.integers(1, 1 if tiny else 2)), draw(st.integers(1, 1 if tiny or math.prod(size) > 20 else 2)), *size)
    return [draw(arrays(shape, dtype=dtype))], named(axes, kernel_size=kernel, stride=stride)


@inputs_of("upsample_nearest")
def _(draw, operation, dtype):
    shape = tuple(draw(st.integers(1, 2)) for _ in range(4))  # images: its formula is theirs
    return [draw(arrays(shape, dtype=dtype))], {"scale": (draw(st.integers(1, 3)), draw(st.integers(1, 3)))}


@inputs_of("overlap_add")
def _(draw, operation, dtype):
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=2).map(tuple))
    steps = tuple(draw(st.integers(1, n)) for n in shape)
    strides = tuple(draw(st.integers(1, max(1, (n - 1) // max(1, m - 1)))) for n, m in zip(shape, steps, strict=True))
    spans = [s * (m - 1) + 1 for s, m in zip(strides, steps, strict=True)]
    places = [
        tuple(slice(start, start + span, s) for start, span, s in zip(starts, spans, strides, strict=True))
        for starts in draw(st.lists(st.tuples(*(st.integers(0, n - span) for n, span in zip(shape, spans, strict=True))), min_size=1, max_size=3))
    ]
    found = [np.zeros(shape)[place].shape for place in places]
    return [draw(arrays(part, dtype=dtype)) for part in found], {"places": places, "shape": shape}
