"""How well a score tells anomalies from normal examples: the area under the ROC curve, and its standard error."""

import numpy as np

from tinyae.errors import ArgumentError
from tinyae.evaluation.inputs import check_array, check_count


def auroc(normal, anomalous):
    """The chance that an anomaly scores higher than a normal example, a tie counting as half: the area under the ROC curve.

    AUROC = (R - n_a (n_a + 1) / 2) / (n_a n_n),  R: the sum of the ranks of anomalies among all scores, ties with their mean rank.
    Here by ranks among the normal scores alone, in whole numbers: exact, in O(n log n).  Any increasing map of the scores changes nothing.

    normal: (n_n,), anomalous: (n_a,), scores; higher is more anomalous (for a log-likelihood give its negative); infinities are
    allowed.  Returns a float, 0 to 1.  Raises ArgumentError.  Mann & Whitney 1947; Hanley & McNeil 1982.
    """
    normal, anomalous = (check_array("auroc", name, x, "(n,)", finite=False) for name, x in (("normal", normal), ("anomalous", anomalous)))
    ordered = np.sort(normal)
    twice = sum(int(np.searchsorted(ordered, anomalous, side).sum()) for side in ("left", "right"))  # below + (below or equal)
    return twice / (2 * len(normal) * len(anomalous))


def auroc_standard_error(area, normals, anomalies):
    """The standard error of an AUROC from so many examples.

    SE^2 = (A (1 - A) + (n_a - 1) (Q1 - A^2) + (n_n - 1) (Q2 - A^2)) / (n_a n_n),   Q1 = A / (2 - A),   Q2 = 2 A^2 / (1 + A)

    Q1: the chance that two anomalies both score above a normal example, Q2: that one scores above two, both for exponential scores,
    for which this is exact; for others near.  It says 0 where A is 0 or 1: no certainty, but no error seen.

    area: A, 0 to 1.  normals, anomalies: n_n, n_a, 1 or more.  Returns a float.  Raises ArgumentError.  Hanley & McNeil 1982.
    """
    check_count("auroc_standard_error", "normals", normals, 1)
    check_count("auroc_standard_error", "anomalies", anomalies, 1)
    if not 0 <= area <= 1:
        raise ArgumentError("auroc_standard_error: the area is out of range.", expected="0 to 1", got=area)
    both, twice = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (anomalies - 1) * (both - area**2) + (normals - 1) * (twice - area**2)
    return float((max(spread, 0.0) / (anomalies * normals)) ** 0.5)
