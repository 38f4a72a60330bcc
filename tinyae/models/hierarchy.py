"""What models with several levels of latent variables share: the walk from the top down, and the bound with a KL for each level."""

import itertools
from typing import NamedTuple

from tinyae.autograd import Tensor, no_grad
from tinyae.distributions import Normal, StandardNormal, kl_divergence
from tinyae.errors import ArgumentError
from tinyae.models.likelihoods import likelihood_named
from tinyae.models.objective import ELBO
from tinyae.models.parts import as_widths, check_sizes
from tinyae.models.vae import VAE
from tinyae.nn import Linear, Module, Sequential, mlp
from tinyae.nn.layers import activation_named
from tinyae.ops.joining import concatenate
from tinyae.ops.selection import maximum


class HierarchyTerms(NamedTuple):
    """The named terms of a hierarchy's loss, Tensors with one entry, in nats per example.

    loss is what is minimised, negative_elbo = reconstruction + kl the bound on -log p(x); kl is that of all levels, kl_top that of the top one.
    """

    loss: Tensor
    negative_elbo: Tensor
    reconstruction: Tensor
    kl: Tensor
    kl_top: Tensor


class HierarchyELBO(ELBO):
    """reconstruction + beta (sum over levels of their KL), in nats per example: with beta = 1 the negative ELBO.

    beta and capacity are the ELBO's.  free_bits: nats that each level, all its dimensions together, may have for nothing: the sum over
    levels of max(free_bits, KL of the level, mean over the batch) instead of the KL (Kingma et al. 2016, appendix C.8).
    """

    def __call__(self, nll, kls):
        """HierarchyTerms, means over draws and batch.  nll: (..., N), -log p(x | z).  kls: of each level, the top first, (..., N)."""
        reconstruction, levels = nll.mean(), [kl.mean() for kl in kls]
        kl = sum(levels[1:], levels[0])
        negative_elbo = loss = reconstruction + kl
        if (self.beta, self.capacity, self.free_bits) != (1, None, 0):
            loss = reconstruction + self.beta * self.counted(kl, levels)
        return HierarchyTerms(loss, negative_elbo, reconstruction, kl, kl_top=levels[0])

    def counted(self, kl, levels):
        """What of the KL is minimised: a number.  levels: the KL of each."""
        if self.free_bits:
            return sum(maximum(level, self.free_bits) for level in levels)
        return super().counted(kl, None, None)


class Hierarchy(Module):
    """p(x | z) p(z_L) ... p(z_l | z above) and q(z_L | x) ... q(z_l | x, z above), normal given what is above.  L levels, z_L the top.

    levels: the dimensions of each level, the top first; noise, codes and draws of all levels are ONE array (..., J) in that order, J = `latent`
    their sum.  A model has, for level i of 0 (top), 1, ... and `above`, what it makes of the z above (None at the top):

        evidence(x)                           -> what the posteriors need of x, (N, D); computed once
        prior_at(i, above)                    -> p(z_i | z above), a Normal of (..., N, levels[i]); at the top `self.prior`, N(0, I)
        posterior_at(i, above, prior, evidence) -> q(z_i | x, z above), the same
        descend(i, above, z)                  -> `above` of the next level, or what `output` takes; without more, z itself
        output(below)                         -> the parameters of p(x | z), (..., N, D)
    """

    rows, draw_noise, reconstruct = VAE.rows, VAE.draw_noise, VAE.reconstruct

    def __init__(self, features, levels, likelihood, variance):
        self.levels = as_widths(levels, "levels")
        check_sizes(features=features, levels=self.levels)
        if not self.levels:
            raise ArgumentError("levels: there must be at least one.", expected="levels=(8, 16), the top first", got="levels=()")
        self.features, self.latent = features, sum(self.levels)
        self.likelihood = likelihood_named(likelihood, variance)
        self.prior, self.objective = StandardNormal(), HierarchyELBO()

    def descend(self, level, above, z):
        """What the next level is told: of all the z above it, the nearest."""
        return z

    def walk(self, draw, evidence=None):
        """From the top down: ([(q, p, z) of each level], what `output` takes).

        draw(level, q, p) gives the z of a level: a draw or the mean of q or of p, or a given value.  q is None where there is no evidence.
        """
        above, found = None, []
        for level in range(len(self.levels)):
            p = self.prior_at(level, above)
            q = None if evidence is None else self.posterior_at(level, above, p, evidence)
            z = draw(level, q, p)
            above = self.descend(level, above, z)
            found.append((q, p, z))
        return found, above

    def split(self, joined):
        """Numbers of all levels, (..., J), as a list: of each level (..., its dimensions), the top first."""
        ends = itertools.accumulate(self.levels)
        return [joined[..., end - width : end] for width, end in zip(self.levels, ends, strict=True)]

    def infer(self, x, noise):
        """([(q, p, z) of each level], -log p(x | z) (..., N)) at draws z of the posterior.  x: (N, D), checked.  noise: (..., N, J)."""
        noise = self.split(noise)
        levels, below = self.walk(lambda level, q, p: q.rsample(noise[level]), self.evidence(x))
        return levels, self.likelihood(self.output(below)).nll(x)

    def loss(self, x, noise=None, rng=None):
        """What `self.objective` makes of the terms, in nats per example.  x: (N, D).  noise: (N, J) or (K, N, J) from N(0, 1), or drawn from `rng`.

        Given the draws above, the KL of a level is in closed form: KL(q(z_l | x, z above) || p(z_l | z above)).
        """
        x = self.rows(x)
        levels, nll = self.infer(x, self.draw_noise(len(x), noise, rng))
        return self.objective(nll, [kl_divergence(q, p) for q, p, _ in levels])

    def level_kls(self, x, noise):
        """The KL of each level, the top first, in nats: a list of Tensors (..., N), the top's (N,).  noise: (..., N, J)."""
        x = self.rows(x)
        levels, _ = self.infer(x, self.draw_noise(len(x), noise))
        return [kl_divergence(q, p) for q, p, _ in levels]

    def log_weights(self, x, noise):
        """log p(x, z) - log q(z | x) at draws z of q, in nats: see VAE.log_weights.  x: (N, D).  noise: (..., N, J).  Returns (..., N)."""
        x = self.rows(x)
        levels, nll = self.infer(x, self.draw_noise(len(x), noise))
        log_weights = -nll
        for q, p, z in levels:
            log_weights = log_weights + p.log_prob(z) - q.log_prob(z)
        return log_weights

    def encode(self, x):
        """The posterior means of all levels, each given the means above it, a Tensor (N, J).  x: (N, D)."""
        levels, _ = self.walk(lambda level, q, p: q.mean, self.evidence(self.rows(x)))
        return concatenate([z for _, _, z in levels], axis=-1)

    def decode(self, z):
        """The parameters of p(x | z).  z: the values of all levels, (..., J).  Returns (..., D)."""
        z = self.split(z)
        return self.output(self.walk(lambda level, q, p: z[level])[1])

    def sample(self, n, rng=None, noise=None):
        """The means of p(x | z) for n draws of z, from the top down, each level from its own prior: an array (n, D).  noise: (n, J), or `rng`."""
        check_sizes(n=n)
        with no_grad():
            noise = self.split(self.draw_noise(n, noise, rng))
            _, below = self.walk(lambda level, q, p: p.rsample(noise[level]))
            return self.likelihood(self.output(below)).mean.data


