"""Checks of the exercises of lesson 6."""

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays, cotangents
from tinyae.course.exercises import Exercise, expect, expect_arrays, expect_same

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(20)  # expectations over a standard normal: exact for polynomials of degree 39
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@st.composite
def codes(draw):
    """Arguments of kl_to_scaled_prior."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    scale = draw(st.sampled_from([0.5, 1.0, 1.5, 3.0]))
    log_variance = draw(arrays(shape)) * draw(st.sampled_from([1, 5]))  # nobody may cut off large ones
    return {"mean": draw(arrays(shape)), "log_variance": log_variance, "scale": scale, "gy": draw(cotangents(shape[:1]))}


@st.composite
def draws(draw):
    """Arguments of wrong_sampler, with log-variances away from 0."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    return {"mean": draw(arrays(shape)), "log_variance": draw(arrays(shape, "nonzero")), "noise": draw(arrays(shape))}


@st.composite
def images(draw):
    """Arguments of best_posterior."""
    n, d, j = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3)))
    shapes = {"x": (n, d), "weight": (d, j), "bias": (d,)}
    return {name: draw(arrays(shape)) / 2 for name, shape in shapes.items()} | {"sigma": draw(st.sampled_from([0.5, 0.8, 1.5, 2.0]))}


def judge_sampler(answer, solution, arguments):
    """The derivatives are those of z; its mean is right, its standard deviation right at log-variance 0 and wrong elsewhere."""
    mean, log_variance, noise = arguments.values()
    results = expect_arrays(answer(mean, log_variance, noise), dict.fromkeys(("z", "dz/dmean", "dz/dlog_variance"), mean.shape))
    steps = 1e-5 * (1 + np.arange(mean.size) / mean.size).reshape(mean.shape)  # each entry has its own: none may take another's
    for name, i, change in (("mean", 1, (steps, 0)), ("log_variance", 2, (0, steps))):
        above, below = (answer(mean + sign * change[0], log_variance + sign * change[1], noise)[0] for sign in (1, -1))
        expect_same(results[i], (above - below) / (2 * steps), f"dz/d{name}, beside finite differences of z,", arguments, rtol=1e-6, atol=1e-8)
    average, spread = moments(answer, mean, log_variance)
    expect_same(average, mean, "the average of z over the noise", arguments, rtol=1e-8, atol=1e-8)
    expect_same(moments(answer, mean, 0 * mean)[1], np.ones(mean.shape), "the spread of z at log_variance 0", arguments, rtol=1e-8)
    share = spread / np.exp(log_variance / 2)
    wrong = np.abs(np.log(share)) > np.log(1.05)
    text = "the standard deviation of z is the right one, or nearly: it must be wrong wherever log_variance is not near 0."
    here = np.argmin(wrong)  # an entry where it is not
    got = f"{share.flat[here]:.6g} times the right one, where log_variance is {log_variance.flat[here]:.6g}"
    expect(wrong.all(), text, "off by 5% or more", got)
    return f"its standard deviation is {share.min():.2g} to {share.max():.2g} times the right one, and no gradient check sees it"


def moments(answer, mean, log_variance):
    """Average and standard deviation of z over the noise, by quadrature."""
    z = np.stack([answer(mean, log_variance, np.full(mean.shape, node))[0] for node in NODES])
    average = np.tensordot(WEIGHTS, z, 1)
    return average, np.sqrt(np.tensordot(WEIGHTS, (z - average) ** 2, 1))


def judge_posterior(answer, solution, arguments):
    """Beside the truth: the posterior of a linear decoder is normal, with precision I + W'W / sigma^2, and the best q has its diagonal."""
    x, weight, bias, sigma = arguments.values()
    results = expect_arrays(answer(**arguments), dict.fromkeys(("the mean", "log_variance"), (len(x), weight.shape[1])))
    precision = np.eye(weight.shape[1]) + weight.T @ weight / sigma**2
    variances = {"best": 1 / np.diag(precision), "marginal": np.diag(np.linalg.inv(precision))}
    best, marginal = (np.tile(np.log(v), (len(x), 1)) for v in variances.values())
    expect_same(results[0], np.linalg.solve(precision, weight.T @ (x - bias).T / sigma**2).T, "the mean", arguments, rtol=1e-3, atol=1e-3)
    taken = np.allclose(results[1], marginal, atol=1e-3)
    if not np.allclose(best, marginal, atol=1e-2):
        expect(not taken, "log_variance is that of the true posterior's marginals; the q that minimises -ELBO is narrower.", best, results[1])
    expect_same(results[1], best, "log_variance", arguments, rtol=1e-3, atol=1e-3)


