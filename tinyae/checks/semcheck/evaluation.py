"""Likelihoods on toy spaces, evaluation without noise, and what the data and the decoder's output look like."""

import itertools
import math

import numpy as np

from tinyae.checks.semcheck.identities import relative
from tinyae.checks.semcheck.result import judged, warning
from tinyae.checks.semcheck.subject import Untestable


def check_likelihood(bench):
    """The likelihood sums to one over all images of three pixels, or integrates to one over the plane of two."""
    if bench.subject.log_prob is None:
        raise Untestable("not given: a function log_prob(parameters, x)")
    bench.need("likelihood")
    kind = bench.subject.likelihood.name
    discrete = kind == "bernoulli" or (kind == "given" and np.isin(bench.x, (0, 1)).all())
    try:
        totals = [total(bench, discrete) for _ in range(3)]
    except (ValueError, TypeError, IndexError) as error:
        raise Untestable(f"the likelihood takes no toy images: {str(error).splitlines()[0]}") from error
    worst = max(totals, key=lambda value: abs(value - 1))
    space = "sums to 1 over all images of three pixels" if discrete else "integrates to 1 over the images of two pixels"
    limit = max(1e-6, 10 * bench.rounding)
    yield judged(
        "likelihood", "total - 1:", worst - 1, limit, f"The likelihood {space}.", f"It is no probability: {worst:.5g} where it should have {space}."
    )


def total(bench, discrete):
    """The probabilities of a toy space, summed, for random parameters."""
    log_prob, generator = bench.subject.log_prob, bench.generator
    if discrete:
        images = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
        return float(np.exp(log_prob(np.tile(generator.normal(0, 2, 3), (8, 1)), images)).sum())
    centre, width = generator.normal(0, 1, 2), 1e-3

    def fallen(width):
        corners = centre + width * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        values = log_prob(np.tile(centre, (5, 1)), corners)
        return (values[0] - values[1:]).min() > 40

    while not fallen(width):
        width *= 1.5
        if width > 1e6:
            raise Untestable("the density does not fall off: no box holds it")
    line = np.linspace(-width, width, 241)
    plane = centre + np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return float(np.exp(log_prob(np.tile(centre, (len(plane), 1)), plane)).sum() * (line[1] - line[0]) ** 2)


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
