"""The importance-weighted estimate of -log p(x), for any model with weights.  Burda, Grosse & Salakhutdinov 2016."""

import math
from typing import NamedTuple

import numpy as np

from tinyae.backend import array_module
from tinyae.errors import ArgumentError, ShapeError
from tinyae.evaluation.inputs import check_count
from tinyae.evaluation.passes import first, host, over, standard_error
from tinyae.evaluation.terms import labelled
from tinyae.ops.softmax import logsumexp

AT_ONCE = 2_000_000  # values of p(x | z) in memory: draws x examples x features


class LogLikelihood(NamedTuple):
    """nll: the mean over examples of -log p(x), estimated, in nats; standard_error: of that mean, over examples.

    effective_samples: the mean over examples of 1 / sum_k w~_k^2, w~ = w / sum w: K where all weights are equal, 1 where one draw decides.
    samples: K, the weights in each estimate.  log_prob: (N,), the estimate of log p(x) of each example, nats, float64.
    """

    nll: float
    standard_error: float
    effective_samples: float
    samples: int
    log_prob: np.ndarray


def log_likelihood(model, data, samples=500, *, rng, batch_size=100, at_once=AT_ONCE):
    """-log p(x), estimated by -log 1/K sum_k w_k,  w_k = p(x, z_k) / q(z_k | x),  z_k ~ q(z | x): a LogLikelihood.

    By log-sum-exp, in float64.  Its mean over draws is never below -log p(x) and falls with K: with K = 1 it is the negative ELBO.  Say K.

    model: one with log_weights(x, noise) and draw_noise(n, rng=).  data: a Dataset, or an array (N, ...).  samples: K.  rng: a stream; the same
    one gives the same draws whatever is computed at once: batch_size examples, of `at_once` values of p(x | z).
    Raises ArgumentError for a model without a likelihood, K below 1, grey data under a Bernoulli likelihood.  Burda et al. 2016, equation 8.
    """
    check_count("log_likelihood", "samples (K)", samples, 1)
    data = labelled(model, data)
    check_likelihood(model, data)
    streams = [rng.stream("noise", k) for k in range(samples)]  # one a draw: each goes on from batch to batch

    def estimate(model, x):
        count = max(1, at_once // math.prod(x.shape))
        log_w = np.concatenate([log_weights(model, x, streams[k : k + count]) for k in range(0, samples, count)])
        total = logsumexp(log_w, axis=0)
        used = np.full(len(x), len(log_w))
        return np.stack([total - np.log(used), np.exp(2 * total - logsumexp(2 * log_w, axis=0)), used], axis=1)

    log_prob, effective, used = over(estimate, model, data, rng.stream("pixels"), batch_size).T
    return LogLikelihood(float(-log_prob.mean()), standard_error(log_prob), float(effective.mean()), int(used[0]), log_prob)


def log_weights(model, x, streams):
    """log w of one draw from each stream: (K, B) float64 on the host.  x: (B, D).  Raises ShapeError where a model gives another number."""
    noise = [model.draw_noise(len(x), rng=stream) for stream in streams]
    found = host(model.log_weights(x, array_module(noise[0]).stack(noise)))
    if found.shape != (len(streams), len(x)):
        raise ShapeError("log_weights: one for each draw and example.", expected=(len(streams), len(x)), got=found.shape)
    return found


def check_likelihood(model, data):
    """Raise ArgumentError where there is no p(x) to estimate: no likelihood, or grey values under that of zeros and ones."""
    if not hasattr(first(model, data), "log_weights"):
        raise ArgumentError("log_likelihood: the model has none.", expected="a variational model", got=type(model).__name__)
    if not fits_likelihood(model, data):
        raise ArgumentError(
            "log_likelihood: grey values have no probability under a Bernoulli likelihood, which is of zeros and ones: no nll.",
            got=repr(data),
            remedy="train on binarised data, or with another likelihood (--likelihood gaussian)",
        )


def fits_likelihood(model, data):
    """Whether the data, as they are binarised, are zeros and ones, or the likelihood is another than the Bernoulli."""
    binary = getattr(getattr(first(model, data), "likelihood", None), "binary", False)
    return not binary or data.binarisation != "grey" or bool(np.isin(data.pixels, (0, data.scale)).all())