EXERCISES = (
    Exercise(
        function="kl_to_scaled_prior",
        kind="do",
        goal="KL(N(m, exp(l)) || N(0, s^2 I)) and its two gradients",
        example={
            "mean": np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]),
            "log_variance": np.array([[-1.0, 0.5], [0.25, -0.5], [1.0, -2.0]]),
            "scale": 3.0,
            "gy": np.array([1.5, -0.5, 2.0]),
        },
        inputs=codes(),
        returns=("the KL", "the gradient of mean", "the gradient of log_variance"),
        hints=(
            "Repeat step 5 of the lesson: only E_q[log p] changes. What is log p(z) for p = N(0, s^2)?",
            "E_q[log p] = -(log 2 pi + 2 log s + (m^2 + exp(l)) / s^2) / 2. Subtract it from E_q[log q], and set s = 1: it must be step 5.",
            "With r = exp(l) / s^2 the divergence is (m^2 / s^2 + r - log r - 1) / 2. Differentiate: dr/dl = r. Each row of a gradient is "
            "multiplied by its entry of gy: gy[:, None].",
        ),
        wrong=(
            ("large variances cut off", "np.exp(log_variance)", "np.exp(np.clip(log_variance, -10, 10))", "the KL is wrong"),
            ("half forgotten", ".sum(axis=-1) / 2", ".sum(axis=-1)", "the KL is wrong, 3 of 3 entries: yours is 2 times the expected value"),
            ("mean over the latent dimensions", ".sum(axis=-1)", ".mean(axis=-1)", "a mean over 2 entries where a sum belongs"),
            ("sum over the batch as well", ".sum(axis=-1) / 2", ".sum() / 2", "wrong shape"),
            ("no sum", ".sum(axis=-1) / 2", " / 2", "the sum over axis 1 is missing"),
            ("the prior's scale forgotten in the logarithm", "np.log(relative)", "log_variance", "too small in every entry"),
            ("a variance for a standard deviation", "mean / scale**2", "mean / scale", "the gradient of mean is wrong"),
            ("the cotangent forgotten", "gy[:, None] * (relative", "(relative", "the gradient of log_variance is wrong"),
            ("the other sign", "(relative - 1)", "(1 - relative)", "a sign"),
            ("the prior's scale forgotten in a gradient", "(relative - 1)", "(np.exp(log_variance) - 1)", "the gradient of log_variance is wrong"),
        ),
    ),
    Exercise(
        function="wrong_sampler",
        kind="break",
        goal="a draw with perfect gradients and the wrong spread",
        example={
            "mean": np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]),
            "log_variance": np.array([[-1.0, 0.5], [1.25, -0.5], [1.0, -2.0]]),
            "noise": np.array([[0.75, -0.25], [-1.5, 0.5], [1.0, 2.0]]),
        },
        inputs=draws(),
        judge=judge_sampler,
        hints=(
            "The right draw is mean + exp(log_variance / 2) * noise. Which mistake about variances and standard deviations does 0 hide?",
            "Take any other function of log_variance as the spread that is 1 at 0, and differentiate what you took.",
            "With spread exp(log_variance) the draw is mean + spread * noise; its derivatives are 1 (an array of ones) and spread * noise.",
        ),
        wrong=(
            ("the right sampler", "np.exp(log_variance)", "np.exp(log_variance / 2)", "dz/dlog_variance, beside finite differences"),
            ("gradient of another sampler", "spread * noise\n", "spread * noise / 2\n", "yours is 0.5 times the expected value"),
            ("wrong at zero too", "np.exp(log_variance)", "np.exp(log_variance) * 2", "the spread of z at log_variance 0 is wrong"),
            ("a shifted mean", "mean + spread * noise", "mean + 0.1 + spread * noise", "0.1 too large in every entry"),
            ("a noise of its own", "mean + spread * noise", "mean + spread * np.random.standard_normal(mean.shape)", "finite differences"),
            ("another example's log-variance", "np.exp(log_variance)", "np.exp(log_variance[::-1])", "dz/dlog_variance, beside finite differences"),
            ("no derivative of the mean", "np.ones_like(mean)", "np.zeros_like(mean)", "dz/dmean, beside finite differences of z, is wrong"),
            (
                "right in everything",
                "spread = np.exp(log_variance)\n    return mean + spread * noise, np.ones_like(mean), spread * noise",
                "spread = np.exp(log_variance / 2)\n    return mean + spread * noise, np.ones_like(mean), spread * noise / 2",
                "it must be wrong",
            ),
        ),
    ),
    Exercise(
        function="best_posterior",
        kind="extend",
        goal="an optimiser of -ELBO for each image, with the exact posterior as its judge",
        example={
            "x": np.array([[0.5, -1.0, 0.25, 1.0], [1.5, 0.5, -0.5, 0.75], [-1.0, 0.25, 1.25, 0.5]]),
            "weight": np.array([[0.5, 1.0], [-0.75, 0.25], [1.0, 0.5], [0.25, -0.5]]),
            "bias": np.array([0.25, -0.5, 0.5, 0.125]),
            "sigma": 0.8,
        },
        inputs=images(),
        judge=judge_posterior,
        hints=(
            "Write -ELBO for one image: the expected squared error over 2 sigma^2, plus the KL of step 5. Under q, z = m + exp(l / 2) e.",
            "E_q |x - b - W z|^2 = |x - b - W m|^2 + sum_j exp(l_j) |w_j|^2, with w_j the columns of W. Differentiate by m and by l.",
            "Gradients: m - (x - b - W m) W / sigma^2, and (exp(l) (1 + |w_j|^2 / sigma^2) - 1) / 2. Go 2,000 steps, for m of size "
            "1 / (1 + |W|^2 / sigma^2) with |W| the largest singular value, for l of size 1.",
        ),
        wrong=(
            ("no prior", "step * (mean - missing", "step * (0 - missing", "the mean is wrong"),
            ("a standard deviation for a variance", "missing @ weight / sigma**2", "missing @ weight / sigma", "the mean is wrong"),
            ("the bias forgotten", "x - bias - mean", "x - mean", "the mean is wrong"),
            ("three steps only", "range(2000)", "range(3)", "the mean is wrong"),
            ("the prior forgotten in the precision", "precision = 1 + (", "precision = (", "log_variance is wrong"),
            ("the variance for its logarithm", "return mean, log_variance", "return mean, np.exp(log_variance)", "yours is the exponential"),
            ("a step that is too long", "step = 1 /", "step = 9 /", "not finite"),
            ("the wrong way", "mean - step * (", "mean + step * (", "the mean is"),
            (
                "the true posterior's variances",
                "return mean, log_variance",
                "v = np.diag(np.linalg.inv(np.eye(len(weight.T)) + weight.T @ weight / sigma**2))\n    return mean, np.log(v) + 0 * mean",
                "that of the true posterior's marginals",
            ),
        ),
    ),
)
