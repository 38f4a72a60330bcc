"""Convolution, transposed convolution and the weight gradient against plain loops, SciPy, each other and exact truths."""

import itertools
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.checks import gradcheck
from tinyae.checks.fake_device import fake_gpu
from tinyae.errors import ShapeError
from tinyae.ops import correlation
from tinyae.ops.windows import Windows, runs

# (size, kernel, stride, padding, dilation) along one axis: odd and even sizes, kernel 1, kernel = size, steps that leave something over
AXES = [(n, k, s, p, d) for n, k, s, p, d in itertools.product((1, 4, 7), (1, 2, 3, 4), (1, 2, 3), (0, 1, 2), (1, 2)) if n + 2 * p > d * (k - 1)]
PAIRS = [(AXES[i], AXES[-1 - 7 * i % len(AXES)]) for i in range(0, len(AXES), 3)]
CASES = [*[(axis,) for axis in AXES], *PAIRS]
CONVOLUTIONS = {1: ops.conv1d, 2: ops.conv2d}
TRANSPOSED = {1: ops.conv_transpose1d, 2: ops.conv_transpose2d}
WEIGHTS = {1: ops.conv1d_weight, 2: ops.conv2d_weight}


def drawn(case, rng):
    """Input, weight and cotangent for the geometry of a case, its attributes and what it leaves over along each axis."""
    n, c, o = np.random.default_rng(CASES.index(case)).integers(1, 4, 3)  # others in each case: which form is taken depends on c and o
    size, kernel, stride, padding, dilation = zip(*case, strict=True)
    room = [m + 2 * p - d * (k - 1) - 1 for m, k, p, d in zip(size, kernel, padding, dilation, strict=True)]
    steps = [r // s + 1 for r, s in zip(room, stride, strict=True)]
    x, weight, gy = rng.normal(size=(n, c, *size)), rng.normal(size=(o, c, *kernel)), rng.normal(size=(n, o, *steps))
    return x, weight, gy, {"stride": stride, "padding": padding, "dilation": dilation}, tuple(r % s for r, s in zip(room, stride, strict=True))


def entries(x, weight, gy, stride, padding, dilation):
    """Every place that enters: (index into x, index into weight, index into gy), one by one."""
    for n, o, c in itertools.product(range(len(x)), range(len(weight)), range(x.shape[1])):
        for step, offset in itertools.product(np.ndindex(*gy.shape[2:]), np.ndindex(*weight.shape[2:])):
            place = tuple(s * i + d * k - p for s, i, d, k, p in zip(stride, step, dilation, offset, padding, strict=True))
            if all(0 <= j < m for j, m in zip(place, x.shape[2:], strict=True)):
                yield (n, c, *place), (o, c, *offset), (n, o, *step)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_all_three_are_the_plain_loops(case, backend, rng):
    x, weight, gy, attributes, rest = drawn(case, rng)
    y, gx, gweight = np.zeros_like(gy), np.zeros_like(x), np.zeros_like(weight)
    for i, j, k in entries(x, weight, gy, **attributes):
        y[k] += x[i] * weight[j]
        gx[i] += gy[k] * weight[j]
        gweight[j] += gy[k] * x[i]
    axes, kernel, (x, weight, gy) = len(case), weight.shape[2:], map(to_device, (x, weight, gy))
    for found, expected in (
        (CONVOLUTIONS[axes](x, weight, **attributes), y),
        (TRANSPOSED[axes](gy, weight, output_padding=rest, **attributes), gx),
        (WEIGHTS[axes](x, gy, kernel_size=kernel, **attributes), gweight),
    ):
        np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("channels", "out"), [(5, 2), (2, 5)])
