"""Checks of the exercises of lesson 2."""

import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays
from tinyae.course.exercises import Exercise, expect, expect_arrays


def rotated(eigenvalues, seed):
    """A covariance with nearly these eigenvalues, its axes turned at random; of few digits."""
    axes = np.linalg.qr(np.random.default_rng([2, seed]).normal(size=(len(eigenvalues), len(eigenvalues))))[0]
    return np.round(axes * eigenvalues @ axes.T, 3)


@st.composite
def weighted(draw):
    """Arguments of weighted_gradients."""
    d, k = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    eigenvalues = np.array(draw(st.lists(st.integers(1, 8), min_size=d, max_size=d))) / 4
    weights = {"encoder": draw(arrays((k, d))) / 2, "decoder": draw(arrays((d, k))) / 2, "weight": draw(arrays((d,), "positive"))}
    return {"covariance": rotated(eigenvalues, draw(st.integers(0, 1000)))} | weights


@st.composite
def covariances(draw):
    """Arguments of wrong_stop: eigenvalues that differ by a quarter or more."""
    quarters = draw(st.lists(st.integers(1, 20), min_size=2, max_size=5, unique=True))
    return {"covariance": rotated(np.array(quarters) / 4, draw(st.integers(0, 1000))), "k": draw(st.integers(1, len(quarters) - 1))}


@st.composite
def spectra(draw):
    """Arguments of least_loss_with_decay: the decay may be larger than all eigenvalues, or 0."""
    values = draw(st.lists(st.integers(1, 40), min_size=1, max_size=5, unique=True))
    decay = draw(st.sampled_from([0.0, 0.15, 0.55, 1.05, 5.0]))
    return {"eigenvalues": np.sort(values)[::-1] / 10, "k": draw(st.integers(1, len(values))), "decay": decay}


def independent(matrix):
    """Whether no row or column, of the fewer, is nearly a sum of multiples of the others."""
    sizes = np.linalg.svd(matrix, compute_uv=False)
    return sizes[-1] > 1e-6 * max(sizes[0], 1e-6)


def judge_stop(answer, solution, arguments):
    """Both gradients are zero, and the loss is not the least."""
    covariance, k = arguments.values()
    d = len(covariance)
    encoder, decoder = expect_arrays(answer(covariance, k), {"the encoder": (k, d), "the decoder": (d, k)})
    expect(independent(encoder), "the rows of the encoder are not independent.", got=encoder)
    expect(independent(decoder), "the columns of the decoder are not independent.", got=decoder)
    off = decoder @ encoder - np.eye(d)
    for name, gradient in (("encoder", 2 * decoder.T @ off @ covariance), ("decoder", 2 * off @ covariance @ encoder.T)):
        size = 1e-9 * np.trace(covariance) * (1 + np.abs(encoder).max() + np.abs(decoder).max()) ** 3
        expect(np.abs(gradient).max() <= size, f"the gradient of the {name} is not 0.", "0, up to rounding", f"up to {np.abs(gradient).max():.3g}")
    loss, least = np.sum(off @ covariance * off), np.linalg.eigvalsh(covariance)[: d - k].sum()
    text = "the loss is the least there is, or nearly: this is PCA."
    expect(loss >= least + 1e-3 * np.trace(covariance), text, f"more than {least:.6g}", f"{loss:.6g}")
    return f"a gradient of 0, and the loss is {loss / least:.3g} times the least one"


