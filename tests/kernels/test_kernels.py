"""Every kernel equals the plain code that it stands for: in value, gradient and second order, in any order in memory, on any device."""

import importlib.util
import math
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyae as ta
from tinyae.autograd import registry
from tinyae.backend import to_device, to_numpy
from tinyae.checks import gradcheck, strategies
from tinyae.checks.fake_device import fake_gpu
from tinyae.kernels import adam as adam_kernel
from tinyae.kernels import compiled, elementwise, loops, plain

FAST = [primitive for primitive in registry.values() if primitive.fast]
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs Numba: pip install tinyae[fast]")
every_fast_primitive = pytest.mark.parametrize("operation", FAST, ids=lambda operation: operation.name)
FLOATS = st.sampled_from([0.0, -0.0, 1.5, -2.0, 1e-40, 90.0, -90.0, 3e38, math.inf, -math.inf, math.nan])


def run(operation, values, attributes, cotangent=None):
    """(value, gradients) as NumPy arrays."""
    inputs = [ta.Tensor(v, requires_grad=True) if getattr(v, "dtype", np.dtype(int)).kind == "f" else v for v in values]
    y = operation(*inputs, **attributes)
    leaves = [x for x in inputs if isinstance(x, ta.Tensor)]
    gradients = ta.grad(y, leaves, cotangent if cotangent is not None else to_device(np.ones(y.shape, to_numpy(y.data).dtype)))
    return [to_numpy(t.data) for t in (y, *gradients)]


def test_there_are_kernels_to_test():
    assert {operation.name for operation in FAST} >= {"relu", "sigmoid", "where", "bce_with_logits", "mean", "broadcast_to"}


@every_fast_primitive
@given(data=st.data())
def test_value_and_gradients_are_those_of_the_plain_code(operation, data):
    values, attributes = data.draw(strategies.inputs(operation))
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 2e-6)):
        cast = [v.astype(dtype) if v.dtype.kind == "f" else v for v in values]
        fast = run(operation, cast, attributes)
        with plain():
            slow = run(operation, cast, attributes)
        for one, other in zip(fast, slow, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@given(data=st.data())
def test_a_part_of_an_axis_goes_back_in_one_launch_on_a_gpu(data):
    parts, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    axis, part = data.draw(st.integers(0, 2)), data.draw(st.integers(0, parts - 1))
    shape = tuple(parts * width if i == axis else n for i, n in enumerate(data.draw(st.tuples(*[st.integers(0, 3)] * 3))))
    index = (slice(None),) * axis + (slice(part * width, (part + 1) * width),) + data.draw(st.sampled_from([(), (slice(None),) * (2 - axis)]))
    gy = np.random.default_rng(0).normal(size=np.empty(shape)[index].shape)
    gy[gy > 1] = math.inf
    expected = np.zeros(shape)
    expected[index] = gy
    np.testing.assert_array_equal(ta.ops.scatter_add.fast(gy, index=index, shape=shape), expected)
    with fake_gpu() as counters:
        there = to_device(gy)
        ta.ops.scatter_add(there, index=index, shape=shape)
        counters.reset()
        found = ta.ops.scatter_add(there, index=index, shape=shape)
        assert counters.launches <= 1 + (parts == 1)
        np.testing.assert_array_equal(to_numpy(found), expected)


@pytest.mark.parametrize(
    "index",
    [slice(1, 3), slice(0, 4), slice(0, 6, 2), slice(5, None, -1), slice(3, 3), 2, (slice(0, 3), None), (slice(0, 3), slice(0, 1)), ..., [0, 0, 1]],
)
def test_other_indices_go_back_as_ever(index):
    x = np.random.default_rng(0).normal(size=(6, 2))
    gy = np.ones_like(x[index])
    expected = np.zeros_like(x)
    np.add.at(expected, index, gy)
    with fake_gpu():
        found = ta.ops.scatter_add(to_device(gy), index=to_device(np.array(index)) if isinstance(index, list) else index, shape=x.shape)
        np.testing.assert_array_equal(to_numpy(found), expected)


@every_fast_primitive
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_gradients_of_gradients_with_and_without_kernels(operation, backend, data):
    values, attributes = data.draw(strategies.inputs(operation))
    if sum(v.size for v in values) > 20:
        return
    values = [to_device(v) for v in values]
    for switch in (plain, ta.detect_anomaly):
        with switch():
            assert gradcheck(lambda *inputs: operation(*inputs, **attributes), values, order=2).worst <= 1e-5


def in_order(x, order):
    """x with its axes in another order in memory."""
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


@given(shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(0, 5)), order=st.permutations([0, 1, 2]), data=st.data())
def test_odd_numbers_in_any_order_of_memory(shape, order, data):
    n = math.prod(shape)
    x, g = (np.array(data.draw(st.lists(FLOATS, min_size=n, max_size=n)), np.float32).reshape(shape) for _ in range(2))
    x, g = in_order(x, order), in_order(g, data.draw(st.permutations([0, 1, 2])))
    with np.errstate(all="ignore"):
        for operation, values, same in (
            (ta.ops.relu, (x,), np.array_equal),
            (ta.ops.where, (x > 0, g, 0), np.array_equal),
            (ta.ops.sigmoid, (x,), lambda a, b, equal_nan: np.allclose(a, b, rtol=1e-6, atol=0, equal_nan=equal_nan)),
        ):
            fast = operation(*values)
            assert operation.fast(*values) is not NotImplemented or not n
            with plain():
                assert same(fast, operation(*values), equal_nan=True), operation.name
        assert fast.dtype == np.float32


