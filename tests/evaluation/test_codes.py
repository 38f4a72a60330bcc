"""Scores of codes that are known: aligned with the factors, rotated, copied, random, dead."""

import itertools
import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from tinyae.errors import ArgumentError
from tinyae.evaluation import codes as of

GRID = np.array(list(itertools.product(range(4), range(4))) * 10, float)  # every pair of two factors equally often
TURN = np.array([[1, -1], [1, 1]]) / math.sqrt(2)
ALIGNED, ROTATED, COPIED = 3 * GRID[:, ::-1] - 7, GRID @ TURN.T, GRID[:, [0, 1, 0, 1]]
RANDOM = np.random.default_rng(3).normal(size=(160, 2))
SHUFFLED = np.random.default_rng(4).permutation(160)


def dci(codes, factors=GRID):
    return of.dci(codes, factors, codes, factors)


def blobs(rng, n, centres, sd=1.0):
    """n points a class around its centre."""
    labels = np.repeat(np.arange(len(centres)), n)
    return np.asarray(centres, float)[labels] + sd * rng.normal(size=(len(labels), len(centres[0]))), labels


# ---- probes


def test_a_probe_reads_what_a_plane_can_separate(rng):
    x, y = blobs(rng, 40, [[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]])
    assert of.linear_probe(x, y, *blobs(rng, 40, [[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]])) == 1


def test_the_accuracy_of_a_probe_on_two_gaussians_is_known(rng):
    x, y = blobs(rng, 2000, [[0.0, 0.0], [1.2, 1.6]])  # distance 2: the best plane is right with probability Phi(1)
    assert of.linear_probe(x, y, *blobs(rng, 20_000, [[0.0, 0.0], [1.2, 1.6]])) == pytest.approx(scipy.stats.norm.cdf(1), abs=0.007)


def test_random_labels_are_guessed_and_not_read(rng):
    x, y, test, truth = rng.normal(size=(2000, 3)), rng.integers(4, size=2000), rng.normal(size=(4000, 3)), rng.integers(4, size=4000)
    for accuracy in (of.linear_probe(x, y, test, truth), of.neighbour_accuracy(x, y, test, truth)):
        assert abs(accuracy - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 4000)


