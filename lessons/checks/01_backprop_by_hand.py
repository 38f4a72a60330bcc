"""Checks of the exercises of lesson 1."""

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays, cotangents
from tinyae.course.exercises import Exercise, expect, expect_array, expect_same


def standardised(x):
    """Each column with mean 0 and variance 1."""
    x = x - x.mean(axis=0)
    return x / np.sqrt((x**2).mean(axis=0))


@st.composite
def rows(draw):
    """Arguments of normalise_backward."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    return {"gy": draw(cotangents(shape)), "x": draw(arrays(shape, "nonzero"))}


@st.composite
def batches(draw):
    """Arguments of hiding_cotangent."""
    shape = draw(st.tuples(st.integers(3, 6), st.integers(1, 4)))
    return {"n": standardised(draw(arrays(shape)))}


@st.composite
def networks(draw):
    """Arguments of tied_gradients."""
    n, d, h = draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)))
    return {"x": draw(arrays((n, d), "binary")), "W": draw(arrays((h, d))), "b": draw(arrays((h,))), "c": draw(arrays((d,)))}


def judge_cotangent(answer, solution, arguments):
    """Both rules agree on it, and it is not what any rule agrees on: zeros."""
    n = arguments["n"]
    g = expect_array(answer(n), n.shape, "the cotangent")
    sizes = np.abs(g).max(axis=0)
    expect((sizes > 1e-6).all(), "a column of the cotangent is zero: zeros hide every error, and are not asked for.", got=g)
    g = g / sizes
    right = g - g.mean(axis=0) - n * (g * n).mean(axis=0)
    shift, stretch = np.abs(g.mean(axis=0)).max(), np.abs((g * n).mean(axis=0)).max()
    expect(shift < 1e-9, "the means of the cotangent's columns are not 0, and the right rule takes them away.", "means of 0", g.mean(axis=0))
    expect(stretch < 1e-9, "the means of g * n are not 0, and the right rule sees them.", "means of 0", (g * n).mean(axis=0))
    expect_same(g, right, "the wrong rule's result, with s = 1,", arguments, rtol=1e-7, atol=1e-8)
    return "a check with this cotangent passes the wrong rule"


EXERCISES = (
    Exercise(
        function="normalise_backward",
        kind="do",
        goal="the backward rule of rows divided by their length",
        example={
            "gy": np.array([[1.5, -0.5, 2.0, 0.25], [0.5, 1.0, -1.0, 0.75], [-2.0, 0.5, 0.25, 1.0]]),
            "x": np.array([[3.0, 4.0, 0.0, 12.0], [0.5, -1.0, 2.0, 0.25], [1.5, -0.5, 1.0, -2.0]]),
        },
        inputs=rows(),
        hints=(
            "In pieces: q = sum of x^2 in a row, r = sqrt(q), y = x / r. Go back from y: r was used by every entry of its row.",
            "g_r = -sum(gy * x) / r^2 and g_q = g_r / (2 r). x was used twice: gy / r comes from the quotient, 2 x g_q from the squares.",
            "Put in, with x / r = y, it is (gy - y * sum of gy * y in the row) / length, all with keepdims=True.",
        ),
        wrong=(
            ("the length taken for a constant", "(gy - y * (gy * y).sum(axis=1, keepdims=True)) / length", "gy / length", "the result is wrong"),
            ("not divided by the length", "keepdims=True)) / length", "keepdims=True))", "the result is wrong"),
            ("x for y", "gy - y *", "gy - x *", "the result is wrong"),
            ("the sum over the batch", "(gy * y).sum(axis=1, keepdims=True)", "(gy * y).sum(axis=0, keepdims=True)", "the result is wrong"),
            ("the mean of a row for its sum", "(gy * y).sum(axis=1, keepdims=True)", "(gy * y).mean(axis=1, keepdims=True)", "the result is wrong"),
            ("the square for its root", "np.sqrt((x**2).sum(axis=1, keepdims=True))", "(x**2).sum(axis=1, keepdims=True)", "the result is wrong"),
            ("a sign", "gy - y *", "gy + y *", "the result is wrong"),
            ("one length for all rows", "(x**2).sum(axis=1, keepdims=True)", "(x**2).sum()", "the result is wrong"),
        ),
    ),
    Exercise(
        function="hiding_cotangent",
        kind="break",
        goal="a cotangent that hides an error of batch normalisation",
        example={"n": standardised(np.array([[1.0, -2.0], [0.5, 0.25], [-1.5, 1.0], [2.0, -0.75]]))},
        inputs=batches(),
        judge=judge_cotangent,
        hints=(
            "The two rules differ by mean(g) and by n mean(g n). Which g makes both vanish? Start from any g, and take away what is in the way.",
            "g - mean(g) has mean 0. Of what is left, take away its share of n, as one does to make a vector orthogonal to another.",
            "With g of mean 0: g - n * (g * n).mean(axis=0); the mean of n * n is 1, and n has mean 0, so the first condition stays true.",
        ),
        wrong=(
            ("any cotangent", "g = g - g.mean(axis=0)\n    return g - n * (g * n).mean(axis=0) / (n * n).mean(axis=0)", "return g", "are not 0"),
            ("mean 0 only", "return g - n * (g * n).mean(axis=0) / (n * n).mean(axis=0)", "return g", "the means of g * n are not 0"),
            ("orthogonal to n only", "g = g - g.mean(axis=0)\n", "g = g - 0.5\n", "the means of the cotangent's columns are not 0"),
            ("ones", "np.random.default_rng(2015).normal(size=n.shape)", "np.ones(n.shape)", "is zero"),
            ("zeros", "return g - n", "return 0 * g - 0 * n", "is zero"),
            ("the sum for the mean", "n * (g * n).mean(axis=0)", "n * (g * n).sum(axis=0)", "the means of g * n are not 0"),
            ("over the rows", "g - g.mean(axis=0)", "g - g.mean(axis=1, keepdims=True)", "are not 0"),
            ("a single column", "return g - n * (g * n).mean(axis=0) / (n * n).mean(axis=0)", "return g[:, :1]", "wrong shape"),
        ),
    ),
    Exercise(
        function="tied_gradients",
        kind="extend",
        goal="weights that are used twice: the gradients of a tied autoencoder",
        example={
            "x": np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]]),
            "W": np.array([[0.5, -1.0, 0.25, 0.75], [1.5, 0.5, -0.5, 1.0]]),
            "b": np.array([0.25, -0.5]),
            "c": np.array([0.5, -0.25, 0.125, -1.0]),
        },
        inputs=networks(),
        returns=("the loss", "the gradient of W", "the gradient of b", "the gradient of c"),
        hints=(
            "Write the lesson's shortcuts for weights W and V, with V = W^T in the decoder: what is g_V, and what shape does it have?",
            "Used more than once: add. W gets g_t^T x from the encoder, and from the decoder what g_V is, transposed.",
            "g_V = g_a^T h has the shape (D, H); its transpose is h^T g_a. So g_W = g_t.T @ x + h.T @ g_a.",
        ),
        wrong=(
            ("the encoder's part only", "g_t.T @ x + h.T @ g_a", "g_t.T @ x", "the gradient of W is wrong"),
            ("the decoder's part only", "g_t.T @ x + h.T @ g_a", "h.T @ g_a", "the gradient of W is wrong"),
            ("one part subtracted", "g_t.T @ x + h", "g_t.T @ x - h", "the gradient of W is wrong"),
            ("the mean forgotten", "- x) / len(x)", "- x)", "the gradient of W is wrong"),
            ("tanh' forgotten", " * (1 - h**2)", "", "the gradient of W is wrong"),
            ("the slope of the sigmoid once too often", "- x) / len(x)", "- x) * h.mean() / len(x)", "the gradient of W is wrong"),
            ("the mean over pixels", ".sum(axis=1).mean()", ".mean()", "the loss is wrong"),
            ("the sum over the batch", ".sum(axis=1).mean()", ".sum()", "the loss is wrong"),
            ("the sign of the logits", "- x * a)", "+ x * a)", "the loss is wrong"),
            ("the bias forgotten", "a = h @ W + c", "a = h @ W", "the loss is wrong"),
            ("the batch kept", "g_t.sum(axis=0), g_a", "g_t, g_a", "wrong shape"),
        ),
    ),
)
