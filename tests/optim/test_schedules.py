"""Schedules against the published formulas, and at their ends."""

import math

import numpy as np
import pytest

import tinyae as ta
from tinyae import optim
from tinyae.errors import ArgumentError


def test_linear_goes_straight_and_stays_at_its_ends():
    schedule = optim.linear(2.0, 5.0, over=12)
    assert [schedule(t) for t in (-1, 0, 4, 12, 13, 1e9)] == [2, 2, 3, 5, 5, 5]
    np.testing.assert_allclose([schedule(t) for t in range(13)], np.linspace(2, 5, 13), rtol=1e-15)
    assert optim.linear(0.7, 0.1, 3)(3) == 0.1  # where 0.7 + (0.1 - 0.7) is not


def test_cosine_is_equation_5_of_sgdr():
    eta_max, eta_min, period = 0.3, 0.01, 50
    schedule = optim.cosine(eta_max, eta_min, period)
    for t in range(period + 1):
        expected = eta_min + (eta_max - eta_min) * (1 + math.cos(math.pi * t / period)) / 2
        assert math.isclose(schedule(t), expected, rel_tol=1e-14)
    assert (schedule(0), schedule(-3), schedule(period), schedule(period + 7)) == (eta_max, eta_max, eta_min, eta_min)


def test_warm_up_is_linear_and_the_cosine_takes_the_rest():
    schedule, rest = optim.cosine(0.4, 0.1, 30, warm_up=10), optim.cosine(0.4, 0.1, 20)
    assert [schedule(t) for t in (-1, 0, 5, 10, 30)] == [0, 0, 0.2, 0.4, 0.1]
    assert [schedule(10 + t) for t in range(25)] == [rest(t) for t in range(25)]


def test_a_piecewise_constant_holds_from_its_time_on():
    schedule = optim.piecewise_constant({30: 1e-4, 0: 1e-3, 60: 1e-5})
    assert [schedule(t) for t in (-1, 0, 29, 29.9, 30, 59, 60, 1e6)] == [1e-3] * 4 + [1e-4] * 2 + [1e-5] * 2


def test_the_schedule_of_the_iwae_paper():
    """Burda et al. 2016: 0.001 10^(-i/7) for 3^i epochs, i = 0, ..., 7, written out epoch by epoch."""
    rates = [0.001 * 10 ** (-i / 7) for i in range(8) for _ in range(3**i)]
    schedule = optim.iwae()
    assert len(rates) == 3280
    assert [schedule(epoch) for epoch in range(3280)] == rates
    assert (schedule(0), schedule(1), schedule(3), schedule(4)) == (1e-3, rates[1], rates[1], rates[4])
    assert math.isclose(schedule(3279), 1e-4)
    assert schedule(99_999) == schedule(3279)


@pytest.mark.parametrize(("over", "cycles", "ratio"), [(100, 4, 0.5), (60, 3, 1.0), (1000, 10, 0.25)])
def test_cyclical_is_equations_6_and_7_of_fu_et_al(over, cycles, ratio):
    schedule = optim.cyclical(over, cycles, ratio)
    for t in range(1, over + 1):  # the paper counts from 1
        tau = (t - 1) % math.ceil(over / cycles) / (over / cycles)
        assert math.isclose(schedule(t - 1), tau / ratio if tau <= ratio else 1.0, rel_tol=1e-12)
    assert schedule(over) == schedule(10 * over) == 1
    assert sum(schedule(t) == 0 for t in range(over)) == cycles


def test_a_schedule_sets_the_rate_of_an_optimiser():
    adam = optim.Adam([ta.nn.Parameter(np.ones(2))], lr=0.1)
    for t, schedule in enumerate([optim.cosine(0.1, 0, 10), optim.linear(0, 0.1, 10), optim.iwae()]):
        adam.lr = schedule(t)
        assert adam.lr == schedule(t)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: optim.linear(0, 1, 0), r"linear: a setting is out of range\.\n  expected  over > 0\n  got       over=0"),
        (lambda: optim.cosine(1, 0, 10, warm_up=10), r"cosine(.|\n)*0 <= warm_up < over(.|\n)*over=10, warm_up=10"),
        (lambda: optim.piecewise_constant({5: 1.0}), r"piecewise_constant(.|\n)*from time 0 on(.|\n)*times \[5\]"),
        (lambda: optim.piecewise_constant({}), r"piecewise_constant(.|\n)*times \[\]"),
        (lambda: optim.cyclical(10, ratio=0), r"cyclical(.|\n)*0 < ratio <= 1(.|\n)*ratio=0"),
    ],
)
def test_settings_out_of_range_are_refused(make, says):
    with pytest.raises(ArgumentError, match=says):
        make()
