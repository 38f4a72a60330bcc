"""What semcheck tests: a model, or somebody's functions, behind one face of functions of NumPy arrays."""

import inspect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat

import numpy as np

from tinyae.autograd import Tensor
from tinyae.backend import to_numpy
from tinyae.checks.semcheck.oracle import Bernoulli, Gaussian, Given
from tinyae.errors import ArgumentError


class Untestable(Exception):
    """A check for which the subject lacks something; its text says what."""


@dataclass
class Subject:
    """The functions that the checks call; None for what was not given.  Arrays are NumPy's, numbers in nats per example.

    loss(x, noise) and own_loss(x, k), the k-th draw with noise of its own, return {term: number}, "loss" among them.
    encode(x) -> (mean, log_variance).  decode(z) -> logits or means.  likelihood: the oracle's.  log_prob: the subject's.
    sample(mean, log_variance, noise) -> z.  kl(mean, log_variance) -> a number.  reconstruct(x); generate(noise).
    variant(encode, decode, features, latent) -> (loss, own_loss) with these parts in place of the subject's.
    own_generate(n, k): n samples from the k-th random stream.  log_weights(x, noise): log p(x, z) - log q(z | x) of draws (K, N).
    distribution(parameters) -> p(x | z) with a support, log_prob and sample, where the likelihood is one.
    bound(x, noise) -> the loss with noise (draws, N, J): the importance-weighted bound of so many draws.
    parameters: Tensors whose `data` may be exchanged for a while.  beta: the weight of the KL in "loss".
    loss_is_wrong: set by the check of the loss.
    """

    name: str
    loss: Callable | None = None
    own_loss: Callable | None = None
    encode: Callable | None = None
    decode: Callable | None = None
    likelihood: object = None
    log_prob: Callable | None = None
    sample: Callable | None = None
    kl: Callable | None = None
    reconstruct: Callable | None = None
    generate: Callable | None = None
    own_generate: Callable | None = None
    log_weights: Callable | None = None
    distribution: Callable | None = None
    variant: Callable | None = None
    bound: Callable | None = None
    draws: int = 1
    parameters: list = field(default_factory=list)
    beta: float = 1.0
    loss_is_wrong: bool = False

    def with_weights(self, values, work):
        """work() while the parameters hold other arrays; afterwards each holds the very array that it held before.

        Nothing is written into the weights.  Python looks for Ctrl-C after calls only, so a way back that is one call is
        never left half done.
        """
        back = partial(deque, map(setattr, self.parameters, repeat("data"), [p.data for p in self.parameters]), 0)
        try:
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.data = value
            return work()
        finally:
            back()


def plain(value):
    """A Tensor, an array of any library, or a number, as a NumPy array of float64, or float32 where it was that."""
    if isinstance(value, Tensor):
        value = value.data
    for method in ("detach", "cpu"):  # PyTorch
        value = getattr(value, method, lambda value=value: value)()
    array = to_numpy(value)
    return array if array.dtype == np.float32 else array.astype(np.float64)


def named(terms):
    """A loss's result, {term: float}: of a number, a dict, or a named tuple."""
    terms = terms._asdict() if hasattr(terms, "_asdict") else terms if isinstance(terms, dict) else {"loss": terms}
    found = {name: plain(value) for name, value in terms.items()}
    if "loss" not in found or any(value.size != 1 for value in found.values()):
        shapes = {name: value.shape for name, value in found.items()}
        raise ArgumentError("semcheck: a loss is one number, the mean over the batch, or named ones with 'loss' among them.", got=shapes)
    return {name: value.item() for name, value in found.items()}


def parts_of(distribution):
    """(mean, log_variance) as NumPy arrays, of a pair or of a distribution."""
    pair = distribution if isinstance(distribution, (tuple, list)) else (distribution.mean, distribution.log_variance)
    return tuple(plain(part) for part in pair)


