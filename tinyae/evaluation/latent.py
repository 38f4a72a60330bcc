"""What a posterior makes of its latent dimensions: how many it uses, what they cost, and what they look like all together."""

import math
from typing import NamedTuple

import numpy as np

from tinyae.distributions import Normal, StandardNormal, kl_divergence
from tinyae.errors import ArgumentError
from tinyae.evaluation.inputs import check_array
from tinyae.evaluation.likelihood import log_weights
from tinyae.evaluation.passes import host, over, standard_error
from tinyae.models.objective import kl_by_dimension
from tinyae.models.parts import code_of

ACTIVE = 0.01  # of the variance of a posterior mean.  Burda et al. 2016, section 5.2
BLOCKS, BLOCK = 10, 500  # of samples, for the squared MMD: how many at most, and how large
CODES = 2000  # examples at most for the mutual information, whose cost is their square


class Estimated(NamedTuple):
    """A number and its standard error (NaN where there is none)."""

    value: float
    standard_error: float


def codes_of(model, data, rng):
    """The code of each example, (N, J): the posterior mean, or what a deterministic encoder gives, as one row."""

    def code(model, x):
        return host(code_of(model.encode(x))).reshape(len(x), -1)

    return over(code, model, data, rng)


def posterior_of(model, data, rng):
    """q(z | x) of all examples, a Normal with (N, J) float64 on the host, of a model whose `encode` gives a Normal."""

    def parameters(model, x):
        q = model.encode(x)
        return np.concatenate([host(q.mean), host(q.log_variance + 0 * q.mean)], axis=1)

    mean, log_variance = np.split(over(parameters, model, data, rng), 2, axis=1)
    return Normal(mean, log_variance)


# ---- each dimension


def active_units(means, threshold=ACTIVE):
    """How many latent dimensions tell examples apart: those with Var_x(E_q[z_j]) > threshold, 0.01 unless another is given.

    means: (N, J) of the posteriors: *means*, as samples vary in dead dimensions too.  Returns an int, 0 to J.  The count depends on the
    threshold: give it.  Raises ArgumentError.  Burda, Grosse & Salakhutdinov 2016, section 5.2.
    """
    if not 0 <= threshold < math.inf:
        raise ArgumentError("active_units: the threshold is a variance.", expected="0 or more", got=threshold)
    return int((check_array("active_units", "means", means, "(N, J)").var(axis=0) > threshold).sum())


def kl_per_dimension(q):
    """KL(q(z_j | x) || N(0, 1)) of each dimension, mean over x, in nats: they add up to the KL.  q: a Normal of (N, J).  Returns (J,)."""
    return kl_by_dimension(q, StandardNormal()).mean(axis=0)


def kl_per_level(model, data, rng, draws=10):
    """E[KL(q(z_l | x, z above) || p(z_l | z above))] of each example and level of a hierarchy, in nats: (N, L), the top level first.

    Each is in closed form given the z above, of which there are `draws`.
    """

    def levels(model, x):
        noise = [model.draw_noise(len(x), rng=stream) for stream in streams]
        return np.mean([np.stack([host(kl) for kl in model.level_kls(x, one)], axis=1) for one in noise], axis=0)

    streams = [rng.stream("noise", k) for k in range(draws)]
    return over(levels, model, data, rng.stream("pixels"))


# ---- all examples together


class AggregatePosterior(NamedTuple):
    """mean, variance: (J,), of samples of q(z) = 1/N sum_n q(z | x_n).  moment_kl: (J,), KL(N(mean_j, variance_j) || N(0, 1)), nats.

    squared_mmd: from the prior, an Estimated; 0 on average where q(z) is the prior, so it can be below 0.
    """

    mean: np.ndarray
    variance: np.ndarray
    moment_kl: np.ndarray
    squared_mmd: Estimated


