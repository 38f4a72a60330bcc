"""Kullback-Leibler divergences: one table of closed forms, and an estimate that says it is one."""

import itertools
import math
from typing import NamedTuple

import numpy as np

from tinyae.autograd import no_grad, raw
from tinyae.distributions.bernoulli import Bernoulli
from tinyae.distributions.categorical import Categorical
from tinyae.distributions.continuous_bernoulli import ContinuousBernoulli, log_normaliser
from tinyae.distributions.laplace import Laplace
from tinyae.distributions.normal import Normal, StandardNormal
from tinyae.distributions.uniform import Uniform
from tinyae.errors import ArgumentError
from tinyae.ops.activations import sigmoid, softplus
from tinyae.ops.exponential import exp
from tinyae.ops.likelihoods import cross_entropy_with_logits
from tinyae.ops.selection import abs, where
from tinyae.ops.softmax import softmax
from tinyae.ops.variational import kl_normal_normal, kl_standard_normal


class Estimate(NamedTuple):
    """A mean over samples and its standard error, arrays (...,), in nats."""

    mean: object
    standard_error: object


def kl_divergence(q, p, samples=None, rng=None):
    """KL(q || p) = E_q[log q(x) - log p(x)] in nats, summed over the features, (...,).

    In closed form for the pairs in CLOSED_FORMS.  For any others, and for these too, samples= and rng= give an Estimate, the mean of
    log q(x) - log p(x) over so many draws of q; it carries no gradient.  Raises ArgumentError for a pair that has neither.
    """
    if samples is not None:
        return estimate(q, p, samples, rng)
    for kinds in itertools.product(type(q).__mro__, type(p).__mro__):
        if kinds in CLOSED_FORMS:
            return CLOSED_FORMS[kinds](q, p)
    raise ArgumentError(
        "kl_divergence: no closed form is known for this pair.",
        expected="; ".join(f"{a.__name__}, {b.__name__}" for a, b in CLOSED_FORMS),
        got=f"{type(q).__name__}, {type(p).__name__}",
        remedy="an estimate with its standard error: kl_divergence(q, p, samples=1000, rng=ta.rng(0))",
    )


def estimate(q, p, samples, rng):
    """The Estimate of KL(q || p) from so many draws of q."""
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise ArgumentError("kl_divergence: samples is a whole number, 2 or more.", got=repr(samples))
    with no_grad(), np.errstate(invalid="ignore"):  # an infinite divergence has no standard error
        x = q.sample(rng, (samples, *(() if q.shape else p.shape)))
        ratio = raw(q.log_prob(x)) - raw(p.log_prob(x))
        return Estimate(ratio.mean(axis=0), ratio.std(axis=0, ddof=1) / math.sqrt(samples))


def kl_to_standard_normal(q, p):
    """sum (mean^2 + variance - log variance - 1) / 2.  Kingma & Welling 2014, appendix B."""
    return kl_standard_normal(q.mean, q.log_variance)


def kl_normals(q, p):
    """Hershey & Olsen 2007, equation 2, with diagonal covariances."""
    return kl_normal_normal(q.mean, q.log_variance, p.mean, p.log_variance)


def kl_bernoullis(q, p):
    """sum over both values of probability (log q - log p); -log q is softplus(-logits) for a 1, softplus(logits) for a 0."""
    a, b = q.logits, p.logits
    return (sigmoid(a) * (softplus(-b) - softplus(-a)) + sigmoid(-a) * (softplus(b) - softplus(a))).sum(axis=-1)


def kl_continuous_bernoullis(q, p):
    """The mean of x (logits - logits') minus the difference of the log-normalisers: both are of one exponential family."""
    a, b = q.logits, p.logits
    return (q.mean * (a - b) - log_normaliser(a) + log_normaliser(b)).sum(axis=-1)


def kl_categoricals(q, p):
    """The cross entropy minus the entropy."""
    return cross_entropy_with_logits(p.logits, softmax(q.logits)) - q.entropy()


def kl_laplaces(q, p):
    """log(s' / s) - 1 + (|m - m'| + s exp(-|m - m'| / s)) / s', m the mean and s the scale.  Gil, Alajaji & Linder 2013, table 2."""
    distance, difference = abs(q.mean - p.mean), q.log_scale - p.log_scale
    inside = distance * exp(-p.log_scale) + exp(difference - distance * exp(-q.log_scale))
    return (inside - difference - 1).sum(axis=-1)


def kl_uniforms(q, p):
    """The logarithm of the quotient of the widths; infinite where p does not cover q."""
    covered = (p.low <= q.low) & (q.high <= p.high)
    return where(covered, p.log_width() - q.log_width(), math.inf).sum(axis=-1)


CLOSED_FORMS = {
    (Normal, StandardNormal): kl_to_standard_normal,
    (Normal, Normal): kl_normals,
    (Bernoulli, Bernoulli): kl_bernoullis,
    (ContinuousBernoulli, ContinuousBernoulli): kl_continuous_bernoullis,
    (Categorical, Categorical): kl_categoricals,
    (Laplace, Laplace): kl_laplaces,
    (Uniform, Uniform): kl_uniforms,
}
