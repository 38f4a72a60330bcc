"""Identities of a loss in nats per example: what a mean where a sum belongs, or a sum where a mean belongs, cannot keep."""

import numpy as np

from tinyae.checks.semcheck import scores
from tinyae.checks.semcheck.result import judged
from tinyae.checks.semcheck.subject import Untestable


def relative(bench, check, value, expected, right, wrong):
    """The row of a number that must be another one up to rounding."""
    difference = (value - expected) / (1 + abs(expected))
    return judged(check, "relative error", difference, 10 * bench.rounding, right, wrong.format(value, expected))


def check_duplication(bench):
    """The loss of a batch and its copy, with the noise and its copy, is the loss of the batch."""
    bench.need("encode")
    x = bench.rows()
    right = "The batch twice has the loss of the batch: a mean over examples."
    if bench.subject.loss is not None:
        noise = bench.noise(len(x))
        one, two = (bench.subject.loss(*batch)["loss"] for batch in zip(twice(x), twice(noise), strict=True))
        yield relative(bench, "batch twice", two, one, right, "The loss depends on the size of the batch: {0:.6g}, where the batch once has {1:.6g}.")
    elif bench.subject.own_loss is not None:
        ones, twos = ([bench.subject.own_loss(part, 1000 * i + k)["loss"] for k in range(60)] for i, part in enumerate(twice(x)))
        error = np.std(ones) / np.sqrt(len(ones))
        wrong = f"The loss depends on the size of the batch: {np.mean(twos):.5g}, where the batch once has {np.mean(ones):.5g}."
        yield judged("batch twice", "z", scores.of_two_means(twos, np.mean(ones), error, bench.rounding * 100), scores.limit(), right, wrong)
    else:
        raise Untestable("not given: loss")


def twice(array):
    """An array, and the array and its copy."""
    return array, np.concatenate([array, array])


def parts(bench):
    """What is exchanged: (x of shape (N, D), encode and decode that take and give such, noise), for wrapping."""
    bench.need("encode", "decode", "likelihood")
    if bench.subject.variant is None:
        raise Untestable("needs a model, or a loss that takes encode= and decode=")
    if bench.subject.loss is None and len({bench.subject.own_loss(bench.x[:2], 0)["loss"] for _ in range(2)}) > 1:
        raise Untestable("the loss draws other noise at every call, so two calls cannot be compared exactly")
    x = bench.rows()
    if bench.outputs != 1:
        raise Untestable(f"the decoder gives {bench.outputs:g} numbers for a pixel: other pixels cannot be put in")
    shape, flat = x.shape[1:], x.reshape(len(x), -1)

    def encode(rows):
        return bench.subject.encode(rows.reshape(len(rows), *shape))

    def decode(z):
        return bench.subject.decode(z.reshape(-1, z.shape[-1])).reshape(*z.shape[:-1], flat.shape[1])

    return flat, encode, decode, bench.noise(len(x))


def check_tiling(bench):
    """Every pixel twice: the reconstruction doubles, the KL stays."""
    x, encode, decode, noise = parts(bench)
    d = x.shape[1]
    once = bench.put_in(encode, decode, x, noise, features=d, latent=bench.latent)
    twice = bench.put_in(lambda rows: encode(rows[:, :d]), lambda z: np.tile(decode(z), 2), np.tile(x, 2), noise, features=2 * d, latent=bench.latent)
    if {"reconstruction", "kl"} <= once.keys():
        expected, title = 2 * once["reconstruction"] + bench.subject.beta * once["kl"], "the reconstruction doubles and the KL stays"
        yield relative(
            bench, "pixels twice: kl", twice["kl"], once["kl"], "The KL does not depend on the number of pixels.", "The KL is {0:.6g}, not {1:.6g}."
        )
    elif bench.subject.loss is None:
        raise Untestable("the loss draws its own noise, and does not tell its terms")
    else:
        mean, log_variance = encode(x)
        z = mean + np.exp(log_variance / 2) * noise
        expected, title = once["loss"] - bench.subject.likelihood.log_prob(decode(z), x).mean(), "the loss grows by the reconstruction"
    wrong = f"With every pixel twice the loss is {{0:.6g}}, not {{1:.6g}}: is it a mean over pixels, where {title}?"
    yield relative(bench, "pixels twice", twice["loss"], expected, f"With every pixel twice {title}: a sum over pixels.", wrong)


def check_dead_latent(bench):
    """A further latent with mean 0 and log-variance 0, which the decoder does not read, leaves the loss as it is."""
    x, encode, decode, noise = parts(bench)
    if bench.subject.loss is None:
        raise Untestable("the loss draws its own noise, so more latents change all of it")
    zeros = np.zeros((len(x), 1))

    def wider(rows):
        return tuple(np.concatenate([part, zeros], axis=1) for part in encode(rows))

    once = bench.put_in(encode, decode, x, noise, features=x.shape[1], latent=bench.latent)["loss"]
    more = np.concatenate([noise, bench.generator.standard_normal((len(x), 1))], axis=1)
    dead = bench.put_in(wider, lambda z: decode(z[..., :-1]), x, more, features=x.shape[1], latent=bench.latent + 1)["loss"]
    right = "A latent with mean 0 and log-variance 0 costs nothing: a sum over latents."
    yield relative(
        bench, "dead latent", dead, once, right, "A latent that says nothing changes the loss from {1:.6g} to {0:.6g}: is it a mean over latents?"
    )


def check_constant_pixel(bench):
    """A further pixel of known probability adds exactly its nats."""
    x, encode, decode, noise = parts(bench)
    d, likelihood = x.shape[1], bench.subject.likelihood
    value, given = np.ones((len(x), 1)), 0.7
    if likelihood.name == "given" or getattr(likelihood, "variance", np.zeros(())).ndim:
        raise Untestable("needs a likelihood that takes any number of pixels: bernoulli, or gaussian with one variance")

    def wider(z):
        return np.concatenate([decode(z), np.full((*z.shape[:-1], 1), given)], axis=-1)

    once = bench.put_in(encode, decode, x, noise, features=d, latent=bench.latent)["loss"]
    more = bench.put_in(lambda rows: encode(rows[:, :d]), wider, np.concatenate([x, value], axis=1), noise, features=d + 1, latent=bench.latent)[
        "loss"
    ]
    nats = -likelihood.log_prob(np.full((1, 1), given), np.ones((1, 1)))[0]
    right = f"A pixel of known probability adds exactly its {nats:.4g} nats."
    yield relative(
        bench, "constant pixel", more, once + nats, right, f"A pixel that costs {nats:.4g} nats brings the loss to {{0:.6g}}, not {{1:.6g}}."
    )
