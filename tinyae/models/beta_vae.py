"""VAEs whose KL has another weight, or a value to meet.  Higgins et al. 2017; Burgess et al. 2018."""

import math

from tinyae.errors import ArgumentError
from tinyae.models.about import About
from tinyae.models.objective import ELBO
from tinyae.models.vae import VAE
from tinyae.optim.schedules import linear


class BetaVAE(VAE):
    """A VAE that minimises reconstruction + beta KL.

    beta: above 1 for fewer and more independent latents, at the price of the reconstruction; below 1 for the opposite.  The KL is summed
    over latents and the reconstruction over features, so that beta means the same for images of any size (it is beta_norm D / J in the
    paper's other notation).  The other settings: see VAE.

    Measured (benchmarks/family.md): mutual information gap of the latents of shapes 0.141 against 0.065 of the VAE, which has the better
    bound: better.
    """

    about = About(
        title="beta-VAE",
        objective="E_q[-log p(x | z)] + beta KL(q(z | x) || p(z))",
        paper="Higgins et al. 2017",
        good_for="latents of which each tells one thing; a choice of rate against distortion",
        data="shapes",
    )

    def __init__(self, *sizes, beta=4.0, **settings):
        super().__init__(*sizes, **settings)
        self.config |= {"model": "beta-vae", "beta": beta}
        self.objective = ELBO(beta=beta)


class CapacityVAE(VAE):
    """A VAE that minimises reconstruction + gamma |KL - C|, while C rises from 0 to `capacity`: the KL is what one asks for.

    capacity: the C of the end, nats.  gamma: the weight, above what the reconstruction gains by the last nat, or the KL goes beyond C.  rise:
    epochs until the end is reached; `ta.fit` reads `schedules`, so that C depends on the epochs since the beginning of the training alone,
    also where it was resumed.  The other settings: see VAE.

    Measured (benchmarks/family.md): reconstruction + 4 KL, what a beta-VAE minimises, at its KL on shapes, 36.61 nats against 36.66 of the
    beta-VAE itself: no difference.
    """

    about = About(
        title="VAE with a rising capacity",
        objective="E_q[-log p(x | z)] + gamma |KL(q(z | x) || p(z)) - C|",
        paper="Burgess et al. 2018",
        good_for="a KL of so many nats; latents that come in one after the other, the most useful first",
        data="shapes",
    )

    def __init__(self, *sizes, capacity=5.0, gamma=5.0, rise=20.0, **settings):
        if not (rise > 0 and math.isfinite(rise)):
            raise ArgumentError("rise: it must be a positive number of epochs.", got=rise)
        super().__init__(*sizes, **settings)
        self.config |= {"model": "capacity-vae", "capacity": capacity, "gamma": gamma, "rise": rise}
        self.objective = ELBO(beta=gamma, capacity=capacity)
        self.schedules = {"capacity": linear(0.0, capacity, rise)}
