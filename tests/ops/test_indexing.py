"""Indexing, gathering, sorting: against NumPy and plain loops, entries named twice, and the errors that users meet."""

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from oracles_indexing import gather, insertion_sort, scatter_along

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.checks import GradientError, gradcheck, strategies
from tinyae.errors import ArgumentError, DtypeError, ShapeError

MASK = np.array([True, False, True])
GRID = np.arange(12).reshape(3, 4) % 5 == 0
INDICES = {  # of an array of shape (3, 4, 2)
    "an integer": 1, "a negative integer": -2, "a NumPy integer": np.int64(2), "integers": (2, -1, 0), "NumPy integers": (np.int32(2), np.int8(-1)),
    "a slice": slice(None, None, -2), "an empty slice": slice(2, 1), "an ellipsis": (..., 1), "new axes": (None, 1, ..., None), "nothing": (),
    "an ellipsis of no axes": (0, 1, ..., 1), "truth": True, "falsehood": (False, 0),
    "an array": np.array([0, 2, 0, -1]), "an array of two axes": np.array([[0, 2], [2, 2]]), "an array of no axes": np.array(1),
    "an empty array": np.array([], dtype=int), "arrays": (np.array([0, 0, 2]), np.array([1, 1, -1])),
    "arrays that broadcast": (np.array([[0], [2]]), np.array([1, 1, 3])), "arrays apart": (np.array([0, 0]), slice(None), np.array([1, 1])),
    "a slice, then an array": (slice(1, None), np.array([3, 3, 0])), "an array, then slices": (np.array([1, 1]), slice(0, 3), ...),
    "an integer and an array": (0, slice(None), np.array([1, 1, 0])), "a NumPy integer and an array": (np.int64(0), np.array([1, 1, 0])),
    "an array and a new axis": (np.array([2, 2]), None, slice(None, None, 2)), "an ellipsis, then an array": (..., np.array([0, 0, 1])),
    "a mask": np.arange(24).reshape(3, 4, 2) % 3 == 0, "a mask of one axis": MASK, "a mask of two axes": GRID, "a mask of nothing": MASK & False,
    "a mask on the second axis": (slice(None), np.array([True, True, False, True])), "two masks": (MASK, np.array([True, False, False, True])),
    "a mask and an array": (MASK, np.array([1, 1])), "a mask and an integer": (MASK, 2), "a mask of two axes and an integer": (GRID, -1),
    "a small type": np.array([0, 2, 2], dtype=np.uint8),
    "a list": [0, 2, 0], "an empty list": [], "a list of truth values": [True, False, True], "lists": ([0, 0, 2], [1, 1, 3]),
    "a list and a slice": (slice(2), [3, 3]),
}  # fmt: skip


def on_backend(index):
    """An index whose arrays lie where the data does."""
    if isinstance(index, tuple):
        return tuple(map(on_backend, index))
    return to_device(index) if isinstance(index, np.ndarray) else index


def has_list(index):
    """Whether a list is in an index."""
    return isinstance(index, list) or (isinstance(index, tuple) and any(isinstance(part, list) for part in index))


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_every_kind_of_index_selects_and_adds_as_numpy_does(index, backend):
    if backend == "fake" and has_list(index):
        pytest.skip("CuPy would copy the list to the device, so the fake one refuses it")
    host = np.arange(24.0).reshape(3, 4, 2)
    x = ta.Tensor(to_device(host), requires_grad=True)
    y = x[on_backend(index)]
    np.testing.assert_array_equal(y.numpy(), host[index])
    weights = np.arange(1.0, 1 + y.size).reshape(y.shape)
    y.backward(to_device(weights))
    expected = np.zeros(24)
    for place, weight in zip(host[index].reshape(-1).astype(int), weights.reshape(-1), strict=True):
        expected[place] += weight
    np.testing.assert_array_equal(to_numpy(x.grad), expected.reshape(3, 4, 2))


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_gradients_of_gradients_go_through_every_kind_of_index(index, rng):
    cubed = lambda x: (x[index] ** 3.0) * x[index]  # noqa: E731
    assert gradcheck(cubed, [rng.normal(size=(3, 4, 2))], order=2).worst < 1e-5


def test_a_scatter_that_writes_where_it_should_add_is_caught(monkeypatch):
    def wrong(x, *, index, shape):
        y = np.zeros(shape, x.dtype)
        y[index] = x
        return y

    entries = np.array([0, 2, 0])
    assert gradcheck(lambda x: x[entries], [np.ones(3)]).worst < 1e-6
    monkeypatch.setattr(ops.scatter_add, "forward", wrong)
    with pytest.raises(GradientError, match=r"wrong in 1 of 3 entries"):
        gradcheck(lambda x: x[entries], [np.ones(3)])


