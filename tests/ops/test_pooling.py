"""Pooling, up-sampling and overlap-add against plain loops, each other and exact truths."""

import itertools

import numpy as np
import pytest
from oracles import ORACLES

import tinyae as ta
from tinyae import formula as formulas
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.checks import gradcheck
from tinyae.errors import ShapeError

# (size, kernel, stride) along one axis: windows that overlap, that touch, that leave gaps, that leave something over
AXES = [(n, k, s) for n, k, s in itertools.product((1, 4, 7), (1, 2, 3, 4, 7), (1, 2, 3, 5)) if k <= n]
CASES = [*[(axis,) for axis in AXES], *[(AXES[i], AXES[-1 - 5 * i % len(AXES)]) for i in range(len(AXES))]]
MAX, AVERAGE = {1: ops.max_pool1d, 2: ops.max_pool2d}, {1: ops.avg_pool1d, 2: ops.avg_pool2d}


def windows(x, kernel, stride):
    """(step, window) of an array (N, C, *size), step by step."""
    steps = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    for step in np.ndindex(*steps):
        yield step, (slice(None), slice(None), *(slice(s * i, s * i + k) for s, i, k in zip(stride, step, kernel, strict=True)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pooling_and_its_gradient_are_the_plain_loops(case, rng):
    size, kernel, stride = zip(*case, strict=True)
    axes, values = len(case), rng.normal(size=(2, 3, *size))
    for pool, combine, share in (
        (MAX, np.max, lambda window, y: window == y),
        (AVERAGE, np.mean, lambda window, y: np.ones_like(window) / window[0, 0].size),
    ):
        x = ta.Tensor(values, requires_grad=True)
        y = pool[axes](x, kernel_size=kernel, stride=stride)
        gy, gx = rng.normal(size=y.shape), np.zeros(x.shape)
        over = tuple(range(2, 2 + axes))
        for step, window in windows(values, kernel, stride):
            found = combine(values[window], axis=over, keepdims=True)
            np.testing.assert_allclose(y.numpy()[(..., *step)], found.reshape(2, 3), rtol=1e-13, atol=1e-15)
            gx[window] += gy[(..., *step)].reshape(found.shape) * share(values[window], found)
        assert y.shape[2:] == tuple(i + 1 for i in step)
        y.backward(gy)
        np.testing.assert_allclose(x.grad, gx, rtol=1e-12, atol=1e-14)


def test_the_stride_is_the_kernel_where_none_is_given(rng):
    x = rng.normal(size=(2, 1, 7, 9))
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        assert (pool(x, kernel_size=(2, 3)) == pool(x, kernel_size=(2, 3), stride=(2, 3))).all()
        assert pool(x, kernel_size=2).shape == (2, 1, 3, 4)


def test_entries_that_tie_share_the_gradient_equally(backend):
    x = ta.Tensor(to_device(np.array([[[1.0, 3.0, 3.0, 3.0, 0.0, 2.0]]], dtype=np.float32)), requires_grad=True)
    ops.max_pool1d(x, kernel_size=3).sum().backward()
    assert to_numpy(x.grad).tolist() == [[[0, 0.5, 0.5, 1, 0, 0]]]
    assert x.grad.dtype == np.float32


def test_a_constant_image_shares_every_gradient(rng):
    x = ta.Tensor(np.full((1, 1, 4, 4), -2.0), requires_grad=True)
    ops.max_pool2d(x, kernel_size=2).sum().backward()
    assert (x.grad == 0.25).all()


@pytest.mark.parametrize(
    ("pool", "size", "geometry"),
    [(ops.max_pool1d, (6,), {"kernel_size": 3, "stride": 2}), (ops.max_pool2d, (5, 4), {"kernel_size": (3, 2), "stride": (1, 2)})],
)
def test_the_formula_of_the_rule_shares_too_where_entries_tie(pool, size, geometry, rng):
    x = ta.Tensor(rng.integers(0, 2, size=(2, 2, *size)).astype(float), requires_grad=True)
    y = pool(x, **geometry)
    gy = rng.normal(size=y.shape)
    y.backward(gy)
    found = formulas.evaluate(pool.rules[0].formula, ORACLES | geometry | {"x": x.data, "y": y.data, "gy": gy}, x.shape)
    np.testing.assert_allclose(found, x.grad, rtol=1e-12, atol=1e-14)


def test_average_pooling_is_convolution_with_a_constant_kernel(rng):
    x = rng.normal(size=(3, 1, 8, 9))
    kernel = np.full((1, 1, 3, 2), 1 / 6)
    np.testing.assert_allclose(ops.avg_pool2d(x, kernel_size=(3, 2), stride=(2, 1)), ops.conv2d(x, kernel, stride=(2, 1)), rtol=1e-12, atol=1e-14)


def test_upsampling_is_transposed_convolution_with_a_kernel_of_ones(rng):
    x = rng.normal(size=(3, 1, 4, 2))
    np.testing.assert_allclose(ops.upsample_nearest(x, scale=(2, 3)), ops.conv_transpose2d(x, np.ones((1, 1, 2, 3)), stride=(2, 3)), rtol=1e-14)


@pytest.mark.parametrize(("size", "scale"), [((5,), 3), ((3, 4), 2), ((3, 4), (1, 3)), ((2, 1, 3), (2, 3, 1))])
def test_upsampling_repeats_and_pooling_of_the_same_scale_undoes_it(size, scale, backend, rng):
    x = rng.normal(size=(2, 3, *size))
    y = to_numpy(ops.upsample_nearest(to_device(x), scale=scale))
    scales = scale if isinstance(scale, tuple) else (scale,) * len(size)
    np.testing.assert_array_equal(y, np.kron(x, np.ones(scales)))
    if len(size) < 3:
        for pool in (AVERAGE, MAX):
            np.testing.assert_allclose(pool[len(size)](y, kernel_size=scale), x, rtol=1e-14)
    for order in (1, 2):
        assert gradcheck(lambda t: ops.upsample_nearest(t * t, scale=scale), [to_device(x[:1, :1])], order=order).worst < 1e-6


def test_pooling_keeps_the_examples_side_by_side_in_memory(rng):
    x = rng.normal(size=(2, 6, 6, 5)).transpose(3, 0, 1, 2)
    found = ops.max_pool2d(x, kernel_size=2), ops.avg_pool2d(x, kernel_size=2), ops.upsample_nearest(x, scale=2)
    assert [y.strides[0] for y in found] == [x.itemsize] * 3


def test_a_window_of_one_entry_copies(rng):
    x = rng.normal(size=(2, 3, 4))
    for y in (ops.max_pool1d(x, kernel_size=1), ops.avg_pool1d(x, kernel_size=1), ops.upsample_nearest(x, scale=1)):
        assert (y == x).all()
        assert not np.shares_memory(y, x)


def test_overlap_add_adds_where_parts_overlap():
    y = ops.overlap_add(np.array([1.0, 2.0]), np.array([10.0, 20.0]), places=[slice(0, 2), slice(1, 4, 2)], shape=(5,))
    assert y.tolist() == [1, 12, 0, 20, 0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: ops.max_pool2d(x, kernel_size=9), r"max_pool2d: a kernel that spans \(9, 9\) is larger than the input with its padding, \(8, 6\)"),
        (lambda x: ops.avg_pool2d(x, kernel_size=2, stride=0), "avg_pool2d: stride must be a whole number, at least 1, or 2 of them; it is 0"),
        (lambda x: ops.max_pool2d(x, kernel_size=0), "max_pool2d: kernel_size must be a whole number, at least 1"),
        (lambda x: ops.avg_pool1d(x, kernel_size=2), "avg_pool1d: x must have 3 axes, 1 of them in space; it has 4"),
        (lambda x: ops.upsample_nearest(x, scale=(2, 2, 2)), r"upsample_nearest: scale must be .* or 2 of them; it is \(2, 2, 2\)"),
        (lambda x: ops.upsample_nearest(x[0, 0], scale=2), "upsample_nearest: x must have spatial axes"),
    ],
)
def test_a_geometry_that_does_not_fit_is_explained(call, text):
    with pytest.raises(ShapeError, match=text) as caught:
        call(ta.Tensor(np.zeros((2, 3, 8, 6))))
    assert "got       x (" in str(caught.value)
