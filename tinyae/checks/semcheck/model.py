"""A model as a Subject: NumPy arrays in and out, nothing recorded."""

import copy
import inspect
import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np

from tinyae.autograd import Tensor, no_grad
from tinyae.backend import array_module, rng
from tinyae.checks.semcheck.oracle import Bernoulli, Gaussian, Given
from tinyae.checks.semcheck.subject import Subject, Untestable, named, plain, posterior_of
from tinyae.errors import ArgumentError


def subject_of_model(model, beta=None):
    """The Subject behind a model.  Raises ArgumentError for one that is no variational autoencoder with a normal prior."""
    for name in ("loss", "encode", "decode", "likelihood"):
        if getattr(model, name, None) is None:
            raise ArgumentError(
                f"semcheck: {type(model).__name__} has no {name}, so there is no negative ELBO to compare with.",
                expected="a variational model: loss, encode, decode, likelihood",
                got=type(model).__name__,
            )
    if not callable(model.likelihood):
        remedy = "a function of the decoder's output, to a distribution with log_prob(x); or semcheck(x=x, loss=..., likelihood=...)"
        raise ArgumentError("semcheck: the model's likelihood is no function.", got=repr(model.likelihood), remedy=remedy)
    if type(getattr(model, "prior", None)).__name__ not in ("StandardNormal", "NoneType"):
        raise ArgumentError("semcheck: only the standard normal prior is known here.", got=type(model.prior).__name__)
    objective = getattr(model, "objective", None)
    if getattr(objective, "capacity", None) is not None or getattr(objective, "free_bits", 0):
        raise ArgumentError("semcheck: with capacity or free bits the loss is no weighted sum of the two terms.", remedy="model.objective = ELBO()")
    if getattr(model.likelihood, "name", None) == "gaussian-calibrated" and model.likelihood.training:
        raise ArgumentError("semcheck: in training the variance is that of the batch, so an example has no loss of its own.", remedy="model.eval()")
    if hasattr(model, "modules") and any(hasattr(part, "running_mean") and part.training for part in model.modules()):
        rule = "semcheck: in training a batch norm couples the examples of a batch, so an example has no loss of its own."
        raise ArgumentError(rule, remedy="model.eval()")
    if beta is None:
        beta = getattr(model, "beta", getattr(objective, "beta", 1.0))
    if getattr(model, "samples", 1) == 1:
        return Adapter(model).subject(beta)
    single = copy.copy(model)  # with K = 1 an importance-weighted bound is the negative ELBO
    single.samples = single.bounds = 1
    return replace(Adapter(single).subject(beta), draws=model.samples, bound=lambda x, noise: Adapter(model).loss(x, noise)["loss"])