def test_with_stride_1_columns_are_made_of_what_has_fewer_channels(channels, out, rng, monkeypatch):
    heights, columns = [], correlation.columns
    monkeypatch.setattr(correlation, "columns", lambda x, *rest: heights.append(len(x)) or columns(x, *rest))
    x, weight, gy = rng.normal(size=(3, channels, 6, 5)), rng.normal(size=(out, channels, 3, 3)), rng.normal(size=(3, out, 6, 5))
    ops.conv2d(x, weight, padding=1)  # columns of x, or none: parts of as many channels as the result has, added up
    assert heights == ([] if out < channels else [channels])
    ops.conv_transpose2d(gy, weight, padding=1)
    assert heights == [min(channels, out)]
    ops.conv2d_weight(x, gy, kernel_size=(3, 3), padding=1)
    assert heights == [min(channels, out)] * 2


def test_on_a_gpu_the_columns_are_one_copy_of_a_view(rng):
    with fake_gpu() as counters:
        x, weight = to_device(rng.normal(size=(4, 3, 9, 9))), to_device(rng.normal(size=(5, 3, 3, 3)))
        inner = correlation.side_by_side(x)
        windows, steps = Windows((9, 9), (3, 3), 2, 0, 1), (range(4), range(4))
        counters.reset()
        assert correlation.columns(inner, windows, steps).shape == (27, 64)
        assert counters.launches == 1
        counters.reset()
        ops.conv2d(x, weight, stride=2, padding=1)
        assert counters.launches == 5  # the batch last, the padding, x into it, columns, the product


@pytest.mark.parametrize("case", CASES[::5], ids=str)
def test_all_three_are_parts_of_one_number(case, backend, rng):
    x, weight, gy, attributes, rest = drawn(case, rng)
    axes, kernel, arrays = len(case), weight.shape[2:], [to_device(a) for a in (x, weight, gy)]
    with_cotangent = (to_numpy(CONVOLUTIONS[axes](arrays[0], arrays[1], **attributes)) * gy).sum()
    with_input = (to_numpy(TRANSPOSED[axes](arrays[2], arrays[1], output_padding=rest, **attributes)) * x).sum()
    with_weight = (to_numpy(WEIGHTS[axes](arrays[0], arrays[2], kernel_size=kernel, **attributes)) * weight).sum()
    scale = np.abs(x).sum() * np.abs(weight).sum() * np.abs(gy).sum()
    np.testing.assert_allclose([with_input, with_weight], with_cotangent, rtol=1e-10, atol=1e-13 * scale)


def test_convolution_is_scipys_correlation(rng):
    x, weight = rng.normal(size=(2, 3, 9, 8)), rng.normal(size=(4, 3, 3, 2))
    expected = [[sum(scipy.signal.correlate2d(a, b, "valid") for a, b in zip(image, w, strict=True)) for w in weight] for image in x]
    np.testing.assert_allclose(ops.conv2d(x, weight), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ops.conv2d(x, weight, stride=(2, 3)), np.array(expected)[:, :, ::2, ::3], rtol=1e-12, atol=1e-12)


def test_transposed_convolution_is_scipys_convolution(rng):
    x, weight = rng.normal(size=(2, 1, 5, 4)), rng.normal(size=(1, 1, 3, 2))
    expected = [[scipy.signal.convolve2d(image[0], weight[0, 0], "full")] for image in x]
    np.testing.assert_allclose(ops.conv_transpose2d(x, weight), expected, rtol=1e-12, atol=1e-12)


def test_a_kernel_with_a_single_one_shifts(rng):
    x = rng.normal(size=(2, 1, 6, 7))
    weight = np.zeros((1, 1, 3, 3))
    weight[0, 0, 0, 2] = 1  # row i of the result is row i - 1, column j is column j + 1
    y = ops.conv2d(x, weight, padding=1)
    assert (y[:, :, 1:, :-1] == x[:, :, :-1, 1:]).all()
    assert (y[:, :, 0] == 0).all()
    assert (y[..., -1] == 0).all()


def test_a_kernel_of_size_one_is_a_matrix_product_at_every_place(rng):
    x, weight, bias = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(6, 3, 1, 1)), rng.normal(size=6)
    expected = np.moveaxis(np.moveaxis(x, 1, -1) @ weight[:, :, 0, 0].T + bias, -1, 1)
    np.testing.assert_allclose(ops.conv2d(x, weight, bias), expected, rtol=1e-12)
    np.testing.assert_allclose(ops.conv_transpose2d(x, weight.swapaxes(0, 1), bias), expected, rtol=1e-12)