def posterior_of(encoded):
    """parts_of what somebody's encode gave.  Raises ArgumentError unless it is mean and log_variance, (N, J) each."""
    several = isinstance(encoded, (tuple, list))
    if (several and len(encoded) != 2) or not (several or (hasattr(encoded, "mean") and hasattr(encoded, "log_variance"))):
        got = f"{len(encoded)} arrays" if several else type(encoded).__name__
        raise ArgumentError("semcheck: encode gives the posterior.", expected="(mean, log_variance), or a distribution that has them", got=got)
    mean, log_variance = parts_of(encoded)
    if mean.ndim != 2 or mean.shape != log_variance.shape:
        got = f"{mean.shape} and {log_variance.shape}"
        raise ArgumentError("semcheck: encode gives mean and log_variance of one shape.", expected="(N, J) each", got=got)
    return mean, log_variance


def subject_of_functions(
    *,
    loss=None,
    encode=None,
    decode=None,
    likelihood=None,
    variance=None,
    sample=None,
    kl=None,
    reconstruct=None,
    generate=None,
    beta=None,
    **unknown,
):
    """The Subject behind somebody's functions of NumPy arrays (semcheck says what each of them is)."""
    if unknown:
        known = "loss, encode, decode, likelihood, variance, sample, kl, reconstruct, generate, beta, seed"
        raise ArgumentError(f"semcheck: it knows no {' and no '.join(unknown)}.", expected=known)
    own, variant = None, None
    if loss is not None:
        loss, own, variant = losses_of(loss, encode, decode)
    return Subject(
        "the given functions",
        loss=loss,
        own_loss=own,
        encode=encode and (lambda x: posterior_of(encode(x))),
        decode=decode and (lambda z: plain(decode(z))),
        likelihood=likelihood_of(likelihood, variance),
        log_prob=(lambda decoded, x: plain(likelihood(decoded, x))) if callable(likelihood) else None,
        sample=sample and (lambda *arrays: plain(sample(*arrays))),
        kl=kl and (lambda mean, log_variance: float(plain(kl(mean, log_variance)).mean())),
        reconstruct=reconstruct and (lambda x: plain(reconstruct(x))),
        generate=generate and (lambda noise: plain(generate(noise))),
        variant=variant,
        beta=1.0 if beta is None else beta,
    )


def losses_of(loss, encode, decode):
    """(loss, own_loss, variant) of a function: own_loss where it takes x alone, a variant where it takes encode= and decode=.

    Where these two are no options, it is given the subject's.
    """
    takes = {name: p for name, p in inspect.signature(loss).parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    needed = [name for name, p in takes.items() if p.default is p.empty]
    parts = {name: part for name, part in (("encode", encode), ("decode", decode)) if name in needed}
    others = [name for name in takes if name not in ("encode", "decode") and (name in needed or name == "noise")]
    if len(others) > 2 or None in parts.values():
        expected = "loss(x, noise) or loss(x); each with encode and decode where these are given"
        raise ArgumentError("semcheck: the loss.", expected=expected, got=f"loss({', '.join(needed)})")
    with_noise = len(others) > 1

    def run(x, noise, **other_parts):
        return named(loss(x, **({others[1]: noise} if with_noise else {}), **parts | other_parts))

    def variant(encode, decode, features=None, latent=None):
        function = partial(run, encode=encode, decode=decode)
        return (function, None) if with_noise else (None, function)

    own, exchangeable = not with_noise, {"encode", "decode"} <= set(takes)
    return None if own else run, run if own else None, variant if exchangeable else None


def likelihood_of(likelihood, variance):
    """The oracle's likelihood of a name or a function."""
    if callable(likelihood):
        return Given(lambda decoded, x: plain(likelihood(decoded, x)))
    if likelihood not in (None, "bernoulli", "gaussian") or (likelihood == "gaussian") != (variance is not None):
        got = f"likelihood={likelihood!r}, variance={variance!r}"
        expected = "'bernoulli', 'gaussian' with variance=, or a function log_prob(parameters, x) -> (N,)"
        raise ArgumentError("semcheck: the likelihood.", expected=expected, got=got)
    if variance is not None and not (np.asarray(variance) > 0).all():
        raise ArgumentError("semcheck: the variance of a gaussian likelihood is above 0.", got=variance)
    return None if likelihood is None else Bernoulli() if likelihood == "bernoulli" else Gaussian(variance)
