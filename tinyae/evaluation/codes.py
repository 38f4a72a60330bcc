"""What codes tell of labels and of known factors: probes, mutual information gap, SAP and DCI, from arrays alone."""

from typing import NamedTuple

import numpy as np

from tinyae.errors import ArgumentError
from tinyae.evaluation.inputs import check_array, check_count
from tinyae.ops.softmax import log_softmax


def check_pairs(operation, codes, targets, shape, name):
    """Codes (N, J) as float64, and what belongs to each of the N: labels "(N,)" or factors "(N, K)".  Raises ArgumentError."""
    codes, targets = check_array(operation, "codes", codes, "(N, J)"), check_array(operation, name, targets, shape)
    if len(codes) != len(targets):
        raise ArgumentError(f"{operation}: each code has its {name}.", expected=f"{len(codes)} {name}", got=len(targets))
    return codes, targets


def check_factors(operation, codes, factors, discrete=False):
    """Codes (N, J >= 2) and factors (N, K) of which none is constant; discrete: each has at most N / 2 values.  Raises ArgumentError."""
    codes, factors = check_pairs(operation, codes, factors, "(N, K)", "factors")
    if codes.shape[1] < 2:
        raise ArgumentError(f"{operation}: a gap or an entropy needs something to compare with.", expected="codes (N, J), J >= 2", got=codes.shape)
    for k, values in enumerate(factors.T):
        count, most = len(np.unique(values)), len(values) // 2 if discrete else len(values)
        if not 2 <= count <= max(most, 2):
            rule = f"{operation}: factor {k} must vary{', and each value must come up more than once' if discrete else ''}."
            raise ArgumentError(rule, expected=f"2 to {max(most, 2)} different values", got=count, remedy="cut a continuous factor into bins")
    return codes, factors


def check_splits(operation, train, test):
    """Training codes and test codes must have the same number of columns.  Raises ArgumentError."""
    if train.shape[1:] != test.shape[1:]:
        raise ArgumentError(f"{operation}: both splits have the same columns.", expected=f"(M, {train.shape[1]})", got=test.shape)


def scales(x):
    """Mean and standard deviation of each column of x (N, J): two (J,).  A constant column, up to rounding, has infinity: x / inf is 0."""
    sd = x.std(axis=0)
    return x.mean(axis=0), np.where(sd > 1e-12 * np.abs(x).max(axis=0), sd, np.inf)


# ---- probes: how much of the labels another simple model reads from the codes


def logistic_weights(x, y, penalty=1.0):
    """The weights W (K, D) of a multinomial logistic regression, by Newton's method from 0; where a step overshoots, it is halved.

    W minimises  -sum_n log softmax(W x_n)[y_n] + penalty / 2 sum W^2,  strictly convex: one answer, whatever the order of examples.

    x: (N, D), a column of ones included, whose weights are penalised too.  y: (N, K), one-hot.  penalty: above 0, in nats (as 1 / C elsewhere).
    """
    (n, d), k, w = x.shape, y.shape[1], np.zeros((y.shape[1], x.shape[1]))

    def loss(w):
        return -(y * log_softmax(x @ w.T)).sum() + penalty / 2 * (w * w).sum()

    for _ in range(100):
        p = np.exp(log_softmax(x @ w.T))
        gradient = (p - y).T @ x + penalty * w
        if np.abs(gradient).max() < 1e-9 * n:
            break
        curvature = np.empty((k, d, k, d))
        for i in range(k):
            for j in range(i + 1):
                curvature[i, :, j] = curvature[j, :, i] = (x * (p[:, i] * ((i == j) - p[:, j]))[:, None]).T @ x
        step = np.linalg.solve(curvature.reshape(k * d, k * d) + penalty * np.eye(k * d), gradient.ravel()).reshape(k, d)
        while loss(w - step) > loss(w):
            step = step / 2
        w = w - step
    return w


