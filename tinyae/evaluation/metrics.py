"""The one table of metrics: what each measures on the test split, in which unit, and what model and data must have for it."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinyae.errors import ArgumentError
from tinyae.evaluation import codes, features, images
from tinyae.evaluation.latent import ACTIVE, Estimated, active_units, aggregate_posterior, code_information, kl_per_dimension, kl_per_level
from tinyae.evaluation.likelihood import log_likelihood
from tinyae.evaluation.passes import over, standard_error
from tinyae.evaluation.references import anomalies, frechet
from tinyae.evaluation.subject import Subject
from tinyae.evaluation.terms import evaluate

NATS, SQUARED = "nats per example", "squared units of x, per feature"
DRAWN = 10_000  # examples times passes, at least, that the terms average over


class Number(NamedTuple):
    """A measured number, or one for each dimension or level (a tuple); its unit; its standard error, None where there is none."""

    value: float | tuple
    unit: str
    standard_error: float | None = None


class Metric(NamedTuple):
    """function(subject, rng) -> dict of name to a float, an array, an Estimated or a Number.  unit: of all its numbers, or of each by name.

    needs: names in NEEDS, what model and data must have.  says: what it is, in a line.
    """

    function: Callable
    unit: str | dict
    needs: tuple
    says: str


def estimated(values):
    """The mean of a number of each example, and its standard error."""
    return Estimated(float(np.mean(values)), standard_error(values))


def share(value, count):
    """A share of `count` examples, with its binomial standard error."""
    return Estimated(value, math.sqrt(value * (1 - value) / count))


# ---- likelihood


def terms(subject, rng):
    """The terms of the loss; where there is a KL, with standard errors over examples."""
    draws = max(1, math.ceil(DRAWN / len(subject.test))) if subject.is_variational else 1
    found = evaluate(subject.model, subject.test, rng=rng, draws=draws)
    if subject.has_kl:
        rate, distortion = subject.rate_distortion
        each = {"negative_elbo": rate + distortion, "reconstruction": distortion, "kl": rate}
        found |= {name: Estimated(found[name], standard_error(each[name])) for name in each if name in found}
    if "negative_elbo" in found:
        return found
    return {
        name: Number(value, SQUARED if name == "mse" else "units of the loss: squared error, summed over features") for name, value in found.items()
    }


def nll(subject, rng):
    """The importance-weighted estimate."""
    found = log_likelihood(subject.model, subject.some, subject.samples, rng=rng)
    return {"nll": Estimated(found.nll, found.standard_error), "effective_samples": found.effective_samples}


def rate_and_distortion(subject, rng):
    """The two, and the rate in two parts."""
    rate, distortion = subject.rate_distortion
    found = {"rate": estimated(rate), "distortion": estimated(distortion)}
    if subject.is_normal:
        parts = code_information(subject.posterior, rng)
        found |= {"mutual_information": parts.mutual_information, "aggregate_kl": parts.aggregate_kl, "information_ceiling": parts.ceiling}
    return found


# ---- the latent space


def aggregate(subject, rng):
    """Moments and MMD of q(z)."""
    found = aggregate_posterior(subject.posterior, rng)
    return {"aggregate_mean": found.mean, "aggregate_variance": found.variance, "moment_kl": found.moment_kl.sum(), "squared_mmd": found.squared_mmd}


def levels(subject, rng):
    """The mean KL of each level."""
    return {"kl_per_level": kl_per_level(subject.model, subject.test, rng).mean(axis=0)}


def neighbours(subject, rng):
    """The share of labels that neighbours know."""
    train, test = subject.probed, subject.test
    found = codes.neighbour_accuracy(subject.probed_codes, train.labels, subject.codes, test.labels)
    return {"neighbours": share(found, len(test))}


def probe(subject, rng):
    """The share of labels that a linear probe reads."""
    train, test = subject.probed, subject.test
    found = codes.linear_probe(subject.probed_codes, train.labels, subject.codes, test.labels)
    return {"linear_probe": share(found, len(test))}


def dci(subject, rng):
    """Three scores."""
    train, test = (subject.factors(data, numbers=True) for data in (subject.probed, subject.test))
    return codes.dci(subject.probed_codes, train, subject.codes, test)._asdict()


def sap(subject, rng):
    """One score."""
    return {"sap": codes.separated_attribute_predictability(subject.codes, subject.factors(subject.test, numbers=True))}


# ---- reconstructions, sparse codes, codebooks


def ssim(subject, rng):
    """Of each image; digits are smaller than the window of the paper."""
    shape = (-1, *subject.test.image_shape)
    both = (x.reshape(shape) for x in (subject.images, subject.reconstructions))
    return {"ssim": estimated(images.ssim(*both, window=window_of(subject)))}


def window_of(subject):
    """11, as in the paper, or the largest odd number of pixels that the images have."""
    return min(11, (min(subject.test.image_shape[-2:]) - 1) // 2 * 2 + 1)


def superposition(subject, rng):
    """The cosines to the known features, and how many of these are found."""
    both = subject.model.dictionary, subject.test.truth.dictionary
    return {"mean_max_cosine": features.mean_max_cosine(*both), "features_found": features.features_found(*both)}


def dead(subject, rng):
    """The share of units that are off for all examples of the test split."""
    return {"dead_share": features.dead_share(subject.codes)}


def perplexity(subject, rng):
    """Of the use of the codebook over the whole split."""
    counts = np.bincount(over(lambda model, x: model.indices(x), subject.model, subject.test, subject.stream("test")).ravel())
    return {"perplexity": features.perplexity(counts), "codes_in_use": int((counts > 0).sum())}


# ---- the table

ENOUGH = "20 examples or more in each split"
NEEDS = {
    "a variational model": lambda s: s.is_variational,
    "data that fit the likelihood (no grey values under a Bernoulli)": lambda s: s.fits,
    "a KL: a normal posterior, or levels": lambda s: s.has_kl,
    "a normal posterior and a standard normal prior": lambda s: s.is_normal,
    "levels of latent variables": lambda s: hasattr(s.model, "level_kls"),
    "reconstructions": lambda s: hasattr(s.model, "reconstruct"),
    "codes": lambda s: hasattr(s.model, "encode"),
    "codes with exact zeros": lambda s: s.has_zeros,
    "a codebook": lambda s: hasattr(s.model, "indices"),
    "new examples": lambda s: hasattr(s.model, "sample"),
    "images": lambda s: not s.is_points,
    "square images": lambda s: not s.is_points and s.test.image_shape[-1] == s.test.image_shape[-2],
    "labels of two classes or more": lambda s: len(np.unique(s.train.labels)) > 1,
    "two named factors or more, and two codes": lambda s: len(s.varying) > 1 and s.codes.shape[1] > 1,
    "two factors or more that are numbers": lambda s: s.factors(s.test, numbers=True).shape[1] > 1,
    ENOUGH: lambda s: min(len(s.train), len(s.test)) >= 20,
    "known features, and a dictionary": lambda s: hasattr(s.test.truth, "dictionary") and hasattr(s.model, "dictionary"),
}
LIKELIHOOD = ("a variational model", "data that fit the likelihood (no grey values under a Bernoulli)")
NORMAL, KL = ("a normal posterior and a standard normal prior",), ("a KL: a normal posterior, or levels",)
LABELS = (ENOUGH, "codes", "labels of two classes or more")
FACTORS = (ENOUGH, "codes", "two named factors or more, and two codes")
NUMBERS = (*FACTORS, "two factors or more that are numbers")
IMAGES, SPARSE = ("reconstructions", "images"), ("codes with exact zeros",)
SHARE, SCORE = "share of the test split", "0 to 1"

METRICS = {
    "terms": Metric(terms, NATS, (), "the terms of the loss: of a variational model the negative ELBO, reconstruction and KL"),
    "nll": Metric(
        nll, {"nll": NATS, "effective_samples": "of K draws"}, LIKELIHOOD, "-log p(x), importance-weighted with K draws, and how many of them count"
    ),
    "rate-distortion": Metric(
        rate_and_distortion, NATS, KL, "R = KL and D = -log p(x | z); R in two parts, I(code; index) and KL(q(z) || p(z)), by the minibatch estimator"
    ),
    "active-units": Metric(
        lambda s, rng: {"active_units": active_units(s.codes)}, f"latents, variance of means > {ACTIVE}", KL,
        "latent dimensions whose posterior mean varies",
    ),
    "kl-per-dimension": Metric(lambda s, rng: {"kl_per_dimension": kl_per_dimension(s.posterior)}, NATS, NORMAL, "the KL of each latent dimension"),
    "kl-per-level": Metric(levels, NATS, ("levels of latent variables",), "the KL of each level, the top first"),
    "aggregate-posterior": Metric(
        aggregate,
        {"aggregate_mean": "units of z", "aggregate_variance": "units of z, squared", "moment_kl": "nats", "squared_mmd": "kernel, at most 1"},
        (ENOUGH, *NORMAL), "q(z), by samples, against the prior: moments, the KL of its moments, the squared MMD",
    ),
    "mse": Metric(lambda s, rng: {"mse": estimated(images.mse(s.images, s.reconstructions))}, SQUARED, ("reconstructions",), "mean squared error"),
    "psnr": Metric(lambda s, rng: {"psnr": estimated(images.psnr(s.images, s.reconstructions))}, "decibels", IMAGES, "peak signal-to-noise ratio"),
    "ssim": Metric(ssim, "at most 1", IMAGES, "structural similarity, windows of 11 x 11 pixels (smaller images: the largest odd window)"),
    "explained-variance": Metric(
        lambda s, rng: {"explained_variance": features.explained_variance(s.images, s.reconstructions)}, "at most 1", (ENOUGH, "reconstructions"),
        "share of the variance of x that the reconstruction has",
    ),
    "linear-probe": Metric(probe, SHARE, LABELS, "labels that logistic regression reads from the codes"),
    "neighbours": Metric(neighbours, SHARE, LABELS, "labels that the 5 nearest training codes agree on"),
    "mig": Metric(lambda s, rng: {"mig": codes.mutual_information_gap(s.codes, s.factors(s.test))}, SCORE, FACTORS, "mutual information gap"),
    "sap": Metric(sap, SCORE, NUMBERS, "separated attribute predictability, of the factors that are numbers"),
    "dci": Metric(dci, SCORE, NUMBERS, "disentanglement, completeness, informativeness, linear, of the factors that are numbers"),
    "l0": Metric(lambda s, rng: {"l0": features.l0(s.codes)}, "active units", SPARSE, "active units of an example, on average"),
    "dead-share": Metric(dead, "share of units", SPARSE, "units that are off for the whole test split"),
    "mean-max-cosine": Metric(
        superposition, {"mean_max_cosine": "at most 1", "features_found": "features with a cosine above 0.9"}, ("known features, and a dictionary",),
        "how well the dictionary has the known features",
    ),
    "perplexity": Metric(perplexity, "codes", ("a codebook",), "codes in use, as if all were used equally often, over the whole split"),
    "anomaly-auroc": Metric(
        anomalies, SCORE, ("reconstructions", "square images"),
        "AUROC, test images against themselves after a quarter turn, or with pixels shuffled; score: -log p(x) (K = 20), or the squared error",
    ),
    "frechet": Metric(
        frechet, "squared units of those features", (ENOUGH, "new examples", "images", "labels of two classes or more"),
        "Frechet distance, new examples to test images, in the features of a small classifier trained here: not comparable to a published FID",
    ),
}  # fmt: skip


def applicable(subject):
    """The names of the metrics that the model and the data have what is needed for."""
    return [name for name in METRICS if not missing(name, subject)]


def missing(name, subject):
    """The first thing that a metric needs and that is not there; None where nothing is missing."""
    return next((need for need in METRICS[name].needs if not NEEDS[need](subject)), None)


def check_names(names):
    """Raise ArgumentError for the name of no metric."""
    for name in names:
        if name not in METRICS:
            raise ArgumentError(f"unknown metric {name!r}.", expected="one of " + ", ".join(METRICS))


def measure_one(name, subject):
    """The Numbers of a metric, by name.  Raises ArgumentError where it is unknown, or model or data lack what it needs."""
    check_names([name])
    if need := missing(name, subject):
        model = getattr(subject.model, "config", {}).get("model", type(subject.model).__name__)
        raise ArgumentError(f"{name}: it needs {need}.", got=f"{model} on {subject.test!r}")
    unit, found = METRICS[name].unit, METRICS[name].function(subject, subject.rng.stream(name))
    return {key: number(value, unit[key] if isinstance(unit, dict) else unit) for key, value in found.items()}


def number(value, unit):
    """What a metric's function found, as a Number."""
    if isinstance(value, Number):
        return value
    value, error = value if isinstance(value, Estimated) else (value, None)
    value = tuple(map(float, value)) if np.ndim(value) else value if isinstance(value, int) else float(value)
    return Number(value, unit, None if error is None or math.isnan(error) else error)


def measure(model, train, test, names=None, *, rng, samples=500, examples=1000):
    """What a model achieves on a test split: a dict of name -> Number(value, unit, standard_error).

    train: what it was trained on, a Dataset (for probes, and the classifier of `frechet`).  names: of METRICS; None for all that apply.  rng: a
    stream; a metric's numbers do not depend on which others are asked for.  samples: K of nll.  examples: at most so many test examples for nll
    and anomaly-auroc.  Raises ArgumentError for an unknown name, or a metric that the model or the data have not what is needed for.
    """
    subject = Subject(model, train, test, rng, samples, examples)
    check_names(names or ())
    found = {}
    for name in applicable(subject) if names is None else names:
        found |= measure_one(name, subject)
    return found
