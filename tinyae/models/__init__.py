"""The family.  A model is its parts: encoder, posterior, prior, decoder, likelihood, objective; a variant is a file and a line of MODELS."""

import importlib

from tinyae.errors import ArgumentError

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
PARTS = {"ELBO": "objective", "LIKELIHOODS": "likelihoods", "Terms": "parts", "About": "about"}
__all__ = [*PARTS, *(path.partition(".")[2] for path in MODELS.values()), "MODELS", "build", "model_named"]


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


def __getattr__(name):
    """Models and their parts are loaded when they are first asked for."""
    files = PARTS | {path.partition(".")[2]: path.partition(".")[0] for path in MODELS.values()}
    if name not in files:
        raise AttributeError(f"module 'tinyae.models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tinyae.models.{files[name]}"), name)
