"""A prior over the codes of a VQ-VAE: each site's code given those of the sites before it, by masked linear layers."""

import numpy as np

from tinyae.autograd import no_grad
from tinyae.backend import check_rng, to_device
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.models.parts import as_widths, check_sizes
from tinyae.nn import MaskedLinear, Module, ReLU, Sequential, autoregressive_masks
from tinyae.ops.indexing import one_hot
from tinyae.ops.likelihoods import cross_entropy_with_logits
from tinyae.ops.softmax import softmax


class CodePrior(Module):
    """p(c) = prod_s p(c_s | c_1, ..., c_(s-1)) for the codes c of S sites, each one of K.  It begins as the uniform one: -log p(c) = S log K.

    hidden: widths of its layers; at least S - 1 units, so that every site before is seen.
    A masked autoencoder (Germain et al. 2015) of one-hot codes, in the place of the PixelCNN of van den Oord et al. 2017, section 3.3.
    """

    def __init__(self, sites, codes, hidden=(64,), *, rng):
        hidden = as_widths(hidden, "prior_hidden")
        check_sizes(sites=sites, codes=codes, prior_hidden=hidden)
        if min(hidden, default=sites) < sites - 1:
            rule = "prior_hidden: with fewer units than sites, some sites would not be seen by those after them."
            raise ArgumentError(rule, expected=f"{sites - 1} or more in each layer", got=hidden)
        self.sites, self.codes = sites, codes
        first, *rest = autoregressive_masks(sites, hidden, outputs=codes)
        masks = [np.repeat(first, codes, axis=1), *rest]  # K inputs for each site
        layers = [layer for mask in masks for layer in (ReLU(), MaskedLinear(mask, rng=rng))][1:]
        for parameter in (layers[-1].weight, layers[-1].bias):
            parameter.assign(0.0)
        self.network = Sequential(*layers)

    def logits(self, indices):
        """The logits of each site's code given those before it.  indices: whole numbers (N, S).  Returns (N, S, K)."""
        rows = one_hot(indices, self.codes, self.network[0].weight.dtype).reshape(len(indices), self.sites * self.codes)
        return self.network(rows).reshape(len(indices), self.codes, self.sites).swapaxes(1, 2)

    def log_prob(self, indices):
        """log p(c) in nats, summed over the sites.  indices: whole numbers (N, S).  Returns (N,)."""
        if tuple(indices.shape[1:]) != (self.sites,):
            raise ShapeError("CodePrior: a code for each site.", expected=f"(N, {self.sites})", got=indices.shape, at=show(caller()))
        logits = self.logits(indices)
        return -cross_entropy_with_logits(logits, one_hot(indices, self.codes, logits.dtype)).sum(axis=-1)

    def sample(self, n, rng=None, noise=None):
        """Draws from p, one site after the other: whole numbers (n, S).  noise: (n, S), uniform on [0, 1), or drawn from `rng`.

        A site's code is the first whose cumulative probability is above its noise.  Raises ArgumentError, ShapeError.
        """
        if noise is None and rng is None:
            raise ArgumentError("CodePrior: noise is an input.", expected="noise= or rng=", at=show(caller()), remedy="rng=ta.rng(0)")
        noise = check_rng(rng).uniform((n, self.sites)) if noise is None else noise
        if tuple(noise.shape) != (n, self.sites):
            raise ShapeError("CodePrior: a number for each site.", expected=f"({n}, {self.sites})", got=noise.shape, at=show(caller()))
        indices = to_device(np.zeros((n, self.sites), np.int64))
        with no_grad():
            for site in range(self.sites):
                below = softmax(self.logits(indices)[:, site]).data.cumsum(axis=-1)[:, :-1] <= noise[:, site, None]
                indices[:, site] = below.sum(axis=-1)
        return indices
