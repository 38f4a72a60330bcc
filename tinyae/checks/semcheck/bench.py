"""What the checks share: the subject, rows of the data, a random generator, and how exactly the subject computes."""

import math

import numpy as np

from tinyae.checks.semcheck import oracle
from tinyae.checks.semcheck.subject import Untestable
from tinyae.checks.semcheck.weights import perturbed, working_dtype
from tinyae.errors import ArgumentError

ROWS, PIXELS = 64, 8192  # of a batch of the checks, at most: the smaller, the more batches a second
SETS = 4  # of weights, each with examples of its own


class Bench:
    """subject on the bench with data x, (N, ...).  latent: J, or None without an encoder.

    width: D, the numbers in an example.  batch: rows of a batch.  weights: SETS of arrays for the parameters.
    outputs: the numbers that the decoder gives for a feature.  rounding: the relative error of the subject's arithmetic, with room to spare.
    """

    def __init__(self, subject, x, seed):
        self.subject, self.x, self.generator = subject, x, np.random.default_rng(seed)
        self.latent, self.outputs, self.weights, self.rounding = None, 1.0, [[]] * SETS, 3e-6
        self.width = math.prod(x.shape[1:])
        self.batch = min(ROWS, max(8, PIXELS // self.width))
        if subject.encode and subject.decode:
            dtype = working_dtype(subject, x) if subject.parameters else None
            if subject.parameters:
                self.weights = [perturbed(subject, self.rows(), dtype, self.generator) for _ in range(SETS)]
            self.outputs = subject.decode(subject.encode(x[:1])[0]).size / self.width
            self.rounding = 1e-10 if self.within(0, self.is_double) else 3e-6
        if subject.encode:
            self.latent = subject.encode(x[:1])[0].shape[-1]
        if self.outputs != 1 and getattr(subject.likelihood, "name", "given") != "given":
            expected, got = f"{self.width} for an example", f"{self.outputs * self.width:g}"
            raise ArgumentError("semcheck: decode gives a number for each feature.", expected=expected, got=got)

    def within(self, k, work):
        """work() under the k-th set of weights."""
        return self.subject.with_weights(self.weights[k], work)

    def is_double(self):
        """Whether encoder and decoder compute in float64."""
        mean, log_variance = self.subject.encode(self.x[:1])
        return all(array.dtype == np.float64 for array in (mean, log_variance, self.subject.decode(mean)))

    def need(self, *names):
        """Raise Untestable unless the subject has these functions."""
        missing = [name for name in names if getattr(self.subject, name) is None]
        if missing:
            raise Untestable("not given: " + ", ".join(missing).replace("_", " "))

    def rows(self, n=None):
        """n rows of x (a batch, if None), drawn without replacement, or all of them."""
        n = self.batch if n is None else n
        return self.x if len(self.x) <= n else self.x[np.sort(self.generator.choice(len(self.x), n, replace=False))]

    def noise(self, *shape):
        """Independent draws from N(0, 1), (*shape, J)."""
        return self.generator.standard_normal((*shape, self.latent))

    def balanced(self, blocks, n):
        """Blocks of four balanced draws (see the oracle), (4 * blocks, n, J)."""
        return np.concatenate([oracle.balanced_noise((n, self.latent), self.generator) for _ in range(blocks)])

    def put_in(self, encode, decode, x, noise, k=0, **sizes):
        """The terms of the loss (one that draws its own noise: its k-th draw) with other parts put in.  Raises Untestable if it takes none."""
        if self.subject.variant is None:
            raise Untestable("needs a model, or a loss that takes encode= and decode=")
        given, own = self.subject.variant(encode, decode, **sizes)
        return given(x, noise) if given else own(x, k)
