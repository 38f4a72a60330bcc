"""Shapes, joining and cutting: against NumPy, there and back again, and the errors that users meet."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, DtypeError, ShapeError


def leaf(shape, dtype=np.float64):
    """A Tensor of 1, 2, 3, ... on the backend in use."""
    return ta.Tensor(to_device(np.arange(1.0, 1 + np.prod(shape)).reshape(shape).astype(dtype)), requires_grad=True)


@pytest.mark.parametrize("axis", [None, 1, -1, (1, 3), (3, -3), ()])
def test_squeeze_is_numpys(axis):
    x = leaf((2, 1, 3, 1))
    y = ops.squeeze(x, axis=axis)
    np.testing.assert_array_equal(y.numpy(), np.squeeze(x.numpy(), axis))


@pytest.mark.parametrize("axis", [0, 2, -1, (0, 1), (-1, 0), (1, -2)])
def test_expand_dims_is_numpys_and_squeeze_undoes_it(axis):
    x = leaf((2, 3))
    y = ops.expand_dims(x, axis=axis)
    np.testing.assert_array_equal(y.numpy(), np.expand_dims(x.numpy(), axis))
    np.testing.assert_array_equal(ops.squeeze(y, axis=axis).numpy(), x.numpy())


@pytest.mark.parametrize("pad_width", [0, 2, (1, 2), ((1, 2),), ((0, 3), (1, 0)), [[1], [2]], np.array([[1, 0], [2, 2]])])
@pytest.mark.parametrize("shape", [(2, 3), (0, 2)])
def test_pad_is_numpys_and_padding_sends_no_gradient(pad_width, shape, backend):
    x = leaf(shape)
    y = ops.pad(x, pad_width=pad_width, value=-1.0)
    np.testing.assert_array_equal(y.numpy(), np.pad(x.numpy(), pad_width, constant_values=-1.0))
    weights = np.arange(float(y.size)).reshape(y.shape)
    y.backward(to_device(weights))
    np.testing.assert_array_equal(to_numpy(x.grad), weights[np.pad(np.ones(shape, bool), pad_width)].reshape(shape))


def test_pad_takes_any_value_and_keeps_the_dtype():
    y = ops.pad(leaf((2,), np.float32), pad_width=1, value=-np.inf)
    assert y.dtype == np.float32
    assert y.numpy().tolist() == [-np.inf, 1, 2, -np.inf]


@pytest.mark.parametrize("pad_width", [-1, (1, -1), 1.5, ((1, 1), (1, 1), (1, 1)), ((1, 2), (3,)), "ab"])
def test_a_pad_width_that_does_not_fit_is_explained(pad_width):
    with pytest.raises(ArgumentError, match=r"a pair for each axis \(2\)") as caught:
        ops.pad(leaf((2, 3)), pad_width=pad_width)
    assert "test_shapes.py" in str(caught.value)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), ()])
def test_flip_is_numpys(axis):
    x = leaf((2, 3, 2))
    np.testing.assert_array_equal(ops.flip(x, axis=axis).numpy(), np.flip(x.numpy(), axis))


@pytest.mark.parametrize("repeats", [0, 1, 3, np.int64(2)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_repeat_is_numpys_and_every_copy_adds_to_the_gradient(repeats, axis, backend):
    x = leaf((2, 3))
    y = ops.repeat(x, repeats=repeats, axis=axis)
    np.testing.assert_array_equal(y.numpy(), np.repeat(x.numpy(), repeats, axis))
    y.sum().backward()
    assert (to_numpy(x.grad) == repeats).all()


def test_split_is_numpys(backend):
    x = leaf((6, 4))
    for cuts, axis in [
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 1),
        (2, -1),
        ([], 0),
        ([2], 0),
        ([1, 4], 0),
        ([0, 0, 9], 0),
        ([-2], 1),
        ((3, 1), 1),
        (np.array([2, 3]), 1),
    ]:
        found, expected = ops.split(x, cuts, axis), np.split(x.numpy(), cuts, axis)
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for part, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part.numpy(), other)
    assert [part.shape for part in ops.split(leaf((0, 2)), 3)] == [(0, 2)] * 3


def test_each_part_of_a_split_sends_its_gradient_to_its_place(backend):
    x = leaf((2, 5))
    a, b = ops.split(x, [2], axis=1)
    (2 * a.sum() + 3 * b.sum()).backward()
    assert to_numpy(x.grad).tolist() == [[2, 2, 3, 3, 3]] * 2


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_unstack_undoes_stack(axis, backend):
    parts = [leaf((2, 3)) * scale for scale in (1.0, 10.0, 100.0, 1000.0)]
    y = ops.stack(parts, axis=axis)
    np.testing.assert_array_equal(y.numpy(), np.stack([part.numpy() for part in parts], axis))
    found = ops.unstack(y, axis=axis)
    assert isinstance(found, tuple)
    for part, original in zip(found, parts, strict=True):
        np.testing.assert_array_equal(part.numpy(), original.numpy())


def test_one_array_joined_twice_gets_both_gradients(backend):
    for join, weights in ((ops.stack, [[1.0, 2.0], [10.0, 20.0]]), (ops.concatenate, [1.0, 2.0, 10.0, 20.0])):
        x = leaf((2,))
        join(x, x).backward(to_device(np.array(weights)))
        assert to_numpy(x.grad).tolist() == [11, 22]


def test_arrays_of_two_precisions_join_in_the_wider_and_get_gradients_in_their_own():
    narrow, wide = leaf((2,), np.float32), leaf((2,))
    for join in (ops.stack, ops.concatenate):
        y = join(narrow, wide)
        assert y.dtype == np.float64
        assert [g.dtype for g in ta.grad(y.sum(), [narrow, wide])] == [np.float32, np.float64]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: ops.squeeze(x, axis=0), ShapeError, "squeeze: cannot select an axis"),
        (lambda x: ops.squeeze(x, axis=5), ShapeError, "squeeze: axis 5 is out of bounds"),
        (lambda x: ops.expand_dims(x, axis=(0, 0)), ShapeError, "expand_dims: repeated axis"),
        (lambda x: ops.flip(x, axis=2), ShapeError, "flip: axis 2 is out of bounds"),
        (lambda x: ops.repeat(x, repeats=-1, axis=0), ShapeError, "repeat: repeats may not contain negative values"),
        (lambda x: ops.repeat(x, repeats=1.5, axis=0), DtypeError, "repeat: 'float' object cannot be interpreted as an integer"),
        (lambda x: ops.repeat(x, repeats=2, axis=None), DtypeError, "repeat: 'NoneType' object cannot be interpreted as an integer"),
        (lambda x: ops.repeat(x.sum(), repeats=2, axis=0), ShapeError, "repeat: x has no axis to repeat along"),
        (lambda x: ops.stack(x, x[0]), ShapeError, "stack: all input arrays must have the same shape"),
        (lambda x: ops.concatenate(x, x[:, :1]), ShapeError, "concatenate: all the input array dimensions"),
        (lambda x: ops.stack([]), ArgumentError, "there are no arrays to join"),
        (lambda x: ops.concatenate([]), ArgumentError, "there are no arrays to join"),
        (lambda x: ops.split(x, 2, axis=1), ArgumentError, "divides the length 3 of axis 1"),
        (lambda x: ops.split(x, 0), ArgumentError, "there is no such number of parts"),
    ],
)
def test_errors_say_what_must_hold_and_where(call, kind, message):
    with pytest.raises(kind) as caught:
        call(leaf((2, 3)))
    assert message in str(caught.value)
    assert "test_shapes.py" in str(caught.value)