def test_a_mask_leaves_no_trace_of_what_it_hides():
    mask, g = np.array([True, False, False]), np.array([math.inf, math.inf, math.nan], np.float32)
    assert elementwise.masked(mask, g, 0).tolist() == [math.inf, 0, 0]
    with np.errstate(invalid="ignore"):
        assert np.isnan(g * mask).any()  # the product that looks like the same


def test_the_row_that_relus_share_is_never_given_away():
    with pytest.raises(ValueError, match="read-only"):
        elementwise.row(3, 0, np.dtype(np.float32))[0] = 1
    y = ta.ops.relu(np.zeros(3, np.float32))
    y += 1
    assert ta.ops.relu(np.full(3, -1, np.float32)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 2, 3, 0], [3, 1, 0, 2]])
def test_the_result_keeps_the_order_in_memory(order):
    x = in_order(np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32), order)
    assert ta.ops.relu(x).strides == x.strides
    assert elementwise.masked(x > 0, x, 0).strides == x.strides


def test_what_a_kernel_does_not_know_it_leaves_to_the_plain_code():
    three = np.arange(3)
    assert elementwise.against(np.maximum, three, 0) is NotImplemented
    assert elementwise.masked(three > 1, three, 0) is NotImplemented
    assert elementwise.masked(three[:, None] > 1, three / 2, 0) is NotImplemented
    assert elementwise.masked(three > 1, three / 2, 1) is NotImplemented
    assert ta.ops.relu(three).tolist() == [0, 1, 2]
    with fake_gpu():
        x = to_device(np.ones(3, np.float32))
        for operation in (ta.ops.relu, ta.ops.mean, ta.ops.broadcast_to):
            attributes = {"shape": (2, 3)} if operation is ta.ops.broadcast_to else {}
            assert operation.fast(x, **attributes) is NotImplemented


def test_plain_leaves_kernels_out_and_ends_with_its_block(monkeypatch):
    monkeypatch.setattr(ta.ops.relu, "fast", lambda x: x - 1)
    x = np.ones(2)
    with plain():
        assert ta.ops.relu(x).tolist() == [1, 1]
    assert ta.ops.relu(x).tolist() == [0, 0]


@pytest.mark.parametrize("number", [np.float32(2), np.float32(2).reshape(()), np.float64(2)])
def test_one_number_seen_as_many_cannot_be_written(number):
    y = ta.ops.broadcast_to.fast(number, shape=(2, 3))
    assert y.dtype == number.dtype
    assert y.strides == (0, 0)
    assert y.tolist() == [[2, 2, 2], [2, 2, 2]]
    with pytest.raises(ValueError, match="read-only"):
        y[0, 0] = 1


# Adam


def buffers(n, dtype=np.float32, seed=0):
    generator = np.random.default_rng(seed)
    p, g, m, v = (generator.normal(size=n).astype(dtype) for _ in range(4))
    return p, g, m, v * v


NUMBERS = 0.9, 0.999, 0.03, 1e-8, 1e-4


