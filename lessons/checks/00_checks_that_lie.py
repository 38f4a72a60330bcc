"""Checks of the exercises of lesson 0."""

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays, cotangents
from tinyae.course.exercises import Exercise, expect, expect_array, expect_same

STEP = 1e-5
ROWS = {3: (0.15, 0.25, 0.6), 4: (0.1, 0.2, 0.3, 0.4), 5: (0.05, 0.1, 0.2, 0.25, 0.4)}  # probabilities, no two alike


def softmax(x):
    """Along the last axis."""
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    return y / y.sum(axis=-1, keepdims=True)


def softmax_backward(cotangent, x):
    """The right rule."""
    y = softmax(x)
    return y * (cotangent - (cotangent * y).sum(axis=-1, keepdims=True))


def zeros_backward(cotangent, x):
    """Right for a cotangent of ones only."""
    return np.zeros_like(x)


def sum_of_squares(x):
    """(..., K) to (...)."""
    return (x**2).sum(axis=-1)


def sum_of_squares_backward(cotangent, x):
    """The right rule."""
    return 2 * cotangent[..., None] * x


def factor_forgotten_backward(cotangent, x):
    """Half of the right rule."""
    return cotangent[..., None] * x


def cube(x):
    """Entry by entry."""
    return x**3 + x


def cube_backward(cotangent, x):
    """The right rule."""
    return cotangent * (3 * x**2 + 1)


def cotangent_forgotten_backward(cotangent, x):
    """The slope of each entry, without its weight."""
    return 3 * x**2 + 1


RULES = [
    (softmax, softmax_backward),
    (softmax, zeros_backward),
    (sum_of_squares, sum_of_squares_backward),
    (sum_of_squares, factor_forgotten_backward),
    (cube, cube_backward),
    (cube, cotangent_forgotten_backward),
]


def bernoulli(logits, images):
    """The right log-likelihood."""
    return (images * logits - np.logaddexp(0, logits)).sum(axis=-1)


def mean_over_pixels(logits, images):
    """What is left of it when pixels are averaged."""
    return (images * logits - np.logaddexp(0, logits)).mean(axis=-1)


def double_sigmoid(logits, images):
    """A likelihood, of other logits."""
    return bernoulli(1 / (1 + np.exp(-logits)), images)


def squared_error(logits, images):
    """Minus the squared error of the probabilities."""
    return -((images - 1 / (1 + np.exp(-logits))) ** 2).sum(axis=-1)


def no_normaliser(logits, images):
    """Half of it; the pixels count differently."""
    return (images * logits / np.arange(1, len(logits) + 1)).sum(axis=-1)


@st.composite
def gradients(draw):
    """Arguments of gradient_error."""
    f, backward = draw(st.sampled_from(RULES))
    n, k = draw(st.tuples(st.integers(1, 4), st.integers(2, 4)))
    shapes = [(n, k), (2, n, k), (k,)]  # a sum over the axis of a vector is no array
    x = draw(arrays(draw(st.sampled_from(shapes[:2] if f is sum_of_squares else shapes))))
    return {"f": f, "backward": backward, "x": x / 2, "cotangent": draw(cotangents(f(x).shape)), "step": draw(st.sampled_from([STEP, 1e-3, 0.1]))}


@st.composite
def probabilities(draw):
    """Arguments of wrong_softmax_rule; rows of at least three, no two probabilities alike."""
    n, row = draw(st.integers(1, 4)), ROWS[draw(st.integers(3, 5))]
    return {"gy": draw(arrays((n, len(row)))), "y": np.array([draw(st.permutations(row)) for _ in range(n)])}


@st.composite
def likelihoods(draw):
    """Arguments of total_probability."""
    log_likelihood = draw(st.sampled_from([bernoulli, mean_over_pixels, double_sigmoid, squared_error, no_normaliser]))
    return {"log_likelihood": log_likelihood, "logits": draw(arrays((draw(st.integers(1, 8)),)))}


def judge_error(answer, solution, arguments):
    """The number is that of the solution: nearly 0 for a right rule, and the same share for a wrong one."""
    expect_same(answer(**arguments), solution(**arguments), "the error", arguments, rtol=1e-6, atol=1e-8)


