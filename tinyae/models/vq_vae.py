"""The vector-quantised VAE: a grid of whole numbers as the code of an image.  van den Oord, Vinyals & Kavukcuoglu 2017."""

import itertools
import math
from typing import NamedTuple

from tinyae.autograd import Tensor, no_grad
from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.models.about import About
from tinyae.models.autoencoder import check_not_negative
from tinyae.models.code_prior import CodePrior
from tinyae.models.codebook import Codebook
from tinyae.models.likelihoods import likelihood_named
from tinyae.models.parts import as_widths, check_sizes, dtype_of
from tinyae.models.vae import VAE
from tinyae.nn import Conv2d, ConvTranspose2d, Flatten, Module, Sequential, Unflatten
from tinyae.nn.layers import activation_named
from tinyae.nn.networks import stages
from tinyae.ops.indexing import take


class VQTerms(NamedTuple):
    """Tensors with one entry, in nats per example (codebook, commitment: squared distances); each site of the grid counts.

    loss: what is minimised.  negative_elbo = reconstruction + kl: the bound -log p(x | c) - log p(c) on -log p(x), where p(x) sums over all
    codes c; its second part is the KL of the one code that was chosen.  codebook, commitment: see `Quantised`.
    """

    loss: Tensor
    negative_elbo: Tensor
    reconstruction: Tensor
    kl: Tensor
    codebook: Tensor
    commitment: Tensor


