"""The Frechet distance: exact values, invariances, and another formula for it."""

import math

import numpy as np
import pytest
import scipy.linalg

from tinyae.errors import ArgumentError
from tinyae.evaluation.frechet import frechet_distance, frechet_of_gaussians

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(size=(60, 3)) @ RNG.normal(size=(3, 3)) + 1
TURN = np.linalg.qr(RNG.normal(size=(3, 3)))[0]


def with_covariance(root):
    """Points whose mean is 0 and whose sample covariance is root root^T exactly."""
    corners = np.vstack([np.eye(len(root)), -np.eye(len(root))]) * math.sqrt((2 * len(root) - 1) / 2)
    return corners @ np.asarray(root, float).T


def test_equal_sets_are_at_distance_zero():
    assert frechet_distance(X, X) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(X, X[::-1]) == pytest.approx(0, abs=1e-12)
    assert all(frechet_distance(X[:n], X[:n]) >= 0 for n in range(2, 40)), "rounding included: its root is taken"
    assert frechet_distance(X[:2], X[:2]) == pytest.approx(0, abs=1e-12), "a covariance of rank 1"
    assert frechet_distance(np.ones((2, 3)), np.ones((5, 3))) == 0


def test_a_shift_costs_its_square():
    assert frechet_distance(X, X + np.array([3, 0, 4])) == pytest.approx(25)


def test_a_stretch_costs_the_squared_difference_of_standard_deviations():
    x, y = with_covariance(np.diag([1, 2, 3])), with_covariance(np.diag([4, 2, 1]))
    assert frechet_distance(x, y) == pytest.approx(9 + 0 + 4)
    assert frechet_distance(X, 3 * (X - X.mean(axis=0)) + X.mean(axis=0)) == pytest.approx(4 * X.var(axis=0, ddof=1).sum())
    assert frechet_of_gaussians([0], [[4]], [1], [[9]]) == pytest.approx(2)
    assert frechet_of_gaussians([0, 0], np.zeros((2, 2)), [0, 0], np.diag([2, 3])) == pytest.approx(5), "a point and a cloud"


def test_the_divisor_of_the_covariance_is_one_less_than_the_examples():
    assert frechet_distance([[0.0], [2.0]], [[1.0], [1.0]]) == pytest.approx(2)


@pytest.mark.parametrize("angle", [0.3, math.pi / 4, 2.0])
def test_turned_ellipses_are_as_far_as_the_closed_form_of_the_plane_says(angle):
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    a, b = np.diag([9.0, 1.0]), turn @ np.diag([4.0, 0.25]) @ turn.T
    trace = math.sqrt(np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a @ b)))  # tr M^(1/2) of a 2 by 2 matrix M
    assert frechet_of_gaussians([0, 0], a, [0, 0], b) == pytest.approx(14.25 - 2 * trace)
    assert frechet_of_gaussians([0, 0], a, [0, 0], b) > (3 - 2) ** 2 + (1 - 0.5) ** 2, "they do not commute"


def test_the_distance_is_that_with_a_matrix_root():
    a, b = np.cov(X.T), np.cov(Y.T)
    expected = np.square(X.mean(axis=0) - Y.mean(axis=0)).sum() + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet_distance(X, Y) == pytest.approx(expected)


def test_order_shift_and_turn_change_nothing_and_scale_its_square():
    found = frechet_distance(X, Y)
    assert found > 1
    assert frechet_distance(Y, X) == pytest.approx(found)
    assert frechet_distance(RNG.permutation(X), RNG.permutation(Y)) == pytest.approx(found)
    assert frechet_distance(X @ TURN + 9, Y @ TURN + 9) == pytest.approx(found)
    assert frechet_distance(-3 * X, -3 * Y) == pytest.approx(9 * found)


def test_its_root_obeys_the_triangle():
    z = RNG.normal(size=(30, 3)) * [5, 1, 0]
    xy, yz, xz = (math.sqrt(frechet_distance(*pair)) for pair in ((X, Y), (Y, z), (X, z)))
    assert xz <= xy + yz
    assert xy <= xz + yz
    assert yz <= xy + xz


def test_two_samples_of_one_distribution_come_nearer_with_their_number():
    few, many = (frechet_distance(RNG.normal(size=(n, 3)), RNG.normal(size=(n, 3))) for n in (20, 20_000))
    assert 0 < many < 0.003 < 0.03 < few


@pytest.mark.parametrize(("call", "message"), [
    (lambda: frechet_distance(X, Y[:, :2]), r"same features(.|\n)*got +\(40, 3\), \(60, 2\)"),
    (lambda: frechet_distance(X[:1], Y), r"two examples or more(.|\n)*got +\(1, 3\)"),
    (lambda: frechet_distance(X, Y * np.inf), r"frechet_distance: y has entries that say nothing(.|\n)*got +180 others of 180"),
    (lambda: frechet_of_gaussians([0], [[1]], [0, 0], np.eye(2)), r"of one size(.|\n)*two \(1,\), two \(1, 1\)(.|\n)*got +\[\(1,\), \(2,\)"),
    (lambda: frechet_of_gaussians([0, 0], np.diag([1, -1]), [0, 0], np.eye(2)), r"no covariance(.|\n)*least eigenvalue -1"),
    (lambda: frechet_of_gaussians([0, 0], np.eye(2), [0, 0], [[1, 0.5], [0, 1]]), r"symmetric(.|\n)*asymmetry 0\.5"),
])  # fmt: skip
def test_bad_input_is_refused_with_expected_and_got(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
