"""Checks of the exercises of lesson 10."""

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays
from tinyae.course.exercises import Exercise, expect, expect_arrays

SPECTRUM = np.array([0.9, 0.6, 0.4, 0.25, 0.1, 0.05])


@st.composite
def spectra(draw):
    """Arguments of rate_and_distortion: some eigenvalues above beta * variance, some below, no one near it."""
    d, variance, beta = draw(st.integers(1, 6)), draw(st.sampled_from([0.1, 0.3, 1.0])), draw(st.sampled_from([0.5, 1.0, 2.0]))
    relative = sorted(draw(st.lists(st.sampled_from([0.1, 0.3, 0.6, 1.5, 2.0, 4.0, 9.0]), min_size=d, max_size=d)), reverse=True)
    return {"eigenvalues": np.round(beta * variance * np.array(relative), 6), "variance": variance, "beta": beta, "latent": draw(st.integers(1, d))}


@st.composite
def covariances(draw):
    """Arguments of false_end."""
    d, variance, beta = draw(st.integers(2, 4)), draw(st.sampled_from([0.1, 0.5])), draw(st.sampled_from([0.5, 1.0, 3.0]))
    axes = np.linalg.qr(draw(arrays((d, d))))[0]
    eigenvalues = beta * variance * np.array([4.0, 2.0, 1.5, 0.5][:d])
    return {"covariance": np.round((axes * eigenvalues) @ axes.T, 3), "variance": variance, "beta": beta}


@st.composite
def learnt(draw):
    """Arguments of best_variance: the first eigenvalues far above the rest."""
    latent, beta = draw(st.integers(1, 3)), draw(st.sampled_from([0.5, 1.0, 1.5]))
    left = draw(st.lists(st.sampled_from([0.2, 0.5, 1.0]), min_size=latent + 2, max_size=latent + 4))
    used = draw(st.lists(st.sampled_from([30.0, 50.0, 80.0]), min_size=latent, max_size=latent))
    return {"eigenvalues": np.array([*sorted(used, reverse=True), *sorted(left, reverse=True)]), "latent": latent, "beta": beta}


def loss(W, V, log_variance, C, s2, beta):
    """The loss of the linear VAE, without its constant."""
    G, v = np.eye(len(C)) - W @ V, np.exp(log_variance)
    distortion = (np.trace(G @ C @ G.T) + (v * (W * W).sum(axis=0)).sum()) / (2 * s2)
    return distortion + beta * (np.trace(V @ C @ V.T) + (v - log_variance - 1).sum()) / 2


def judge_end(answer, solution, arguments):
    """Every gradient is zero, the variable is used, and the loss is above the smallest one."""
    C, s2, beta = arguments.values()
    W, V, log_variance = expect_arrays(answer(C, s2, beta), {"W": (len(C), 1), "V": (1, len(C)), "log_variance": (1,)})
    G, v = np.eye(len(C)) - W @ V, np.exp(log_variance)
    slopes = {"W": (W * v - G @ C @ V.T) / s2, "V": beta * V @ C - W.T @ G @ C / s2}
    slopes["log_variance"] = v * (W * W).sum(axis=0) / (2 * s2) + beta * (v - 1) / 2
    rate = (loss(W, V, log_variance, C, s2, beta) - loss(W, V, log_variance, C, s2, 0.0)) / beta
    expect(rate > 0.01, "the latent variable is not used: its KL must be above 0.01 nats.", got=f"a KL of {rate:.3g}")
    for name, slope in slopes.items():
        expect(np.abs(slope).max() <= 1e-8, f"the gradient of {name} is not 0: training would go on.", "0", f"up to {np.abs(slope).max():.3g}")
    values = np.linalg.eigvalsh(C)
    best = (np.minimum(values[-1], beta * s2) + values[:-1].sum()) / (2 * s2) + beta * np.log(max(values[-1] / (beta * s2), 1.0)) / 2
    more = loss(W, V, log_variance, C, s2, beta) - best
    expect(more > 1e-6 * best, "these weights are the best: it must be a false end.", "a larger loss than the best", f"{more:.3g} nats more")
    return f"every gradient is 0, and {more:.3g} nats could still be gained"


