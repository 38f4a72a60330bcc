"""gradcheck on right and wrong gradients, at kinks, and where weaker checkers pass."""

import re

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.checks import GradientError, assert_gradients, gradcheck


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

    with pytest.raises(GradientError, match=r"shift: the gradient of x is wrong in 1 of 400 entries") as caught:
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


def test_a_rule_that_cuts_its_cotangent_off_is_caught_at_second_order(own):
    def cube(x):
        """x times x times x."""
        return x * x * x

    cut = own(cube, lambda gy, x: (gy.detach() if isinstance(gy, ta.Tensor) else gy) * 3 * x * x)
    with pytest.raises(GradientError, match=r"the gradient of the cotangent is wrong(?s:.*)likely    .*zero"):
        gradcheck(cut, [np.array([0.5, 1.5])], order=2)


def test_a_function_that_returns_no_tensor_is_told_so():
    model = ta.models.VAE(4, 1, (3,), rng=ta.rng(0)).astype("float64")
    with pytest.raises(GradientError, match="one Tensor"):
        gradcheck(lambda: model.loss(np.ones((2, 4)), noise=np.ones((2, 1))), model)


def test_float32_is_refused():
    with pytest.raises(GradientError, match=r"x must be float64(?s:.*)remedy    x.astype\('float64'\)"):
        gradcheck(ops.exp, [np.ones(2, np.float32)])
    with pytest.raises(GradientError, match=r"remedy    model.astype\('float64'\) and float64 data"):
        gradcheck(ta.models.VAE(4, 1, (3,), rng=ta.rng(0)))


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


# ---- plain NumPy functions with a backward by hand


def affine(x, w, b):
    return x @ w + b


def affine_backward(gy, x, w, b):
    return gy @ w.T, x.T @ gy, gy.sum(axis=0)


@pytest.fixture
def layer(rng):
    """Inputs of `affine`: x (5, 3), w (3, 4), b (4,)."""
    return [rng.normal(size=shape) for shape in ((5, 3), (3, 4), (4,))]


def test_a_backward_by_hand_passes(layer):
    report = gradcheck(affine, layer, backward=affine_backward, analytic=True)
    assert report.worst < 1e-9
    assert report.complex_step < 1e-12
    assert_gradients(affine, layer, backward=affine_backward)


WRONG = {
    "x is wrong in 15 of 15 entries.*a sign: it is minus the derivative": lambda gy, x, w, b: (-gy @ w.T, x.T @ gy, gy.sum(0)),
    "w is wrong in 12 of 12 entries.*it is zero": lambda gy, x, w, b: (gy @ w.T, 0 * w, gy.sum(0)),
    "w is wrong.*a factor: it is 1.1 times the derivative": lambda gy, x, w, b: (gy @ w.T, 1.1 * x.T @ gy, gy.sum(0)),
    "b is wrong.*a factor 1/5: a mean over 5 entries where a sum belongs": lambda gy, x, w, b: (gy @ w.T, x.T @ gy, gy.mean(0)),
    "b is wrong.*a factor 4: a sum over 4 entries where a mean belongs": lambda gy, x, w, b: (gy @ w.T, x.T @ gy, 4 * gy.sum(0)),
    r"b has another shape than the input.*expected  \(4,\).*got       \(5, 4\).*the sum over axis 0 is missing": (
        lambda gy, x, w, b: (gy @ w.T, x.T @ gy, gy)
    ),
    r"w has another shape than the input.*\(4, 3\).*transposed": lambda gy, x, w, b: (gy @ w.T, gy.T @ x, gy.sum(0)),
    "b is wrong.*a constant: 0.5 too much everywhere": lambda gy, x, w, b: (gy @ w.T, x.T @ gy, gy.sum(0) + 0.5),
    "gives another number of gradients.*expected  3: x, w, b.*got       2": lambda gy, x, w, b: (gy @ w.T, x.T @ gy),
}


