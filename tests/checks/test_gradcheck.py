"""gradcheck on right and wrong gradients, at kinks, and where weaker checkers pass."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.checks import GradientError, gradcheck


@pytest.fixture
def own():
    """Register a primitive for one test: own(forward, rule)."""
    before = dict(ops.user_registry)

    def make(forward, rule, **data):
        made = ops.primitive(forward, **data)
        made.vjp("x")(rule)
        return made

    yield make
    for name in set(ops.user_registry) - set(before):
        del ops.user_registry[name]


def softmax(x):
    """exp(x), divided by its sum."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_a_softmax_without_gradient_is_caught(own, rng):
    """With a cotangent of ones the right gradient is zero too, and a check that uses it passes."""
    wrong = own(softmax, lambda gy, y: 0 * gy)
    with pytest.raises(GradientError):
        gradcheck(wrong, [rng.normal(size=(3, 4))])


def test_the_right_softmax_passes(own, rng):
    right = own(softmax, lambda gy, y: y * (gy - (gy * y).sum(-1, keepdims=True)))
    assert gradcheck(right, [rng.normal(size=(3, 4))]).worst < 1e-8


def test_a_slope_that_a_loose_tolerance_would_pass_is_caught(own):
    def tiny(x):
        """A slope of 1e-5."""
        return 1e-5 * x

    with pytest.raises(GradientError):
        gradcheck(own(tiny, lambda gy: 0 * gy), [np.array([1.0, 2.0])])


def test_one_wrong_entry_in_many_is_named(own, rng):
    def shift(x):
        """Itself."""
        return x + 0

    def rule(gy):
        gx = gy.copy()
        gx[7, 3] *= 1.001
        return gx

    with pytest.raises(GradientError, match=r"input 0 is wrong in 1 of 400 entries") as caught:
        gradcheck(own(shift, rule), [rng.normal(size=(20, 20))])
    assert "at (7, 3)" in str(caught.value)


def test_a_value_between_the_slopes_of_a_kink_is_right_and_one_outside_is_not(own):
    x = np.array([0.0, 1.0, -1.0])
    report = gradcheck(ops.relu, [x])
    assert (report.kinks, report.compared) == (1, 3)

    def relu(x):
        """The positive part."""
        return np.maximum(x, 0)

    with pytest.raises(GradientError, match="a kink"):
        gradcheck(own(relu, lambda gy, x: gy * np.where(x == 0, 1.5, x > 0)), [x])


def test_large_curvature_is_no_kink():
    report = gradcheck(lambda x: ops.tanh(x * 300.0), [np.array([0.001, -0.004])])
    assert report.kinks == 0
    assert report.worst < 1e-6


def test_a_wrong_second_derivative_under_a_right_first_one_is_caught(own):
    def cube(x):
        """x times x times x."""
        return x * x * x

    frozen = own(cube, lambda gy, x: gy * (3 * (x.detach() * x.detach() if isinstance(x, ta.Tensor) else x * x)))
    x = [np.array([0.5, 1.5])]
    assert gradcheck(frozen, x).worst < 1e-8
    with pytest.raises(GradientError):
        gradcheck(frozen, x, order=2)


def test_a_function_that_returns_no_tensor_is_told_so():
    model = ta.models.VAE(4, 1, (3,), rng=ta.rng(0)).astype("float64")
    with pytest.raises(GradientError, match="one Tensor"):
        gradcheck(lambda: model.loss(np.ones((2, 4)), noise=np.ones((2, 1))), model)


def test_float32_is_refused():
    with pytest.raises(GradientError, match="must be float64"):
        gradcheck(ops.exp, [np.ones(2, np.float32)])


def test_a_model_is_checked_by_the_names_of_its_parameters_and_put_back(rng):
    model = ta.nn.mlp(3, 4, 2, activation="tanh", rng=ta.rng(0)).astype("float64")
    x, before = rng.normal(size=(5, 3)), model.state_dict()
    assert gradcheck(lambda: model(x), model).worst < 1e-6
    assert all((model.state_dict()[name] == value).all() for name, value in before.items())
    with pytest.MonkeyPatch.context() as patch:
        rule = ops.linear.rules[2]
        patch.setattr(rule, "function", lambda gy: -gy.sum(axis=0))
        with pytest.raises(GradientError, match=r"gradient of 0\.bias"):
            gradcheck(lambda: model(x), model)


def test_a_rule_that_writes_into_its_cotangent_is_caught(own):
    def positive_part(x):
        """The positive part."""
        return np.maximum(x, 0)

    def rule(gy, x):
        gy[x < 1.0] = 0  # the wrong threshold, hidden if the cotangent is read afterwards
        return gy

    with pytest.raises(GradientError, match="writes into the cotangent"):
        gradcheck(own(positive_part, rule), [np.array([0.5, 2.0, -1.0])])


def test_other_orders_are_refused():
    with pytest.raises(GradientError, match="1 or 2"):
        gradcheck(ops.exp, [np.ones(2)], order=3)


def test_fresh_noise_in_every_evaluation_is_no_function():
    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="freeze the noise"):
        gradcheck(lambda x: ops.reparameterize(x, np.zeros(3), rng.normal(size=3)), [np.ones(3)])
