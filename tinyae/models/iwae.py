"""The importance-weighted autoencoder.  Burda, Grosse & Salakhutdinov 2016; Tucker et al. 2019; Rainforth et al. 2018."""

import math
from typing import NamedTuple

from tinyae.autograd import Tensor, grad
from tinyae.distributions import Normal
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.models.about import About
from tinyae.models.parts import check_sizes
from tinyae.models.vae import VAE
from tinyae.ops.softmax import logsumexp, softmax

GRADIENTS = ("reparameterized", "doubly-reparameterized")


class ImportanceTerms(NamedTuple):
    """The named terms of an importance-weighted loss, Tensors with one entry, in nats per example.

    loss: importance_bound, whatever gradient it carries.  importance_bound: -log of the mean of K weights.  negative_elbo: the bound of
    K = 1, the mean of -log w: what a VAE with these networks has; it is reconstruction + kl, the latter by samples.
    """

    loss: Tensor
    importance_bound: Tensor
    negative_elbo: Tensor
    reconstruction: Tensor
    kl: Tensor


class ImportanceBound:
    """-log (w_1 + ... + w_K) / K with w_k = p(x, z_k) / q(z_k | x): a bound on -log p(x), the tighter the larger K.

    K = 1 is the negative ELBO.  Its gradient is -sum_k w~_k grad log w_k, with w~ = softmax(log w) held fixed.
    Burda, Grosse & Salakhutdinov 2016, section 3.
    """

    def __call__(self, log_likelihood, log_ratio):
        """The terms, means over bounds and batch.  log_likelihood, log_ratio: (..., K, N), log p(x | z_k) and log q(z_k | x) - log p(z_k)."""
        log_weights = log_likelihood - log_ratio
        bound = math.log(log_weights.shape[-2]) - logsumexp(log_weights, axis=-2).mean()
        reconstruction, kl = -log_likelihood.mean(), log_ratio.mean()
        return ImportanceTerms(bound, bound, reconstruction + kl, reconstruction, kl)


class IWAE(VAE):
    """A VAE that minimises the bound of K draws, a mean inside the logarithm: q may be looser, as one good draw among K is enough.

    samples: K, draws of z in a bound.  bounds: M, how many such bounds are averaged (MIWAE, Rainforth et al. 2018): M = 1 is the IWAE,
    K = 1 a VAE with M draws.  gradient: "reparameterized", that of the bound; or "doubly-reparameterized" (DReG, Tucker et al. 2019), whose
    mean is the same and whose noise for the encoder fades as K grows, where the other's takes over (Rainforth et al. 2018).
    The others: see VAE.

    Measured (benchmarks/family.md): -log p(x) of 18.683 nats on digits against 18.9235 of a VAE of equal width in more epochs: better.
    """

    about = About(
        title="Importance-weighted autoencoder",
        objective="-E[log (1/K) sum_k p(x, z_k) / q(z_k | x)]",
        paper="Burda, Grosse & Salakhutdinov 2016; gradient of Tucker et al. 2019",
        good_for="a better likelihood than a VAE of equal size, for K times its decoder's work",
        drawing="iwae",
    )

    def __init__(
        self, features, latent=2, hidden=(64,), likelihood="bernoulli", activation="relu", variance=None, channels=(), image_shape=None,
        samples=5, bounds=1, gradient="reparameterized", *, rng=None,
    ):  # fmt: skip
        check_sizes(samples=samples, bounds=bounds)
        if gradient not in GRADIENTS:
            raise ArgumentError(f"unknown gradient {gradient!r}.", expected="one of " + ", ".join(GRADIENTS))
        super().__init__(features, latent, hidden, likelihood, activation, variance, channels, image_shape, rng=rng)
        if self.likelihood.coupled and gradient == "doubly-reparameterized":
            rule = "the doubly reparameterized gradient needs log-weights that depend on their own draw alone."
            raise ArgumentError(rule, got=f"likelihood={likelihood!r}", remedy="another likelihood, or gradient='reparameterized'")
        self.samples, self.bounds, self.gradient, self.objective = int(samples), int(bounds), gradient, ImportanceBound()
        self.config |= {"model": "iwae", "samples": self.samples, "bounds": self.bounds, "gradient": gradient}

    def loss(self, x, noise=None, rng=None):
        """The bound and its terms, in nats per example: summed over features and latents, mean over the batch.

        x: (N, D).  noise: (..., K, N, J), for the mean over (...) bounds, or (N, J) where K = 1, from N(0, 1); or `rng`, a stream to draw it.
        """
        x = self.rows(x)
        noise = self.draw_noise(len(x), noise, rng, draws=(self.bounds, self.samples))
        noise = noise[None] if noise.ndim == 2 else noise
        if noise.shape[-3] != self.samples:
            expected = f"(..., {self.samples}, {len(x)}, {self.latent})"
            raise ShapeError("a bound of K draws needs the noise of K.", expected=expected, got=noise.shape, at=show(caller()))
        q = self.encode(x)
        z = drawn = q.rsample(noise)
        if self.gradient == "doubly-reparameterized":
            # the decoder sees the draws as data: what reaches the encoder goes along encoder_path alone
            z, q = Tensor(drawn.data, requires_grad=True), Normal(q.mean.detach(), q.log_variance.detach())
        log_likelihood = self.likelihood(self.decode(z)).log_prob(x)
        log_ratio = q.log_prob(z) - self.prior.log_prob(z)
        terms = self.objective(log_likelihood, log_ratio)
        if z is drawn or not terms.loss.requires_grad:
            return terms
        return terms._replace(loss=terms.loss + encoder_path(log_likelihood - log_ratio, z, drawn))


def encoder_path(log_weights, z, drawn):
    """A Tensor of value 0 whose gradient is DReG's for the encoder, -sum_k w~_k^2 (d log w_k / d z_k) (d z_k / d encoder), mean over the rest.

    log_weights: (..., K, N), computed from the leaf z, (..., K, N, J), with q held fixed.  drawn: z as it comes from the encoder.
    Tucker et al. 2019.
    """
    weights = softmax(log_weights.detach(), axis=-2)
    (slope,) = grad(log_weights.sum(), [z], retain_graph=True)
    rows = weights.data.size // weights.shape[-2]
    return -(weights[..., None] ** 2 * slope * (drawn - drawn.detach())).sum() / rows