def test_exclusive_or_has_neighbours_but_no_plane(rng):
    centres = [[0, 0], [9, 9], [0, 9], [9, 0]]
    (x, y), (test, truth) = blobs(rng, 200, centres), blobs(rng, 200, centres)
    assert of.linear_probe(x, y // 2, test, truth // 2) < 0.8
    assert of.neighbour_accuracy(x, y // 2, test, truth // 2) == 1


def test_the_weights_of_the_probe_are_those_of_another_minimiser(rng):
    x, y = blobs(rng, 30, [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    x, y = np.column_stack([x, np.ones(90)]), np.eye(3)[y]

    def loss(w):
        logits = x @ w.reshape(3, 3).T
        return (np.log(np.exp(logits).sum(axis=1)) - (y * logits).sum(axis=1)).sum() + 0.7 / 2 * (w * w).sum()

    other = scipy.optimize.minimize(loss, np.zeros(9), tol=1e-10)
    found = of.logistic_weights(x, y, 0.7)
    np.testing.assert_allclose(found.ravel(), other.x, atol=1e-4)
    assert loss(found.ravel()) <= other.fun + 1e-12


@pytest.mark.parametrize("seed", [4, 13, 54])
def test_the_weights_are_found_where_whole_newton_steps_overshoot(seed):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.round(3 * rng.standard_cauchy((30, 3))), np.ones(30)])  # far outliers, two rare classes, nearly no penalty
    y = np.eye(3)[np.minimum(np.arange(30), 2)]
    w = of.logistic_weights(x, y, 1e-4)
    p = np.exp(x @ w.T - (x @ w.T).max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    assert np.abs((p - y).T @ x + 1e-4 * w).max() < 1e-6


def test_a_probe_does_not_see_affine_maps_nor_the_order_nor_dead_codes(rng):
    (x, y), (test, truth) = (blobs(rng, 100, [[0, 0, 0], [1, 1, 0], [0, 1, 2]]) for _ in range(2))
    found = of.linear_probe(x, y, test, truth)
    assert 0.5 < found < 0.95
    order, mixed, names = rng.permutation(300), rng.normal(size=(3, 3)) @ np.diag([1e-3, 1, 1e3]), np.array([30, 10, 20])
    assert of.linear_probe(x @ mixed + 5, y, test @ mixed + 5, truth) == found
    assert of.linear_probe(x[order], names[y[order]], test, names[truth]) == found
    dead = np.full((300, 1), 0.1)
    assert of.linear_probe(np.hstack([x, dead, x]), y, np.hstack([test, dead, test]), truth) == found
    assert of.linear_probe(dead, y * 0 + (np.arange(300) < 100), dead, np.zeros(300)) == 1, "the larger class"


def test_the_penalty_moves_the_plane_between_its_two_limits():
    x, y = np.array([[-1.0], [0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 0, 1, 1])
    for penalty, limit in ((1e-4, 3 / 2), (1e4, 4 / 3)):  # the middle of the gap, and where sum_n (y_n - 1/2)(1 + x x_n) is 0, x of variance 1
        assert of.linear_probe(x, y, [[limit - 0.03], [limit + 0.03]], [0, 1], penalty) == 1


def slow_neighbours(x, y, test, k):
    """A label for each test point, by loops."""
    for point in test:
        squares = [sum((a - b) ** 2 for a, b in zip(point, one, strict=True)) for one in x]
        last = sorted(squares)[k - 1]
        score = {label: (-sum(s <= last for s, u in zip(squares, y, strict=True) if u == label),
                         sum(s for s, u in zip(squares, y, strict=True) if u == label and s <= last), label) for label in sorted(set(y))}  # fmt: skip
        yield min(score.values())[2]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_neighbours_vote_as_in_plain_loops_ties_included(rng, k):
    x, y, test = rng.integers(4, size=(40, 2)), rng.integers(3, size=40), rng.integers(4, size=(50, 2))
    expected = list(slow_neighbours(x.tolist(), y.tolist(), test.tolist(), k))
    assert of.neighbour_accuracy(x, y, test, expected, k) == 1
    order = rng.permutation(40)
    assert of.neighbour_accuracy(x[order], y[order], test, expected, k) == 1
    assert of.neighbour_accuracy(x, y, test[:4], [*expected[:3], 9], k) == 0.75


def test_neighbours_in_several_blocks_are_those_in_one(rng):
    x, y = rng.normal(size=(20_000, 1)), rng.integers(2, size=20_000)
    assert of.neighbour_accuracy(x, y, x[:450], y[:450], 1) == 1  # blocks of 200


# ---- factors


def test_aligned_codes_have_the_highest_scores_exactly():
    assert of.mutual_information_gap(ALIGNED, GRID) == pytest.approx(1, abs=1e-12)
    assert of.separated_attribute_predictability(ALIGNED, GRID) == pytest.approx(1, abs=1e-12)
    assert dci(ALIGNED) == pytest.approx((1, 1, 1), abs=1e-12)


def test_codes_turned_by_45_degrees_have_the_lowest_but_are_informative():
    assert of.mutual_information_gap(ROTATED, GRID) == pytest.approx(0, abs=1e-12)
    assert of.separated_attribute_predictability(ROTATED, GRID) == pytest.approx(0, abs=1e-12)
    assert dci(ROTATED) == pytest.approx((0, 0, 1), abs=1e-12)


def test_importance_is_the_size_of_a_weight():
    slope = 0.75
    codes = GRID @ np.array([[1, slope], [-slope, 1]])  # weights of a factor: 1 and slope, in proportion
    h = of.entropy(np.array([1, slope])) / math.log(2)
    assert dci(codes) == pytest.approx((1 - h, 1 - h, 1), abs=1e-12)


def test_copies_of_codes_have_no_gap_and_are_half_complete():
    assert of.mutual_information_gap(COPIED, GRID) == 0
    assert of.separated_attribute_predictability(COPIED, GRID) == pytest.approx(0, abs=1e-12)
    assert dci(COPIED) == pytest.approx((1, 0.5, 1), abs=1e-12)  # C = 1 - log 2 / log 4


def test_random_codes_know_next_to_nothing(rng):
    factors, other = rng.integers(4, size=(20_000, 2)), rng.integers(4, size=(20_000, 2))
    codes, test = rng.normal(size=(20_000, 2)), rng.normal(size=(20_000, 2))
    assert 0 <= of.mutual_information_gap(codes, factors) < 0.003
    assert of.mutual_information(codes, factors).max() < 3 * 19 * 3 / 40_000
    assert 0 <= of.separated_attribute_predictability(codes, factors) < 0.001
    assert abs(of.dci(codes, factors, test, other).informativeness) < 0.001


def test_a_gap_of_a_half_is_a_half():
    rounded = np.column_stack([GRID[:, 0], GRID[:, 0] // 2, GRID[:, 1], GRID[:, 1] // 2])
    assert of.mutual_information_gap(rounded, GRID) == pytest.approx(0.5, abs=1e-12)  # (log 4 - log 2) / log 4
    added = np.column_stack([GRID[:, 0], GRID.sum(axis=1)])
    assert of.separated_attribute_predictability(added, GRID) == pytest.approx(0.5, abs=1e-12)  # R^2 of 1 and 1/2, of 0 and 1/2


def test_mutual_information_is_that_of_a_known_table():
    z, v = np.array([0, 0, 0, 1, 1, 1.0]), np.array([0, 0, 1, 0, 1, 1])
    expected = 2 * (2 / 6 * math.log(2 / 6 / (1 / 4)) + 1 / 6 * math.log(1 / 6 / (1 / 4)))
    assert of.mutual_information(np.column_stack([z, z * 0]), v[:, None])[:, 0] == pytest.approx([expected, 0], abs=1e-12)


def test_bins_are_of_equal_width_from_the_least_to_the_largest():
    z, v = np.array([0, 0.9, 1.1, 1.9, 2.1, 3.0]), np.array([0, 0, 1, 1, 1, 1])
    both = np.column_stack([z, z])
    entropy = of.entropy(np.array([2, 4]))
    assert of.mutual_information(both, v[:, None], bins=3)[0, 0] == pytest.approx(entropy, abs=1e-12)
    assert of.mutual_information(both, v[:, None], bins=2)[0, 0] < entropy - 0.1  # 1.1 is with 0.9


def test_a_code_of_two_factors_is_punished_by_disentanglement_alone():
    factors = np.array(list(itertools.product(range(4), range(4), range(2))) * 2)
    held = np.column_stack([4 * factors[:, 0] + factors[:, 1], factors[:, 2]])
    assert of.mutual_information_gap(held, factors) == pytest.approx(1)
    d, c = of.dci_of_importance([[1, 1, 0], [0, 0, 5]])
    assert (d, c) == pytest.approx((2 / 7 * (1 - math.log(2) / math.log(3)) + 5 / 7, 1))


def test_importances_of_known_entropy():
    assert of.dci_of_importance(np.eye(3)) == (1, 1)
    assert of.dci_of_importance(np.ones((3, 4))) == pytest.approx((0, 0), abs=1e-12)
    assert of.dci_of_importance([[1, 0], [0, 0], [0, 2]]) == (1, 1), "a dead code has no weight"
    assert of.dci_of_importance([[1, 0], [0, 0]]) == (1, 0.5), "no code has the second factor"
    assert of.dci_of_importance(np.zeros((2, 2))) == (0, 0)
    d, c = of.dci_of_importance([[3, 1], [0, 2]])
    h = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert d == pytest.approx(4 / 6 * (1 - h) + 2 / 6)
    assert c == pytest.approx((1 + 1 - (math.log2(3) - 2 / 3)) / 2)


def test_informativeness_is_one_minus_the_relative_error_on_the_test_codes(rng):
    noise = rng.normal(size=(40_000, 2))
    codes = rng.normal(size=(40_000, 2))
    factors = codes + 0.75 * noise  # sd of the factor 1.25, of the error 0.75
    found = of.dci(codes[::2], factors[::2], codes[1::2], factors[1::2])
    assert found.informativeness == pytest.approx(1 - 0.6, abs=0.01)
    assert found[:2] == pytest.approx((1, 1), abs=0.1)  # the entropy of weights of half a percent
    wrong = of.dci(codes[::2], factors[::2], codes[1::2], factors[::2])
    assert wrong.informativeness < -0.2, "worse than a guess of the mean"


def scores(codes, factors):
    return [of.mutual_information_gap(codes, factors), of.separated_attribute_predictability(codes, factors), *dci(codes, factors)]


@pytest.mark.parametrize("change", [
    lambda z, v: (z[SHUFFLED], v[SHUFFLED]),
    lambda z, v: (z[:, [2, 0, 1]], v),
    lambda z, v: (z, v[:, ::-1]),
    lambda z, v: (z * [2.0, 1e-3, 1024.0], v),
    lambda z, v: (-z, 10 - 2 * v),
    lambda z, v: (z.astype(np.float32), v.astype(np.uint8)),
])  # fmt: skip
def test_scores_see_no_order_no_scale_and_no_sign(change):
    codes = np.column_stack([GRID[:, 0] + 0.4 * RANDOM[:, 0], GRID @ [1, 0.5] + 0.1 * RANDOM[:, 1], RANDOM[::-1, 0]])
    found = scores(codes, GRID)
    assert all(0.05 < score < 0.95 for score in found)
    np.testing.assert_allclose(scores(*change(codes, GRID)), found, rtol=1e-6)


def test_a_dead_code_changes_no_gap():
    noisy = GRID + 0.5 * RANDOM
    dead = np.column_stack([noisy, np.full(160, 0.1)])
    for score in (of.mutual_information_gap, of.separated_attribute_predictability):
        assert score(dead, GRID) >= score(noisy, GRID)  # it cannot be second best, where there is a second
    assert dci(dead)[::2] == pytest.approx(dci(noisy)[::2])


# ---- refusals


@pytest.mark.parametrize(("call", "message"), [
    (lambda: of.linear_probe(GRID, GRID[:, 0], GRID[:, :1], GRID[:, 0]), r"same columns(.|\n)*expected  \(M, 2\)(.|\n)*got +\(160, 1\)"),
    (lambda: of.linear_probe(GRID, GRID[:9, 0], GRID, GRID[:, 0]), r"each code has its labels(.|\n)*expected  160 labels(.|\n)*got +9"),
    (lambda: of.linear_probe(GRID, np.ones(160), GRID, GRID[:, 0]), r"nothing to tell apart(.|\n)*got +1 classes"),
    (lambda: of.linear_probe(GRID, GRID[:, 0], GRID, GRID[:, 0], penalty=0), r"penalty > 0(.|\n)*got +4 classes, penalty 0"),
    (lambda: of.neighbour_accuracy(GRID, GRID[:, 0], GRID, GRID[:, 0], k=161), r"k is out of range(.|\n)*1 to 160(.|\n)*got +161"),
    (lambda: of.neighbour_accuracy(GRID, GRID[:, 0], GRID, GRID[:, 0], k=1.5), r"whole number(.|\n)*got +1\.5"),
    (lambda: of.mutual_information_gap(GRID[:, :1], GRID), r"something to compare with(.|\n)*J >= 2(.|\n)*got +\(160, 1\)"),
    (lambda: of.mutual_information_gap(GRID, RANDOM), r"factor 0 must vary(.|\n)*2 to 80 different values(.|\n)*got +160(.|\n)*bins"),
    (lambda: of.mutual_information_gap(GRID, GRID * [1, 0]), r"factor 1 must vary(.|\n)*got +1"),
    (lambda: of.mutual_information(GRID, GRID, bins=1), r"bins is out of range(.|\n)*2 or more(.|\n)*got +1"),
    (lambda: of.separated_attribute_predictability(GRID * np.nan, GRID), r"entries that say nothing(.|\n)*finite(.|\n)*got +320 others of 320"),
    (lambda: of.separated_attribute_predictability(GRID[0], GRID), r"codes has another shape(.|\n)*\(N, J\)(.|\n)*got +\(2,\)"),
    (lambda: of.separated_attribute_predictability(GRID, GRID[:0]), r"factors has another shape, or no entry(.|\n)*got +\(0, 2\)"),
    (lambda: of.separated_attribute_predictability([["a"]], GRID), r"codes must be an array of real numbers(.|\n)*got +list"),
    (lambda: of.separated_attribute_predictability([[1], [1, 2]], GRID), r"codes must be an array of real numbers(.|\n)*got +list"),
    (lambda: of.separated_attribute_predictability(GRID + 1j, GRID), r"real numbers(.|\n)*got +complex128"),
    (lambda: of.dci(GRID[:2], [[0, 1], [1, 0]], GRID, GRID), r"more examples than codes(.|\n)*N > 2(.|\n)*got +2"),
    (lambda: of.dci_of_importance([[1, -1], [1, 1]]), r"none below 0"),
    (lambda: of.dci_of_importance([[1, 1]]), r"J >= 2(.|\n)*got +\(1, 2\)"),
])  # fmt: skip
def test_bad_input_is_refused_with_expected_and_got(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
