"""Checks of the exercises of lesson 3."""

import itertools

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays, cotangents
from tinyae.course.exercises import Exercise, expect, expect_arrays

AWAY = 0.0123456789  # added to biases, so that nothing inside of a bend is 0


@st.composite
def chains(draw):
    """Arguments of leaky_backward: one to three layers."""
    n, widths = draw(st.integers(1, 4)), draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    weights = [draw(arrays((below, above))) / 2 for above, below in itertools.pairwise(widths)]
    biases = [draw(arrays((width,))) / 2 + AWAY for width in widths[1:]]
    return {"x": draw(arrays((n, widths[0]))), "weights": weights, "biases": biases, "g": draw(cotangents((n, widths[-1])))}


@st.composite
def points(draw):
    """Arguments of dead_network."""
    return {"x": draw(arrays((draw(st.integers(1, 5)), draw(st.integers(1, 4))))), "width": draw(st.integers(1, 4))}


@st.composite
def sizes(draw):
    """Arguments of weight_variance."""
    width, depth = draw(st.integers(1, 300)), draw(st.integers(1, 40))
    return {"width": width, "depth": depth, "slope": draw(st.sampled_from([0.0, 0.01, 0.25, 1.0])), "ratio": draw(st.sampled_from([0.001, 1.0, 9.0]))}


def judge_dead(answer, solution, arguments):
    """The gradients are zero, the weights and the loss are not."""
    x, width = arguments.values()
    n, d = x.shape
    W1, b1, W2, b2 = expect_arrays(answer(x, width), {"W1": (width, d), "b1": (width,), "W2": (d, width), "b2": (d,)})
    for name, array in (("W1", W1), ("W2", W2)):
        small = np.abs(array).min() < 0.01
        expect(not small, f"{name} has an entry between -0.01 and 0.01: a weight of 0 is too easy.", got=array)
    t = x @ W1.T + b1
    h = np.maximum(t, 0)
    residual = h @ W2.T + b2 - x
    g = 2 * residual / n
    g_t = np.where(t > 0, g @ W2, 0)
    for name, gradient in (("W1", g_t.T @ x), ("b1", g_t.sum(axis=0)), ("W2", g.T @ h)):
        expect(not gradient.any(), f"the gradient of {name} is not 0.", "0 in every entry", f"up to {np.abs(gradient).max():.3g}")
    loss, size = np.square(residual).sum(axis=1).mean(), np.square(x).sum(axis=1).mean()
    expect(loss >= size / 2, "the loss is small: nothing is left to learn.", f"{size / 2:.6g} or more", f"{loss:.6g}")
    return f"all {width} units are off for all {n} points" if (t <= 0).all() else "zero, and not all units are off: how did you do it?"


