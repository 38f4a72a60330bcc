"""Likelihoods on toy spaces, evaluation without noise, and what the data and the decoder's output look like."""

import contextlib
import itertools
import math

import numpy as np

from tinyae.backend import rng
from tinyae.checks.semcheck import scores
from tinyae.checks.semcheck.distribution import DOUBT, Grid, points_of, roughness
from tinyae.checks.semcheck.identities import relative
from tinyae.checks.semcheck.oracle import single_samples
from tinyae.checks.semcheck.result import judged, warning
from tinyae.checks.semcheck.subject import Untestable
from tinyae.errors import TinyaeError

DRAWN = 4096  # samples


def check_likelihood(bench):
    """The likelihood sums to one over all images of a few pixels, or integrates to one over the plane of two."""
    if bench.subject.log_prob is None:
        raise Untestable("not given: a function log_prob(parameters, x)")
    bench.need("likelihood")
    try:
        found = [total(bench) for _ in range(3)]
    except (ValueError, TypeError, IndexError, TinyaeError) as error:
        raise Untestable(f"the likelihood takes no toy images: {str(error).splitlines()[0]}") from error
    if max(doubt for _, doubt, _ in found) > DOUBT:
        raise Untestable("the likelihood is too rough, or falls off too slowly, for a grid")
    worst, doubt, discrete = max(found, key=lambda one: abs(one[0] - 1) - one[1])
    space = "sums to 1 over all images of a few pixels" if discrete else "integrates to 1 over the images of two pixels"
    limit = max(1e-6, 10 * bench.rounding) + doubt
    yield judged("likelihood", "total - 1:", worst - 1, limit, f"The likelihood {space}.", f"It is no probability: {worst:.5g}, where one {space}.")


def total(bench):
    """(the probability of a toy space, how exact that is, whether it was summed), for random parameters.

    Of a function on data of zeros and ones nobody knows whether it is a density: the better of sum and integral counts.
    """
    subject, generator = bench.subject, bench.generator
    if subject.likelihood.name == "given" and subject.distribution is not None:
        parameters = generator.normal(0, 1, (1, round(2 * bench.outputs)))
        if (distribution := subject.distribution(parameters)) is not None:
            grid = Grid(distribution, distribution.support, distribution.sample(rng(0).stream("toy"), (2000,)))
            return float(grid.total[0]), float(grid.doubt(grid.mass)[0]), isinstance(distribution.support, list)
    found = []
    if subject.likelihood.name == "bernoulli" or (subject.likelihood.name == "given" and np.isin(bench.x, (0, 1)).all()):
        images = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
        parameters = np.tile(generator.normal(0, 2, round(3 * bench.outputs)), (8, 1))
        found.append((float(np.exp(subject.log_prob(parameters, images)).sum()), 0.0, True))
    if subject.likelihood.name != "bernoulli":
        with contextlib.suppress(Untestable) if found else contextlib.nullcontext():
            found.append((*integral(subject.log_prob, generator.normal(0, 1, round(2 * bench.outputs))), False))
    return min(found, key=lambda one: abs(one[0] - 1))


def integral(log_prob, parameters):
    """(the integral of exp(log_prob) over images of two pixels, how exact that is), on a grid that is fine around the largest value."""
    centre, width = parameters[:2] if len(parameters) == 2 else np.zeros(2), 1e-3

    def fallen(width):
        corners = centre + width * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        values = log_prob(np.tile(parameters, (5, 1)), corners)
        return (values[0] - values[1:]).min() > 1

    while not fallen(width):
        width *= 1.5
        if width > 1e6:
            raise Untestable("the density does not fall off: no grid holds it")
    quartiles = centre + width / 2 * np.array([-1.0, 0.0, 1.0])[:, None]
    plane, weight, axes = points_of((-np.inf, np.inf), quartiles)
    mass = np.exp(log_prob(np.tile(parameters, (len(plane), 1)), plane)) * weight
    return float(mass.sum()), float(roughness(mass, axes))


def check_evaluation(bench):
    """Encoding twice gives the same; the reconstruction is the mean of p(x | z) at the mean of q(z | x)."""
    bench.need("encode")
    x = bench.rows()
    one, two = bench.subject.encode(x), bench.subject.encode(x)
    same = all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    yield judged(
        "encode twice", "differences", float(not same), 0.0, "The posterior of x has no noise in it.", "Encoding x twice gives two posteriors."
    )
    bench.need("reconstruct", "decode", "likelihood")
    if bench.subject.likelihood.mean is None:
        raise Untestable("the mean of the given likelihood is not known")
    shown, expected = bench.subject.reconstruct(x), bench.subject.likelihood.mean(bench.subject.decode(one[0])).reshape(x.shape)
    again = np.array_equal(shown, bench.subject.reconstruct(x))
    error = np.abs(shown.reshape(x.shape) - expected).max() / (1 + np.abs(expected).max())
    right = "The reconstruction has no noise: the mean of p(x | z) at the posterior's mean."
    wrong = f"The reconstruction is {'not ' if again else 'another each time, not '}the mean of p(x | z) at the posterior's mean."
    yield judged("reconstruct", "difference", error if again else math.inf, 1e3 * bench.rounding, right, wrong)