@pytest.mark.parametrize(
    ("index", "kind", "message"),
    [
        (3, ShapeError, "index 3 is out of bounds for axis 0 with size 3"),
        (np.array([0, -4]), ShapeError, "index -4 is out of bounds for axis 0 with size 3"),
        ((0, 0, 0), ShapeError, "too many indices"),
        (np.array([0.0]), ShapeError, "arrays used as indices must be of integer"),
        (np.array([True, False]), ShapeError, "boolean index did not match"),
        ((np.array([0, 1]), np.array([0, 1, 2])), ShapeError, "could not be broadcast together"),
        (1.0, ShapeError, "only integers, slices"),
    ],
)
def test_an_index_that_does_not_fit_is_explained_with_the_users_line(index, kind, message):
    x = ta.Tensor(np.zeros((3, 4)), requires_grad=True)
    with pytest.raises(kind) as caught:
        x[index]
    assert str(caught.value).startswith("getitem: ")
    assert message in str(caught.value)
    assert "x (3, 4)" in str(caught.value)
    assert "x[index]" in str(caught.value)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_gather_is_numpys_take_along_axis_and_duplicates_add(axis, backend, rng):
    x = rng.normal(size=(3, 4, 2))
    shape = list(x.shape)
    shape[axis] = 5
    index = rng.integers(0, x.shape[axis], size=shape)
    tensor = ta.Tensor(to_device(x), requires_grad=True)
    y = ops.gather(tensor, index=to_device(index), axis=axis)
    np.testing.assert_array_equal(y.numpy(), np.take_along_axis(x, index, axis))
    np.testing.assert_array_equal(y.numpy(), gather(x, index, axis))
    weights = rng.normal(size=y.shape)
    y.backward(to_device(weights))
    np.testing.assert_allclose(to_numpy(tensor.grad), scatter_along(weights, index, axis, x.shape), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(("shape", "selected"), [((3, 4), (1, 2)), ((1, 4), (3, 2)), ((2, 1, 4), (1, 3, 2)), ((1, 3), (0, 2)), ((4,), (0,))])
def test_gather_broadcasts_the_other_axes(shape, selected, backend, rng):
    x, index = rng.normal(size=shape), rng.integers(-shape[-1], shape[-1], size=selected)
    found = ops.gather(to_device(x), index=to_device(index), axis=-1)
    np.testing.assert_array_equal(to_numpy(found), np.take_along_axis(x, index, -1))
    values = [to_device(x)]
    report = gradcheck(lambda x: ops.gather(x, index=to_device(index), axis=-1) ** 3.0, values, order=2)
    assert report.worst < 1e-5


@pytest.mark.parametrize(
    ("index", "axis", "kind", "message"),
    [
        (np.array([0]), 0, ShapeError, "as many axes as x, 2"),
        (np.array([[True, False, True]] * 2), 0, ShapeError, "an array of integers"),
        ([[0]], 0, ShapeError, "an array of integers"),
        (np.array([[0]]), 2, ShapeError, "x has no axis 2"),
        (np.array([[0, 0]]), 0, ShapeError, "could not be broadcast"),
        (np.array([[0, 0, 2]]), 0, ShapeError, "index 2 is out of bounds for axis 0 with size 2"),
        (ta.Tensor(np.array([[0, 0, 0]])), 0, DtypeError, "the attribute index cannot be a Tensor"),
    ],
)
def test_positions_that_do_not_fit_a_gather_are_explained(index, axis, kind, message):
    with pytest.raises(kind) as caught:
        ops.gather(ta.Tensor(np.zeros((2, 3)), requires_grad=True), index=index, axis=axis)
    assert message in str(caught.value)
    assert "test_indexing.py" in str(caught.value)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("indices", [1, -2, np.array(0), np.array([0, 2, 2]), np.array([[0, -1], [1, 1]]), np.array([], dtype=int)], ids=repr)
def test_take_is_numpys(indices, axis, backend, rng):
    x = rng.normal(size=(3, 4, 3))
    placed = to_device(indices) if isinstance(indices, np.ndarray) else indices
    found = ops.take(ta.Tensor(to_device(x)), placed, axis=axis)
    np.testing.assert_array_equal(found.numpy(), np.take(x, indices, axis=axis))
    assert gradcheck(lambda x: ops.take(x, placed, axis=axis) ** 3.0, [to_device(x)]).worst < 1e-6


def test_take_takes_lists_and_tensors_of_integers():
    x = ta.Tensor(np.arange(6.0).reshape(2, 3))
    assert ops.take(x, [0, 4, 4]).numpy().tolist() == [0, 4, 4]
    assert ops.take(x, ta.Tensor(np.array([2, 0])), axis=1).numpy().tolist() == [[2, 0], [5, 3]]


@hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))
@given(data=hypothesis.strategies.data())
def test_sort_and_top_k_are_a_plain_sort_and_its_end(data, backend):
    shape = data.draw(hypothesis.extra.numpy.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
    axis = data.draw(hypothesis.strategies.integers(-len(shape), len(shape) - 1))
    x = data.draw(strategies.arrays(shape))
    k = data.draw(hypothesis.strategies.integers(0, shape[axis]))
    expected = insertion_sort(x, axis)
    np.testing.assert_array_equal(ops.sort(ta.Tensor(to_device(x)), axis=axis).numpy(), expected)
    values, indices = ops.top_k(ta.Tensor(to_device(x)), k, axis=axis)
    np.testing.assert_array_equal(values.numpy(), np.flip(expected, axis)[(slice(None),) * (axis % len(shape)) + (slice(k),)])
    np.testing.assert_array_equal(values.numpy(), gather(x, to_numpy(indices), axis))
    for function in (lambda x: ops.sort(x, axis=axis), lambda x: ops.top_k(x, k, axis=axis)[0]):
        assert gradcheck(function, [to_device(x)]).worst < 1e-6


def test_the_gradient_of_a_sort_goes_back_to_where_each_entry_came_from(backend):
    x = ta.Tensor(to_device(np.array([2.0, 0.0, 3.0, 1.0])), requires_grad=True)
    ops.sort(x).backward(to_device(np.array([10.0, 20.0, 30.0, 40.0])))
    assert to_numpy(x.grad).tolist() == [30, 10, 40, 20]


def test_of_equals_the_first_comes_first():
    x = ta.Tensor(np.array([1.0, 2.0, 1.0, 2.0]), requires_grad=True)
    values, indices = ops.top_k(x, 3)
    assert values.numpy().tolist() == [2, 2, 1]
    assert indices.tolist() == [1, 3, 0]
    ops.sort(x).backward(np.array([1.0, 2.0, 3.0, 4.0]))
    assert x.grad.tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize("k", [-1, 4])
def test_more_entries_than_there_are_have_no_top(k):
    with pytest.raises(ArgumentError, match="0 <= k <= 3"):
        ops.top_k(ta.Tensor(np.zeros((2, 3))), k)


def test_one_hot_is_a_row_of_the_identity(backend):
    labels = np.array([[0, 3], [1, 1]])
    for given_labels in (to_device(labels), ta.Tensor(to_device(labels)), to_device(labels.astype(np.uint8))):
        found = ops.one_hot(given_labels, 4)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(to_numpy(found), np.eye(4)[labels])
    assert ops.one_hot(to_device(labels), 5, dtype="float64").dtype == np.float64
    assert ops.one_hot(to_device(labels[:0]), 5).shape == (0, 2, 5)


def test_labels_that_are_none_are_refused():
    for labels in (np.array([0, 3]), np.array([-1, 0]), np.array([0, 250], dtype=np.uint8)):
        with pytest.raises(ArgumentError, match="expected  0 to 2"):
            ops.one_hot(labels, 3)
    for labels in (np.array([0.0, 1.0]), np.array([True, False])):
        with pytest.raises(DtypeError, match="labels are integers"):
            ops.one_hot(labels, 3)


def test_on_a_device_a_label_outside_the_range_gets_a_row_of_zeros(backend):
    """To check it would wait for the device."""
    if backend != "numpy":
        assert to_numpy(ops.one_hot(to_device(np.array([5, 0])), 2)).tolist() == [[0, 0], [1, 0]]


def test_integers_are_ordered_to_the_ends_of_their_range():
    for integers in (np.array([-5, 3, np.iinfo(np.int64).min]), np.array([1, 2**63 + 5, 7], np.uint64), np.array([0, 255, 3], np.uint8)):
        values, places = ops.top_k(integers, 3)
        assert values.tolist() == sorted(integers.tolist(), reverse=True)
        assert (integers[places] == values).all()


def test_a_list_of_truth_values_is_no_list_of_indices():
    for truth in ([True, False], True, np.array([True, False])):
        with pytest.raises(DtypeError, match="the indices are integers"):
            ops.take(ta.Tensor(np.zeros((2, 3))), truth, axis=0)
    assert ops.take(ta.Tensor(np.zeros((2, 3))), [], axis=0).shape == (0, 3)


def embedded(x, index):
    """An Embedding's rows."""
    layer = ta.nn.Embedding(3, 2, rng=ta.rng(0))
    layer.weight = x
    return layer(index)


@pytest.mark.parametrize("read", [lambda x, i: x[i], lambda x, i: x[i, 0], lambda x, i: ops.take(x, i, axis=0), embedded])
def test_an_index_that_is_changed_afterwards_changes_no_gradient(read, backend):
    x, index = ta.Tensor(to_device(np.ones((3, 2))), requires_grad=True), ta.Tensor(to_device(np.array([0, 1])))
    y = read(x, index).sum()
    index.assign(to_device(np.array([2, 2])))
    y.backward()
    assert to_numpy(x.grad)[:, 0].tolist() == [1, 1, 0]


def test_a_tensor_may_stand_in_an_index_that_is_written_to():
    x = ta.Tensor(np.zeros((2, 3)))
    x[ta.Tensor(np.array([1])), 2] = 9.0
    assert x.data.tolist() == [[0, 0, 0], [0, 0, 9]]
