"""Checks of the exercises of lesson 4."""

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays
from tinyae.course.exercises import Exercise, expect_arrays, expect_same


@st.composite
def entries(draw):
    """Arguments of elastic_code."""
    n, f = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    return {"a": draw(arrays((n, f))), "price": draw(st.integers(0, 12)) / 4, "ridge": draw(st.integers(0, 8)) / 4}


@st.composite
def autoencoders(draw):
    """Arguments of cheat."""
    d, f = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    shapes = {"weights": (f, d), "thresholds": (f,), "dictionary": (d, f)}
    return {name: draw(arrays(shape)) for name, shape in shapes.items()} | {"factor": draw(st.sampled_from((1.5, 2.0, 10.0, 100.0)))}


def points(seed, n, d, f):
    """Arguments of refit: fewer than d codes of each row above 0, some of them hardly."""
    rng = np.random.default_rng([4, seed])
    x, dictionary = np.round(rng.standard_normal((n, d)), 2), np.round(rng.standard_normal((d, f)), 2)
    codes = np.zeros((n, f))
    for row in codes:
        active = rng.permutation(f)[: rng.integers(0, d)]
        row[active] = rng.choice([1e-6, 0.25, 0.5, 1.5], len(active))
    return {"x": x, "dictionary": dictionary, "codes": codes}


def judge_cheat(answer, solution, arguments):
    """The reconstruction of many points stays, and the sum of their codes is divided."""
    *before, factor = arguments.values()
    after = expect_arrays(answer(**arguments), {f"the array of {name}": array.shape for name, array in arguments.items() if name != "factor"})
    x = np.random.default_rng(4).standard_normal((40, before[0].shape[1]))
    (old, new), (was, now) = zip(*(seen(x, *autoencoder) for autoencoder in (before, after)), strict=True)
    expect_same(new, old, "the reconstruction of 40 points", arguments)
    expect_same(now, was / factor, "the sum of the codes of 40 points", arguments)
    return f"the penalty is {was.sum() / now.sum():.3g} times smaller, the error is what it was: columns need a length" if now.sum() else ""


def seen(x, weights, thresholds, dictionary):
    """(reconstructions, sums of the codes) of an autoencoder."""
    codes = np.maximum(x @ weights.T + thresholds, 0)
    return codes @ dictionary.T, codes.sum(axis=1)