@pytest.mark.parametrize("says", WRONG)
def test_the_failure_says_what_the_mistake_looks_like(says, layer):
    with pytest.raises(GradientError, match=re.compile(f"affine.*{says}", re.DOTALL)):
        gradcheck(affine, layer, backward=WRONG[says])


def normalised(x):
    """Mean 0 and variance 1 along the last axis."""
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)


FORGOTTEN = {
    "the error is the result times a term that is the same all along axis 1": (softmax, lambda gy, x: softmax(x) * gy),
    "the error is the same all along axis 1: is a sum": (
        normalised,
        lambda gy, x: (gy - normalised(x) * (gy * normalised(x)).mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True),
    ),
}


@pytest.mark.parametrize("says", FORGOTTEN)
def test_a_forgotten_sum_over_an_axis_is_recognised(says, rng):
    f, backward = FORGOTTEN[says]
    with pytest.raises(GradientError, match=f"likely    {says}"):
        gradcheck(f, [rng.normal(size=(3, 4))], backward=backward)


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


@pytest.mark.parametrize("x", [[[1.0, -2.0, 3.0], [-1.0, 2.0, 0.5]], [1.0, 2.0, -3.0]])
def test_a_gradient_that_is_wrong_for_one_sign_of_its_input_is_recognised(x):
    with pytest.raises(GradientError, match=r"likely    wrong where x < 0, right elsewhere$"):
        gradcheck(leaky, [np.array(x)], backward=lambda gy, x: gy * np.where(x > 0, 1, 0.2))
    with pytest.raises(GradientError, match=r"likely    wrong where x > 0, right elsewhere$"):
        gradcheck(leaky, [np.array(x)], backward=lambda gy, x: gy * np.where(x > 0, 2, 0.1))


def test_a_gradient_that_is_wrong_for_large_inputs_is_recognised():
    x = np.array([[0.2, -2.0, 0.4], [3.0, -0.1, -1.5], [0.6, 2.5, -0.7]])
    with pytest.raises(GradientError, match=r"likely    wrong where \|x\| >= 1.5, right where \|x\| <= 0.7$"):
        gradcheck(lambda x: x**3, [x], backward=lambda gy, x: 3 * gy * np.minimum(x**2, 1))


@pytest.mark.parametrize("entries", [2, [0, 2], [4, 5]])
def test_few_wrong_entries_of_a_vector_have_no_pattern(entries):
    """As after Hypothesis has made a counterexample small: all inputs positive, and in order."""

    def backward(gy, x):
        gradient = 2 * gy * x
        gradient[entries] *= 1.5
        return gradient

    with pytest.raises(GradientError) as caught:
        gradcheck(lambda x: x * x, [np.arange(1.0, 7.0)], backward=backward)
    assert "likely" not in str(caught.value)


def test_one_wrong_row_is_named_and_one_wrong_entry_of_it_is_not(rng):
    def backward(gy, x, columns):
        gradient = 2 * gy * x
        gradient[1, columns] *= np.linspace(1.5, 2, 4)[columns]
        return gradient

    x = rng.normal(size=(3, 4))
    with pytest.raises(GradientError, match=r"likely    wrong only at index 1 of axis 0$"):
        gradcheck(lambda x: x * x, [x], backward=lambda gy, x: backward(gy, x, slice(4)))
    with pytest.raises(GradientError, match="wrong in 1 of 12") as caught:
        gradcheck(lambda x: x * x, [x], backward=lambda gy, x: backward(gy, x, slice(1)))
    assert "likely" not in str(caught.value)


def test_a_square_gradient_that_is_transposed_or_that_of_another_input_is_recognised(rng):
    a, b = rng.normal(size=(2, 3, 3))

    def product(a, b):
        return a @ b

    with pytest.raises(GradientError, match=r"gradient of a is wrong(.|\n)*transposed"):
        gradcheck(product, [a, b], backward=lambda gy, a, b: ((gy @ b.T).T, a.T @ gy))
    with pytest.raises(GradientError, match=r"gradient of a is wrong(.|\n)*it is the gradient of b$"):
        gradcheck(product, [a, b], backward=lambda gy, a, b: (a.T @ gy, a.T @ gy))