def linear_probe(codes, labels, test_codes, test_labels, penalty=1.0):
    """The share of test labels that a multinomial logistic regression reads from the codes, between 0 and 1.

    Codes are whitened by the mean and covariance of the training codes (directions below 1e-6 of the largest are left out),
    so that the penalty, see `logistic_weights`, is the same whatever affine map came after the encoder: rotating, scaling or
    mixing the codes changes nothing.

    codes: (N, J).  labels: (N,), one number a class.  test_codes: (M, J).  test_labels: (M,); a class never trained on counts as missed.
    Raises ArgumentError.  Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes".
    """
    x, labels = check_pairs("linear_probe", codes, labels, "(N,)", "labels")
    test, truth = check_pairs("linear_probe", test_codes, test_labels, "(N,)", "labels")
    check_splits("linear_probe", x, test)
    classes, which = np.unique(labels, return_inverse=True)
    if len(classes) < 2 or not 0 < penalty < np.inf:
        got = f"{len(classes)} classes, penalty {penalty}"
        raise ArgumentError("linear_probe: nothing to tell apart, or no penalty.", expected="2 classes or more, penalty > 0", got=got)
    mean, sd = scales(x)
    _, size, axes = np.linalg.svd((x - mean) / sd, full_matrices=False)
    kept = size > 1e-6 * size.max(initial=1e-300)
    white = axes[kept].T / size[kept] * len(x) ** 0.5
    x, test = (np.column_stack([(one - mean) / sd @ white, np.ones(len(one))]) for one in (x, test))
    w = logistic_weights(x, np.eye(len(classes))[which], penalty)
    return float((classes[(test @ w.T).argmax(axis=1)] == truth).mean())


