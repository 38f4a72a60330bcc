"""The area under the ROC curve: every pair counted, ties as half, and its spread over repetitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyae.errors import ArgumentError
from tinyae.evaluation.anomaly import auroc, auroc_standard_error

few = st.lists(st.sampled_from([-np.inf, -2.0, -0.0, 0.0, 0.5, 3.0, np.inf]), min_size=1, max_size=12)
many = st.lists(st.floats(allow_nan=False), min_size=1, max_size=12)


def pairs(normal, anomalous):
    """Every pair: 1 for an anomaly above, 1/2 for a tie."""
    return sum((a > n) + (a == n) / 2 for a in anomalous for n in normal) / (len(normal) * len(anomalous))


@given(*2 * [few | many])
def test_the_area_is_the_share_of_pairs_exactly(normal, anomalous):
    assert auroc(normal, anomalous) == pairs(normal, anomalous)


@given(few, few)
def test_swapping_the_groups_or_the_sign_swaps_the_area(normal, anomalous):
    area = auroc(normal, anomalous)
    assert auroc(anomalous, normal) == pytest.approx(1 - area, abs=1e-15)
    assert auroc([-x for x in normal], [-x for x in anomalous]) == pytest.approx(1 - area, abs=1e-15)


def test_areas_that_are_known():
    assert auroc([1, 2, 3], [4, 5]) == 1
    assert auroc([4, 5], [1, 2, 3]) == 0
    assert auroc([7, 7], [7, 7, 7]) == 0.5
    assert auroc([1, 2], [2]) == 0.75


def test_the_area_is_that_of_the_ranks_among_all(rng):
    normal, anomalous = rng.integers(9, size=30), rng.integers(3, 12, size=20)
    scores = np.concatenate([normal, anomalous])
    ranks = [(scores < s).sum() + ((scores == s).sum() + 1) / 2 for s in anomalous]
    assert auroc(normal, anomalous) == pytest.approx((sum(ranks) - 20 * 21 / 2) / 600, abs=1e-15)


def test_order_and_increasing_maps_change_nothing(rng):
    normal, anomalous = rng.normal(size=200), rng.normal(1, 1, size=70)
    area = auroc(normal, anomalous)
    assert auroc(normal[::-1], rng.permutation(anomalous)) == area
    assert auroc(np.exp(normal), np.exp(anomalous)) == area


def test_the_standard_error_is_the_spread_over_repetitions_where_scores_are_exponential(rng):
    normals, anomalies, rate, times = 12, 40, 0.3, 4000
    areas = [auroc(rng.exponential(size=normals), rng.exponential(1 / rate, size=anomalies)) for _ in range(times)]
    area = 1 / (1 + rate)
    assert np.mean(areas) == pytest.approx(area, abs=5 * np.std(areas) / times**0.5)
    found = auroc_standard_error(area, normals, anomalies)
    assert found == pytest.approx(np.std(areas), rel=0.05)
    assert auroc_standard_error(area, anomalies, normals) != pytest.approx(found, rel=0.1), "the two counts are not the same"


def test_the_standard_error_of_one_pair_is_that_of_a_coin():
    assert auroc_standard_error(0.7, 1, 1) == pytest.approx((0.7 * 0.3) ** 0.5)
    assert [auroc_standard_error(area, 30, 20) for area in (0, 1)] == [0, 0]


def test_the_standard_error_of_a_guess_is_nearly_that_of_ranks():
    assert auroc_standard_error(0.5, 30, 20) == pytest.approx(((30 + 20 + 1) / (12 * 600)) ** 0.5, rel=1e-12)  # Q1 = Q2 = 1/3


@pytest.mark.parametrize(("call", "message"), [
    (lambda: auroc([], [1.0]), r"auroc: normal has another shape, or no entry(.|\n)*\(n,\)(.|\n)*got +\(0,\)"),
    (lambda: auroc([1.0], [np.nan, 2]), r"anomalous has entries that say nothing(.|\n)*no NaN(.|\n)*got +1 others of 2"),
    (lambda: auroc([1.0], [[2.0]]), r"anomalous has another shape(.|\n)*got +\(1, 1\)"),
    (lambda: auroc_standard_error(1.1, 3, 3), r"the area is out of range(.|\n)*0 to 1(.|\n)*got +1\.1"),
    (lambda: auroc_standard_error(0.5, 0, 3), r"normals is out of range(.|\n)*1 or more(.|\n)*got +0"),
    (lambda: auroc_standard_error(0.5, 3, 2.5), r"anomalies is out of range(.|\n)*got +2\.5"),
])  # fmt: skip
def test_bad_input_is_refused_with_expected_and_got(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