def test_a_kernel_of_the_inputs_size_is_a_linear_layer(rng):
    x, weight, bias = rng.normal(size=(5, 3, 4, 4)), rng.normal(size=(2, 3, 4, 4)), rng.normal(size=2)
    expected = ops.linear(x.reshape(5, -1), weight.reshape(2, -1), bias)
    np.testing.assert_allclose(ops.conv2d(x, weight, bias)[:, :, 0, 0], expected, rtol=1e-12)


def test_windows_that_do_not_overlap_make_blocks(rng):
    x, weight = rng.normal(size=(2, 1, 3, 4)), rng.normal(size=(1, 1, 2, 3))
    np.testing.assert_allclose(ops.conv_transpose2d(x, weight, stride=(2, 3)), [[np.kron(image[0], weight[0, 0])] for image in x], rtol=1e-12)


def test_sequences_are_images_of_one_row(rng):
    x, weight, bias = rng.normal(size=(2, 3, 8)), rng.normal(size=(4, 3, 3)), rng.normal(size=4)
    y = ops.conv1d(x, weight, bias, stride=2, padding=1, dilation=2)
    z = ops.conv2d(x[:, :, None], weight[:, :, None], bias, stride=(1, 2), padding=(0, 1), dilation=(1, 2))
    np.testing.assert_allclose(y, z[:, :, 0], rtol=1e-12)


def test_output_padding_chooses_among_the_sizes_that_take_as_many_steps(rng):
    gy, weight = rng.normal(size=(1, 2, 3)), rng.normal(size=(2, 1, 4))
    for more, size in enumerate((8, 9, 10)):
        x = ops.conv_transpose1d(gy, weight, stride=3, padding=1, output_padding=more)
        assert x.shape == (1, 1, size)
        assert ops.conv1d(x, weight, stride=3, padding=1).shape == gy.shape


def test_an_entry_that_no_step_sees_has_gradient_zero(rng):
    x = ta.Tensor(rng.normal(size=(1, 1, 6)), requires_grad=True)
    ops.conv1d(x, np.ones((1, 1, 2)), stride=3).sum().backward()
    assert x.grad.tolist() == [[[1, 1, 0, 1, 1, 0]]]


def test_one_number_stands_for_all_axes(rng):
    x, weight = rng.normal(size=(1, 2, 9, 9)), rng.normal(size=(2, 2, 3, 3))
    one, two = {"stride": 2, "padding": 1, "dilation": 2}, {"stride": (2, 2), "padding": [1, 1], "dilation": (2, np.int64(2))}
    y = ops.conv2d(x, weight, **one)
    assert (y == ops.conv2d(x, weight, **two)).all()
    assert (ops.conv_transpose2d(y, weight, output_padding=1, **one) == ops.conv_transpose2d(y, weight, output_padding=(1, 1), **two)).all()
    assert (ops.conv2d_weight(x, y, kernel_size=3, **one) == ops.conv2d_weight(x, y, kernel_size=(3, 3), **two)).all()
    assert (ops.conv1d(x[..., 0], weight[..., 0], stride=(2,)) == ops.conv1d(x[..., 0], weight[..., 0], stride=2)).all()


def test_no_bias_is_a_bias_of_zero(rng):
    x, weight = rng.normal(size=(2, 3, 5, 5)), rng.normal(size=(3, 3, 2, 2))
    assert (ops.conv2d(x, weight) == ops.conv2d(x, weight, np.zeros(3))).all()
    assert (ops.conv_transpose2d(x, weight) == ops.conv_transpose2d(x, weight, np.zeros(3))).all()


def test_gradients_and_their_gradients_of_a_small_network(backend, rng):
    def network(x, first, bias, second):
        h = ops.tanh(ops.conv2d(x, first, bias, stride=2, padding=1))
        return ops.conv_transpose2d(h, second, stride=2, padding=1, output_padding=(0, 1))

    shapes = (2, 1, 3, 4), (2, 1, 3, 3), (2,), (2, 1, 3, 3)
    for order in (1, 2):
        assert gradcheck(network, [to_device(rng.normal(size=shape)) for shape in shapes], order=order).worst < 1e-5