def test_a_gradient_that_is_right_except_at_kinks_is_recognised():
    x = np.array([-1.0, 0.0, 2.0])
    with pytest.raises(GradientError, match="right except at kinks"):
        gradcheck(lambda x: np.abs(x), [x], backward=lambda gy, x: gy * np.where(x == 0, 3.0, np.sign(x)))


def test_a_mistake_without_a_name_gets_none(layer):
    with pytest.raises(GradientError) as caught:
        gradcheck(affine, layer, backward=lambda gy, x, w, b: (gy @ w.T, x.T @ gy**2, gy.sum(0)))
    assert "likely" not in str(caught.value)


def test_a_backward_that_writes_into_its_inputs_or_cotangent_is_refused(layer):
    def into_input(gy, x, w, b):
        x *= 2.0
        return affine_backward(gy, x / 2, w, b)

    def into_cotangent(gy, x, w, b):
        gradients = affine_backward(gy, x, w, b)
        gy *= 2.0
        return gradients

    with pytest.raises(GradientError, match="the backward of affine writes into its input x"):
        gradcheck(affine, layer, backward=into_input)
    with pytest.raises(GradientError, match="writes into the cotangent"):
        gradcheck(affine, layer, backward=into_cotangent)


def test_a_backward_that_is_not_linear_or_not_repeatable_is_no_gradient(layer):
    """Right for the one cotangent that the differences see, so gradcheck alone passes it."""
    seen, rng = [], np.random.default_rng(0)

    def first_only(gy, x, w, b):
        seen.append(gy.copy())
        return affine_backward(gy if (gy == seen[0]).all() else gy**2, x, w, b)

    with pytest.raises(GradientError, match="not linear in the cotangent"):
        assert_gradients(affine, layer, backward=first_only)
    with pytest.raises(GradientError, match="differs between two calls"):
        assert_gradients(affine, layer, backward=lambda gy, x, w, b: affine_backward(gy, x + 1e-12 * rng.normal(size=x.shape), w, b))


def test_integers_are_constants_of_a_plain_function_too(rng):
    x, index = rng.normal(size=4), np.array([2, 0, 2])

    def backward(gy, x, index):
        gx = np.zeros(4)
        np.add.at(gx, index, gy)
        return gx, None

    def gather(x, index):
        return x[index]

    assert gradcheck(gather, [x, index], backward=backward).compared == 4
    assert gradcheck(gather, [x, index], backward=lambda *given: backward(*given)[0]).compared == 4
    for wrong, says in {
        lambda gy, x, index: (gy, gy, gy): r"another number of gradients(?s:.*)expected  2: x, None for index \(integers or truth values\)",
        lambda gy, x, index: (None, None): r"gives None for x, which is float64.\n  remedy    zeros",
        lambda gy, x, index: (backward(gy, x, index)[0], 0.0 * index): (
            r"a gradient for index, which is a constant: integers or truth values.\n  remedy    None in its place, or index.astype\('float64'\)"
        ),
    }.items():
        with pytest.raises(GradientError, match=says):
            gradcheck(gather, [x, index], backward=wrong)
    with pytest.raises(GradientError, match="no input has a gradient: integers and truth values are constants"):
        gradcheck(lambda x: 2.0 * x, [index], backward=lambda gy, x: 2 * gy)


@pytest.mark.parametrize(("result", "got"), [((1.0, 2.0), "tuple"), ([1.0], "list"), (None, "NoneType"), (np.float32(1), "an array of float32")])
def test_a_plain_function_returns_one_array_of_float64(result, got):
    with pytest.raises(GradientError, match=f"f must return one array of float64.\n  got       {got}$"):
        gradcheck(named("f", lambda x: result), [np.ones(2)], backward=lambda gy, x: gy)


