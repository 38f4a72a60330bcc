"""Sparse codes and codebooks: how many are active, how many are dead, what they explain, and whether known features are found."""

import numpy as np

from tinyae.errors import ArgumentError
from tinyae.evaluation.codes import entropy
from tinyae.evaluation.inputs import check_array


def l0(codes):
    """The number of active units (not 0) of an example, on average: 1/N sum_n |{j: h_nj != 0}|.

    codes: (N, J).  Returns a float, 0 to J.  Raises ArgumentError.
    """
    return float((check_array("l0", "codes", codes, "(N, J)") != 0).sum(axis=1).mean())


def dead_share(codes):
    """The share of units that are 0 for every example.  It falls with N: say how many examples there were.

    codes: (N, J).  Returns a float, 0 to 1.  Raises ArgumentError.
    """
    return float((check_array("dead_share", "codes", codes, "(N, J)") == 0).all(axis=0).mean())


def explained_variance(x, reconstruction):
    """1 - sum_n |x_n - y_n|^2 / sum_n |x_n - mean|^2, about the *mean* of all x, over the whole set at once.

    A shift of x and y together changes nothing, and their common scale neither.  1 for a perfect reconstruction, 0 for the mean;
    below 0 for what is worse than the mean.  (About zero, or averaged over batches, it is another number.)

    x, reconstruction: (N, D).  Returns a float.  Raises ArgumentError, also where x does not vary.
    """
    x, y = (check_array("explained_variance", name, one, "(N, D)") for name, one in (("x", x), ("reconstruction", reconstruction)))
    if x.shape != y.shape or (x == x[0]).all():
        got = f"{x.shape} and {y.shape}" if x.shape != y.shape else "equal rows"
        raise ArgumentError("explained_variance: examples that differ, and a reconstruction of each.", expected="two (N, D)", got=got)
    return float(1 - np.square(x - y).sum() / np.square(x - x.mean(axis=0)).sum())


def best_cosines(dictionary, known):
    """For each known feature the largest cosine to a column of a dictionary: max_j d_j . g_i / (|d_j| |g_i|).

    Signs count, as codes of sparse autoencoders are not negative; for directions without sign give [D, -D].  A column of zeros has cosine 0.

    dictionary: (D, J), a column for each unit.  known: (D, F), none 0.  Returns (F,).  Raises ArgumentError.
    Sharkey, Braun & Millidge 2022.
    """
    d, g = check_array("best_cosines", "dictionary", dictionary, "(D, J)"), check_array("best_cosines", "known", known, "(D, F)")
    if len(d) != len(g) or not g.any(axis=0).all():
        got = f"({len(d)}, J) and ({len(g)}, F), {(~g.any(axis=0)).sum()} of them 0"
        raise ArgumentError("best_cosines: features are columns of as many entries, none of them 0.", expected="(D, J) and (D, F)", got=got)
    lengths = np.linalg.norm(d, axis=0)
    return ((d / np.where(lengths > 0, lengths, 1.0)).T @ (g / np.linalg.norm(g, axis=0))).max(axis=0)


def mean_max_cosine(dictionary, known):
    """Mean max cosine similarity (MMCS): the mean of `best_cosines` over known features, -1 to 1.

    dictionary: (D, J).  known: (D, F).  Returns a float.  More units find more by chance alone: compare with random columns.
    """
    return float(best_cosines(dictionary, known).mean())


def features_found(dictionary, known, cosine=0.9):
    """How many known features have a column at more than this cosine.  One column may stand for two features.

    dictionary: (D, J).  known: (D, F).  cosine: -1 to 1.  Returns an int, 0 to F.  Raises ArgumentError.
    """
    if not -1 <= cosine <= 1:
        raise ArgumentError("features_found: a cosine.", expected="-1 to 1", got=cosine)
    return int((best_cosines(dictionary, known) > cosine).sum())


def perplexity(counts):
    """exp(-sum_k p_k log p_k), p = counts / sum(counts): how many codes of a codebook are used, as if all used ones were equally often.

    counts: (K,), how often each index came up over a *whole* data set.  Add batches up first, counts += bincount(indices, minlength=K):
    the mean over batches is another number, mostly smaller, and depends on their size.  Returns a float, 1 to K.  Raises ArgumentError.
    van den Oord, Vinyals & Kavukcuoglu 2017 report it.
    """
    counts = check_array("perplexity", "counts", counts, "(K,)")
    if (counts < 0).any() or not counts.any():
        raise ArgumentError("perplexity: counts of indices.", expected="0 or more, not all 0", got=f"from {counts.min()} to {counts.max()}")
    return float(np.exp(entropy(counts)))