def test_an_empty_batch_gives_an_empty_result():
    x, weight = ta.Tensor(np.zeros((0, 2, 5, 5)), requires_grad=True), ta.Tensor(np.ones((3, 2, 3, 3)), requires_grad=True)
    y = ops.conv2d(x, weight, stride=2)
    z = ops.conv_transpose2d(y, weight, stride=2)
    assert (y.shape, z.shape) == ((0, 3, 2, 2), (0, 2, 5, 5))
    z.sum().backward()
    assert x.grad.shape == x.shape
    assert (weight.grad == 0).all()


def small_blocks(monkeypatch, columns):
    """Blocks of at most so many columns, or one step."""
    monkeypatch.setattr(correlation, "BLOCK", 1)
    monkeypatch.setattr(correlation, "FEWEST", columns)


@pytest.mark.parametrize("case", CASES[::4], ids=str)
@pytest.mark.parametrize("columns", [1, 8, 20])
def test_blocks_of_any_size_give_the_same(case, columns, backend, rng, monkeypatch):
    *arrays, attributes, rest = drawn(case, rng)
    axes, kernel = len(case), arrays[1].shape[2:]

    def all_three(x, weight, gy):
        yield CONVOLUTIONS[axes](x, weight, **attributes)
        yield TRANSPOSED[axes](gy, weight, output_padding=rest, **attributes)
        yield WEIGHTS[axes](x, gy, kernel_size=kernel, **attributes)

    whole = [to_numpy(y) for y in all_three(*map(to_device, arrays))]  # a block that holds all steps
    small_blocks(monkeypatch, columns)
    for found, expected in zip(all_three(*arrays), whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_gradients_through_blocks_and_their_gradients(rng, monkeypatch):
    small_blocks(monkeypatch, 4)
    arrays = [rng.normal(size=shape) for shape in ((2, 1, 5, 4), (2, 1, 3, 3), (2,), (2, 1, 3, 3))]
    for order in (1, 2):
        assert (
            gradcheck(lambda x, w, b, v: ops.conv_transpose2d(ops.tanh(ops.conv2d(x, w, b, padding=1)), v, stride=2), arrays, order=order).worst
            < 1e-5
        )


def test_blocks_keep_the_columns_out_of_memory(rng):
    x, weight = rng.normal(size=(8, 16, 32, 64)).transpose(3, 0, 1, 2), rng.normal(size=(4, 8, 5, 5))  # all columns: 105 MB
    tracemalloc.start()
    gy = ops.conv2d(x, weight, padding=2)
    ops.conv2d_weight(x, gy, kernel_size=5, padding=2)
    ops.conv_transpose2d(gy, weight, padding=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < gy.nbytes + x.nbytes + 2 * correlation.BLOCK


@given(steps=st.lists(st.integers(1, 5), min_size=1, max_size=3), most=st.integers(0, 130))
def test_runs_take_all_steps_in_their_order(steps, most):
    found = list(runs(steps, most))
    assert [step for box in found for step in itertools.product(*box)] == list(np.ndindex(*steps))
    sizes = [np.prod([len(r) for r in box]) for box in found]
    assert max(sizes) <= max(1, most)
    assert len(found) == 1 or most < np.prod(steps)


FAULTS = """
import resource, numpy, tinyae.ops
def fill():
    return [numpy.full(2**20, 1.0) for _ in range(3)]
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()), reason="only glibc learns what to keep")
def test_memory_that_was_freed_is_used_again():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    faults = subprocess.run([sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True).stdout
    assert int(faults) < 50  # pages, for 24 MB five times over: 60 even where a page is 2 MB


def test_results_keep_the_examples_side_by_side_in_memory(rng):
    x = np.asarray(rng.normal(size=(5, 2, 6, 6)), order="C")
    y = ops.conv2d(x, rng.normal(size=(3, 2, 3, 3)), padding=1)
    assert y.strides[0] == y.itemsize
    assert np.shares_memory(y.reshape(5, -1), y)  # so the way into a linear layer copies nothing


@pytest.mark.parametrize("wrap", [np.asarray, ta.Tensor], ids=["array", "Tensor"])
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: ops.conv2d(x, np.zeros((4, 3, 9, 3))), r"a kernel that spans \(9, 3\) is larger than the input with its padding, \(8, 8\)"),
        (lambda x: ops.conv2d(x, np.zeros((4, 3, 5, 5)), dilation=2), r"a kernel that spans \(9, 9\) is larger"),
        (lambda x: ops.conv2d(x, np.zeros((4, 3, 3, 3)), stride=0), "stride must be a whole number, at least 1, or 2 of them; it is 0"),
        (lambda x: ops.conv2d(x, np.zeros((4, 3, 3, 3)), stride=1.5), "stride must be a whole number, at least 1"),
        (lambda x: ops.conv2d(x, np.zeros((4, 3, 3, 3)), padding=(1, 1, 1)), r"padding must be .* at least 0, or 2 of them; it is \(1, 1, 1\)"),
        (lambda x: ops.conv2d(x, np.zeros((4, 3, 3, 3)), dilation=(1, -1)), "dilation must be a whole number, at least 1"),
        (
            lambda x: ops.conv_transpose2d(x, np.zeros((3, 4, 3, 3)), output_padding=1),
            r"output_padding \(1, 1\) must be smaller than stride \(1, 1\)",
        ),
        (lambda x: ops.conv_transpose2d(x, np.zeros((3, 4, 3, 3)), padding=5), r"padding \(5, 5\) leaves a result of size \(0, 0\)"),
        (lambda x: ops.conv2d_weight(x, np.zeros((2, 4, 3, 3)), kernel_size=3), r"kernel and gy must have as many steps: \(6, 6\) and \(3, 3\)"),
    ],
)
def test_a_geometry_that_does_not_fit_is_explained(wrap, call, text):
    with pytest.raises(ValueError, match=text):
        call(wrap(np.zeros((2, 3, 8, 8))))


@pytest.mark.parametrize(
    ("call", "text", "got"),
    [
        (lambda x: ops.conv2d(x, np.zeros((4, 2, 3, 3))), "x and weight must have as many channels: 3 and 2", "weight (4, 2, 3, 3)"),
        (lambda x: ops.conv_transpose2d(x, np.zeros((4, 3, 3, 3))), "x and weight must have as many channels: 3 and 4", "weight (4, 3, 3, 3)"),
        (lambda x: ops.conv2d(x, np.zeros((4, 3, 3))), "weight must have 4 axes, 2 of them in space; it has 3", "weight (4, 3, 3)"),
        (lambda x: ops.conv1d(x, np.zeros((4, 3, 3))), "x must have 3 axes, 1 of them in space; it has 4", "weight (4, 3, 3)"),
        (lambda x: ops.conv2d(x, np.zeros((4, 3, 3, 3)), np.zeros(5)), "axes called o have lengths 4 and 5", "bias (5,)"),
        (lambda x: ops.conv2d_weight(x, np.zeros((3, 4, 6, 6)), kernel_size=3), "x and gy must have as many examples: 2 and 3", "gy (3, 4, 6, 6)"),
    ],
)
def test_shapes_that_do_not_fit_are_shown(call, text, got):
    x = np.zeros((2, 3, 8, 8))
    with pytest.raises(ValueError, match=text):
        call(x)
    with pytest.raises(ShapeError) as caught:
        call(ta.Tensor(x))
    assert "x (2, 3, 8, 8)" in str(caught.value)
    assert got in str(caught.value)


def test_no_channels_give_zeros_or_nothing():
    assert ops.conv1d(ta.Tensor(np.ones((1, 0, 3))), np.ones((2, 0, 1))).data.tolist() == [[[0, 0, 0], [0, 0, 0]]]
    assert ops.conv1d(ta.Tensor(np.ones((1, 2, 3))), np.ones((0, 2, 1))).shape == (1, 0, 3)