def neighbour_accuracy(codes, labels, test_codes, test_labels, k=5):
    """The share of test labels that the k nearest training codes (Euclidean) agree on by majority, between 0 and 1.

    All training codes as near as the k-th have a vote; of classes with equal votes the one with the smaller sum of squared
    distances wins, then the smaller label.  So the order of the examples, shifts and rotations change nothing; unequal scales do.

    codes: (N, J).  labels: (N,).  test_codes: (M, J).  test_labels: (M,).  k: 1 to N.  Raises ArgumentError.  Cover & Hart 1967.
    """
    x, labels = check_pairs("neighbour_accuracy", codes, labels, "(N,)", "labels")
    test, truth = check_pairs("neighbour_accuracy", test_codes, test_labels, "(N,)", "labels")
    check_splits("neighbour_accuracy", x, test)
    check_count("neighbour_accuracy", "k", k, 1, len(x))
    classes, which = np.unique(labels, return_inverse=True)
    votes_of, right, block = np.eye(len(classes))[which], 0, max(1, 4_000_000 // len(x))
    for start in range(0, len(test), block):
        far = sum((a[:, None] - b) ** 2 for a, b in zip(test[start : start + block].T, x.T, strict=True))  # (block, N)
        near = far <= np.partition(far, k - 1, axis=1)[:, [k - 1]]
        votes, sums = near @ votes_of, (near * far) @ votes_of
        best = np.where(votes == votes.max(axis=1, keepdims=True), sums, np.inf).argmin(axis=1)
        right += (classes[best] == truth[start : start + block]).sum()
    return float(right / len(test))


# ---- known factors: does one code hold one factor?


def entropy(counts):
    """-sum_i p_i log p_i of p = counts / sum(counts), in nats.  counts: any shape, 0 or more.  Returns a float."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def mutual_information(codes, factors, bins=20):
    """I(z_j; v_k) = H(z_j) + H(v_k) - H(z_j, v_k), in nats, of each code cut into `bins` of equal width from its least to its largest.

    The estimate is biased upwards, by about (used bins - 1)(values - 1) / (2 N).

    codes: (N, J).  factors: (N, K), each with few values.  bins: 2 or more.  Returns (J, K).  Raises ArgumentError.
    """
    codes, factors = check_factors("mutual_information", codes, factors, discrete=True)
    check_count("mutual_information", "bins", bins, 2)
    low, (_, sd) = codes.min(axis=0), scales(codes)
    span = np.where(np.isinf(sd), np.inf, np.ptp(codes, axis=0))
    cut = np.minimum(((codes - low) / span * bins).astype(int), bins - 1)
    found = np.empty((codes.shape[1], factors.shape[1]))
    for k, values in enumerate(factors.T):
        names, which = np.unique(values, return_inverse=True)
        for j, index in enumerate(cut.T):
            table = np.bincount(index * len(names) + which, minlength=bins * len(names)).reshape(-1, len(names))
            found[j, k] = entropy(table.sum(axis=1)) + entropy(table.sum(axis=0)) - entropy(table)
    return found


def top_gap(scores):
    """The largest minus the second largest of each column.  scores: (J, K).  Returns (K,)."""
    second, first = np.sort(scores, axis=0)[-2:]
    return first - second


def mutual_information_gap(codes, factors, bins=20):
    """MIG = 1/K sum_k (I(z_(1); v_k) - I(z_(2); v_k)) / H(v_k): 1 where one code alone knows each factor, 0 where two know as much.

    z_(1), z_(2): the two codes that know most of v_k.  One code that holds two factors is not punished.  See `mutual_information`.

    codes: (N, J), J >= 2 (posterior means, 10,000 points in the paper).  factors: (N, K), each with few values.  Returns a float.
    Raises ArgumentError.  Chen et al. 2018, section 4; histogram of 20 bins as in Locatello et al. 2019.
    """
    information = mutual_information(codes, factors, bins)
    entropies = [entropy(np.unique(values, return_counts=True)[1]) for values in check_array("MIG", "factors", factors, "(N, K)").T]
    return float((top_gap(information) / entropies).mean())


def separated_attribute_predictability(codes, factors):
    """SAP = 1/K sum_k (S_(1)k - S_(2)k),  S_jk = cov(z_j, v_k)^2 / (var(z_j) var(v_k)): the R^2 of a line from one code to one factor.

    The form for factors that are numbers; a factor that only numbers kinds (shapes, say) has no line: use MIG.  A constant code has S = 0.

    codes: (N, J), J >= 2.  factors: (N, K).  Returns a float, 0 to 1.  Raises ArgumentError.  Kumar, Sattigeri & Balakrishnan 2018.
    """
    codes, factors = check_factors("separated_attribute_predictability", codes, factors)
    (z_mean, z_sd), (v_mean, v_sd) = scales(codes), scales(factors)
    correlation = ((codes - z_mean) / z_sd).T @ ((factors - v_mean) / v_sd) / len(codes)
    return float(top_gap(correlation**2).mean())


class DCI(NamedTuple):
    """Three scores, each 1 at best: disentanglement (a code has one factor), completeness (a factor one code), informativeness."""

    disentanglement: float
    completeness: float
    informativeness: float


def dci_of_importance(importance):
    """Disentanglement and completeness of a matrix of importances R (J, K), 0 or more, of code j for factor k: two floats.

    D = sum_j rho_j (1 - H(P_j) / log K),  P_j = R_j / sum_k R_jk,  rho_j = sum_k R_jk / sum R;  a code without importance has weight 0.
    C = 1/K sum_k (1 - H(Q_k) / log J),  Q_k = R_k / sum_j R_jk;  a factor that no code helps to predict has 0.

    Raises ArgumentError.  Eastwood & Williams 2018, section 2.
    """
    r = check_array("dci", "importance", importance, "(J, K)")
    if min(r.shape) < 2 or (r < 0).any():
        raise ArgumentError("dci: importances of several codes for several factors.", expected="(J >= 2, K >= 2), none below 0", got=r.shape)
    weight = r.sum(axis=1) / (r.sum() or 1.0)
    codes = sum(w * (1 - entropy(row) / np.log(r.shape[1])) for w, row in zip(weight, r, strict=True))
    factors = [1 - entropy(column) / np.log(r.shape[0]) if column.any() else 0.0 for column in r.T]
    return float(codes), float(np.mean(factors))


def dci(codes, factors, test_codes, test_factors):
    """Disentanglement, completeness and informativeness, with linear importances: DCI(3 floats).

    Importance R_jk = |w_jk| of the least-squares line from all standardised codes to the standardised factor k (no L1 penalty; of many
    solutions, where codes are copies, the shortest: copies share equally).  Informativeness: 1 - mean_k (root mean square error on the
    test codes / standard deviation of v_k there), 1 for a perfect line, 0 for a guess of the mean.  D and C of codes that know
    nothing are those of noise, not 0: read them where informativeness is well above 0.

    codes: (N, J), J >= 2, N > J.  factors: (N, K), K >= 2, numbers.  test_codes: (M, J).  test_factors: (M, K).  Raises ArgumentError.
    Eastwood & Williams 2018, section 2 (there by lasso and forest, and the error itself reported).
    """
    codes, factors = check_factors("dci", codes, factors)
    test, truth = check_factors("dci", test_codes, test_factors)
    check_splits("dci", codes, test)
    check_splits("dci", factors, truth)
    if len(codes) <= codes.shape[1]:
        raise ArgumentError("dci: more examples than codes, or any factor has a perfect line.", expected=f"N > {codes.shape[1]}", got=len(codes))
    (z_mean, z_sd), (v_mean, v_sd) = scales(codes), scales(factors)
    weights = np.linalg.lstsq((codes - z_mean) / z_sd, (factors - v_mean) / v_sd, rcond=1e-6)[0]
    error = (test - z_mean) / z_sd @ weights * v_sd + v_mean - truth
    informativeness = 1 - np.mean(np.sqrt((error**2).mean(axis=0)) / truth.std(axis=0))
    return DCI(*dci_of_importance(np.abs(weights)), float(informativeness))