EXERCISES = (
    Exercise(
        function="weighted_gradients",
        kind="do",
        goal="the gradients of a linear autoencoder in whose loss some pixels count more",
        example={
            "covariance": rotated(np.array([2.0, 1.25, 0.5, 0.25]), 3),
            "encoder": np.array([[0.5, -0.25, 0.75, 0.1], [-0.6, 0.4, 0.2, -0.3]]),
            "decoder": np.array([[0.5, -1.0], [1.5, 0.5], [-1.0, 0.25], [0.75, -0.5]]),
            "weight": np.array([1.0, 2.0, 0.5, 3.0]),
        },
        inputs=weighted(),
        returns=("g_A", "g_B"),
        hints=(
            "With r = B A x - x the loss is the sum of weight_d r_d^2. Its derivative in r_d is 2 weight_d r_d. The rest is as in step 3.",
            "So wherever step 3 has r, there is now r times weight, a number for each row of (B A - I) C.",
            "slope = 2 * weight[:, None] * (decoder @ encoder - identity) @ covariance; then decoder.T @ slope and slope @ encoder.T.",
        ),
        wrong=(
            ("the weights forgotten", "2 * weight[:, None] * residual", "2 * residual", "g_A is wrong"),
            ("the weights forgotten in one of the two", "return decoder.T @ slope", "return 2 * decoder.T @ residual", "g_A is wrong"),
            ("the weights on the other axis", "weight[:, None]", "weight", "g_A is wrong"),
            ("the weights squared", "weight[:, None]", "weight[:, None] ** 2", "g_A is wrong"),
            ("the square's 2 forgotten", "2 * weight", "weight", "yours is 0.5 times"),
            ("nothing to be compared with", " - np.eye(len(covariance))", "", "g_A is wrong"),
            ("the images forgotten", ") @ covariance", ")", "g_A is wrong"),
            ("transposed", "decoder.T @ slope", "slope.T @ decoder", "it is transposed"),
            ("exchanged", "return decoder.T @ slope, slope @ encoder.T", "return slope @ encoder.T, decoder.T @ slope", "are they exchanged?"),
        ),
    ),
    Exercise(
        function="wrong_stop",
        kind="break",
        goal="weights with a gradient of zero that are not PCA",
        example={"covariance": rotated(np.array([2.0, 1.25, 0.5, 0.25]), 3), "k": 2},
        inputs=covariances(),
        judge=judge_stop,
        hints=(
            "Step 4 of the lesson names all stops with independent rows and columns. Which k eigenvectors would be the worst choice?",
            "With orthonormal columns in B, A = B' makes both gradients 0, where B holds any k eigenvectors.",
            "np.linalg.eigh gives eigenvalues in increasing order, and the eigenvectors as columns: its first k columns.",
        ),
        wrong=(
            ("the largest eigenvalues", "[:, :k]", "[:, -k:]", "this is PCA"),
            ("rows for columns", "[1][:, :k]", "[1][:k].T", "the gradient of the decoder is not 0"),
            ("no pair", "return axes.T, axes", "return axes.T, 2 * axes", "the gradient of the encoder is not 0"),
            ("weights of zero", "return axes.T, axes", "return 0 * axes.T, 0 * axes", "the rows of the encoder are not independent"),
            ("one axis several times", "[:, :k]", "[:, [0] * k]", "the rows of the encoder are not independent"),
            ("exchanged", "return axes.T, axes", "return axes, axes.T", "the encoder has the wrong shape"),
            ("pixels for axes", "np.linalg.eigh(covariance)[1]", "np.eye(len(covariance))", "the gradient of the decoder is not 0"),
            ("the encoder alone", "return axes.T, axes", "return axes.T", "it must return 2 arrays"),
        ),
    ),
    Exercise(
        function="least_loss_with_decay",
        kind="extend",
        goal="the least loss with weight decay, a number",
        example={"eigenvalues": np.array([2.0, 1.5, 0.5, 0.3, 0.2]), "k": 3, "decay": 0.6},
        inputs=spectra(),
        hints=(
            "Each axis pays for itself. One that is left out costs its eigenvalue. What does one cost that is kept with m = a b?",
            "eigenvalue (1 - m)^2 + 2 decay m, least at m = 1 - decay / eigenvalue. Where that is below 0, m = 0 is best.",
            "m = np.maximum(0, 1 - decay / kept); then the sum of kept * (1 - m) ** 2 + 2 * decay * m, and of the eigenvalues left out.",
        ),
        wrong=(
            ("an m below 0", "np.maximum(0, 1 - decay / kept)", "1 - decay / kept", "the result is wrong"),
            ("the price forgotten", "error.sum() + price.sum()", "error.sum()", "the result is wrong"),
            ("the price of one of the two tables", "2 * decay * m", "decay * m", "the result is wrong"),
            ("what is left out forgotten", " + left_out.sum()", "", "the result is wrong"),
            ("kept as without decay", "np.maximum(0, 1 - decay / kept)", "np.ones(len(kept))", "the result is wrong"),
            ("the square forgotten", "(1 - m) ** 2", "(1 - m)", "the result is wrong"),
            ("the root of m, the size of the weights", "1 - decay / kept)", "1 - decay / kept) ** 0.5", "the result is wrong"),
            ("one for each axis", "error.sum() + price.sum() + left_out.sum()", "error + price", "the result has the wrong shape"),
        ),
    ),
)
