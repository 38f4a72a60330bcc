"""What is evaluated: a model and two splits of data, and what several metrics need of them, each computed once."""

import functools

import numpy as np

from tinyae.distributions import Normal, StandardNormal
from tinyae.errors import ArgumentError
from tinyae.evaluation.inputs import check_count
from tinyae.evaluation.latent import codes_of, posterior_of, rate_distortion
from tinyae.evaluation.likelihood import fits_likelihood
from tinyae.evaluation.passes import first, over
from tinyae.evaluation.terms import labelled

PROBED = 5000  # training examples, chosen at random, for what is fitted to codes
FEW = 20  # values of a factor; one with more is cut into bins


class Subject:
    """model: evaluated on the Dataset `test`; `train` is what it was trained on, for probes of its codes and the classifier of `frechet`.

    rng: a stream; each metric has one of its own.  samples: K of nll.  examples: test examples of the metrics that need many draws.
    Raises ArgumentError where both splits are the same images, or do not have as many features.
    """

    def __init__(self, model, train, test, rng, samples=500, examples=1000):
        check_count("measure", "samples (K)", samples, 1)
        check_count("measure", "examples", examples, 2)
        self.model, self.train, self.test = model, labelled(model, train, "train"), labelled(model, test)
        if self.train.features != self.test.features:
            raise ArgumentError("measure: both splits have the same features.", expected=f"{self.train.features}", got=f"{self.test.features}")
        if np.shares_memory(self.train.pixels, self.test.pixels):
            raise ArgumentError("measure: the test split is that of the training: a model is judged on examples that it has not seen.")
        self.rng, self.samples, self.examples = rng, samples, examples

    # ---- what the model and the data have

    @functools.cached_property
    def is_points(self):
        """Whether examples are points, not images."""
        return len(self.test.image_shape) == 2 and self.test.image_shape[0] == 1

    @functools.cached_property
    def is_variational(self):
        """Whether there is a bound on log p(x)."""
        return hasattr(first(self.model, self.test), "log_weights")

    @functools.cached_property
    def fits(self):
        """Whether the data are in the support of the likelihood: no grey values under a Bernoulli."""
        return self.is_variational and fits_likelihood(self.model, self.test)

    @functools.cached_property
    def is_normal(self):
        """Whether q(z | x) is a Normal and the prior N(0, I), with all latent dimensions on one level."""

        def kinds(model, x):
            flat = isinstance(model.encode(x), Normal) and isinstance(getattr(model, "prior", None), StandardNormal)
            return np.full(len(x), int(flat))

        few = self.test.rows(slice(0, 2))
        return self.is_variational and not hasattr(self.model, "level_kls") and bool(over(kinds, self.model, few, self.stream("test")).all())

    @property
    def has_kl(self):
        """Whether the rate is known for each example: of a normal posterior, or level by level."""
        return self.is_normal or hasattr(self.model, "level_kls")

    @functools.cached_property
    def has_zeros(self):
        """Whether codes are exactly 0 in places: a sparse code."""
        return hasattr(self.model, "encode") and not self.is_variational and not hasattr(self.model, "indices") and bool((self.codes == 0).any())

    # ---- what is computed once

    def stream(self, split):
        """The stream of a split's pixels: each metric sees the same ones."""
        return self.rng.stream("pixels", split)

    @functools.cached_property
    def some(self):
        """The first examples of the test split, for the metrics that need many draws."""
        return self.test.rows(slice(0, self.examples))

    @functools.cached_property
    def images(self):
        """The test images as the model is given them, (N, D)."""
        return self.given(self.test)

    def given(self, data):
        """Images as the model is given them, binarised: (N, D) float64 on the host."""
        return over(lambda model, x: x, self.model, data, self.stream(data.split))

    @functools.cached_property
    def reconstructions(self):
        """What the model makes of the test images, (N, D)."""
        return over(lambda model, x: model.reconstruct(x), self.model, self.test, self.stream("test"))

    @functools.cached_property
    def codes(self):
        """The codes of the test split, (N, J)."""
        return codes_of(self.model, self.test, self.stream("test"))

    @functools.cached_property
    def posterior(self):
        """q(z | x) of the test split, a Normal of (N, J)."""
        return posterior_of(self.model, self.test, self.stream("test"))

    @functools.cached_property
    def rate_distortion(self):
        """Of the test split."""
        return rate_distortion(self.model, self.test, self.rng.stream("rate-distortion"))

    @functools.cached_property
    def probed(self):
        """Some training examples, a Dataset: what probes are fitted to."""
        return self.train.rows(np.sort(self.rng.stream("probed").permutation(len(self.train))[:PROBED]))

    @functools.cached_property
    def probed_codes(self):
        """Their codes, (N, J)."""
        return codes_of(self.model, self.probed, self.stream("train"))

    @functools.cached_property
    def varying(self):
        """Which of the known factors have two values or more in both splits, by number."""
        splits = [data.factors for data in (self.probed, self.test)]
        if not self.test.factor_names or any(factors is None for factors in splits):
            return []
        return [k for k in range(len(self.test.factor_names)) if all(np.ptp(factors[:, k]) > 0 for factors in splits)]

    def factors(self, data, numbers=False):
        """The known factors that vary, (N, K); numbers: without those that only number kinds, the classes; else of few values each."""
        columns = [np.asarray(data.factors[:, k], np.float64) for k in self.varying]
        if numbers:
            found = [column for column in columns if not np.array_equal(column, data.labels)]
            return np.stack(found, axis=1) if found else np.empty((len(data), 0))
        return np.stack([column if len(np.unique(column)) <= FEW else binned(column) for column in columns], axis=1)


def binned(values, bins=10):
    """Numbers as the number of their bin, of 10 with equally many: (N,)."""
    return np.searchsorted(np.quantile(values, np.arange(1, bins) / bins), values).astype(np.float64)