def check_generation(bench):
    """Samples are the means of p(x | z) for draws z of the prior."""
    bench.need("generate", "decode", "likelihood")
    if bench.subject.likelihood.mean is None:
        raise Untestable("the mean of the given likelihood is not known")
    z = bench.noise(16)
    expected = bench.subject.likelihood.mean(bench.subject.decode(z))
    shown = bench.subject.generate(z).reshape(expected.shape)
    worst = int(np.abs(shown - expected).argmax())
    right, wrong = "Samples are decoded from draws of the prior.", "A sample is {0:.4g} where the decoded draw of the prior is {1:.4g}."
    yield relative(bench, "generation", shown.flat[worst], expected.flat[worst], right, wrong)
    if bench.subject.own_generate is not None:
        own = attempt("sample(n, rng=rng)", bench.subject.own_generate, DRAWN, 0).reshape(DRAWN, -1)
        expected = bench.subject.likelihood.mean(bench.subject.decode(bench.noise(DRAWN))).reshape(DRAWN, -1)
        along = bench.generator.standard_normal((expected.shape[1], 4))
        own, expected = (((images - expected.mean(axis=0)) @ along).astype(np.float64) for images in (own, expected))
        pairs = [(f(own[:, k]), f(expected[:, k])) for k in range(along.shape[1]) for f in (np.array, np.square)]
        found = [scores.of_two_means(a, b.mean(), b.std(ddof=1) / math.sqrt(DRAWN), bench.rounding) for a, b in pairs]
        right, wrong = "Samples with noise of their own are such, too.", "Samples with noise of their own spread otherwise."
        yield judged("own samples", "z", scores.worst(found), scores.limit(len(found)), right, wrong)


def check_log_weights(bench):
    """The logarithms of importance weights are log p(x | z) + log p(z) - log q(z | x)."""
    bench.need("log_weights", "encode", "decode", "likelihood")
    x = bench.rows()
    noise = bench.noise(2, len(x))
    reconstruction, ratio = single_samples(bench.subject, x, noise)
    title = "log p(x, z) - log q(z | x) at the same draws"
    found, expected = attempt("log_weights(x, noise)", bench.subject.log_weights, x, noise).mean(), -(reconstruction + ratio).mean()
    yield relative(bench, "log_weights", found, expected, f"It is {title}.", f"It is {{0:.6g}}, where {title} is {{1:.6g}}.")


def attempt(call, function, *arguments):
    """function(*arguments).  Raises Untestable where a model of one's own means something else by this name."""
    try:
        return function(*arguments)
    except (TypeError, ValueError, AttributeError, TinyaeError) as error:
        raise Untestable(f"{call} does not work: {str(error).splitlines()[0]}") from error


def check_data(bench):
    """The data lie in the support of the likelihood."""
    if getattr(bench.subject.likelihood, "name", None) != "bernoulli":
        return
    low, high = float(bench.x.min()), float(bench.x.max())
    outside = max(0.0, -low, high - 1)
    right, wrong = "The data lie in [0, 1].", f"The data run from {low:.4g} to {high:.4g}: a Bernoulli likelihood knows 0 and 1."
    yield judged("data", "outside by", outside, 0.0, right, wrong)
    grey = np.clip(bench.x, 0, 1)
    floor = -(grey * np.log(np.maximum(grey, 1e-300)) + (1 - grey) * np.log(np.maximum(1 - grey, 1e-300))).reshape(len(grey), -1).sum(axis=1).mean()
    if floor > 1e-6 and not outside:
        text = f"The cross entropy of grey data is no likelihood: even a perfect reconstruction costs {floor:.3g} nats."
        yield warning("grey data", f"{text} Binarise, or say so beside the number.")


def check_outputs(bench):
    """Logits and log-variances have both signs; where the weights could be moved, one sign alone means a function too many."""
    bench.need("encode", "decode")
    mean, log_variance = bench.subject.encode(bench.x)
    kl = float((mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1).mean() / 2)
    if kl < 0.1:
        yield warning(
            "posterior", f"It is nearly the prior (KL {kl:.2g} nats): an error in the KL hardly shows. Check again with other weights.", "KL", kl, 0.1
        )
    if (log_variance >= 0).all() or (log_variance <= 0).all():
        yield warning("log-variances", "All have one sign. Is there a softplus or a ReLU on them, or the standard deviation in their place?")
    if getattr(bench.subject.likelihood, "name", None) != "bernoulli":
        return
    decoded = bench.subject.decode(mean + np.exp(log_variance / 2) * bench.noise(len(mean)))
    right, wrong = "The logits have both signs.", "All lie in [0, 1]: the decoder gives probabilities where logits belong (a sigmoid too many)."
    if decoded.min() >= 0 and decoded.max() <= 1 and decoded.std() > 0:
        yield judged("logits", "in [0, 1]:", 1.0, 0.0, right, wrong)
    elif (decoded >= 0).all() or (decoded <= 0).all():
        yield warning("logits", "All have one sign: is there a ReLU, or a logarithm of probabilities, at the end of the decoder?")
    else:
        yield judged("logits", "of one sign:", 0.0, 0.0, right, wrong)
