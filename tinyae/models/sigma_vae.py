"""The sigma-VAE: a Gaussian decoder whose variance is computed instead of chosen.  Rybkin, Daniilidis & Levine 2021."""

from tinyae.models.about import About
from tinyae.models.vae import VAE


class SigmaVAE(VAE):
    """A VAE with the likelihood "gaussian-calibrated": the variance is the mean squared error of the batch (see CalibratedGaussian).

    With that variance the loss is D/2 log MSE + KL, up to a constant.  The settings: see VAE.

    Measured (benchmarks/family.md): negative ELBO of grey shapes -272.4 nats against -253.8 of the best of three fixed variances: better.
    """

    about = About(
        title="sigma-VAE",
        objective="D/2 log MSE + KL(q(z | x) || p(z))",
        paper="Rybkin, Daniilidis & Levine 2021",
        good_for="grey and colour images: the balance of squared error and KL without a variance to choose",
        data="shapes",
        training={"likelihood": "gaussian-calibrated", "binarisation": "grey"},
    )

    def __init__(self, *sizes, likelihood="gaussian-calibrated", **settings):
        super().__init__(*sizes, likelihood=likelihood, **settings)
        self.config["model"] = "sigma-vae"