EXERCISES = (
    Exercise(
        function="rate_and_distortion",
        kind="do",
        goal="a point of the rate-distortion curve of a linear VAE, from eigenvalues",
        example={"eigenvalues": SPECTRUM, "variance": 0.1, "beta": 2.0, "latent": 5},
        inputs=spectra(),
        returns=("the rate", "the distortion"),
        hints=(
            "Variance and weight count only as their product, call it t: which of the first `latent` eigenvalues are above it?",
            "An eigenvalue a above t has the rate log(a / t) / 2 and leaves the squared error t; one below has the rate 0 and leaves a.",
            "np.maximum(kept, t) / t is 1 for the collapsed ones, whose logarithm is 0. The squared error has np.minimum(kept, t), and all "
            "of eigenvalues[latent:]. The distortion is the squared error over 2 * variance, not over 2 * t.",
        ),
        wrong=(
            ("half forgotten", ".sum() / 2", ".sum()", "the rate is wrong: yours is 2 times"),
            ("beta forgotten", "t = beta * variance", "t = variance", "the rate is wrong"),
            ("collapsed variables with a negative rate", "np.maximum(kept, t) / t", "kept / t", "the rate is wrong"),
            ("a standard deviation for a variance", "np.maximum(kept, t) / t", "np.sqrt(np.maximum(kept, t) / t)", "yours is 0.5 times"),
            ("as many variables as pixels", "eigenvalues[:latent], eigenvalues[latent:]", "eigenvalues, eigenvalues[:0]", "is wrong"),
            ("the directions without a variable forgotten", " + left.sum()", "", "the distortion is wrong"),
            ("nothing left of the used ones", "np.minimum(kept, t).sum()", "kept[kept < t].sum()", "the distortion is wrong"),
            ("divided by t", "/ (2 * variance)", "/ (2 * t)", "the distortion is wrong: yours is 0.5 times"),
        ),
    ),
    Exercise(
        function="false_end",
        kind="break",
        goal="weights at which every gradient is zero, and which are not the best",
        example={"covariance": np.array([[2.0, 0.5, 0.0], [0.5, 1.5, -0.25], [0.0, -0.25, 0.5]]), "variance": 0.3, "beta": 2.0},
        inputs=covariances(),
        judge=judge_end,
        hints=(
            "Step 4 of the lesson finds the best r for a direction u. At which directions does no gradient turn u?",
            "At every eigenvector of the covariance matrix, not at the first only. Take the second one, with a its eigenvalue.",
            "With t = beta * variance and r = sqrt(a - t): W = r * u[:, None], V = r / a * u[None, :], and the variance of q is t / a.",
        ),
        wrong=(
            ("the best weights", "values[-2], vectors[:, -2]", "values[-1], vectors[:, -1]", "these weights are the best"),
            ("collapsed", "r = np.sqrt(a - t)", "a, r = t, 0.0", "the latent variable is not used"),
            ("beta forgotten", "t = beta * variance", "t = variance", "is not 0"),
            ("all of the variance", "np.sqrt(a - t)", "np.sqrt(a)", "the gradient of W is not 0"),
            ("the encoder is the decoder transposed", "r / a * u[None, :]", "r * u[None, :]", "the gradient of W is not 0"),
            ("no eigenvector", "vectors[:, -2]", "(vectors[:, -2] + vectors[:, -1]) / np.sqrt(2)", "is not 0"),
            ("the variance for its logarithm", "np.log(np.array([t / a]))", "np.array([t / a])", "is not 0"),
            ("a flat W", "r * u[:, None]", "r * u", "W has the wrong shape"),
        ),
    ),
    Exercise(
        function="best_variance",
        kind="extend",
        rtol=1e-6,
        goal="the decoder's variance that a linear beta-VAE learns, and its rate",
        example={"eigenvalues": np.array([9.0, 7.0, 0.6, 0.5, 0.4, 0.3]), "latent": 2, "beta": 1.5},
        inputs=learnt(),
        returns=("the best s^2", "the rate"),
        hints=(
            "Write the loss of step 5 as a function of s^2 alone, with D / 2 * log(2 pi s^2). J variables leave the error beta * s^2 each.",
            "(J beta s^2 + sum of the others) / (2 s^2) + D / 2 * log(s^2) - beta J / 2 * log(s^2) + constants. Set its derivative to 0.",
            "The others' sum = s^2 (D - beta J). For beta = 1 this is the mean of the eigenvalues that are left over (Tipping & Bishop 1999).",
        ),
        wrong=(
            ("beta forgotten", "len(eigenvalues) - beta * latent", "len(eigenvalues) - latent", "the best s^2 is wrong"),
            ("the mean over all pixels", "len(eigenvalues) - beta * latent", "len(eigenvalues)", "the best s^2 is wrong"),
            ("beta on the wrong term", "len(eigenvalues) - beta * latent", "beta * (len(eigenvalues) - latent)", "the best s^2 is wrong"),
            ("the used ones counted too", "left.sum()", "eigenvalues.sum()", "the best s^2 is wrong"),
            ("a standard deviation", "return variance,", "return np.sqrt(variance),", "the best s^2 is wrong"),
            ("the rate without beta", "used / (beta * variance)", "used / variance", "the rate is wrong"),
            ("half forgotten", ".sum() / 2", ".sum()", "the rate is wrong: yours is 2 times"),
            ("only one result", "return variance, np.log(used / (beta * variance)).sum() / 2", "return variance", "it must return 2 results"),
        ),
    ),
)
