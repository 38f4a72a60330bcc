"""Checks of the exercises of lesson 7."""

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays
from tinyae.course.exercises import Exercise, expect, expect_arrays, expect_same

CENTER, NOISE = 0.5, np.random.default_rng(7).standard_normal(20_000)


@st.composite
def batches(draw):
    """Arguments of score_gradients."""
    n, j = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    shapes = {"value": (n,), "noise": (n, j), "log_variance": (n, j), "baseline": (n,)}
    return {name: draw(arrays(shape)) for name, shape in shapes.items()}


@st.composite
def several(draw):
    """Arguments of leave_one_out."""
    k, n, j = draw(st.integers(2, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return {"values": draw(arrays((k, n))), "scores": draw(arrays((k, n, j)))}


def value_and_slope(answer, z):
    """The two results, arrays of z's shape."""
    return expect_arrays(answer(z), {"f": z.shape, "f'": z.shape})


def judge_function(answer, solution, arguments):
    """f is a function of each entry, f' its derivative, and the ratio of the variances is that asked for."""
    few, z = arguments["z"], CENTER + NOISE
    value, slope = value_and_slope(answer, z)
    together = value_and_slope(answer, few)[0]
    expect_same(together, np.concatenate([value_and_slope(answer, few[i : i + 1])[0] for i in range(len(few))]), "f, entry by entry,")
    differences = np.stack([(value_and_slope(answer, z + h)[0] - value_and_slope(answer, z - h)[0]) / (2 * h) for h in (1e-6, 1e-8, 1e-9)])
    nearest = np.abs(differences - slope).argmin(axis=0)  # a wave may be so fast that a step is too long, or so slow that it is too short
    differences = np.take_along_axis(differences, nearest[None], axis=0)[0]
    expect_same(slope, differences, "f', beside finite differences of f,", rtol=1e-3, atol=1e-4 * (1 + np.abs(slope).max()))
    path, score = slope.var(), (value * NOISE).var()
    told = f"f'(z) has the variance {path:.4g}, and f(z) (z - {CENTER}) has {score:.4g}"
    expect(path > 0, f"{told}: f' is the same everywhere, and the pathwise estimator has no noise at all.")
    expect(path >= 10 * score, f"pathwise is only {path / score:.3g} times as noisy: {told}.", "at least 10 times", f"{path / score:.3g} times")
    return f"pathwise is {path / score:.3g} times as noisy: slopes cost more than values where a function wiggles"


EXERCISES = (
    Exercise(
        function="score_gradients",
        kind="do",
        goal="the score-function estimates in mean and log-variance, with a baseline",
        example={
            "value": np.array([1.5, -0.5, 2.0]),
            "noise": np.array([[0.5, -1.25], [1.5, 0.25], [-0.75, 2.0]]),
            "log_variance": np.array([[-1.0, 0.5], [0.25, -0.5], [1.0, -2.0]]),
            "baseline": np.array([0.5, 1.0, -0.25]),
        },
        inputs=batches(),
        returns=("the gradient of mean", "the gradient of log_variance"),
        hints=(
            "log q = -(log 2 pi + l + (z - m)^2 / exp(l)) / 2 in each dimension. Differentiate by m and by l, with z held fixed.",
            "The derivatives are (z - m) / exp(l) and ((z - m)^2 / exp(l) - 1) / 2. Now put z - m = exp(l / 2) e into both.",
            "The scores are e / exp(l / 2) and (e^2 - 1) / 2, and each row is multiplied by value - baseline, as a column: [:, None].",
        ),
        wrong=(
            ("a variance for a standard deviation", "np.exp(log_variance / 2)", "np.exp(log_variance)", "the gradient of mean is wrong"),
            ("multiplied where it is divided", "noise / np.exp(", "noise * np.exp(", "the gradient of mean is wrong"),
            ("half forgotten", "(noise**2 - 1) / 2", "(noise**2 - 1)", "the gradient of log_variance is wrong, 6 of 6 entries: yours is 2 times"),
            ("the normaliser of q forgotten", "noise**2 - 1", "noise**2", "the gradient of log_variance is wrong"),
            ("baseline forgotten", "(value - baseline)", "(value)", "the gradient of mean is wrong"),
            ("baseline added", "value - baseline", "value + baseline", "the gradient of mean is wrong"),
            ("the path's factor", "(noise**2 - 1) / 2", "noise * np.exp(log_variance / 2) / 2", "the gradient of log_variance is wrong"),
            ("sum over the latents", "weight * (noise**2 - 1) / 2", "(weight * (noise**2 - 1) / 2).sum(axis=1)", "wrong shape"),
            ("mean over the batch", "(value - baseline)[:, None]", "(value - baseline)[:, None] / len(value)", "the gradient of mean is wrong"),
        ),
    ),
    Exercise(
        function="hard_function",
        kind="break",
        goal="a function for which the pathwise estimator loses",
        example={"z": np.array([-1.0, 0.25, 0.5, 2.0])},
        judge=judge_function,
        hints=(
            "The score function sees values, the pathwise estimator slopes. Which functions have small values and large slopes?",
            "A function that is fast and small: waves. What is the derivative of sin(w z), and what does w do to it?",
            "f = sin(30 z) stays between -1 and 1, and its derivative, 30 cos(30 z), does not.",
        ),
        wrong=(
            ("too slow", "frequency = 30.0", "frequency = 1.0", "pathwise is only"),
            ("a square", "np.sin(frequency * z), frequency * np.cos(frequency * z)", "z**2, 2 * z", "pathwise is only"),
            (
                "high waves, not fast ones",
                "np.sin(frequency * z), frequency * np.cos(frequency * z)",
                "99 * np.sin(z), 99 * np.cos(z)",
                "pathwise is only",
            ),
            ("inner derivative forgotten", "frequency * np.cos(", "np.cos(", "f', beside finite differences of f, is wrong"),
            ("the other sign", "frequency * np.cos(", "-frequency * np.cos(", "a sign"),
            ("constant", "np.sin(frequency * z), frequency * np.cos(frequency * z)", "0 * z, 0 * z", "no noise at all"),
            ("a slope that is made up", "frequency * np.cos(frequency * z)", "1000 * np.sin(z)", "f', beside finite differences of f, is wrong"),
            ("one number for all", "np.sin(frequency * z), ", "np.sin(frequency * z).sum(), ", "f has the wrong shape"),
            ("noise of its own", "np.sin(frequency * z), ", "np.sin(frequency * z) + np.random.standard_normal(z.shape), ", "f, entry by entry,"),
        ),
    ),
    Exercise(
        function="leave_one_out",
        kind="extend",
        goal="K draws of each image, and the others as the baseline of each",
        example={
            "values": np.array([[1.5, -0.5], [0.25, 2.0], [-1.0, 0.75]]),
            "scores": np.array(
                [
                    [[0.5, -1.0, 0.25, 1.0], [1.5, 0.5, -0.5, 0.75]],
                    [[-0.25, 1.25, 0.5, -0.75], [2.0, -1.5, 0.125, 1.0]],
                    [[1.0, 0.5, -1.25, 0.25], [-0.5, 0.25, 1.5, -1.0]],
                ]
            ),
        },
        inputs=several(),
        hints=(
            "The mean of the others is the sum of all, less the draw itself, over one fewer. No loop is needed.",
            "Which axis counts the draws? The sum over it has the shape (N,), and values minus it the shape (K, N).",
            "Weights are values - (values.sum(axis=0) - values) / (K - 1); give them an axis for J, multiply, and average over the draws.",
        ),
        wrong=(
            (
                "the draw is in its own baseline",
                "(values.sum(axis=0) - values) / (len(values) - 1)",
                "values.mean(axis=0)",
                "times the expected value",
            ),
            ("divided by K", "(len(values) - 1)", "len(values)", "the result is wrong"),
            ("no baseline", "(values - others)", "(values)", "the result is wrong"),
            ("sum over the draws", ".mean(axis=0)", ".sum(axis=0)", "yours is 3 times the expected value in every entry"),
            ("the other sign", "values - others", "others - values", "a sign"),
            ("one baseline for all images", "values.sum(axis=0)", "values.sum()", "the result is wrong"),
            ("mean over the images", ".mean(axis=0)", ".mean(axis=1)", "wrong shape"),
            ("baseline alone", "(values - others)", "(others)", "the result is wrong"),
        ),
    ),
)
