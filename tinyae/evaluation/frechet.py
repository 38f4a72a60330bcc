"""The Frechet distance between two sets of features, each taken as a Gaussian."""

import numpy as np

from tinyae.errors import ArgumentError
from tinyae.evaluation.inputs import check_array


def frechet_of_gaussians(mean, covariance, other_mean, other_covariance):
    """The *squared* Frechet (2-Wasserstein) distance of N(m1, C1) and N(m2, C2).

    d^2 = |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1^(1/2) C2 C1^(1/2))^(1/2)

    With C1 = A A^T and C2 = B B^T the last trace is the sum of the singular values of A^T B: A and B by eigenvalues, no root of a matrix
    that is not symmetric, no complex number.

    means: (D,).  covariances: (D, D), symmetric, no eigenvalue below 0.  Returns a float, in squared units of the features.
    Raises ArgumentError.  Dowson & Landau 1982; Heusel et al. 2017 ("FID", which is this number).
    """
    means = [check_array("frechet", "mean", x, "(D,)") for x in (mean, other_mean)]
    covariances = [check_array("frechet", "covariance", x, "(D, D)") for x in (covariance, other_covariance)]
    d, shapes = len(means[0]), [x.shape for x in means + covariances]
    if shapes != [(d,), (d,), (d, d), (d, d)]:
        raise ArgumentError("frechet: two means and two covariances of one size.", expected=f"two ({d},), two ({d}, {d})", got=shapes)
    a, b = (root(x) for x in covariances)
    overlap = np.linalg.svd(a.T @ b, compute_uv=False).sum()
    return float(max(0.0, np.square(means[0] - means[1]).sum() + sum(np.trace(x) for x in covariances) - 2 * overlap))


def root(covariance):
    """A with A A^T = covariance, (D, D), by eigenvalues.  Raises ArgumentError for a matrix that is no covariance."""
    values, vectors = np.linalg.eigh(covariance)
    rounding = 1e-6 * np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > rounding or values[0] < -rounding:
        got = f"least eigenvalue {values[0]:.3g}, asymmetry {np.abs(covariance - covariance.T).max():.3g}"
        raise ArgumentError("frechet: this matrix is no covariance.", expected="symmetric, no eigenvalue below 0", got=got)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def frechet_distance(x, y):
    """The squared Frechet distance of the Gaussians with the means and covariances (divisor N - 1) of two sets of features.

    0 for equal sets; never below 0.  Shifts and rotations of both change nothing; both times s gives s^2.  From finite samples it is
    too large, by about 1 / N: compare only with equal N, well above D.  What it means depends on where features are taken: the
    numbers of a small network here are not those of published FIDs.

    x: (N, D).  y: (M, D).  N, M: 2 or more.  Returns a float, in squared units of the features.  Raises ArgumentError.
    Heusel et al. 2017.
    """
    x, y = check_array("frechet_distance", "x", x, "(N, D)"), check_array("frechet_distance", "y", y, "(M, D)")
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ArgumentError("frechet_distance: two examples or more of the same features.", expected="(N, D) and (M, D)", got=f"{x.shape}, {y.shape}")
    (m1, c1), (m2, c2) = ((one.mean(axis=0), np.atleast_2d(np.cov(one, rowvar=False))) for one in (x, y))
    return frechet_of_gaussians(m1, c1, m2, c2)
