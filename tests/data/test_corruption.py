"""Corruption: what is changed, how often, and by how much."""

import numpy as np
import pytest

import tinyae as ta
from tinyae.backend import as_array, to_numpy
from tinyae.errors import ArgumentError

KINDS = [ta.data.gaussian_noise, ta.data.masking_noise, ta.data.salt_and_pepper]


@pytest.fixture
def x(backend):
    """Values strictly between 0 and 1, so that a 0 or a 1 is corruption."""
    return as_array(np.random.default_rng(1).uniform(0.2, 0.8, (500, 64)).astype(np.float32))


@pytest.mark.parametrize("corrupt", KINDS)
def test_corruption_keeps_shape_dtype_and_backend_and_follows_its_stream(corrupt, x):
    once, again, other = (corrupt(x, ta.rng(seed), 0.3) for seed in (0, 0, 1))
    assert (type(once), once.shape, once.dtype) == (type(x), x.shape, x.dtype)
    assert (to_numpy(once) == to_numpy(again)).all()
    assert (to_numpy(once) != to_numpy(other)).any()
    assert (to_numpy(corrupt(x, ta.rng(0), 0)) == to_numpy(x)).all()


def test_gaussian_noise_has_its_standard_deviation(x):
    added = to_numpy(ta.data.gaussian_noise(x, ta.rng(0), 0.3)) - to_numpy(x)
    assert abs(added.mean()) < 4 * 0.3 / np.sqrt(x.size)
    assert abs(added.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * x.size)


def test_masking_sets_the_given_share_to_zero_and_leaves_the_rest(x):
    masked, whole = to_numpy(ta.data.masking_noise(x, ta.rng(0), 0.3)), to_numpy(x)
    gone = masked == 0
    assert abs(gone.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / x.size)
    assert (masked[~gone] == whole[~gone]).all()
    assert (to_numpy(ta.data.masking_noise(x, ta.rng(0), 1)) == 0).all()


def test_salt_and_pepper_come_in_equal_shares_and_leave_the_rest(x):
    spoilt, whole = to_numpy(ta.data.salt_and_pepper(x, ta.rng(0), 0.3)), to_numpy(x)
    for value in (0, 1):
        assert abs((spoilt == value).mean() - 0.15) < 4 * np.sqrt(0.15 * 0.85 / x.size)
    rest = (spoilt != 0) & (spoilt != 1)
    assert (spoilt[rest] == whole[rest]).all()
    assert set(np.unique(to_numpy(ta.data.salt_and_pepper(x, ta.rng(0), 1)))) == {0, 1}


@pytest.mark.parametrize(("corrupt", "amount"), [(KINDS[0], -0.1), (KINDS[1], 1.1), (KINDS[2], -0.1)])
def test_an_amount_outside_its_range_is_refused(corrupt, amount):
    with pytest.raises(ArgumentError, match=corrupt.__name__):
        corrupt(np.ones((2, 2), np.float32), ta.rng(0), amount)