def aggregate_posterior(q, rng):
    """How far q(z), from which training drew, is from the prior N(0, I), from which new examples are drawn: an AggregatePosterior.

    By *samples*, one for each example; the posterior means alone are narrower than q(z), by the mean posterior variance.  moment_kl
    sees mean and variance only.  The squared MMD, which sees all, is that of `squared_mmd` in at most 10 blocks of 500, mean and standard
    error over the blocks.  q: a Normal of (N, J), N >= 4.  Hoffman & Johnson 2016; Gretton et al. 2012.
    """
    z = q.mean + np.exp(q.log_variance / 2) * host(rng.stream("samples").normal(q.mean.shape, np.float64))
    prior = host(rng.stream("prior").normal(z.shape, np.float64))
    order = rng.stream("blocks").permutation(len(z))[: BLOCKS * BLOCK]
    blocks = np.array_split(order, max(1, min(BLOCKS, len(order) // 4)))
    mmds = np.array([squared_mmd(z[block], prior[block]) for block in blocks])
    mean, variance = z.mean(axis=0), z.var(axis=0)
    with np.errstate(divide="ignore"):
        moment_kl = (mean**2 + variance - np.log(variance) - 1) / 2
    return AggregatePosterior(mean, variance, moment_kl, Estimated(float(mmds.mean()), standard_error(mmds)))


def squared_mmd(x, y):
    """The squared maximum mean discrepancy of two sets of samples, by its U-statistic: 0 on average for equal distributions.

    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j),   k(a, b) = exp(-|a - b|^2 / (2 J))

    The width of the kernel: two draws of N(0, I) have |a - b|^2 = 2 J on average.  x: (N, J).  y: (M, J).  N, M: 2 or more.  Returns a float.
    Raises ArgumentError.  Gretton et al. 2012, lemma 6.
    """
    x, y = check_array("squared_mmd", "x", x, "(N, J)"), check_array("squared_mmd", "y", y, "(M, J)")
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ArgumentError("squared_mmd: two samples or more of the same dimensions.", expected="(N, J) and (M, J)", got=f"{x.shape}, {y.shape}")

    def kernel(a, b):
        squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
        return np.exp(-squares / (2 * x.shape[1]))

    def among(a):  # without the diagonal, where k = 1
        return (kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1))

    return float(among(x) + among(y) - 2 * kernel(x, y).mean())


class CodeInformation(NamedTuple):
    """mutual_information: between code and index.  aggregate_kl: KL(q(z) || p(z)).  Both Estimated, in nats; they add up to the rate.

    ceiling: log of the number of examples, which the mutual information cannot exceed.
    """

    mutual_information: Estimated
    aggregate_kl: Estimated
    ceiling: float


def code_information(q, rng):
    """The rate in two parts, R = I_q(n; z) + KL(q(z) || p(z)): what codes tell of which example it was, and their distance from the prior.

    I = mean_n [log q(z_n | x_n) - log 1/M sum_m q(z_n | x_m)],   KL = mean_n [log 1/M sum_m q(z_n | x_m) - log p(z_n)],   z_n ~ q(z | x_n)

    The minibatch estimator over one batch of all M examples (2000 at most, chosen at random), a draw of z each.  For these M examples it has
    no bias; as a statement of all data it is too low, as I <= log M, and KL as much too high: near the ceiling it says little.

    q: a Normal of (N, J).  Returns a CodeInformation.  Hoffman & Johnson 2016; Chen et al. 2018, appendix C.1 (there of smaller batches).
    """
    rows = np.sort(rng.stream("examples").permutation(len(q.mean))[:CODES])
    q = Normal(q.mean[rows], q.log_variance[rows])
    z = q.rsample(host(rng.stream("samples").normal(q.mean.shape, np.float64)))
    at_once = max(1, 2_000_000 // q.mean.size)
    density = np.concatenate([log_mean_density(q, z[i : i + at_once]) for i in range(0, len(z), at_once)])
    information, distance = q.log_prob(z) - density, density - StandardNormal().log_prob(z)
    return CodeInformation(*(Estimated(float(one.mean()), standard_error(one)) for one in (information, distance)), math.log(len(z)))


def log_mean_density(q, z):
    """log 1/M sum_m q(z | x_m), nats.  q: a Normal of (M, J).  z: (B, J).  Returns (B,)."""
    log_density = q.log_prob(z[:, None])  # (B, M)
    largest = log_density.max(axis=1)
    return largest + np.log(np.exp(log_density - largest[:, None]).mean(axis=1))


# ---- rate and distortion


class RateDistortion(NamedTuple):
    """rate: KL(q(z | x) || p(z)).  distortion: E_q[-log p(x | z)].  Of each example, (N,), in nats; rate + distortion = -ELBO."""

    rate: np.ndarray
    distortion: np.ndarray


def rate_distortion(model, data, rng, draws=10):
    """R = E[KL(q(z | x) || p(z))] and D = E[-log p(x | z)] of each example, as RateDistortion: means of them are the model's point in the plane.

    R in closed form (of a hierarchy: the sum over levels, each given draws above); R + D by `draws` weights: -mean_k log w_k.
    model: one whose `encode` gives a Normal, or with level_kls.  Alemi et al. 2018, "Fixing a Broken ELBO".
    """

    def bound(model, x):
        return -log_weights(model, x, streams).mean(axis=0)

    def rate(model, x):
        return kl_divergence(model.encode(x), model.prior)

    streams = [rng.stream("noise", k) for k in range(draws)]
    bounds = over(bound, model, data, rng.stream("pixels"))
    levels = hasattr(model, "level_kls")
    rates = kl_per_level(model, data, rng, draws).sum(axis=1) if levels else over(rate, model, data, rng.stream("pixels"))
    return RateDistortion(rates, bounds - rates)
