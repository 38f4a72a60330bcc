"""The family.  A model is its parts: encoder, posterior, prior, decoder, likelihood, objective; a variant is a file and a line of MODELS."""

import importlib

from tinyae.errors import ArgumentError
from tinyae.lazy import lazily

MODELS = {  # name in `tinyae train` -> file and class
    "autoencoder": "autoencoder.Autoencoder",
    "sparse-autoencoder": "sparse.SparseAutoencoder",
    "k-sparse-autoencoder": "sparse.KSparseAutoencoder",
    "denoising-autoencoder": "denoising.DenoisingAutoencoder",
    "contractive-autoencoder": "contractive.ContractiveAutoencoder",
    "sae": "sae.SAE",
    "top-k-sae": "sae_top_k.TopKSAE",
    "batch-top-k-sae": "sae_top_k.BatchTopKSAE",
    "gated-sae": "sae_gated.GatedSAE",
    "jump-relu-sae": "sae_jump_relu.JumpReLUSAE",
    "vae": "vae.VAE",
    "beta-vae": "beta_vae.BetaVAE",
    "capacity-vae": "beta_vae.CapacityVAE",
    "conditional-vae": "conditional_vae.ConditionalVAE",
    "sigma-vae": "sigma_vae.SigmaVAE",
    "vq-vae": "vq_vae.VQVAE",
    "two-level-vae": "two_level_vae.TwoLevelVAE",
    "ladder-vae": "ladder_vae.LadderVAE",
    "top-down-vae": "top_down_vae.TopDownVAE",
    "iwae": "iwae.IWAE",
}
PARTS = ["objective.ELBO", "likelihoods.LIKELIHOODS", "parts.Terms", "about.About"]
__all__, __getattr__, __dir__ = lazily(__name__, PARTS + list(MODELS.values()))
__all__ += ["MODELS", "build", "model_named"]


def model_named(name):
    """The class of a model.  Raises ArgumentError for an unknown name."""
    if name not in MODELS:
        raise ArgumentError(f"unknown model {name!r}.", expected="one of " + ", ".join(MODELS))
    file, _, kind = MODELS[name].partition(".")
    return getattr(importlib.import_module(f"tinyae.models.{file}"), kind)


def build(config, rng):
    """The model that `model.config` describes, with fresh weights.  Raises ArgumentError for an unknown one."""
    settings = dict(config)
    return model_named(settings.pop("model", None))(**settings, rng=rng)
