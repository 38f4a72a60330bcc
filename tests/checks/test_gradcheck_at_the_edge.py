"""gradcheck where differences are hard: near the end of a domain, beside large numbers, of infinite gradients; and what it leaves behind."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import nn, ops
from tinyae.checks import GradientError, assert_gradients, gradcheck

WRONG = {
    "infinite": (np.square, [0.5, 1.0], lambda gy, x: np.inf * gy),
    "infinite where the slope is zero": (lambda x: np.sqrt(np.maximum(x, 0)), [-1.0, 4.0], lambda gy, x: gy * np.where(x > 0, 1 / 4, np.inf)),
    "zero, a step from the end of the domain": (np.log, [0.002], lambda gy, x: 0 * gy),
    "zero beside a large result": (np.exp, [25.0, 0.1], lambda gy, x: gy * np.exp(x) * (x > 1)),
    "half beside a constant": (lambda x: x**2 + 1e8, [1.0, 0.1], lambda gy, x: gy * x),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_does_not_hide_behind_large_numbers(name):
    f, x, backward = WRONG[name]
    with pytest.raises(GradientError, match="the gradient of x is wrong"):
        gradcheck(f, [np.array(x)], backward=backward)


def test_what_rounding_hides_altogether_is_not_called_right():
    with pytest.raises(GradientError, match="the slopes of x are lost in the rounding") as caught:
        gradcheck(lambda x: x**2 + 1e12, [np.array([1.0, 0.1])], backward=lambda gy, x: gy * x)
    assert "without its constant" in str(caught.value)
    saturated = gradcheck(ops.sigmoid, [np.array([50.0, -60.0])])  # nothing is lost here but slopes of nothing
    assert saturated.compared == 2


@pytest.mark.parametrize("f", [ops.log, ops.sqrt, lambda x: 1 / x])
@pytest.mark.parametrize("small", [2e-3, 1e-3, 1e-4, 1e-5, 1e-6])
def test_near_the_end_of_a_domain_smaller_steps_are_taken(f, small):
    report = gradcheck(f, [np.array([small, 1.0])])
    assert report.kinks == 0
    assert report.worst < 1e-8


@pytest.mark.parametrize("x", [1e5, 1e7, 1e8])
def test_steps_are_those_that_a_large_input_can_take(x):
    assert gradcheck(ops.sin, [np.array([x, 1.0])]).worst < 1e-8


@pytest.mark.parametrize(("f", "x"), [(ops.sqrt, 1e-12), (ops.sin, 1e14)])
def test_where_no_step_is_possible_the_gradient_is_not_compared(f, x):
    with pytest.raises(GradientError, match="the gradient of x cannot be compared") as caught:
        gradcheck(f, [np.array([x, 1.0])])
    assert "a kink" not in str(caught.value)
    assert "finite values on both sides" in str(caught.value)


def test_a_kink_very_near_is_no_kink_here():
    assert gradcheck(ops.relu, [np.array([1e-6, -1e-6])]).kinks == 0
    with pytest.raises(GradientError, match="wrong in 1 of 2"):
        gradcheck(lambda x: np.maximum(x, 0), [np.array([1e-6, 1.0])], backward=lambda gy, x: gy * np.where(x < 1, 0.5, 1))


def test_a_backward_may_write_into_an_array_of_its_own():
    own = np.empty(2)
    assert_gradients(lambda x: x * x, [np.array([0.5, 2.0])], backward=lambda gy, x: np.multiply(x, 2 * gy, out=own))


class Remembers:
    """A layer whose backward needs what the last call kept."""

    def __call__(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, gy, x):
        """With the wrong sign."""
        return -gy * (1 - self.y**2)


def test_likely_mistakes_are_not_guessed_wrongly():
    layer = Remembers()
    for f, x, backward, likely in (
        (lambda x: x**3, [300.0, 0.3], lambda gy, x: gy * 3 * x * x * [1, 1.1], ""),
        (lambda x: np.maximum(x, 0), [0.0, 0.0], lambda gy, x: 7 * gy, "a factor"),
        (layer, [0.5, 0.3], layer.backward, "a sign"),
    ):
        with pytest.raises(GradientError, match="is wrong in") as caught:
            gradcheck(f, [np.array(x)], backward=backward)
        assert str(caught.value).partition("likely    ")[2].startswith(likely or "wrong") == bool(likely)


def test_a_batch_norm_has_its_running_means_back():
    class Model(nn.Module):
        """Linear layers around a batch norm."""

        def __init__(self):
            self.features = 3
            self.layers = nn.Sequential(nn.Linear(3, 4, rng=ta.rng(0)), nn.BatchNorm1d(4), nn.Linear(4, 3, rng=ta.rng(1)))

        def loss(self, x):
            """The squared error."""
            return ops.square(self.layers(x) - x).sum(axis=-1).mean()

    model = Model().astype("float64")
    before = model.state_dict()
    assert_gradients(model, ta.rng(2).normal((5, 3), dtype=np.float64))
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name]), name


class NoisyLoss(nn.Module):
    """Its noise is an argument."""

    def __init__(self):
        self.weight = nn.Parameter(np.ones(3))

    def loss(self, x, noise):
        """A number."""
        return (x * self.weight + noise).sum()


REFUSED = {
    "no real number": lambda: gradcheck(lambda x, c: np.abs(c) * x, [np.ones(3), 1j * np.ones(3)], backward=lambda gy, x, c: (gy, None)),
    "needs more than a batch": lambda: gradcheck(NoisyLoss(), np.ones((2, 3))),
    "has no loss": lambda: gradcheck(nn.Linear(3, 2, rng=ta.rng(0)), np.ones((2, 3))),
    "no batch x was given": lambda: gradcheck(NoisyLoss()),
    "gives no arrays": lambda: gradcheck(np.square, [np.ones(3)], backward=lambda gy, x: {"x": 2 * x * gy}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_checked_is_refused_in_words(message):
    with pytest.raises(GradientError, match=message):
        REFUSED[message]()