class Adapter:
    """Calls a model: sends arrays to where its weights are, and fetches the results."""

    def __init__(self, model):
        self.model, self.takes = model, inspect.signature(model.loss).parameters
        self.parameters = list(model.parameters()) if hasattr(model, "parameters") else []
        self.family = None  # the class of the posterior, once one was seen
        self.given, self.own = "noise" in self.takes, "rng" in self.takes or "noise" not in self.takes

    def subject(self, beta):
        """The Subject."""
        model = self.model
        takes = inspect.signature(model.sample).parameters if hasattr(model, "sample") else ()
        return Subject(
            type(model).__name__,
            loss=self.loss if self.given else None,
            own_loss=self.own_loss if self.own else None,
            encode=self.encode,
            decode=lambda z: self.call(model.decode, z),
            likelihood=self.likelihood(),
            log_prob=self.log_prob,
            sample=self.sample,
            reconstruct=(lambda x: self.call(model.reconstruct, x)) if hasattr(model, "reconstruct") else None,
            generate=(lambda noise: self.call(lambda noise: model.sample(len(noise), noise=noise), noise)) if "noise" in takes else None,
            own_generate=(lambda n, k: self.call(lambda: model.sample(n, rng=rng(0).stream("samples", k)))) if "rng" in takes else None,
            log_weights=(lambda x, noise: self.call(model.log_weights, x, noise)) if hasattr(model, "log_weights") else None,
            distribution=self.distribution,
            variant=self.variant,
            parameters=self.parameters,
            beta=beta,
        )

    def send(self, array):
        """A NumPy array where the weights are, in their dtype."""
        if not self.parameters:
            return array
        data = self.parameters[0].data
        return array_module(data).asarray(np.asarray(array, dtype=data.dtype))

    def call(self, function, *arrays):
        """function(...) of arrays, as a NumPy array."""
        with no_grad():
            return plain(function(*map(self.send, arrays)))

    def loss(self, x, noise, model=None):
        """The terms with this noise."""
        with no_grad():
            return named((model or self.model).loss(self.send(x), noise=self.send(noise)))

    def own_loss(self, x, k, model=None):
        """The terms with noise that the loss draws, from the k-th random stream if it takes one."""
        stream = {"rng": rng(0).stream("semcheck", k)} if "rng" in self.takes else {}
        with no_grad():
            return named((model or self.model).loss(self.send(x), **stream))

    def encode(self, x):
        """(mean, log_variance)."""
        with no_grad():
            posterior = self.model.encode(self.send(x))
        self.family = type(posterior)
        return posterior_of(posterior)

    def posterior(self, mean, log_variance):
        """A distribution of the model's own kind."""
        if not hasattr(self.family, "rsample"):
            raise Untestable("encode gives no distribution with rsample(noise)")
        return self.family(Tensor(self.send(mean)), Tensor(self.send(log_variance)))

    def sample(self, mean, log_variance, noise):
        """posterior.rsample(noise)."""
        return self.call(self.posterior(mean, log_variance).rsample, noise)

    def log_prob(self, decoded, x):
        """The model's own log p(x | decoded)."""
        return self.call(lambda decoded, x: self.model.likelihood(decoded).log_prob(x), decoded, x)

    def distribution(self, parameters):
        """p(x | z) on NumPy; None where the likelihood gives no distribution that says its support."""
        with no_grad():
            found = self.model.likelihood(self.send(parameters))
        if getattr(found, "support", None) is None or not hasattr(found, "sample"):
            return None
        return SimpleNamespace(
            support=found.support, sample=lambda rng, draws: plain(found.sample(rng, draws)), log_prob=lambda x: self.call(found.log_prob, x)
        )

    def likelihood(self):
        """The oracle's likelihood of the model's kind."""
        likelihood = self.model.likelihood
        if getattr(likelihood, "name", None) == "bernoulli":
            return Bernoulli()
        if getattr(likelihood, "name", None) == "gaussian" and hasattr(likelihood, "log_variance"):
            return Gaussian(math.exp(plain(likelihood.log_variance).item()))
        if getattr(likelihood, "name", None) == "gaussian-calibrated":
            return Gaussian(plain(likelihood.variance).item())
        z = np.zeros((1, self.model.latent)) if hasattr(self.model, "latent") else None
        known = z is not None and hasattr(likelihood(self.model.decode(self.send(z))), "mean")
        return Given(self.log_prob, (lambda decoded: self.call(lambda decoded: likelihood(decoded).mean, decoded)) if known else None)

    def variant(self, encode, decode, features=None, latent=None):
        """(loss, own_loss) of a shallow copy of the model with other parts; the model itself is not touched."""
        twin, used = copy.copy(self.model), set()

        def twin_encode(x):
            used.add("encode")
            return self.posterior(*encode(plain(x)))

        def twin_decode(z):
            used.add("decode")
            return Tensor(self.send(decode(plain(z))))

        twin.encode, twin.decode = twin_encode, twin_decode
        for name, size in (("features", features), ("latent", latent)):
            if size is not None and hasattr(twin, name):
                setattr(twin, name, size)
        given, own = (partial(run_twin, function, twin, used) for function in (self.loss, self.own_loss))
        return given if self.given else None, own if self.own else None


def run_twin(function, twin, used, x, noise):
    """The terms of a copy of the model.  Raises Untestable where it cannot take, or does not call, the parts put in."""
    try:
        terms = function(x, noise, model=twin)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise Untestable(f"other parts cannot be put into the loss: {str(error).splitlines()[0]}") from error
    if used != {"encode", "decode"}:
        raise Untestable("the loss does not call self.encode and self.decode, so other parts cannot be put in")
    return terms
