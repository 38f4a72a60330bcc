"""The family.  A model is its parts: encoder, posterior, prior, decoder, likelihood, objective."""

from tinyae.errors import ArgumentError
from tinyae.models.autoencoder import Autoencoder
from tinyae.models.objective import ELBO
from tinyae.models.parts import LIKELIHOODS, Terms
from tinyae.models.vae import VAE

MODELS = {"autoencoder": Autoencoder, "vae": VAE}
__all__ = ["ELBO", "LIKELIHOODS", "MODELS", "VAE", "Autoencoder", "Terms", "build"]


def build(config, rng):
    """The model that `model.config` describes, with fresh weights.  Raises ArgumentError for an unknown one."""
    settings = dict(config)
    name = settings.pop("model", None)
    if name not in MODELS:
        raise ArgumentError(f"unknown model {name!r}.", expected="one of " + ", ".join(MODELS))
    return MODELS[name](**settings, rng=rng)