def named(name, function):
    """The function, with a name."""
    function.__name__ = name
    return function


def test_arrays_that_a_function_of_tensors_cannot_take_are_told_with_the_missing_backward(rng):
    with pytest.raises(ta.errors.DtypeError) as caught:
        gradcheck(softmax, [rng.normal(size=(2, 3))])
    assert caught.value.__notes__ == ["gradcheck: no backward= was given, so the function was called with Tensors"]


def test_an_input_with_nan_and_one_that_the_function_writes_into_are_named():
    def double(x, w):
        w *= 2.0
        return x * w

    x, w = np.ones(2), np.array([1.0, np.nan])
    with pytest.raises(GradientError, match="the input w holds NaN"):
        gradcheck(double, [x, w], backward=lambda gy, x, w: (gy * w, gy * x))
    with pytest.raises(GradientError, match="gradcheck: double writes into its input w"):
        gradcheck(double, [x, x], backward=lambda gy, x, w: (gy * w, gy * x))


def test_a_backward_with_noise_is_told_as_such(rng):
    x = rng.normal(size=5)
    with pytest.raises(GradientError, match="likely    noise: it differs between two calls"):
        gradcheck(np.sin, [x], backward=lambda gy, x: gy * np.cos(x) * (rng.uniform(size=5) < 0.5) * 2)


def test_empty_inputs_are_compared_in_no_entry():
    assert gradcheck(ops.exp, [np.ones((0, 3))]).compared == 0


@pytest.mark.parametrize("check", [gradcheck, assert_gradients])
@pytest.mark.parametrize("inputs", [[np.ones(2)], [np.ones(2, np.float32)]])
def test_a_failed_test_shows_no_line_of_this_library(check, inputs):
    with pytest.raises(GradientError) as caught:
        check(np.sin, inputs, backward=lambda gy, x: gy)
    assert [entry.path.name for entry in caught.traceback.filter(caught)] == ["test_gradcheck.py"]


# ---- the power of the check


def test_tiny_gradients_are_compared_like_large_ones(own):
    def small(x):
        """Everything is small."""
        return 1e-14 * x * x

    x = np.array([1.0, 2.0])
    assert gradcheck(own(small, lambda gy, x: 2e-14 * gy * x), [x]).worst < 1e-8
    del ops.user_registry["small"]
    with pytest.raises(GradientError, match=r"1\.01 times"):
        gradcheck(own(small, lambda gy, x: 2.02e-14 * gy * x), [x])


def test_a_sharp_minimum_is_no_kink(rng):
    p = np.array([[0.972, 0.5, 0.03]])
    report = gradcheck(lambda p, x=p.copy(): ops.binary_cross_entropy(p, x), [p])
    assert (report.kinks, report.compared) == (0, 3)


def test_a_constant_with_too_few_digits_is_found_by_the_complex_step():
    def cube(x):
        """x to the third."""
        return x * x * x

    report = gradcheck(cube, [np.array([1.0, 2.0])], backward=lambda gy, x: 3.0 * gy * x * x, analytic=True)
    assert report.complex_step < 1e-14
    with pytest.raises(GradientError, match=r"right to 1e-07 only(.|\n)*by a complex step"):
        gradcheck(cube, [np.array([1.0, 2.0])], backward=lambda gy, x: 3.0000003 * gy * x * x, analytic=True)


def test_the_complex_step_is_tried_where_all_operations_are_analytic(rng):
    x, w = rng.normal(size=(3, 2)), rng.normal(size=(2, 4))
    assert gradcheck(lambda x, w: ops.exp(-ops.square(x @ w)).sum(axis=0), [x, w]).complex_step < 1e-12
    assert gradcheck(lambda x: ops.softplus(x), [x]).complex_step is None
    assert gradcheck(lambda x: ops.maximum(x, 0.1), [x]).complex_step is None


