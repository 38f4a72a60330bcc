"""Checks of the exercises of lesson 8."""

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays, cotangents
from tinyae.course.exercises import Exercise, expect, expect_array


@st.composite
def layers(draw):
    """Arguments of two_layers_backward."""
    n, d, h, k = draw(st.tuples(*[st.integers(1, 4)] * 4))
    shapes = {"x": (n, d), "W1": (h, d), "b1": (h,), "W2": (k, h), "b2": (k,)}
    return {name: draw(arrays(shape)) / 2 for name, shape in shapes.items()} | {"g_k": draw(cotangents((n, k)))}


@st.composite
def gradients(draw):
    """Arguments of fool_line_10: two entries or more; gradients far larger or smaller than the mean, of one sign or of both."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)).filter(lambda shape: shape[0] * shape[1] > 1))
    g_mean = draw(cotangents(shape)) * draw(st.sampled_from([1, 0.001, 1000]))
    if draw(st.booleans()):
        g_mean = -np.abs(g_mean)
        g_mean.flat[1:] /= 100
    mean = draw(arrays(shape))
    mean.flat[:2] *= draw(st.sampled_from([1, 0.02]))  # the first two may be small beside the others
    return {"mean": mean, "g_mean": g_mean}


@st.composite
def posteriors(draw):
    """Arguments of balances."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 3)))
    values = {name: draw(arrays(shape)) for name in ("mean", "log_variance", "noise")}
    return values | {"g_z": draw(cotangents(shape)), "beta": draw(st.sampled_from([0.25, 1.0, 4.0]))}


def judge_fool(answer, solution, arguments):
    """The sum of line 10 is kept, and the gradient is far from the right one."""
    mean, g_mean = arguments.values()
    found = expect_array(answer(mean, g_mean), mean.shape)
    error, size = np.abs(found - g_mean).max(), np.abs(g_mean).max()
    expect(error >= 0.1 * size, "it is the right gradient, or nearly: it must be wrong.", f"an error of {0.1 * size:.3g} or more", f"{error:.3g}")
    right, wrong, rounding = (mean * g_mean).sum(), (mean * found).sum(), 1e-9 * np.abs(mean * g_mean).sum()
    text = "line 10 notices it: the sum of mean times it is another one."
    expect(abs(wrong - right) <= rounding, text, f"{right:.6g}", f"{wrong - right:.3g} more")
    places = int((np.abs(found - g_mean) > 0.1 * size).sum())
    return f"wrong in {places} of {mean.size} entries, and line 10 sees none of it"


