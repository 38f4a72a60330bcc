"""Sparse codes and codebooks: counts, shares and cosines of known value."""

import math

import numpy as np
import pytest

from tinyae import data
from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError
from tinyae.evaluation import features as of

CODES = np.array([[0, 2, 0, 0], [0, -1, 3, 0], [0, 0, 1e-30, 0]])
X = np.random.default_rng(1).normal(size=(50, 4)) * [3, 1, 1, 0.1] + 7
Y = X + 0.4 * np.random.default_rng(2).normal(size=(50, 4))


def test_active_and_dead_units_are_counted():
    assert of.l0(CODES) == pytest.approx(4 / 3)
    assert of.dead_share(CODES) == 0.5
    assert (of.l0(0 * CODES), of.dead_share(0 * CODES)) == (0, 1)
    assert (of.l0(CODES[::-1, [3, 1, 0, 2]] * -5), of.dead_share(CODES[::-1, [3, 1, 0, 2]] * -5)) == (of.l0(CODES), 0.5)


def test_the_density_of_the_superposition_set_is_its_probability():
    toy = data.toy("superposition", 20_000, make_rng(0))
    assert of.l0(toy.factors) == pytest.approx(32 * 0.05, abs=5 * math.sqrt(32 * 0.05 * 0.95 / 20_000))
    assert of.dead_share(toy.factors) == 0


def test_explained_variance_is_one_for_a_copy_and_zero_for_the_mean():
    assert of.explained_variance(X, X) == 1
    assert of.explained_variance(X, np.broadcast_to(X.mean(axis=0), X.shape)) == pytest.approx(0, abs=1e-12)
    assert of.explained_variance(X, 0 * X) < -10, "about the mean, not about zero"
    half = (X + X.mean(axis=0)) / 2
    assert of.explained_variance(X, half) == pytest.approx(0.75)


def test_explained_variance_sees_no_shift_no_scale_no_turn_and_no_order():
    found = of.explained_variance(X, Y)
    assert 0.5 < found < 0.98
    turn, order = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0], np.random.default_rng(0).permutation(50)
    for f in (lambda a: a + 100, lambda a: -3 * a, lambda a: a @ turn, lambda a: a[order]):
        assert of.explained_variance(f(X), f(Y)) == pytest.approx(found, rel=1e-9)
    batches = np.mean([of.explained_variance(X[i : i + 5], Y[i : i + 5]) for i in range(0, 50, 5)])
    assert abs(batches - found) > 1e-3, "the mean over batches is another number"


def test_principal_components_explain_their_share_of_the_eigenvalues():
    values, vectors = np.linalg.eigh(np.cov(X.T))
    top = vectors[:, -2:]
    y = (X - X.mean(axis=0)) @ top @ top.T + X.mean(axis=0)
    assert of.explained_variance(X, y) == pytest.approx(values[-2:].sum() / values.sum())


def test_a_dictionary_finds_itself_whatever_its_order_and_lengths(rng):
    known = data.toy("superposition", 10, make_rng(0)).truth.dictionary
    scrambled = np.hstack([known[:, rng.permutation(32)] * rng.uniform(0.1, 9, 32), rng.normal(size=(16, 8)), np.zeros((16, 1))])
    np.testing.assert_allclose(of.best_cosines(scrambled, known), 1)
    assert of.mean_max_cosine(scrambled, known) == pytest.approx(1)
    assert of.features_found(scrambled, 5 * known, 0.999) == 32


def test_cosines_of_known_angles():
    angles = np.radians([0, 60, 180])
    dictionary, known = np.array([[2.0], [0.0]]), np.stack([np.cos(angles), np.sin(angles)])
    np.testing.assert_allclose(of.best_cosines(dictionary, known), [1, 0.5, -1])
    assert of.mean_max_cosine(dictionary, known) == pytest.approx(0.5 / 3)
    assert [of.features_found(dictionary, known, cosine) for cosine in (0.9, 0.49, 0.51, -1)] == [1, 2, 1, 2]
    np.testing.assert_allclose(of.best_cosines(np.hstack([dictionary, -dictionary]), known), [1, 0.5, 1])
    assert of.features_found(dictionary, known) == of.features_found(dictionary, known, 0.9)


def test_cosines_see_no_common_turn(rng):
    dictionary, known = rng.normal(size=(6, 9)), rng.normal(size=(6, 4))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    np.testing.assert_allclose(of.best_cosines(turn @ dictionary, turn @ known), of.best_cosines(dictionary, known))
    expected = [max(g @ d / math.sqrt((g @ g) * (d @ d)) for d in dictionary.T) for g in known.T]
    np.testing.assert_allclose(of.best_cosines(dictionary, known), expected)


def test_a_column_of_zeros_points_nowhere():
    assert of.best_cosines(np.zeros((2, 3)), np.eye(2)).tolist() == [0, 0]
    assert of.best_cosines(np.array([[0.0, -1.0], [0.0, 0.0]]), np.eye(2)).tolist() == [0, 0]


def test_perplexity_counts_the_codes_in_use():
    assert of.perplexity([0, 9, 0]) == 1
    assert of.perplexity([5, 5, 0, 5, 5]) == pytest.approx(4)
    assert of.perplexity([3, 1]) == pytest.approx(4 / 3**0.75)  # exp(log 4 - 3/4 log 3)
    assert of.perplexity([10, 30, 0]) == pytest.approx(of.perplexity([3, 0, 1]))


def test_perplexity_of_a_whole_set_is_not_the_mean_over_batches():
    batches = np.repeat(np.arange(8), 100).reshape(8, 100)
    counts = [np.bincount(batch, minlength=8) for batch in batches]
    assert np.mean([of.perplexity(one) for one in counts]) == 1
    assert of.perplexity(np.sum(counts, axis=0)) == pytest.approx(8)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: of.l0(np.zeros(3)), r"l0: codes has another shape(.|\n)*\(N, J\)(.|\n)*got +\(3,\)"),
    (lambda: of.dead_share(np.zeros((0, 3))), r"dead_share: (.|\n)*no entry(.|\n)*got +\(0, 3\)"),
    (lambda: of.explained_variance(X, Y[:9]), r"a reconstruction of each(.|\n)*got +\(50, 4\) and \(9, 4\)"),
    (lambda: of.explained_variance(np.full((3, 2), 0.1), np.zeros((3, 2))), r"examples that differ(.|\n)*got +equal rows"),
    (lambda: of.best_cosines(np.eye(3), np.eye(2)), r"columns of as many entries(.|\n)*got +\(3, J\) and \(2, F\), 0 of them"),
    (lambda: of.mean_max_cosine(np.eye(2), np.zeros((2, 3))), r"none of them 0(.|\n)*3 of them 0"),
    (lambda: of.features_found(np.eye(2), np.eye(2), 90), r"a cosine(.|\n)*-1 to 1(.|\n)*got +90"),
    (lambda: of.perplexity([3, -1]), r"perplexity: counts(.|\n)*got +from -1"),
    (lambda: of.perplexity([0, 0]), r"not all 0"),
    (lambda: of.perplexity(np.ones((2, 2))), r"\(K,\)(.|\n)*got +\(2, 2\)"),
])  # fmt: skip
def test_bad_input_is_refused_with_expected_and_got(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
