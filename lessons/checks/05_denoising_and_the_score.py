"""Checks of the exercises of lesson 5."""

import itertools

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays
from tinyae.course.exercises import Exercise, expect, expect_same


@st.composite
def two_points(draw):
    """Arguments of denoise_two_points."""
    number = st.integers(2, 8).map(lambda quarters: quarters / 4)
    return {"y": draw(arrays((draw(st.integers(1, 5)),))), "a": draw(number), "s": draw(number), "probability": draw(st.integers(1, 9)) / 10}


@st.composite
def training_points(draw):
    """Arguments of memorise."""
    n, m, d = draw(st.integers(1, 4)), draw(st.integers(2, 5)), draw(st.integers(1, 3))
    return {"noisy": draw(arrays((n, d))), "data": draw(arrays((m, d))), "s": draw(st.sampled_from((0.5, 1.0, 3.0)))}


def of_a_normal(y, s):
    """The best denoiser where x is normal with variance 1."""
    return y / (1 + s * s)


def of_two_points(y, s):
    """The best denoiser where x is 1 or -1."""
    return np.tanh(y / s**2) if s > 0 else np.sign(y)


@st.composite
def steps(draw):
    """Arguments of heun_step."""
    s, share = draw(st.integers(2, 12)) / 4, draw(st.sampled_from((0.0, 0.25, 0.75)))
    return {"y": draw(arrays((draw(st.integers(1, 5)),))), "denoise": draw(st.sampled_from((of_a_normal, of_two_points))), "s": s, "t": s * share}


def judge_memory(answer, solution, arguments):
    """The values; then no error and no slope on the training points, and sense far away from them."""
    expect_same(answer(**arguments), solution(**arguments), "the result", arguments)
    data, away = arguments["data"], np.round(5 * np.random.default_rng([5, 20]).standard_normal((20, arguments["data"].shape[1])), 1)
    there, beside, far = ({"noisy": noisy, "data": data, "s": 0.001} for noisy in (data, data + 0.003, away))
    expect_same(answer(**there), data, "for the training points themselves and s = 0.001, the result", there)
    expect_same(answer(**beside), data, "0.003 beside the training points, for s = 0.001, the result", beside)
    found = answer(**far)
    expect_same(found, solution(**far), "far from the training points, for s = 0.001, the result", far)
    error = ((found - away) ** 2).sum(axis=1).mean()
    return f"squared error 0 on {len(data)} training points, {error:.3g} on 20 others: an error and a penalty on training points see nothing"


def judge_heun(answer, solution, arguments):
    """The values; then the error over a whole path, which halves of the steps must make four times smaller."""
    expect_same(answer(**arguments), solution(**arguments), "the result", arguments)
    y, errors = np.array([-1.0, 0.5, 2.0]), []
    for count in (16, 32):
        found, noises = y, np.geomspace(2.0, 0.25, count + 1)
        for s, t in itertools.pairwise(noises):
            found = answer(y=found, denoise=of_a_normal, s=float(s), t=float(t))
        errors.append(np.abs(found - y * np.sqrt((1 + 0.25**2) / (1 + 2.0**2))).max())
    ratio = errors[0] / max(errors[1], 1e-300)
    expect(ratio > 3.5, f"twice as many steps must have about a quarter of the error, and yours have 1/{ratio:.3g}.")
    return f"twice as many steps, {ratio:.3g} times less error: Heun's rule is of second order, the step of the lesson of first"