EXERCISES = (
    Exercise(
        function="two_layers_backward",
        kind="do",
        goal="the backward pass of an encoder with two hidden layers",
        example={
            "x": np.array([[0.5, -1.0, 0.25, 1.0, 0.75], [1.5, 0.5, -0.5, 0.25, -0.25], [-1.0, 0.25, 1.25, 0.5, -0.75]]),
            "W1": np.array([[0.5, -0.25, 0.75, 0.1, -0.5], [-0.6, 0.4, 0.2, -0.3, 0.8], [0.3, 0.7, -0.4, 0.5, 0.1], [0.2, -0.9, 0.6, -0.1, 0.4]]),
            "b1": np.array([0.1, -0.2, 0.3, 0.05]),
            "W2": np.array([[0.5, -0.75, 0.25, 1.0], [-0.4, 0.6, 0.9, -0.2]]),
            "b2": np.array([0.25, -0.15]),
            "g_k": np.array([[1.5, -0.5], [2.0, 0.75], [-1.25, 0.5]]),
        },
        inputs=layers(),
        returns=("g_W1", "g_b1", "g_W2", "g_b2", "g_x"),
        hints=(
            "Lines 1 and 2 of the lesson are all you need. Name what is inside of the second tanh: u = h W2^T + b2. What is g_u?",
            "The slope of tanh at u is 1 - k * k: g_u is g_k times that. Then u is linear in W2, b2 and h, as the mean is in line 2 of the lesson.",
            "g_W2 = g_u.T @ h, g_b2 sums the rows, g_h = g_u @ W2. The first layer is line 1 with this g_h: g_t = g_h * (1 - h * h), and at its "
            "end g_x = g_t @ W1.",
        ),
        wrong=(
            ("no slope of the last tanh", "g_u = g_k * (1 - k * k)", "g_u = g_k", "g_W1 is wrong"),
            ("no slope of the first tanh", "g_t = g_h * (1 - h * h)", "g_t = g_h", "g_W1 is wrong"),
            ("the slope of tanh without its square", "(1 - k * k)", "(1 - k)", "g_W1 is wrong"),
            ("the mean over the batch once more", "g_u.sum(axis=0)", "g_u.mean(axis=0)", "g_b2 is wrong"),
            ("no sum over the batch", "g_t.sum(axis=0)", "g_t", "g_b1 has the wrong shape"),
            ("transposed", "g_u.T @ h", "h.T @ g_u", "g_W2 has the wrong shape: it is transposed"),
            ("the gradient of x before the tanh", "g_t @ W1", "g_h @ W1", "g_x is wrong"),
            ("the other order", "return g_t.T @ x, g_t.sum(axis=0), g_W2, g_b2,", "return g_W2, g_b2, g_t.T @ x, g_t.sum(axis=0),", "g_W1"),
        ),
    ),
    Exercise(
        function="fool_line_10",
        kind="break",
        goal="a wrong gradient with the right sum",
        example={"mean": np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]), "g_mean": np.array([[1.5, 0.5], [-0.25, 2.0], [0.75, -1.0]])},
        inputs=gradients(),
        judge=judge_fool,
        hints=(
            "Write what you return as g_mean + error. What must the sum of mean * error be?",
            "It must be 0: the error is orthogonal to the mean. Two entries are enough: choose them so that two products cancel.",
            "error is 0 but for its first two entries: mean.flat[1] and -mean.flat[0]. Then scale it: as large as the largest entry of g_mean.",
        ),
        wrong=(
            ("the right gradient", "return g_mean + error", "return g_mean", "it is the right gradient"),
            ("an error that is too small", "return g_mean + error", "return g_mean + 1e-3 * error", "it is the right gradient, or nearly"),
            ("the sign forgotten", "-mean.flat[0]", "mean.flat[0]", "line 10 notices it"),
            ("not orthogonal", "mean.flat[1], -mean.flat[0]", "mean.flat[0], -mean.flat[1]", "line 10 notices it"),
            ("twice the gradient", "return g_mean + error", "return 2 * g_mean", "line 10 notices it"),
            ("the error alone", "return g_mean + error", "return error", "line 10 notices it"),
            (
                "an error of a size of its own",
                "error *= np.abs(g_mean).max() / np.abs(error).max()",
                "error *= 1",
                "it is the right gradient, or nearly",
            ),
            ("a flat array", "return g_mean + error", "return (g_mean + error).ravel()", "wrong shape"),
        ),
    ),
    Exercise(
        function="balances",
        kind="extend",
        goal="the balance of the two pulls for a KL that counts beta times",
        example={
            "mean": np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]),
            "log_variance": np.array([[-1.0, 0.5], [0.25, -0.5], [1.0, -2.0]]),
            "noise": np.array([[0.75, -0.25], [-1.5, 0.5], [1.0, 2.0]]),
            "g_z": np.array([[-0.5, 0.25], [-1.0, 0.125], [0.375, -0.75]]),
            "beta": 4.0,
        },
        inputs=posteriors(),
        returns=("the balance of the mean", "the balance of the log-variance"),
        hints=(
            "Where training ends, the sum of mean * g_mean is 0, with g_mean of the whole loss. What is g_mean when the KL counts beta times?",
            "g_mean = g_z + beta * mean / N. Solve the sum of mean * g_mean = 0 for something that is 1.",
            "-sum(mean * g_z) / sum(beta * mean * mean / N); for the log-variance g_z * noise * exp(log_variance / 2) / 2 takes the place of "
            "g_z, and (exp(log_variance) - 1) / (2 N) that of mean / N.",
        ),
        wrong=(
            ("beta forgotten", "(beta * kl_mean)", "kl_mean", "the balance of the mean is wrong: yours is 4 times"),
            ("beta on the wrong side", "-away_mean / (beta * kl_mean)", "-beta * away_mean / kl_mean", "yours is 16 times"),
            ("the sign", "-away_mean", "away_mean", "a sign"),
            ("the batch forgotten", "mean * mean / n", "mean * mean", "the balance of the mean is wrong"),
            ("half forgotten", "/ (2 * n)", "/ n", "the balance of the log-variance is wrong: yours is 0.5 times"),
            ("the noise forgotten", "g_z * noise * np.exp", "g_z * np.exp", "the balance of the log-variance is wrong"),
            ("a variance for a standard deviation", "np.exp(log_variance / 2) / 2", "np.exp(log_variance) / 2", "the balance of the log-variance"),
            ("one for each image", "(mean * g_z).sum()", "(mean * g_z).sum(axis=1)", "the balance of the mean has the wrong shape"),
        ),
    ),
)