EXERCISES = (
    Exercise(
        function="elastic_code",
        kind="do",
        goal="the best code under a price on its size and another on its square",
        example={"a": np.array([[1.5, -0.75, 0.1], [-2.0, 0.4, 3.0]]), "price": 0.6, "ridge": 0.5},
        inputs=entries(),
        hints=(
            "Take h > 0 first, and write the slope of the loss in h: it has three terms. Where does it vanish?",
            "The slope is -2 (a - h) + price + 2 ridge h. Solve for h; this holds while h > 0, so for which a? Then do h < 0.",
            "The soft threshold of the lesson, and then everything is divided by 1 + ridge.",
        ),
        wrong=(
            ("the price for its half", "price / 2", "price", "the result is wrong"),
            ("a half too much", "price / 2", "price / 4", "the result is wrong"),
            ("twice the ridge", "1 + ridge", "1 + 2 * ridge", "the result is wrong"),
            ("ridge forgotten", " / (1 + ridge)", "", "the result is wrong"),
            ("the threshold divided as well", "price / 2", "price / (2 + 2 * ridge)", "the result is wrong"),
            ("the sign lost", "np.sign(a) * ", "", "the result is wrong"),
            ("only what is positive", "np.abs(a) - price", "a - price", "the result is wrong"),
            ("nothing becomes 0", "np.maximum(np.abs(a) - price / 2, 0)", "(np.abs(a) - price / 2)", "the result is wrong"),
            ("nothing is shrunk", "np.maximum(np.abs(a) - price / 2, 0)", "np.abs(a) * (np.abs(a) > price / 2)", "the result is wrong"),
            ("the loss and not the code", " / (1 + ridge)", " / (1 + ridge) * a", "the result is wrong"),
        ),
    ),
    Exercise(
        function="cheat",
        kind="break",
        goal="a smaller L1 penalty for nothing",
        example={
            "weights": np.array([[1.0, -0.5, 0.25], [0.5, 1.5, -1.0]]),
            "thresholds": np.array([0.25, -0.1]),
            "dictionary": np.array([[0.6, 0.0], [0.0, 0.8], [0.8, 0.6]]),
            "factor": 4.0,
        },
        inputs=autoencoders(),
        judge=judge_cheat,
        hints=(
            "What happens to max(a, 0) if a is divided by a positive number?",
            "Everything inside the max must be divided: that is two arrays. What must the third one do so that the reconstruction stays?",
            "Divide weights and thresholds by the factor, and multiply the dictionary by it.",
        ),
        wrong=(
            ("thresholds forgotten", "thresholds / factor", "thresholds", "the reconstruction of 40 points is wrong"),
            ("dictionary forgotten", "dictionary * factor", "dictionary", "the reconstruction of 40 points is wrong"),
            ("dictionary divided", "dictionary * factor", "dictionary / factor", "the reconstruction of 40 points is wrong"),
            ("weights forgotten", "weights / factor", "weights", "the reconstruction of 40 points is wrong"),
            (
                "the other way round",
                "weights / factor, thresholds / factor, dictionary * factor",
                "weights * factor, thresholds * factor, dictionary / factor",
                "the sum of the codes of 40 points is wrong",
            ),
            (
                "by the root",
                "weights / factor, thresholds / factor, dictionary * factor",
                "weights / factor**0.5, thresholds / factor**0.5, dictionary * factor**0.5",
                "the sum of the codes of 40 points is wrong",
            ),
            ("the sign as well", "weights / factor", "-weights / factor", "the reconstruction of 40 points is wrong"),
            ("transposed", "dictionary * factor", "dictionary.T * factor", "the array of dictionary has the wrong shape"),
            (
                "nothing done",
                "weights / factor, thresholds / factor, dictionary * factor",
                "weights + 0, thresholds + 0, dictionary + 0",
                "the sum of the codes of 40 points is wrong",
            ),
        ),
    ),
    Exercise(
        function="refit",
        kind="extend",
        goal="codes without shrinkage",
        example={
            "x": np.array([[1.0, 0.5, -0.25], [0.5, 2.0, 1.0]]),
            "dictionary": np.array([[1.0, 0.6, 0.0, 0.8], [0.0, 0.8, 0.0, 0.0], [0.0, 0.0, 1.0, 0.6]]),
            "codes": np.array([[0.4, 0.3, 0.0, 0.0], [0.0, 1.2, 0.0, 0.7]]),
        },
        inputs=st.builds(points, st.integers(0, 999), st.integers(1, 4), st.integers(3, 6), st.integers(2, 7)),
        hints=(
            "Go row by row. Which columns of the dictionary may one point use?",
            "With these columns only, it is an ordinary least squares problem: np.linalg.lstsq solves it, or np.linalg.pinv.",
            "active = row of codes above 0; the pseudo-inverse of dictionary[:, active], times the point, are the sizes of the active ones.",
        ),
        rtol=1e-8,
        wrong=(
            ("all columns", "codes[row] > 0", "codes[row] >= 0", "the result is wrong"),
            ("the sizes as they were", "np.linalg.pinv(dictionary[:, active]) @ point", "codes[row, active]", "the result is wrong"),
            ("a projection on each column", "np.linalg.pinv(dictionary[:, active])", "dictionary[:, active].T", "the result is wrong"),
            ("only what is left over", "@ point", "@ (point - dictionary @ codes[row])", "the result is wrong"),
            ("the first row's columns", "codes[row] > 0", "codes[0] > 0", "the result is wrong"),
            ("the columns of any row", "codes[row] > 0", "(codes > 0).any(axis=0)", "the result is wrong"),
            (
                "signs kept",
                "np.linalg.pinv(dictionary[:, active]) @ point",
                "np.abs(np.linalg.pinv(dictionary[:, active]) @ point)",
                "the result is wrong",
            ),
            (
                "all columns, then those asked for",
                "np.linalg.pinv(dictionary[:, active])",
                "np.linalg.pinv(dictionary)[active]",
                "the result is wrong",
            ),
            ("transposed", "return fitted", "return fitted.T", "wrong shape"),
            ("hardly above 0 taken for 0", "codes[row] > 0", "codes[row] > 1e-3", "the result is wrong"),
            ("two codes at most", "codes[row] > 0", "(codes[row] > 0) & (codes[row] >= np.sort(codes[row])[-2])", "the result is wrong"),
        ),
    ),
)
