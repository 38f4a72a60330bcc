"""Products, einsums, diagonals and triangles: against loops, SciPy and exact truths, and the errors that users meet."""

import hypothesis
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given
from oracles_linear_algebra import einsum

import tinyae as ta
from tinyae import ops
from tinyae.backend import to_device, to_numpy
from tinyae.checks import GradientError, gradcheck
from tinyae.checks.strategies import einsum_calls
from tinyae.errors import ArgumentError, DtypeError, ShapeError

relaxed = hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))
SHAPES = [
    ((3,), (3,)), ((3,), (3, 2)), ((4, 3), (3,)), ((4, 3), (3, 2)), ((3,), (2, 3, 4)), ((2, 4, 3), (3,)), ((2, 4, 3), (3, 2)), ((4, 3), (2, 3, 2)),
    ((2, 4, 3), (2, 3, 2)), ((2, 1, 4, 3), (3, 3, 2)), ((1, 4, 3), (2, 3, 1)), ((3, 2, 4, 3), (3,)), ((3,), (3, 1, 3, 2)),
    ((2, 0, 3), (3, 2)), ((2, 3, 0), (0, 2)), ((0,), (0,)), ((0, 2, 3), (3, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
def test_matmul_of_any_shapes_is_numpys_and_its_gradients_are_derivatives(a, b, backend, rng):
    a, b = rng.normal(size=a), rng.normal(size=b)
    placed = [to_device(a), to_device(b)]
    np.testing.assert_allclose(to_numpy(ops.matmul(ta.Tensor(placed[0]), placed[1]).data), a @ b, rtol=1e-13, atol=1e-14)
    assert gradcheck(ops.matmul, placed).worst < 1e-6
    assert gradcheck(ops.matmul, placed, order=2).worst < 1e-5


def test_the_gradient_of_a_matrix_that_serves_all_leading_axes_is_one_product(rng):
    """The same as `linear`'s; a product for each leading index, summed afterwards, would need their number times the memory."""
    x, weight, cotangent = rng.normal(size=(4, 5, 3)), rng.normal(size=(3, 2)), rng.normal(size=(4, 5, 2))
    w = ta.Tensor(weight, requires_grad=True)
    shapes = []
    watched = next(rule for rule in ops.matmul.rules if rule.inputs == ("b",))
    with pytest.MonkeyPatch.context() as patch:
        function = watched.function
        patch.setattr(watched, "function", lambda *arguments: shapes.append((g := function(*arguments)).shape) or g)
        (g,) = ta.grad(ops.matmul(x, w), [w], cotangent)
    assert shapes == [(3, 2)]
    np.testing.assert_allclose(g.numpy(), np.einsum("abi,abo->io", x, cotangent), rtol=1e-12)


@relaxed
@given(call=einsum_calls())
def test_einsum_is_its_definition(call, backend):
    subscripts, arrays = call
    found = ops.einsum(subscripts, *[ta.Tensor(to_device(x)) for x in arrays]).numpy()
    explicit = subscripts
    if "->" not in subscripts:
        letters = subscripts.replace(",", "")
        explicit += "->" + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    np.testing.assert_allclose(found, einsum(explicit, *arrays), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found, np.einsum(subscripts, *arrays), rtol=1e-10, atol=1e-12)


@relaxed
@given(call=einsum_calls())
def test_gradients_of_einsum_are_derivatives(call, backend):
    subscripts, arrays = call
    arrays = [to_device(x) for x in arrays]
    assert gradcheck(lambda *inputs: ops.einsum(subscripts, *inputs), arrays).worst < 1e-6


@hypothesis.settings(relaxed, max_examples=10)
@given(call=einsum_calls())
def test_gradients_of_gradients_of_einsum_are_derivatives(call, backend):
    subscripts, arrays = call
    hypothesis.assume(sum(x.size for x in arrays) <= 25)
    arrays = [to_device(x) for x in arrays]
    assert gradcheck(lambda *inputs: ops.einsum(subscripts, *inputs), arrays, order=2).worst < 1e-5


def test_a_planted_error_in_einsums_rule_is_caught(monkeypatch, rng):
    rule = next(rule for rule in ops.contract.rules if rule.inputs == ("b",))
    arrays = [rng.normal(size=(3, 3)), rng.normal(size=(3, 3))]
    assert gradcheck(lambda a, b: ops.einsum("ij,jk->ki", a, b), arrays).worst < 1e-6
    monkeypatch.setattr(rule, "function", lambda gy, a, subscripts: ops.contract(a, gy, subscripts="ij,ki->kj"))  # transposed
    with pytest.raises(GradientError, match="wrong"):
        gradcheck(lambda a, b: ops.einsum("ij,jk->ki", a, b), arrays)


def test_the_gradient_of_a_trace_is_the_identity_and_that_of_a_row_sum_is_one(backend):
    for subscripts, expected in (("ii", np.eye(3)), ("ij->i", np.ones((3, 3))), ("ii->i", np.eye(3)), ("->", None)):
        x = ta.Tensor(to_device(np.arange(9.0).reshape(3, 3)) if expected is not None else to_device(np.array(2.0)), requires_grad=True)
        ops.einsum(subscripts, x).sum().backward()
        np.testing.assert_array_equal(to_numpy(x.grad), 1.0 if expected is None else expected)


def test_einsum_of_float32_is_float32():
    a, b = (ta.Tensor(np.ones((2, 2), dtype=np.float32), requires_grad=True) for _ in range(2))
    y = ops.einsum("ij,jk,kk->i", a, b, a)
    assert y.dtype == np.float32
    assert [g.dtype for g in ta.grad(y.sum(), [a, b])] == [np.float32] * 2


@pytest.mark.parametrize(
    ("subscripts", "shapes", "kind", "message"),
    [
        ("ij,jk->ik", [(2, 1), (3, 2)], ShapeError, "the axes called j have lengths 1 and 3"),
        ("ii->i", [(1, 3)], ShapeError, "the axes called i have lengths 1 and 3"),
        ("ij,jk->ik", [(2, 3), (4, 2)], ShapeError, "the axes called j have lengths 3 and 4"),
        ("ij,jk->ik", [(2, 3)], ShapeError, "one letter for each axis of each array"),
        ("ij->i", [(2, 3, 4)], ShapeError, "one letter for each axis of each array"),
        ("i,j->k", [(2,), (2,)], ArgumentError, "every letter of the result stands in it once"),
        ("i,j->ii", [(2,), (2,)], ArgumentError, "every letter of the result stands in it once"),
        ("...i,i->...", [(2, 2), (2,)], ArgumentError, '"..." is not supported'),
        ("i1->i", [(2, 2)], ArgumentError, "subscripts are letters"),
        ("i->i->i", [(2,)], ArgumentError, "subscripts are letters"),
        ("i", [], ShapeError, "one letter for each axis of each array"),
    ],
)
def test_subscripts_that_do_not_fit_are_explained(subscripts, shapes, kind, message):
    with pytest.raises(kind) as caught:
        ops.einsum(subscripts, *[ta.Tensor(np.ones(shape)) for shape in shapes])
    text = str(caught.value)
    assert message in text
    assert repr(subscripts) in text
    assert "test_linear_algebra.py" in text
    assert all(str(shape) in text for shape in shapes)


def test_numbers_and_missing_subscripts_are_refused_by_einsum():
    with pytest.raises(DtypeError, match="got       ndarray, float"):
        ops.einsum("i,->i", np.ones(2), 2.0)
    with pytest.raises(DtypeError, match="the subscripts come first"):
        ops.einsum(np.ones(2), np.ones(2))


def test_outer_is_of_vectors_only(rng):
    a, b = rng.normal(size=3), rng.normal(size=4)
    np.testing.assert_array_equal(ops.outer(a, b), np.outer(a, b))
    with pytest.raises(ShapeError, match="a and b must be vectors"):
        ops.outer(ta.Tensor(np.ones((2, 2))), b)


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (3, 3), (1, 4), (0, 3), (3, 0), (2, 3, 4)])
@pytest.mark.parametrize("offset", [-5, -2, -1, 0, 1, 2, 5])
def test_diagonal_is_numpys_and_its_gradient_goes_back_to_it(shape, offset, backend, rng):
    for axis1, axis2 in [(0, 1), (1, 0), (-1, 0), (-2, -1)]:
        x = rng.normal(size=shape)
        tensor = ta.Tensor(to_device(x), requires_grad=True)
        y = ops.diagonal(tensor, offset=offset, axis1=axis1, axis2=axis2)
        np.testing.assert_array_equal(y.numpy(), np.diagonal(x, offset, axis1, axis2))
        weights = rng.normal(size=y.shape)
        y.backward(to_device(weights))
        expected = np.zeros(x.size)
        expected[np.diagonal(np.arange(x.size).reshape(shape), offset, axis1, axis2)] = weights
        np.testing.assert_array_equal(to_numpy(tensor.grad), expected.reshape(shape))


def triangle(rng, *batch, n=4, lower=True):
    """A well-conditioned triangle, and the same with values that nobody may read in the other half."""
    a = rng.normal(size=(*batch, n, n)) / 3 + 2 * np.eye(n)
    half = np.tril(a) if lower else np.triu(a)
    hidden = np.where(np.tril(np.ones((n, n), bool)) if lower else np.triu(np.ones((n, n), bool)), a, np.nan)
    return half, hidden


@pytest.mark.parametrize("lower", [True, False])
def test_solve_triangular_is_scipys_and_reads_one_triangle_only(lower, backend, rng):
    half, hidden = triangle(rng, lower=lower)
    b = rng.normal(size=(4, 2))
    a = ta.Tensor(to_device(hidden), requires_grad=True)
    x = ops.solve_triangular(a, to_device(b), lower=lower)
    np.testing.assert_allclose(x.numpy(), scipy.linalg.solve_triangular(half, b, lower=lower), rtol=1e-13)
    x.sum().backward()
    assert (to_numpy(a.grad)[half == 0] == 0).all()
    assert (to_numpy(a.grad)[half != 0] != 0).all()


@pytest.mark.parametrize("lower", [True, False])
def test_solve_triangular_is_exact_where_elimination_with_row_swaps_is_not(lower):
    """A hard triangle (condition 1e12): each entry of a x = b holds to rounding, Higham 2002, theorem 8.5."""
    rng = np.random.default_rng(0)
    a = np.tril(rng.normal(size=(60, 60)), -1) + np.diag(rng.uniform(0.5, 1, 60))
    a = a if lower else a[::-1, ::-1].copy()
    b = a @ rng.normal(size=(60, 3))

    def worst(x):
        return (np.abs(a @ x - b) / (np.abs(a) @ np.abs(x))).max()

    assert worst(ops.solve_triangular(a, b, lower=lower)) < 1e-15
    assert worst(np.linalg.solve(a, b)) > 1e-15 or not lower


@pytest.mark.parametrize(("batch_a", "batch_b"), [((2,), (2,)), ((), (3,)), ((2, 1), (3,)), ((0,), (1,))])
def test_solve_triangular_broadcasts_leading_axes(batch_a, batch_b, backend, rng):
    half, _ = triangle(rng, *batch_a, n=3)
    b = rng.normal(size=(*batch_b, 3, 2))
    x = to_numpy(ops.solve_triangular(to_device(half), to_device(b)))
    np.testing.assert_allclose(half @ x, np.broadcast_to(b, x.shape), rtol=1e-12, atol=1e-13)
    assert gradcheck(ops.solve_triangular, [to_device(half), to_device(b)]).worst < 1e-6


def test_an_equation_without_a_solution_or_with_a_bare_vector_is_explained():
    a = ta.Tensor(np.eye(3), requires_grad=True)
    with pytest.raises(ShapeError, match=r"\(n,n\),\(n,m\)->\(n,m\)"):
        ops.solve_triangular(a, np.ones(3))
    with pytest.raises(ShapeError, match="the axes called n have lengths 2 and 3"):
        ops.solve_triangular(np.ones((2, 3)), ta.Tensor(np.ones((3, 1))))
    with pytest.raises(ArgumentError, match="an entry on the diagonal of a is zero") as caught:
        ops.solve_triangular(a * np.array([1.0, 0.0, 1.0]), np.ones((3, 1)))
    assert "test_linear_algebra.py" in str(caught.value)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_log_det_triangular_is_that_of_the_determinant_and_its_gradient_the_inverse(batch, rng):
    half, _ = triangle(rng, *batch)
    half[..., 1, :] *= -1  # a negative determinant
    a = ta.Tensor(half, requires_grad=True)
    y = ops.log_det_triangular(a)
    np.testing.assert_allclose(y.numpy(), np.linalg.slogdet(half)[1], rtol=1e-12)
    y.sum().backward()
    inverse = np.linalg.inv(half).swapaxes(-1, -2)  # d log |det a| = trace(a^-1 da), here along the triangle's diagonal
    np.testing.assert_allclose(a.grad, inverse * np.eye(4), rtol=1e-12)


def test_a_gaussian_density_from_its_cholesky_factor(rng):
    """log N(x; 0, L L^T) = -(n log 2 pi + |L^-1 x|^2) / 2 - log |L|, and its gradient in x is -(L L^T)^-1 x."""
    half, _ = triangle(rng)
    x = ta.Tensor(rng.normal(size=(4, 1)), requires_grad=True)
    white = ops.solve_triangular(half, x)
    log_density = -((white * white).sum() + 4 * np.log(2 * np.pi).item()) / 2 - ops.log_det_triangular(half)
    expected = scipy.stats.multivariate_normal(np.zeros(4), half @ half.T).logpdf(x.numpy()[:, 0])
    np.testing.assert_allclose(log_density.item(), expected, rtol=1e-12)
    log_density.backward()
    np.testing.assert_allclose(x.grad, -np.linalg.solve(half @ half.T, x.numpy()), rtol=1e-10)


def test_triangles_are_numpys_and_ignore_what_they_cut_off(backend, rng):
    x = rng.normal(size=(2, 3, 4))
    for k in range(-4, 5):
        np.testing.assert_array_equal(to_numpy(ops.tril(to_device(x), k=k)), np.tril(x, k))
        np.testing.assert_array_equal(to_numpy(ops.triu(to_device(x), k=k)), np.triu(x, k))
    assert to_numpy(ops.tril(to_device(np.full((2, 2), np.inf)))).tolist() == [[np.inf, 0], [np.inf, np.inf]]
