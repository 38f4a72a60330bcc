"""Convolution, pooling and up-sampling against PyTorch: values and gradients in float64, the attributes varied."""

import itertools

import pytest

from tinyae import ops

torch = pytest.importorskip("torch")
assert_same = pytest.importorskip("torch_peer").assert_same
F = torch.nn.functional
pytestmark = pytest.mark.bench

SIZES = {1: (9,), 2: (9, 6)}
NUMBERS = {1: (1, 2, 3), 2: (1, 2, 3, (2, 1), (1, 3))}
PADDINGS = {1: (0, 2), 2: (0, 1, (2, 1))}
GEOMETRIES = [(axes, *g) for axes in (1, 2) for g in itertools.product((1, 2, 4), NUMBERS[axes], PADDINGS[axes], (1, 2))]
POOLS = [(axes, k, s) for axes in (1, 2) for k in NUMBERS[axes] for s in (None, *NUMBERS[axes])]


@pytest.mark.parametrize(("axes", "kernel", "stride", "padding", "dilation"), GEOMETRIES, ids=str)
def test_convolution(axes, kernel, stride, padding, dilation, rng):
    attributes = {"stride": stride, "padding": padding, "dilation": dilation}
    ours, theirs = {1: (ops.conv1d, F.conv1d), 2: (ops.conv2d, F.conv2d)}[axes]
    kernel = (min(kernel, 3),) * axes
    assert_same(
        lambda *x: ours(*x, **attributes),
        lambda *x: theirs(*x, **attributes),
        *(rng.normal(size=shape) for shape in ((2, 3, *SIZES[axes]), (4, 3, *kernel), (4,))),
    )


@pytest.mark.parametrize(("axes", "kernel", "stride", "padding", "dilation"), GEOMETRIES, ids=str)
def test_transposed_convolution(axes, kernel, stride, padding, dilation, rng):
    rest = tuple(s - 1 for s in ((stride,) * axes if isinstance(stride, int) else stride))
    attributes = {"stride": stride, "padding": padding, "dilation": dilation, "output_padding": rest}
    ours, theirs = {1: (ops.conv_transpose1d, F.conv_transpose1d), 2: (ops.conv_transpose2d, F.conv_transpose2d)}[axes]
    assert_same(
        lambda *x: ours(*x, **attributes),
        lambda *x: theirs(*x, **attributes),
        *(rng.normal(size=shape) for shape in ((2, 3, *SIZES[axes]), (3, 2, *(kernel,) * axes), (2,))),
    )


@pytest.mark.parametrize(("axes", "kernel", "stride"), POOLS, ids=str)
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pooling(kind, axes, kernel, stride, rng):
    ours, theirs = getattr(ops, f"{kind}_pool{axes}d"), getattr(F, f"{kind}_pool{axes}d")
    assert_same(lambda x: ours(x, kernel_size=kernel, stride=stride), lambda x: theirs(x, kernel, stride), rng.normal(size=(2, 3, *SIZES[axes])))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_upsampling(scale, rng):
    for size in ((5,), (3, 4), (2, 3, 2)):
        assert_same(lambda x: ops.upsample_nearest(x, scale=scale), lambda x: F.interpolate(x, scale_factor=scale), rng.normal(size=(2, 3, *size)))
