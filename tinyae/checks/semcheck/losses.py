"""The loss against the oracle: on average, at the same noise where it takes noise; and its spread."""

import dataclasses
import math

import numpy as np

from tinyae.checks.semcheck import oracle, scores
from tinyae.checks.semcheck.bench import SETS
from tinyae.checks.semcheck.identities import relative
from tinyae.checks.semcheck.result import judged, untested, warning
from tinyae.checks.semcheck.subject import Untestable

BLOCKS, DRAWS, SPREAD_DRAWS, SCOUTS = 40, 120, 120, 100
ALONE = 480, 4  # draws, and batches in one, where the loss takes no noise, so that chance has to be averaged out
TARGETS = {"loss": "the negative ELBO", "negative_elbo": "the negative ELBO", "reconstruction": "E[-log p(x|z)]", "kl": "KL(q || p)"}


def target(name, reconstruction, kl, beta):
    """What a term of the loss should be."""
    return {"loss": reconstruction + beta * kl, "negative_elbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}[name]


def check_losses(bench):
    """Each term of the loss against the oracle's, under every set of weights."""
    bench.need("encode", "decode", "likelihood")
    if bench.subject.loss is None and bench.subject.own_loss is None:
        raise Untestable("not given: loss")
    if bench.subject.loss is not None:
        yield from compared(bench, same_noise(bench), "")
    if bench.subject.own_loss is not None and bench.subject.loss is not None:
        yield from compared(bench, [bench.within(0, lambda: own_noise(bench, DRAWS, any_rows(bench, bench.batch)))], ", its own noise")
    elif bench.subject.own_loss is not None:
        draws, batches = ALONE
        choices = any_rows, rows_that_tell_the_kl, rows_that_tell_the_deviation
        found = [bench.within(k, lambda rows=rows: own_noise(bench, draws, rows(bench, batches * bench.batch))) for k, rows in enumerate(choices)]
        yield from compared(bench, found, ", its own noise")


def compared(bench, found, suffix):
    """A row for each known term: the worst of the scores of all sets of weights, and of their sum."""
    beta, most = bench.subject.beta, scores.limit(len(found) + 1)
    for name, title in TARGETS.items():
        if name not in found[0][0]:
            continue
        values = [terms[name] for terms, *_ in found]
        goals = [target(name, reconstruction, kl, beta) for _, reconstruction, kl, _ in found]
        errors = [error for *_, error in found]
        each = [score(v, g, e, bench.rounding) for v, g, e in zip(values, goals, errors, strict=True)]
        worst = scores.worst([*each, sum(each) / math.sqrt(len(each))])
        if name == "loss" and beta != 1:
            title = f"reconstruction + {beta:g} KL"
        wrong = not abs(worst) <= most
        bench.subject.loss_is_wrong |= wrong
        meaning = f"It is not {title}: {explanation(bench, found, name)}." if wrong else ""
        yield judged(name + suffix, "z", worst, most, f"It is {title} of an independent estimate.", meaning)


def same_noise(bench, power=1):
    """(terms, reconstruction, kl, 0) under every set of weights; the reconstruction of the standard deviation to a `power`."""
    return [bench.within(k, lambda: with_same_noise(bench, power)) for k in range(SETS)]


def with_same_noise(bench, power):
    """Each of the numbers is a mean over four balanced draws: with the same noise hardly anything is left to chance."""
    x = bench.rows(max(2, min(len(bench.x) // 2, bench.batch)))  # half of them, so that the sets differ in their KL even where the weights cannot
    noise = bench.balanced(BLOCKS, len(x))
    reconstruction, ratio = oracle.single_samples(bench.subject, x, noise)
    if power != 1:
        mean, log_variance = bench.subject.encode(x)
        other = dataclasses.replace(bench.subject, encode=lambda x: (mean, power * log_variance))
        reconstruction, _ = oracle.single_samples(other, x, noise)
    reconstruction, kl = (values.mean(axis=1).reshape(BLOCKS, 4).mean(axis=1) for values in (reconstruction, ratio))
    terms = [bench.subject.loss(x, one) for one in noise]
    return {name: np.reshape([t[name] for t in terms], (BLOCKS, 4)).mean(axis=1) for name in terms[0]}, reconstruction, kl, 0.0


def any_rows(bench, n):
    """n rows of x, drawn with replacement."""
    return bench.x[bench.generator.integers(len(bench.x), size=n)]


def rows_that_tell_the_kl(bench, n):
    """Four rows, over and over, whose KL is large beside the spread of their loss: a wrong KL shows there first."""
    x = bench.rows(2 * bench.batch)
    noise = bench.noise(SCOUTS, len(x))
    reconstruction, ratio = oracle.single_samples(bench.subject, x, noise)
    return np.resize(x[np.argsort(-ratio.mean(axis=0) / reconstruction.std(axis=0))[:4]], (n, *x.shape[1:]))


def rows_that_tell_the_deviation(bench, n):
    """Four rows, over and over, whose loss grows most (or falls most) with the standard deviation, beside its spread."""
    x = bench.rows(2 * bench.batch)
    noise = bench.noise(SCOUTS, len(x))
    reconstruction, _ = oracle.single_samples(bench.subject, x, noise)
    wider, _ = oracle.single_samples(bench.subject, x, 1.1 * noise)
    growth = (wider - reconstruction).mean(axis=0) / reconstruction.std(axis=0)
    order = np.argsort(growth if growth.min() + growth.max() < 0 else -growth)
    return np.resize(x[order[:4]], (n, *x.shape[1:]))


def own_noise(bench, draws, x):
    """(terms of every draw, reconstruction, kl, standard error of the reconstruction): the oracle has noise of its own."""
    noise = bench.noise(draws // 4, len(x))
    reconstruction = oracle.single_samples(bench.subject, x, np.concatenate([noise, -noise]))[0].mean(axis=1).reshape(2, -1).mean(axis=0)
    kl = oracle.single_samples(bench.subject, x, bench.balanced(1, len(x)))[1].mean()
    terms = [bench.subject.own_loss(x, k) for k in range(draws)]
    error = reconstruction.std() / math.sqrt(len(reconstruction))
    return {name: np.array([t[name] for t in terms]) for name in terms[0]}, np.full(draws, reconstruction.mean()), np.full(draws, kl), error


def score(values, goals, error, rounding):
    """How surprising the difference is."""
    return scores.of_mean(values - goals, math.hypot(error, rounding * (1 + np.abs(goals).max())))


def explanation(bench, found, name):
    """What a learner is told of a wrong term: the weights of the two terms, where they explain it, or how far it is off."""
    value = np.concatenate([terms[name] for terms, *_ in found])
    if not np.isfinite(value).all():
        return "it is not finite"
    if text := mixture(bench, found, name):
        return f"it is {text}"
    if bench.subject.loss is not None and (text := mixture(bench, same_noise(bench, power=2), name)):
        return f"it is {text}, with exp(log_variance) for the standard deviation, which is exp(log_variance / 2)"
    goals = [target(name, reconstruction, kl, bench.subject.beta) for _, reconstruction, kl, _ in found]
    share = f"{np.mean(value):.4g} where {np.mean(goals):.4g} is right, on average"
    return f"it is {share}, and no weights of the two terms explain it; look at the sampler and at what the likelihood is given"


def mixture(bench, found, name):
    """The weights of reconstruction and KL in a term, and a constant, as text; None where no such weights give it."""
    value, *parts = (np.concatenate(part) for part in zip(*((terms[name], *rest[:2]) for terms, *rest in found), strict=True))
    parts = np.stack([*parts, np.ones(len(value))], axis=1)
    if not np.isfinite(parts).all():
        return None
    for columns in ([0, 1], [0, 1, 2]):
        weights, _, rank, _ = np.linalg.lstsq(parts[:, columns], value, rcond=1e-9)
        if rank == len(columns) and np.abs(parts[:, columns] @ weights - value).max() < 20 * bench.rounding * (1 + np.abs(value).max()):
            constant = f" {weights[2]:+.4f} nats, a constant" if len(columns) == 3 else ""
            return f"{weight(weights[0], bench.width)} reconstruction {weight(weights[1], bench.latent, '+')} KL{constant}"
    return None


def weight(value, size, sign=""):
    """A weight in words: one over the number of terms is a mean where a sum belongs."""
    if size > 1 and abs(value * size - 1) < 1e-3:
        return f"{sign and sign + ' '}1/{size}"
    shown = f"{abs(value):.4g}" if sign else f"{value:.4g}"
    return f"{'-' if value < 0 else '+'} {shown}" if sign else shown


def check_spread(bench):
    """The spread of the loss over draws of the noise, on copies of one example, against independent noise in every row."""
    bench.need("encode", "decode", "likelihood")
    x = np.repeat(bench.rows(1), bench.batch, axis=0)
    noise = bench.noise(SPREAD_DRAWS, bench.batch)
    reconstruction, ratio = oracle.single_samples(bench.subject, x, noise)
    low, high = sorted((reconstruction.ravel(), (reconstruction + ratio).ravel()), key=np.std)  # the KL closed, or sampled
    ways = {"spread": bench.subject.loss and (lambda k: bench.subject.loss(x, noise[k]))}
    ways["spread, its own noise"] = bench.subject.own_loss and (lambda k: bench.subject.own_loss(x, k))
    for name, way in ways.items():
        if way is not None:
            spread = float(np.std([way(k)["loss"] for k in range(SPREAD_DRAWS)]))
            yield spread_row(name, spread, low, high, bench)


def spread_row(name, spread, low, high, bench):
    """The row that judges a measured spread against those of single rows."""
    smallest, largest = (np.std(rows) / math.sqrt(bench.batch) for rows in (low, high))
    if smallest < 1e3 * bench.rounding * (1 + abs(np.mean(low))):
        return untested(name, "the likelihood hardly depends on z here: there is no spread to see")
    unused = spread < 1e3 * bench.rounding * (1 + abs(np.mean(low)))
    if bench.subject.loss_is_wrong and not unused:
        return untested(name, "not comparable while the loss is wrong")
    nearest = float(np.clip(spread, smallest, largest))
    tails = [np.mean((rows - rows.mean()) ** 4) / np.var(rows) ** 2 for rows in (low, high)]
    error = math.sqrt((2 + max(tails) / bench.batch) / (4 * SPREAD_DRAWS) + max(tails) / (4 * low.size))
    statistic = math.log(max(spread, 1e-6 * nearest) / nearest) / error
    times = f"The loss spreads {spread / nearest:.3g} times as much as independent noise in every row would make it"
    wrong = f"{times}: " + ("one noise shared by rows." if statistic > 0 else "is the noise used as it should be?")
    return judged(name, "z", statistic, scores.limit(), "The loss spreads as independent noise in every row makes it.", wrong)


def check_bound(bench):
    """The loss of an importance-weighted model is -log of the mean of its K weights p(x, z) / q(z | x), mean over the batch."""
    if bench.subject.bound is not None:
        x, k = bench.rows(), bench.subject.draws
        noise = bench.noise(k, len(x))
        single = sum(oracle.single_samples(bench.subject, x, noise))  # (K, N), each -log of a weight
        expected = -logsumexp(-single, axis=0).mean() + math.log(k)
        wrong = f"The loss is {{0:.6g}}, where -log of the mean of {k} weights, mean over the batch, is {{1:.6g}}."
        yield relative(
            bench, f"bound of K = {k}", bench.subject.bound(x, noise), expected, "It is -log of the mean of the weights of K draws.", wrong
        )


def logsumexp(values, axis):
    """log sum exp along an axis."""
    largest = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - largest).sum(axis=axis)) + largest.squeeze(axis)


def check_noise(bench):
    """The same noise gives the same loss, and other noise another."""
    if bench.subject.loss is None:
        raise Untestable("the loss takes no noise")
    bench.need("encode")
    x = bench.rows()
    noise, other = bench.noise(2, len(x))
    one, two, three = (bench.subject.loss(x, e)["loss"] for e in (noise, noise, other))
    if not np.array_equal(one, two, equal_nan=True):
        yield warning("noise", "The same noise gives another loss: it draws noise of its own, and is compared as such.")
        given, bench.subject.loss = bench.subject.loss, None
        bench.subject.own_loss = lambda x, k: given(x, np.random.default_rng(k).standard_normal((len(x), bench.latent)))
        return
    bench.need("decode")
    decoded = [bench.subject.decode(oracle.draw(*bench.subject.encode(x), e)) for e in (noise, other)]
    if np.allclose(*decoded, rtol=1e3 * bench.rounding, atol=1e3 * bench.rounding):
        raise Untestable("the noise hardly changes what is decoded")
    wrong = "Other noise gives the same loss: nothing is sampled."
    yield judged("noise", "equal losses", float(one == three), 0.0, "The same noise gives the same loss, other noise another.", wrong)