EXERCISES = (
    Exercise(
        function="leaky_backward",
        kind="do",
        goal="the backward pass of a chain of leaky relu layers with biases",
        example={
            "x": np.array([[0.5, -1.0, 0.25, 1.0], [1.5, 0.5, -0.5, 0.25], [-1.0, 0.25, 1.25, 0.5]]),
            "weights": [
                np.array([[0.5, -0.25, 0.75, 0.1], [-0.6, 0.4, 0.2, -0.3]]),
                np.array([[0.5, -0.75], [-0.4, 0.6], [0.9, -0.2], [0.3, 0.7], [-1, 1]]),
            ],
            "biases": [np.array([0.1, -0.2]), np.array([0.3, 0.05, -0.4, 0.2, 0.15])],
            "g": np.array([[1.5, -0.5, 0.6, 2.0, -1.1], [2.0, 0.75, -1.25, 0.5, 0.9], [0.7, -0.8, 1.2, -1.6, 0.55]]),
        },
        inputs=chains(),
        returns=("g_weights", "g_biases", "g_x"),
        hints=(
            "Two loops. The first goes forward and keeps, for each layer, its input h and what is inside of the bend, t. The second goes back.",
            "At each layer, g is the cotangent of the layer's output. Step 2: g_t is g where t is above 0, and a tenth of it elsewhere.",
            "Step 3: g_t.T @ h for the weights, g_t.sum(axis=0) for the bias, and g_t @ w is the g of the layer below. At the end it is that of x.",
        ),
        wrong=(
            ("a relu without its leak", "0.1 * g)", "0 * g)", "g_weights 1 of 2 is wrong"),
            ("no bend on the way back", "np.where(t > 0, g, 0.1 * g)", "g", "g_weights 1 of 2 is wrong"),
            ("the slope on the wrong side", "np.where(t > 0, g, 0.1 * g)", "np.where(t < 0, g, 0.1 * g)", "g_weights 1 of 2 is wrong"),
            ("the bend forgotten for what goes on", "g = g_t @ w", "g = g @ w", "g_weights 1 of 2 is wrong"),
            ("transposed", "g_t.T @ h", "h.T @ g_t", "it is transposed"),
            ("the order of the way back", "g_weights.insert(0, g_t.T @ h)", "g_weights.append(g_t.T @ h)", "g_weights 1 of 2"),
            ("the mean over points", "g_t.sum(axis=0)", "g_t.mean(axis=0)", "g_biases 1 of 2 is wrong"),
            ("no sum over points", "g_t.sum(axis=0)", "g_t", "g_biases 1 of 2 has the wrong shape"),
            ("a forward pass without biases", "hs[-1] @ w.T + b", "hs[-1] @ w.T", "g_weights 1 of 2 is wrong"),
        ),
    ),
    Exercise(
        function="dead_network",
        kind="break",
        goal="a relu autoencoder that cannot learn",
        example={"x": np.array([[0.5, -1.0, 0.25, 1.0], [1.5, 0.5, -0.5, 0.25], [-1.0, 0.25, 1.25, 0.5]]), "width": 2},
        inputs=points(),
        judge=judge_dead,
        hints=(
            "What must be true of a relu so that nothing comes back through it? And of its output, so that W2 gets nothing either?",
            "All hidden units must be off, for every one of the points: what is inside of the relu must be below 0. Which argument can do that?",
            "A bias below minus the largest entry of x W1^T in its column: -1 - (x @ W1.T).max(axis=0). The last bias may be 0.",
        ),
        wrong=(
            ("a bias of zero", "-1 - (x @ W1.T).max(axis=0)", "np.zeros(width)", "the gradient of W1 is not 0"),
            ("the sign of the bias", "-1 - (x @ W1.T)", "1 + (x @ W1.T)", "the gradient of W1 is not 0"),
            ("off for the mean point", ".max(axis=0)", ".mean(axis=0)", "the gradient of W1 is not 0"),
            ("off for the first point alone", "(x @ W1.T).max(axis=0)", "(x @ W1.T)[0]", "the gradient of W1 is not 0"),
            ("a bias for each point", ".max(axis=0)", "", "b1 has the wrong shape"),
            (
                "weights of zero",
                "np.ones((width, d)), np.ones((d, width))",
                "np.zeros((width, d)), np.zeros((d, width))",
                "a weight of 0 is too easy",
            ),
            ("exchanged", "return W1, b1, W2,", "return W2, b1, W1,", "W1 has the wrong shape"),
        ),
    ),
    Exercise(
        function="weight_variance",
        kind="extend",
        goal="the variance of weights that gives a gradient a wanted length",
        example={"width": 50, "depth": 3, "slope": 0.2, "ratio": 8.0},
        inputs=sizes(),
        hints=(
            "The mean of the squared slope: half of the units have 1. What do the others have?",
            "A layer multiplies the length by rho, and `depth` layers by rho ** depth. So rho is a root of the ratio.",
            "rho**2 = c (1 + slope**2) / 2, and the variance is c / width.",
        ),
        wrong=(
            ("c, not the variance", "(share * width)", "share", "the result is wrong"),
            ("the standard deviation", "factor**2 / (share * width)", "(factor**2 / (share * width)) ** 0.5", "the result is wrong"),
            ("the slope not squared", "slope**2", "slope", "the result is wrong"),
            ("the leak forgotten", "(1 + slope**2) / 2", "1 / 2", "the result is wrong"),
            ("all units on", "(1 + slope**2) / 2", "1 + slope**2", "yours is 0.5 times"),
            ("the length for its square", "factor**2", "factor", "yours is 0.5 times"),
            ("one layer for all", "ratio ** (1 / depth)", "ratio", "yours is 16 times"),
            ("the other direction", "ratio ** (1 / depth)", "ratio ** (-1 / depth)", "the result is wrong"),
        ),
    ),
)