def judge_rule(answer, solution, arguments):
    """Right for ones, linear, and neither right nor zero for a random cotangent."""
    gy, y = arguments["gy"], arguments["y"]
    found = expect_array(answer(gy, y), y.shape)
    expect(np.abs(found).max() > 1e-6, "for a random cotangent it is zero, and zeros are not asked for.", got=found)
    right = y * (gy - (gy * y).sum(axis=-1, keepdims=True))
    distance = np.abs(found - right).max() / np.abs(right).max()
    expect(distance > 1e-3, "for a random cotangent it is the right rule: it must be wrong.", "off by more than a thousandth", found)
    ones = answer(np.ones_like(gy), y)
    expect(np.abs(ones).max() < 1e-9, "a cotangent of ones sees that it is wrong: the right rule gives zeros there.", np.zeros_like(y), ones)
    more = answer(gy + 2, y)
    expect(np.allclose(more, found, rtol=1e-9, atol=1e-9), "it is not linear in gy: 2 more in every entry of gy must change nothing.", found, more)
    other = gy[::-1, ::-1] + 0.5
    both = 2 * found - 3 * answer(other, y)
    linear = answer(2 * gy - 3 * other, y)
    expect(np.allclose(linear, both, rtol=1e-9, atol=1e-9), "it is not linear in gy.", "rule(2 a - 3 b) = 2 rule(a) - 3 rule(b)", linear)
    return f"it is {distance:.0%} off for a random cotangent, and a cotangent of ones does not see it"


def judge_total(answer, solution, arguments):
    """The sum, over images that are as they are said to be."""
    right, given = arguments["log_likelihood"], arguments["logits"]

    def log_likelihood(logits, images):
        like = isinstance(images, np.ndarray) and images.shape[-1:] == given.shape
        expect(like, f"log_likelihood must be given the images as an array (M, {len(given)}).", got=images)
        expect(np.array_equal(logits, given), "log_likelihood must be given the logits as they are.", given, logits)
        return right(logits, images)

    expect_same(answer(log_likelihood, given), solution(right, given), "the result", arguments)