def published(p, g, m, v, beta1, beta2, scale, eps, rate):
    """(p, m, v) after the step, by NumPy."""
    beta1, beta2, scale, eps, rate = (p.dtype.type(number) for number in (beta1, beta2, scale, eps, rate))
    m, v = m * beta1 + g, v * beta2 + g * g
    return p - m / (np.sqrt(v) * scale + eps) * rate, m, v


def after(step, arrays, numbers=NUMBERS):
    p, g, m, v = (a.copy() for a in arrays)
    step(p, g, m, v, *numbers)
    return p, m, v


def test_the_loop_is_the_published_step():
    arrays = buffers(50, np.float64)
    for one, other in zip(after(loops.adam, arrays), published(*arrays, *NUMBERS), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


@needs_numba
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_loop_is_the_plain_step_to_the_last_bit(dtype):
    arrays = buffers(compiled.LARGE + 3, dtype)
    assert compiled.compiled("adam", arrays[0]) is not None
    for one, other in zip(after(adam_kernel.adam, arrays), published(*arrays, *NUMBERS), strict=True):
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, other)


@needs_numba
def test_a_large_network_trains_to_the_same_bits_with_and_without_numba(monkeypatch):
    def trained():
        model = ta.models.VAE(300, 4, (200,), rng=ta.rng(0))
        assert sum(p.size for p in model.parameters()) > compiled.LARGE
        optimizer, x = ta.optim.Adam(model.parameters(), lr=1e-2), ta.rng(1).bernoulli(np.full((16, 300), 0.3, np.float32))
        for i in range(4):
            loss = model.loss(x, rng=ta.rng(2).stream("noise", i)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return optimizer.flat.values

    fast = trained()
    monkeypatch.setattr(compiled, "found", lambda name: None)
    np.testing.assert_array_equal(fast, trained())


def test_a_planted_error_in_the_loop_is_seen():
    arrays = buffers(50, np.float64)

    def wrong(p, g, m, v, beta1, beta2, scale, eps, rate):
        loops.adam(p, g, m, v, beta2, beta1, scale, eps, rate)

    assert not np.allclose(after(wrong, arrays)[0], published(*arrays, *NUMBERS)[0], rtol=1e-14)


def test_numba_is_left_alone_for_small_arrays_and_where_it_is_not_wanted(monkeypatch):
    assert compiled.compiled("adam", np.zeros(10, np.float32)) is None
    assert compiled.compiled("adam", np.zeros(compiled.LARGE, np.int64)) is None
    compiled.found.cache_clear()
    monkeypatch.setenv("TINYAE_FAST", "0")
    assert compiled.compiled("adam", np.zeros(compiled.LARGE, np.float32)) is None
    compiled.found.cache_clear()


def test_without_numba_the_plain_code_runs(monkeypatch):
    def missing(name):
        raise ImportError(name)

    compiled.found.cache_clear()
    monkeypatch.setattr(compiled.importlib, "import_module", missing)
    assert compiled.compiled("adam", np.zeros(compiled.LARGE, np.float32)) is None
    assert adam_kernel.adam(*buffers(compiled.LARGE), *NUMBERS) is NotImplemented
    compiled.found.cache_clear()


def test_where_nothing_can_be_kept_on_disk_the_loop_is_compiled_all_the_same(monkeypatch):
    class Numba:
        @staticmethod
        def njit(function, cache=False, error_model="python"):
            if cache:
                raise RuntimeError("cannot cache function: no locator available")
            return function

    compiled.found.cache_clear()
    monkeypatch.setitem(sys.modules, "numba", Numba)
    assert compiled.compiled("adam", np.zeros(compiled.LARGE, np.float32)) is loops.adam
    compiled.found.cache_clear()


def test_on_a_gpu_a_step_of_adam_is_one_launch_and_the_same_step():
    arrays = buffers(40)
    with fake_gpu() as counters:
        p, g, m, v = (to_device(a.copy()) for a in arrays)
        counters.reset()
        adam_kernel.adam(p, g, m, v, *NUMBERS)
        assert (counters.launches, counters.synchronisations) == (1, 0)
        for one, other in zip((p, m, v), published(*arrays, *NUMBERS), strict=True):
            np.testing.assert_array_equal(to_numpy(one), other)
