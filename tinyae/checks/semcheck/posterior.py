"""The sampler and the closed KL, on posteriors of our own choice."""

import math
from statistics import NormalDist

import numpy as np

from tinyae.checks.semcheck import oracle, scores
from tinyae.checks.semcheck.identities import relative
from tinyae.checks.semcheck.result import judged
from tinyae.checks.semcheck.subject import Untestable

GROUPS, DRAWS, BINS = 16, 8000, 32


def check_sampler(bench):
    """Moments, independence and shape of the draws: of the sampler given, and of what the loss hands to the decoder."""
    found = {}
    if bench.subject.sample is not None:
        found["the sampler"] = standardised(bench, bench.subject.sample, DRAWS)
    if bench.subject.variant is not None:
        found["the draw in the loss"] = standardised(bench, lambda *given: caught(bench, *given), max(100, min(800, 50_000 // bench.width)))
    if not found:
        raise Untestable("not given: sample")
    for check, test, right, wrong in SAMPLER:
        results = [(*test(u), name) for name, u in found.items()]
        score, most, name = max(results, key=lambda result: abs(result[0]) / result[1] if math.isfinite(result[0]) else math.inf)
        yield judged(f"sampler: {check}", "z", score, most, f"{right}.", f"{name[0].upper()}{name[1:]}: {wrong}.")


def standardised(bench, sample, draws):
    """(z - mean) / exp(log_variance / 2), (groups, draws, J): every group of rows has its own mean and log-variance."""
    shape = GROUPS, 1, bench.latent
    mean, log_variance = bench.generator.uniform(-2, 2, shape), bench.generator.uniform(-3, 2, shape)
    rows = [np.repeat(part, draws, axis=1).reshape(-1, bench.latent) for part in (mean, log_variance)]
    z = sample(*rows, bench.noise(GROUPS * draws))
    if z.shape != rows[0].shape:
        raise Untestable(f"the sampler gives shape {z.shape} where mean and log_variance have {rows[0].shape}")
    return (z.reshape(GROUPS, draws, -1) - mean) / np.exp(log_variance / 2)


def caught(bench, mean, log_variance, noise):
    """What a loss hands to its decoder, if its encoder gives this posterior; with noise of its own, if it draws any."""
    width, seen = bench.width, []

    def decode(z):
        seen.append(z)
        return np.zeros((*z.shape[:-1], width))

    given, own = bench.subject.variant(lambda _: (mean, log_variance), decode, features=width, latent=bench.latent)
    x = np.zeros((len(mean), width))
    own(x, 0) if own else given(x, noise)
    return seen[-1].reshape(mean.shape) if seen[-1].size == mean.size else seen[-1]  # one draw may have axes of its own, of length 1


def of_mean(u):
    """The worst of the means of all groups and dimensions."""
    return scores.worst(u.mean(axis=1) * math.sqrt(u.shape[1])), scores.limit(u[:, 0].size)


def of_variance(u):
    """The worst of the variances of all groups and dimensions, and that of all together."""
    squares = (u**2).sum(axis=1)
    single, together = scores.of_chi_square(squares, u.shape[1]), scores.of_chi_square(squares.sum(), u.size)
    return scores.worst([*single.ravel(), together]), scores.limit(single.size + 1)


def of_independence(u):
    """The worst correlation between groups, between dimensions, and between a row and the next."""
    u = u / np.sqrt((u**2).mean(axis=1, keepdims=True) + 1e-24)  # not centred: the mean is 0, and a noise that never changes has no spread
    n = u.shape[1]
    series = u.transpose(0, 2, 1).reshape(-1, n)
    across = (series @ series.T / math.sqrt(n))[np.triu_indices(len(series), 1)]
    along = (series[:, 1:] * series[:, :-1]).sum(axis=1) / math.sqrt(n)
    return scores.worst([*across, *along]), scores.limit(across.size + along.size)


def of_shape(u):
    """Counts in bins that a normal distribution fills equally, as one chi-square."""
    edges = [NormalDist().inv_cdf(i / BINS) for i in range(1, BINS)]
    u = (u - u.mean()) / (u.std() + 1e-12)
    counts = np.bincount(np.searchsorted(edges, u.ravel()), minlength=BINS)
    return float(scores.of_chi_square(((counts - u.size / BINS) ** 2).sum() * BINS / u.size, BINS - 1)), scores.limit()


SAMPLER = (
    ("mean", of_mean, "The draws have the posterior's mean", "the draws are not centred at the posterior's mean"),
    ("variance", of_variance, "The draws have the variance exp(log_variance)", "the variance of the draws is not exp(log_variance)"),
    ("independence", of_independence, "Rows and dimensions are drawn independently", "rows or dimensions share noise"),
    ("shape", of_shape, "The draws are normal", "the draws are not normal, whatever their variance"),
)


def kl_of(bench):
    """kl(mean, log_variance) -> a number: the one given, or the term "kl" of the loss with this posterior put in.

    That term is a mean over four balanced draws, so that a KL which the loss takes from its sample is as exact as a closed one.
    """
    if bench.subject.kl is not None:
        return bench.subject.kl
    if bench.subject.variant is None:
        raise Untestable("not given: kl")
    width = bench.width

    def term(mean, log_variance, noise, k):
        sizes = {"features": width, "latent": mean.shape[-1]}
        x = np.zeros((len(mean), width))
        terms = bench.put_in(lambda _: (mean, log_variance), lambda z: np.zeros((*z.shape[:-1], width)), x, noise, k, **sizes)
        if "kl" not in terms:
            raise Untestable("neither given, nor a term of the loss named kl")
        return terms["kl"]

    def kl(mean, log_variance):
        terms = [term(mean, log_variance, noise, k) for k, noise in enumerate(bench.balanced(1, len(mean)))]
        if bench.subject.loss is None and len(set(terms)) > 1:
            raise Untestable("the loss takes the KL from a sample, with noise of its own")
        return float(np.mean(terms))

    return kl


def check_kl(bench):
    """The KL against samples of log q - log p; zero at the prior, positive wherever a single number differs."""
    bench.need("encode")
    kl, j = kl_of(bench), bench.latent
    posteriors = [(bench.generator.uniform(-2, 2, (4, j)), bench.generator.uniform(-3, 2, (4, j))) for _ in range(10)]
    found = [kl(*posterior) for posterior in posteriors]
    noise = bench.balanced(1, 4)
    sampled = [float(oracle.log_ratio(q[1], oracle.draw(*q, noise), noise).mean()) for q in posteriors]
    k = int(np.argmax(np.abs(np.subtract(found, sampled))))
    wrong = "The KL is {0:.5g}, where samples of log q - log p have the mean {1:.5g}."
    yield relative(bench, "KL", found[k], sampled[k], "The KL is the mean of log q - log p over samples.", wrong)
    here = kl(np.zeros((4, j)), np.zeros((4, j)))
    yield judged("KL at the prior", "nats", here, bench.rounding, "The KL of the prior to itself is 0.", "The KL of the prior to itself is not 0.")
    moves = [(s * e, 0 * e) for e in np.eye(j)[:, None] for s in (-0.3, 0.3)] + [(0 * e, s * e) for e in np.eye(j)[:, None] for s in (-0.3, 0.3)]
    smallest = min(kl(*move) for move in moves)
    wrong = f"The KL is {smallest:.3g} nats where a mean or a log-variance is not 0: it must be positive."
    yield judged("KL elsewhere", "non-positive", float(not smallest > bench.rounding), 0.0, "Away from the prior the KL is positive.", wrong)