class VQVAE(Module):
    """Convolutions to a grid of sites, the nearest of K codes at each site, convolutions back; and a learned prior over the codes.

    The encoder is deterministic.  The prior is trained beside the rest, on the indices: no gradient of it reaches encoder or codes.
    A loop by hand calls `after_step(rng)` after the optimiser's step, as `ta.fit` does.

    features: D, the product of image_shape, (height, width) or (C, height, width).  codes: K.  code_width: entries of a code.
    channels: of the convolutions, each of which halves the image: what remains is the grid.  likelihood, variance, activation: see VAE.
    commitment: the weight of its term.  codebook ("loss" or "ema"), decay, restart: see `Codebook`.  prior_hidden: see `CodePrior`.

    A code without a distribution has its price: all of -log p(c) is paid, where a VAE pays the KL only.  The reconstructions are closer.
    Measured (benchmarks/family.md): negative ELBO of digits 21.58 nats against 19.120 of a VAE of the same size: worse.
    """

    about = About(
        title="Vector-quantised VAE",
        objective="-log p(x | c) - log p(c) + beta |z_e - sg[e]|^2 + |sg[z_e] - e|^2, the last or a moving average of z_e",
        paper="van den Oord, Vinyals & Kavukcuoglu 2017",
        good_for="codes that are whole numbers: short, and ready for a prior of any kind",
        training={"epochs": 100, "lr": 2e-3, "channels": [16, 32], "activation": "relu"},
        drawing="vq_vae",
    )

    rows, reconstruct = VAE.rows, VAE.reconstruct

    def __init__(
        self, features, image_shape=None, codes=16, code_width=8, channels=(16, 32), likelihood="bernoulli", activation="relu", variance=None,
        commitment=0.25, codebook="ema", decay=0.99, restart=20, prior_hidden=(64,), *, rng=None,
    ):  # fmt: skip
        channels, prior_hidden = as_widths(channels, "channels"), as_widths(prior_hidden, "prior_hidden")
        check_sizes(features=features, codes=codes, code_width=code_width, channels=channels)
        if image_shape is None or math.prod(image_shape) != features or not channels:
            expected = f"an image shape of {features} features, and channels"
            raise ArgumentError("a VQ-VAE is made of convolutions.", expected=expected, got=f"{image_shape} and {channels}")
        check_not_negative(commitment=commitment)
        self.likelihood = likelihood_named(likelihood, variance)
        rng = make_rng(0) if rng is None else rng
        self.config = {"model": "vq-vae", "features": int(features), "image_shape": image_shape, "codes": codes, "code_width": code_width}
        self.config |= {"channels": channels, "likelihood": likelihood, "activation": activation, "variance": variance, "commitment": commitment}
        self.config |= {"codebook": codebook, "decay": decay, "restart": restart, "prior_hidden": prior_hidden}
        self.commitment = commitment
        self.encoder, self.decoder, self.grid = grid_networks(image_shape, channels, code_width, self.likelihood.outputs, activation, rng)
        self.features, self.sites = features, math.prod(self.grid)
        self.latent = self.sites * code_width
        self.codebook = Codebook(codes, code_width, codebook, decay, restart, rng=rng)
        self.prior = CodePrior(self.sites, codes, prior_hidden, rng=rng)

    def vectors(self, x):
        """The encoder's output z_e, a vector for each site: (N, S, W).  x: (N, D)."""
        h = self.encoder(self.rows(x))  # (N, W, height, width): the entries of a vector are not neighbours in memory
        return h.reshape(len(h), -1, self.sites).swapaxes(1, 2)

    def encode(self, x):
        """The chosen codes side by side, (N, J), J = S W; the gradient is that of the encoder's output.  x: (N, D)."""
        return self.codebook(self.vectors(x)).z.reshape(len(x), self.latent)

    def indices(self, x):
        """The number of the chosen code at each site, a plain array (N, S) of whole numbers from 0 to K - 1.  x: (N, D)."""
        with no_grad():
            return self.codebook.nearest(self.vectors(x).data)

    def decode(self, z):
        """The parameters of p(x | z): logits (bernoulli) or means (gaussian).  z: (..., J), a vector for each site.  Returns (..., D)."""
        if z.shape[-1] != self.latent:
            raise ShapeError("decode: a vector for each site.", expected=f"(..., {self.latent})", got=z.shape, at=show(caller()))
        decoded = self.decoder(z.reshape(-1, self.sites, self.latent // self.sites).swapaxes(1, 2))
        return decoded.reshape(*z.shape[:-1], decoded.shape[-1])

    def decode_indices(self, indices):
        """decode() of these codes.  indices: whole numbers (N, S).  Returns (N, D)."""
        return self.decode(take(self.codebook.weight, indices, axis=0).reshape(len(indices), self.latent))

    def parts_of_bound(self, x):
        """(Quantised, log p(x | c), log p(c)) of the code c that each example has, the logarithms (N,), in nats.  x: (N, D)."""
        x = self.rows(x)
        quantised = self.codebook(self.vectors(x))
        decoded = self.decode(quantised.z.reshape(len(x), self.latent))
        return quantised, self.likelihood(decoded).log_prob(x), self.prior.log_prob(quantised.indices)

    def loss(self, x):
        """VQTerms: sums over features and sites, means over the batch.  x: (N, D).  With "ema" the codebook term is not minimised."""
        quantised, log_likelihood, log_prior = self.parts_of_bound(x)
        if self.training:
            self.codebook.seen = quantised.vectors, quantised.indices
        reconstruction, kl = -log_likelihood.mean(), -log_prior.mean()
        codebook, commitment = quantised.codebook.mean(), quantised.commitment.mean()
        negative_elbo = reconstruction + kl
        loss = negative_elbo + self.commitment * commitment
        loss = loss + codebook if self.codebook.method == "loss" else loss
        return VQTerms(loss, negative_elbo, reconstruction, kl, codebook, commitment)

    def after_step(self, rng):
        """Move the codes that the optimiser does not move: see `Codebook.update`.  rng: a stream."""
        self.codebook.update(rng)

    def log_weights(self, x, noise):
        """log p(x | c) + log p(c) of the one code c that x has: minus the bound of each example, the same for every draw.

        x: (N, D).  noise: (..., N, 0), as `draw_noise` gives it.  Returns (..., N).
        """
        _, log_likelihood, log_prior = self.parts_of_bound(x)
        return log_likelihood + log_prior + self.draw_noise(len(x), noise).sum(axis=-1)  # of no numbers: 0

    def draw_noise(self, n, noise=None, rng=None, draws=()):
        """No numbers, (*draws, n, 0): the encoder is deterministic."""
        noise = make_rng(0).normal((*draws, n, 0), dtype_of(self)) if noise is None else noise
        if tuple(noise.shape[-2:]) != (n, 0):
            raise ShapeError("the noise does not fit: a VQ-VAE has none.", expected=f"(..., {n}, 0)", got=noise.shape, at=show(caller()))
        return noise

    def sample(self, n, rng=None, noise=None):
        """The means of p(x | c) for n draws c of the learned prior, an array (n, D).  noise: (n, S), see CodePrior.sample, or drawn from `rng`."""
        check_sizes(n=n)
        with no_grad():
            return self.likelihood(self.decode_indices(self.prior.sample(n, rng, noise))).mean.data


def grid_networks(image_shape, channels, width, outputs, activation, rng):
    """(encoder, decoder, grid): rows (N, D) to (N, width, *grid), and back to (N, outputs * D).

    Convolutions 4x4 with stride 2 halve the image down to the grid; one of 3x3 on either side of the code lets neighbouring sites agree.
    """
    shapes = stages(image_shape, channels)
    grid, down = shapes[-1][1:], [Unflatten(1, shapes[0])]
    for large, small in itertools.pairwise(shapes):
        down += [Conv2d(large[0], small[0], 4, stride=2, padding=1, rng=rng), activation_named(activation)]
    down.append(Conv2d(channels[-1], width, 3, padding=1, rng=rng))
    up = [Unflatten(2, grid), Conv2d(width, channels[-1], 3, padding=1, rng=rng)]
    for small, large in itertools.pairwise([*shapes[:0:-1], (outputs * shapes[0][0], *shapes[0][1:])]):
        rest = tuple(size % 2 for size in large[1:])
        up += [activation_named(activation), ConvTranspose2d(small[0], large[0], 4, 2, 1, output_padding=rest, rng=rng)]
    return Sequential(*down), Sequential(*up, Flatten()), grid
