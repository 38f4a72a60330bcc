"""A model without a likelihood: its loss is the squared error of what it reconstructs, summed over features, mean over the batch."""

from types import SimpleNamespace

import numpy as np

from tinyae.autograd import no_grad
from tinyae.backend import array_module
from tinyae.checks.semcheck.identities import relative, twice
from tinyae.checks.semcheck.result import judged, untested
from tinyae.checks.semcheck.subject import named, plain


def check_autoencoder(model, x):
    """The rows for a model with loss(x), encode, decode and reconstruct.  x: (N, ...)."""
    weights = model.parameters()[0].data
    x = array_module(weights).asarray(x.astype(weights.dtype))
    bench = SimpleNamespace(rounding=1e-10 if weights.dtype == np.float64 else 3e-6)
    with no_grad():
        terms, again, copied, halves = ([named(model.loss(part)) for part in parts] for parts in ([x], [x], twice(x)[1:], np.array_split(x, 2)))
        reconstructed, decoded = (plain(y).reshape(len(x), -1) for y in (model.reconstruct(x), model.decode(model.encode(x))))
    terms, squares = terms[0], (reconstructed - plain(x).reshape(len(x), -1)) ** 2
    if again[0] != terms:
        return [untested("loss", "The loss draws noise of its own.")]
    largest = np.abs(reconstructed - decoded).max()
    rows = [judged("reconstruct", "difference", largest, 10 * bench.rounding, "It is decode(encode(x)).", "It is not decode(encode(x)).")]
    error = "reconstruction" if "reconstruction" in terms else "loss"
    wrong = "It is {0:.6g}, where the squared error of reconstruct(x), summed over features, mean over the batch, is {1:.6g}."
    rows.append(relative(bench, error, terms[error], squares.sum(axis=1).mean(), "It is the squared error of reconstruct(x).", wrong))
    if "mse" in terms:
        wrong = "It is {0:.6g}, where the squared error per feature is {1:.6g}."
        rows.append(relative(bench, "mse", terms["mse"], squares.mean(), "It is the squared error per feature.", wrong))
    sizes = [len(part) / len(x) for part in np.array_split(np.arange(len(x)), 2)]
    apart = sum(size * half["loss"] for size, half in zip(sizes, halves, strict=True))
    for check, value in (("batch twice", copied[0]["loss"]), ("halves apart", apart)):
        wrong = "The loss depends on the other examples of the batch: {0:.6g}, where the batch at once has {1:.6g}."
        rows.append(relative(bench, check, value, terms["loss"], "The loss is a mean over examples.", wrong))
    return rows
