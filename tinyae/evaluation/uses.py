"""What a trained model is good for: denoise, score anomalies, walk between examples, change an attribute, draw from a class."""

import numpy as np

from tinyae.autograd import no_grad, raw
from tinyae.backend import array_module, check_rng, to_numpy
from tinyae.backend import rng as make_rng
from tinyae.data import as_dataset
from tinyae.errors import ArgumentError
from tinyae.evaluation import latent
from tinyae.evaluation.inputs import check_array, check_count
from tinyae.evaluation.likelihood import log_likelihood
from tinyae.evaluation.terms import evaluating
from tinyae.models.parts import dtype_of


def denoise(model, x, passes=1):
    """The reconstruction of noisy examples, reconstructed again `passes` - 1 times: each pass leads towards what the model was trained on.

    x: (N, ...), an array.  Returns an array of x's shape.  A denoising autoencoder has learnt this; others do it as far as their code is too
    small for noise.  Raises ArgumentError for less than one pass.  Vincent et al. 2010; repeated: Bengio, Yao, Alain & Vincent 2013.
    """
    check_count("denoise", "passes", passes, 1)
    with evaluating(model):
        for _ in range(passes):
            x = model.reconstruct(x)
    return x


def anomaly_scores(model, x, samples=20, rng=None):
    """How unlike the training data each example is: the higher, the more.

    Of a model with a likelihood: -log p(x), in nats, by importance sampling with so many samples (see `log_likelihood`); of an autoencoder: the
    squared error of the reconstruction, summed over features.  x: (N, ...).  rng: a stream.  Returns (N,) float64, on the host.
    A likelihood can be high for simple images that were never seen (Nalisnick et al. 2019): look at the AUROC before you trust it.
    """
    if not hasattr(model, "log_weights"):
        return squared_error(model, x)
    return -log_likelihood(model, to_numpy(x), samples, rng=check_rng(rng)).log_prob


def squared_error(model, x):
    """That of the reconstruction of each example, summed over features: (N,) float64, on the host.  x: (N, ...)."""
    with evaluating(model):
        error = to_numpy(model.reconstruct(x)).astype(np.float64) - to_numpy(x)
    return np.square(error).reshape(len(x), -1).sum(axis=1)


def codes_of(model, x):
    """The codes of examples, of a variational model the posterior means.  x: (N, ...), an array.  Returns (N, J) on the host."""
    return latent.codes_of(model, as_dataset(to_numpy(x)), make_rng(0))


def decoded(model, z):
    """The images of codes z, (..., J) on the host: means of p(x | z), or the decoder's output.  Returns (..., D) on the host."""
    weight = next(model.named_parameters())[1].data
    with no_grad(), evaluating(model):
        found = model.decode(array_module(weight).asarray(z.reshape(-1, z.shape[-1]), dtype=dtype_of(model)))
        found = to_numpy(raw(found if model.likelihood is None else model.likelihood(found).mean))
    return found.reshape(*z.shape[:-1], found.shape[-1])


def interpolate(start, end, steps, spherical=False):
    """Codes on the way from `start` to `end`, both included.  start, end: (..., J).  Returns (steps, ..., J).

    linear:     (1 - t) start + t end
    spherical:  (sin((1 - t) w) start + sin(t w) end) / sin w,   w: the angle between the two; linear where it is 0 or pi, or one is 0

    In many dimensions draws of N(0, I) lie near the sphere of radius sqrt(J), and the middle of a straight line does not: the arc stays there.
    Shoemake 1985; White 2016.  Raises ArgumentError for less than two steps, or codes of different shapes.
    """
    check_count("interpolate", "steps", steps, 2)
    start, end = (check_array("interpolate", name, z, "(N, ...)") for name, z in (("start", start), ("end", end)))
    if start.shape != end.shape:
        raise ArgumentError("interpolate: both ends have one shape.", got=f"{start.shape} and {end.shape}")
    t = np.linspace(0, 1, steps).reshape(-1, *[1] * start.ndim)
    line = (1 - t) * start + t * end
    if not spherical:
        return line
    lengths = np.linalg.norm(start, axis=-1, keepdims=True) * np.linalg.norm(end, axis=-1, keepdims=True)
    cosine = (start * end).sum(axis=-1, keepdims=True) / np.where(lengths > 0, lengths, 1.0)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(angle)
    there = (sine > 1e-6) & (lengths > 0)
    arc = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.where(there, sine, 1.0)
    return np.where(there, arc, line)


def attribute_direction(codes, has):
    """What to add to a code for an attribute: the mean code of the examples that have it, minus that of those that do not.

    codes: (N, J).  has: (N,), true or false.  Returns (J,).  Raises ArgumentError where there are none of one kind.  Larsen et al. 2016, section 4.
    """
    codes, has = check_array("attribute_direction", "codes", codes, "(N, J)"), np.asarray(has, bool)
    if has.shape != codes.shape[:1] or has.all() or not has.any():
        got = f"{has.sum()} of {len(codes)} examples have it" if has.shape == codes.shape[:1] else f"{codes.shape} and {has.shape}"
        raise ArgumentError("attribute_direction: examples with the attribute and without it are needed.", got=got)
    return codes[has].mean(axis=0) - codes[~has].mean(axis=0)


def class_codes(codes, labels, label, n, rng):
    """n draws from the normal distribution with the mean and covariance of the codes of one class: decode them for examples of it.

    A prior for each class, fitted after the training.  codes: (N, J).  labels: (N,).  Returns (n, J).  Raises ArgumentError for a class with fewer
    examples than two.
    """
    codes, chosen = check_array("class_codes", "codes", codes, "(N, J)"), np.asarray(labels) == label
    if chosen.sum() < 2:
        raise ArgumentError(f"class_codes: two examples of class {label} at least.", got=f"{chosen.sum()}; there are {np.unique(labels).tolist()}")
    own = codes[chosen]
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(own.T)))
    noise = to_numpy(check_rng(rng).normal((n, codes.shape[1]), np.float64))
    return own.mean(axis=0) + (noise * np.sqrt(np.maximum(values, 0))) @ vectors.T


def traverse(z, dimensions, values):
    """The code z with one dimension after the other set to each of the values.  z: (J,).  Returns (len(dimensions), len(values), J)."""
    grid = np.tile(np.asarray(z, np.float64), (len(dimensions), len(values), 1))
    for row, dimension in zip(grid, dimensions, strict=True):
        row[:, dimension] = values
    return grid
