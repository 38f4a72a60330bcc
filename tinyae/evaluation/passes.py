"""A function of a model and a batch, for all examples of a data set: what every metric is made of."""

import math

import numpy as np

from tinyae.autograd import no_grad, raw
from tinyae.backend import to_device, to_numpy
from tinyae.evaluation.terms import conditioned, evaluating, takes_labels


def host(x):
    """A Tensor or an array as float64 on the host."""
    return to_numpy(raw(x)).astype(np.float64)


def first(model, data):
    """The model as the first example meets it: one that takes labels has that of the example."""
    return conditioned(model, to_device(data.labels[:1])) if takes_labels(model) else model


def over(function, model, data, rng, batch_size=500):
    """function(model, x) of all examples of a Dataset, joined along the first axis: an array (N, ...), whole numbers as they are, else float64.

    x: (B, D) on the backend in use, as the model is given it: binarised, with `rng` where that is random; in order, the last batch
    shorter.  The model is in evaluation, and has the labels of the batch where it takes any; nothing is recorded.
    """
    found = []
    with no_grad(), evaluating(model):
        for batch in data.batches(batch_size, rng=rng, shuffle=False, labels=takes_labels(model)):
            x, labels = batch if isinstance(batch, tuple) else (batch, None)
            found.append(to_numpy(raw(function(conditioned(model, labels), x))))
    found = np.concatenate(found)
    return found if found.dtype.kind in "iu" else found.astype(np.float64)


def standard_error(values):
    """The standard error of the mean over examples: the standard deviation over sqrt(N); NaN for a single one, or infinities.  values: (N,)."""
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))