def test_large_inputs_are_compared_in_some_entries_and_along_directions(rng):
    x, w = rng.normal(size=(4, 60)), rng.normal(size=(60, 50))
    report = gradcheck(lambda x, w: ops.tanh(x @ w), [x, w])
    assert report.compared == x.size + 200
    assert report.worst < 1e-6
    for entries in (slice(None), slice(0, 300)):  # wrong everywhere, or in a tenth of the entries

        def backward(gy, x, w, entries=entries):
            gy = gy * (1 - np.tanh(x @ w) ** 2)
            gw = x.T @ gy
            gw.reshape(-1)[entries] *= 1.01
            return gy @ w.T, gw

        with pytest.raises(GradientError, match=r"gradient of w is wrong in .* of 203 entries and directions"):
            gradcheck(lambda x, w: np.tanh(x @ w), [x, w], backward=backward)


def test_frozen_parameters_are_left_out(rng):
    model = ta.models.VAE(6, 3, (5,), activation="tanh", rng=ta.rng(0)).astype("float64")
    model.encoder.freeze()
    assert gradcheck(model).compared == sum(parameter.data.size for parameter in model.decoder.parameters())
    model.freeze()
    with pytest.raises(GradientError, match="no parameter that learns"):
        gradcheck(model)


def test_a_model_is_checked_with_frozen_noise_and_names_its_parameters(rng):
    model = ta.models.VAE(6, 2, (4,), activation="tanh", rng=ta.rng(0)).astype("float64")
    report = gradcheck(model)
    assert report.worst < 1e-6
    assert report.compared == sum(p.size for p in model.parameters())
    assert gradcheck(model, rng.uniform(size=(2, 6))).worst < 1e-6
    assert gradcheck(ta.models.Autoencoder(6, 2, (4,), activation="tanh", rng=ta.rng(0)).astype("float64"), order=2).worst < 1e-5
    with pytest.MonkeyPatch.context() as patch:
        rule = next(rule for rule in ops.kl_standard_normal.rules if rule.inputs == ("log_variance",))
        patch.setattr(rule, "function", lambda gy, log_variance: gy[..., None] * ops.exp(log_variance) / 2)
        with pytest.raises(GradientError, match=r"the loss of VAE: the gradient of encoder\.\d\.\w+ is wrong"):
            gradcheck(model)


def test_what_is_not_finite_or_has_no_second_order_is_refused(layer):
    with pytest.raises(GradientError, match="is not finite here"), np.errstate(all="ignore"):
        gradcheck(ops.log, [np.array([0.0])])
    with pytest.raises(GradientError, match="order=2 needs a function of Tensors"):
        gradcheck(affine, layer, backward=affine_backward, order=2)


@pytest.mark.parametrize(("inputs", "got"), [(np.ones(3), "ndarray"), ([[1.0, 2.0], 1.0], "a list of list, float"), (None, "NoneType")])
def test_inputs_that_do_not_fit_are_told_so(inputs, got):
    with pytest.raises(GradientError, match="a list of float64 arrays, a Module, or a dict") as caught:
        gradcheck(ops.tanh, inputs)
    assert f"got       {got}" in str(caught.value)


def test_code_that_is_not_analytic_is_not_accused(own):
    def modulus(x):
        """|x|, written so that a complex step gives nonsense."""
        return np.sqrt(np.real(x * np.conj(x)))

    assert gradcheck(own(modulus, lambda gy, x: gy * np.sign(x)), [np.array([1.0, -2.0])]).complex_step is None
    with pytest.raises(GradientError, match="analytic=False where the function is not"):
        gradcheck(ops.user_registry["modulus"], [np.array([1.0, -2.0])], analytic=True)


def test_of_a_single_entry_no_factor_is_guessed():
    def f(x):
        return x**3

    with pytest.raises(GradientError) as error:
        gradcheck(f, [np.array([0.7])], backward=lambda gy, x: gy * x)
    assert "factor" not in str(error.value)
