"""A deep hierarchy of latent variables of images, from the top down.  Vahdat & Kautz 2020 (NVAE); Child 2021 (VDVAE)."""

import itertools
import math

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.distributions import Normal
from tinyae.errors import ArgumentError
from tinyae.models.about import About
from tinyae.models.hierarchy import Hierarchy
from tinyae.models.parts import check_sizes
from tinyae.models.top_down_blocks import Bottleneck, TopDownBlock, grow, shrink, stages_of
from tinyae.nn import Parameter, Residual, Sequential
from tinyae.ops.activations import tanh
from tinyae.ops.shapes import broadcast_to

BOUND = 5.0  # of means and log-variances, and of their changes: exp does not overflow in a bad step (NVAE's code has the same)


class ResidualPosterior:
    """q(z | x, z above) = N(mean + change, exp(log_variance + change)) of the prior p(z | z above): x says only what it changes.

    Without a change q is p, and the KL is 0.  Vahdat & Kautz 2020, section 3.2.
    """

    def __call__(self, prior, changes):
        """changes: of mean and log-variance, (..., N, J) each.  Returns a Normal of (..., N, J)."""
        of_mean, of_log_variance = changes
        return Normal(mean=prior.mean + of_mean, log_variance=prior.log_variance + of_log_variance)


class TopDownVAE(Hierarchy):
    """Many stochastic layers on maps that grow, joined by one residual state.

    An encoder goes up once, from the image to maps of every size.  Then blocks go down: in each the prior of a few channels of z comes from
    the state, the posterior's change of it from the state and the encoder's map of that size, and z is added to the state.

    features: width D of an example.  layers: the stochastic layers, a string such as "1x4:96:4,4x2:16:1" (SIZExBLOCKS:CHANNELS:LATENT, from
    the top down; see top_down_blocks.stages_of): the model grows by it alone.  encoder_blocks: residual blocks of the encoder at each size.
    image_shape: (size, size) or (C, size, size).  likelihood, variance, activation: as in VAE.  rng: a stream for the initial weights.
    Measured (benchmarks/family.md): test negative ELBO 18.050 against 18.222 nats of a VAE with two hidden layers of the same size: no difference.
    """

    about = About(
        title="Top-down VAE",
        objective="E_q[-log p(x | z) + sum_l KL(q(z_l | x, z above) || p(z_l | z above))]",
        paper="Vahdat & Kautz 2020 (NVAE); Child 2021 (VDVAE)",
        good_for="a close model of images: many stochastic layers, from the whole to the details",
        training={"activation": "relu", "epochs": 100, "lr": 3e-3, "warm_up": 25, "average": 0.99, "skip": 300.0},
        drawing="hierarchical_vae",
    )

    def __init__(
        self,
        features,
        layers="1x4:96:4,4x2:16:1",
        image_shape=None,
        likelihood="bernoulli",
        variance=None,
        activation="relu",
        encoder_blocks=1,
        *,
        rng=None,
    ):
        shape = square(image_shape, features)
        self.stages = stages_of(layers, shape[-1])
        self.levels_at = [stage for stage in self.stages for _ in range(stage.blocks)]  # the stage of each stochastic layer
        check_sizes(encoder_blocks=encoder_blocks)
        super().__init__(features, [stage.latent * stage.size**2 for stage in self.levels_at], likelihood, variance)
        rng = make_rng(0) if rng is None else rng
        self.config = {"model": "top-down-vae", "features": int(features), "layers": layers, "image_shape": image_shape, "likelihood": likelihood}
        self.config |= {"variance": variance, "activation": activation, "encoder_blocks": encoder_blocks}
        self.posterior, self.shape = ResidualPosterior(), shape
        scale = 1 / math.sqrt(len(self.levels_at))  # the sum of so many blocks has the size of one (Child 2021, section 3.2)
        self.encoders, below = [], shape[::2]
        for size, _, channels, _ in reversed(self.stages):
            blocks = [Residual(Bottleneck(channels, channels, size, activation, rng, scale)) for _ in range(encoder_blocks)]
            self.encoders.append(Sequential(shrink(below, (channels, size), activation, rng), *blocks))
            below = channels, size
        self.start = Parameter(np.zeros((1, self.stages[0].channels, self.stages[0].size, self.stages[0].size), np.float32))
        self.blocks = [TopDownBlock(stage, activation, rng, scale, top=not level) for level, stage in enumerate(self.levels_at)]
        ends = [*self.stages, (shape[-1], 0, shape[0] * self.likelihood.outputs, 0)]
        self.growths = [grow((a[2], a[0]), (b[2], b[0]), activation, rng) for a, b in itertools.pairwise(ends)]

    def evidence(self, x):
        """The encoder's maps, size -> (N, channels, size, size).  x: (N, D)."""
        h, maps = x.reshape(len(x), *self.shape), {}
        for stage, encoder in zip(reversed(self.stages), self.encoders, strict=True):
            h = maps[stage.size] = encoder(h)
        return maps

    def prior_at(self, level, above):
        """p(z_l | z above), a Normal of (..., N, J_l).  above: the state, and the axes (..., N) of the draws."""
        if above is None:
            return self.prior
        state, draws = above
        return Normal(*halves(self.blocks[level].prior(state), draws))

    def posterior_at(self, level, above, prior, evidence):
        """q(z_l | x, z above), a Normal of (..., N, J_l).  With K draws, an example's map is used for each of them."""
        seen = evidence[self.levels_at[level].size]
        state, draws = above or (broadcast_to(self.start, shape=(len(seen), *self.start.shape[1:])), (len(seen),))
        if math.prod(draws) > len(seen):
            seen = broadcast_to(seen, shape=(*draws, *seen.shape[1:])).reshape(len(state), *seen.shape[1:])
        return self.posterior(prior, halves(self.blocks[level].change(state, seen), draws))

    def descend(self, level, above, z):
        """The next state, of the next layer's size, and the axes of the draws.  z: (..., N, J_l)."""
        size, _, _, latent = stage = self.levels_at[level]
        draws, state = z.shape[:-1], self.start if above is None else above[0]
        state = self.blocks[level](state, z.reshape(math.prod(draws), latent, size, size))
        if self.levels_at[level + 1 : level + 2] != [stage]:
            state = self.growths[self.stages.index(stage)](state)
        return state, draws

    def output(self, below):
        """The parameters of p(x | z), (..., N, D): the state has grown to the image."""
        image, draws = below
        return image.reshape(*draws, math.prod(image.shape[1:]))


def halves(parameters, draws):
    """(N, 2 latent, size, size), bounded, as two of (*draws, latent size size): for means and for log-variances."""
    latent = parameters.shape[1] // 2
    parameters = BOUND * tanh(parameters / BOUND)
    return tuple(part.reshape(*draws, math.prod(part.shape[1:])) for part in (parameters[:, :latent], parameters[:, latent:]))


def square(image_shape, features):
    """image_shape as (C, size, size).  Raises ArgumentError where it is missing, does not fit, or the images are not square."""
    shape = tuple(image_shape or ())
    if len(shape) not in (2, 3) or math.prod(shape) != features or shape[-1] != shape[-2]:
        raise ArgumentError(
            "image_shape: square images are needed.", expected=f"(size, size) or (C, size, size) of {features} features", got=image_shape
        )
    return (1, *shape) if len(shape) == 2 else shape