EXERCISES = (
    Exercise(
        function="denoise_two_points",
        kind="do",
        goal="the mean of x given y, where x has two values",
        example={"y": np.array([-1.0, 0.25, 0.5, 2.0]), "a": 1.5, "s": 0.75, "probability": 0.25},
        inputs=two_points(),
        hints=(
            "Step 2 of the lesson: the mean of the two values with weights p(x) N(y - x). The normalisers of N cancel; write both weights.",
            "They are probability exp(-(y - a)^2 / 2s^2) and (1 - probability) exp(-(y + a)^2 / 2s^2). In their ratio the squares of y and a cancel.",
            "The mean is a (u - v) / (u + v). With u / v = exp(2 z) that is a tanh(z): z has a part with y, and half the logarithm of the odds.",
        ),
        wrong=(
            ("a standard deviation for a variance", "s**2", "s", "the result is wrong"),
            ("half of the odds forgotten", ") / 2)", "))", "the result is wrong"),
            ("odds upside down", "probability / (1 - probability)", "(1 - probability) / probability", "the result is wrong"),
            ("odds forgotten", " + np.log(probability / (1 - probability)) / 2", "", "the result is wrong"),
            ("twice the exponent", "a * y / s**2", "2 * a * y / s**2", "the result is wrong"),
            ("the likelier point", "np.tanh(", "np.sign(", "the result is wrong"),
            ("a in one place only", "np.tanh(a * y", "np.tanh(y", "the result is wrong"),
            ("between -1 and 1", "a * np.tanh", "np.tanh", "the result is wrong"),
            ("added to y", "a * np.tanh", "y + a * np.tanh", "the result is wrong"),
            ("one number for all", "a * y / s**2", "a * y.mean() / s**2", "wrong shape"),
        ),
    ),
    Exercise(
        function="memorise",
        kind="break",
        goal="no error and no slope on the training points, and nothing learned",
        example={
            "noisy": np.array([[0.5, -1.0, 0.25], [1.5, 0.5, -0.5]]),
            "data": np.array([[1.0, 0.0, 0.5], [-0.5, -1.5, 0.0], [2.0, 1.0, -1.0], [0.0, 0.5, 1.5]]),
            "s": 1.0,
        },
        inputs=training_points(),
        judge=judge_memory,
        hints=(
            "Each training point gets a weight exp(-|y - x|^2 / 2s^2); the result is their weighted mean. Which shape has the table of distances?",
            "noisy[:, None] - data is (N, M, D). A row's weights must add up to 1. For s = 0.001 all exponentials are 0: what may be subtracted?",
            "Subtract the largest exponent of each row before np.exp; divide by the sums of the rows; multiply the (N, M) weights with data.",
        ),
        wrong=(
            ("exponentials that vanish", "logits - logits.max(axis=1, keepdims=True)", "logits", "not finite"),
            ("half forgotten", "(2 * s**2)", "s**2", "the result is wrong"),
            ("a standard deviation for a variance", "(2 * s**2)", "(2 * s)", "wrong"),
            ("distances for their squares", ".sum(axis=2)", ".sum(axis=2) ** 0.5", "the result is wrong"),
            ("mean over the features", ".sum(axis=2)", ".mean(axis=2)", "the result is wrong"),
            ("far points first", "logits = -(", "logits = (", "the result is wrong"),
            ("weights that do not add up", " / weights.sum(axis=1)[:, None]", "", "the result is wrong"),
            (
                "the nearest point alone",
                "weights / weights.sum(axis=1)[:, None]",
                "(logits == logits.max(axis=1, keepdims=True)) * 1.0",
                "the result is wrong",
            ),
            ("the largest of each column", "logits.max(axis=1, keepdims=True)", "logits.max(axis=0)", "wrong"),
            ("the mean for all", "weights.sum(axis=1)[:, None] @ data", "weights @ data / len(data)", "wrong"),
        ),
    ),
    Exercise(
        function="heun_step",
        kind="extend",
        goal="a step of diffusion with two slopes",
        example={"y": np.array([-1.0, 0.5, 2.0]), "denoise": of_two_points, "s": 1.5, "t": 0.75},
        inputs=steps(),
        judge=judge_heun,
        hints=(
            "Write the step of the lesson first: y + (t - s) times the slope at y and s. Keep its result under a name of its own.",
            "The second slope belongs to the new point and the new noise: both change in the formula. Then start from y again.",
            "y + (t - s) (first + second) / 2; and if t is 0, return the step of the lesson before the second slope is computed.",
        ),
        wrong=(
            ("the step of the lesson", "if t == 0:", "if True:", "the result is wrong"),
            ("t = 0 forgotten", "if t == 0:", "if False:", "not finite"),
            ("the old noise in the second slope", "denoise(ahead, t)) / t", "denoise(ahead, s)) / s", "the result is wrong"),
            ("the old point in the second slope", "ahead - denoise(ahead, t)", "y - denoise(y, t)", "the result is wrong"),
            ("the sum of the slopes", ") / t) / 2", ") / t)", "the result is wrong"),
            ("the second slope alone", "slope + (ahead", "2 * (ahead", "the result is wrong"),
            ("from the new point", "return y + (t - s) * (slope", "return ahead + (t - s) * (slope", "the result is wrong"),
            ("up instead of down", "ahead = y + (t - s)", "ahead = y + (s - t)", "the result is wrong"),
            ("the step to the denoised point", "slope = (y - denoise(y, s)) / s", "slope = (denoise(y, s) - y) / s", "the result is wrong"),
            ("not divided by the noise", "(y - denoise(y, s)) / s", "(y - denoise(y, s))", "the result is wrong"),
        ),
    ),
)