class NormalPosterior:
    """q(z | x) = N(mean, exp(log_variance)): the encoder's output is both, side by side."""

    def __call__(self, h):
        """h: (..., 2 J).  Returns a Normal of (..., J)."""
        latent = h.shape[-1] // 2
        return Normal(mean=h[..., :latent], log_variance=h[..., latent:])


class DenseHierarchy(Hierarchy):
    """A hierarchy of dense layers: layers upwards from x, one network downwards for each conditional prior, a decoder at the bottom.

    levels: the dimensions of each level, the top first.  hidden: widths of the layers upwards, from the data up, one for each level or one
    for all; the networks downwards have them too.  likelihood, activation, variance: as of the VAE.  rng: a stream for the initial weights.
    name: the model's in MODELS.
    A subclass has posterior_at(i, above, prior, evidence), where evidence[i] is the layer upwards of level i, (N, its width).
    """

    def __init__(self, name, features, levels, hidden, likelihood, activation, variance, rng):
        super().__init__(features, levels, likelihood, variance)
        hidden = as_widths(hidden)
        check_sizes(hidden=hidden)
        count = len(self.levels)
        hidden = hidden * count if len(hidden) == 1 else hidden
        if len(hidden) != count:
            raise ArgumentError("hidden: one width for each level.", expected=f"{count} widths, from the data up, or one for all", got=f"{hidden=}")
        self.config = {"model": name, "features": int(features), "levels": self.levels, "hidden": hidden, "likelihood": likelihood}
        self.config |= {"activation": activation, "variance": variance}
        self.posterior, self.widths = NormalPosterior(), hidden[::-1]  # of the levels, the top first
        steps = itertools.pairwise((features, *hidden))
        self.upward = [Sequential(Linear(below, width, rng=rng), activation_named(activation)) for below, width in steps]
        networks = zip(self.levels, self.widths, [2 * j for j in self.levels[1:]] + [self.likelihood.outputs * features], strict=True)
        *self.priors, self.decoder = [mlp(*widths, activation=activation, rng=rng) for widths in networks]

    def evidence(self, x):
        """What the layers upwards make of x: a list, the top first."""
        return list(itertools.accumulate(self.upward, lambda h, layer: layer(h), initial=x))[:0:-1]

    def prior_at(self, level, above):
        """p(z_l | the z above it): N(0, I) at the top."""
        return self.posterior(self.priors[level - 1](above)) if level else self.prior

    def output(self, below):
        """The parameters of p(x | z), from the z nearest to the data."""
        return self.decoder(below)