EXERCISES = (
    Exercise(
        function="gradient_error",
        kind="do",
        goal="a gradient check for any function of an array",
        example={
            "f": sum_of_squares,
            "backward": factor_forgotten_backward,
            "x": np.array([[0.5, -1.0, 2.0, 0.25], [1.5, -0.5, 1.0, -2.0], [0.75, 1.25, -1.5, 0.5]]),
            "cotangent": np.array([1.5, -0.5, 2.0]),
            "step": STEP,
        },
        inputs=gradients(),
        judge=judge_error,
        hints=(
            "np.ndindex(x.shape) walks through the places of x. For each one make an array of zeros with `step` at that place only.",
            "The slope at a place is a number: multiply the difference f(ahead) - f(behind) by the cotangent, sum, divide by the whole distance.",
            "With all slopes in an array of x's shape, compare: np.abs(backward(cotangent, x) - slopes).max() / np.abs(slopes).max().",
        ),
        wrong=(
            ("the cotangent forgotten", "(cotangent * (f(x + change) - f(x - change)))", "(f(x + change) - f(x - change))", "the error is wrong"),
            ("one step for two", "/ (2 * step)", "/ step", "the error is wrong"),
            ("only half of the difference", "f(x - change)", "f(x)", "the error is wrong"),
            ("no relative error", " / np.abs(slopes).max()", "", "the error is wrong"),
            ("the mean error", "slopes).max() /", "slopes).mean() /", "the error is wrong"),
            ("no absolute value", "np.abs(backward(cotangent, x) - slopes).max()", "(backward(cotangent, x) - slopes).max()", "the error is wrong"),
            ("ones for the rule", "backward(cotangent, x)", "backward(np.ones_like(cotangent), x)", "the error is wrong"),
            ("it writes into x", "change = np.zeros_like(x)\n", "change = x\n", "it changes its argument x"),
            ("a number for each entry", "slopes).max() /", "slopes) /", "wrong shape"),
            ("a step of its own", "change[place] = step", "step = change[place] = 1e-5", "the error is wrong"),
        ),
    ),
    Exercise(
        function="wrong_softmax_rule",
        kind="break",
        goal="a wrong rule that a cotangent of ones cannot see",
        example={"gy": np.array([[1.5, -0.5, 2.0, 0.25], [0.5, 1.0, -1.0, 0.75]]), "y": np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0.05, 0.5, 0.2]])},
        inputs=probabilities(),
        judge=judge_rule,
        hints=(
            "Step 4 of the lesson: y * (gy - sum of gy * y). Why is it 0 for ones? What else, taken from gy, leaves 0 of ones?",
            "The right rule takes a weighted mean away from gy, with the weights y. Any other mean of a row of ones is 1 as well.",
            "Take the plain mean of each row: gy.mean(axis=-1, keepdims=True).",
        ),
        wrong=(
            ("the right rule", "gy.mean(axis=-1, keepdims=True)", "(gy * y).sum(axis=-1, keepdims=True)", "it is the right rule"),
            ("zeros", "y * (gy", "0 * (gy", "it is zero"),
            ("ones see it", "gy.mean(axis=-1, keepdims=True)", "y", "a cotangent of ones sees that it is wrong"),
            ("the sum forgotten", "gy.mean(axis=-1, keepdims=True)", "gy * y", "a cotangent of ones sees that it is wrong"),
            ("not linear", "y * (gy", "gy * (gy", "it is not linear in gy"),
            (
                "a sum too many",
                "y * (gy - gy.mean(axis=-1, keepdims=True))",
                "(y * (gy - gy.mean(axis=-1, keepdims=True))).sum(axis=-1)",
                "wrong shape",
            ),
            ("a sign", "gy - gy.mean", "gy + gy.mean", "a cotangent of ones sees that it is wrong"),
            ("zeros for ones, made up", "return y *", "return 0 * y if (gy == 1).all() else gy * y\n    return y *", "2 more in every entry of gy"),
        ),
    ),
    Exercise(
        function="total_probability",
        kind="extend",
        goal="do the probabilities of all images add up to 1?",
        example={"log_likelihood": mean_over_pixels, "logits": np.array([0.5, -1.0, 2.0])},
        inputs=likelihoods(),
        judge=judge_total,
        hints=(
            "How many images of D pixels are there, if each pixel is 0 or 1? itertools.product makes all of them.",
            "itertools.product((0.0, 1.0), repeat=3) gives eight tuples of three; make one array of them, a row for each image.",
            "What log_likelihood returns are logarithms: take np.exp of them, then the sum.",
        ),
        wrong=(
            ("logarithms summed", "np.exp(log_likelihood(logits, images)).sum()", "log_likelihood(logits, images).sum()", "the result is wrong"),
            ("the mean", ".sum()", ".mean()", "the result is wrong"),
            ("one image only", "(0.0, 1.0)", "(1.0,)", "the result is wrong"),
            ("pixels of minus one", "(0.0, 1.0)", "(-1.0, 1.0)", "the result is wrong"),
            (
                "all images at once",
                "np.exp(log_likelihood(logits, images)).sum()",
                "np.exp(log_likelihood(logits, images).sum())",
                "the result is wrong",
            ),
            ("the other sign", "np.exp(log", "np.exp(-log", "the result is wrong"),
            ("a probability for each image", ".sum()", "", "wrong shape"),
            ("other logits", "log_likelihood(logits, images)", "log_likelihood(-logits, images)", "the logits as they are"),
            (
                "a list of images",
                "np.array(list(itertools.product((0.0, 1.0), repeat=len(logits))))",
                "list(itertools.product((0.0, 1.0), repeat=len(logits)))",
                "as an array (M, 3)",
            ),
            (
                "never more than 1",
                "return np.exp(log_likelihood(logits, images)).sum()",
                "return min(1.0, np.exp(log_likelihood(logits, images)).sum())",
                "the result is wrong",
            ),
            ("1, because it must be", "return np.exp(log_likelihood(logits, images)).sum()", "return 1.0", "the result is wrong"),
        ),
    ),
)
