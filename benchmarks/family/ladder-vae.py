"""The ladder beside a VAE, as many parameters and epochs and the same warm-up, on digits: the likelihood of new images.

two_level: the same of the two-level VAE with as many parameters (its posterior has layers that the ladder has not, so its widths are smaller).
vae_twice_the_epochs: the baseline with 600 epochs.
"""

import family
from hierarchy import likelihood_and_terms

METRIC, UNIT, LOWER = "-log p(x), 500 importance samples", "nats", True
BASELINE = "vae of 34,806 parameters (the model has 34,832), 16 latents, the same epochs and warm-up"


def measure(seed):
    """-log p(x) of all four; further their negative ELBO, and the KL of the ladder, all levels and the top one."""
    model, _, test = family.trained("ladder-vae", seed)
    vae = "--latent 16 --hidden 195 --warm-up 100 --epochs"
    others = {"baseline": f"vae {vae} 300", "vae_twice_the_epochs": f"vae {vae} 600", "two_level": "two-level-vae --hidden 96 48"}
    trainings = {key: command.split() for key, command in others.items()}
    models = {"model": model} | {key: family.trained(name, seed, *options)[0] for key, (name, *options) in trainings.items()}
    found = {key: likelihood_and_terms(one, test, seed) for key, one in models.items()}
    bounds = {f"negative_elbo_of_{key}": terms["negative_elbo"] for key, (_, terms) in found.items()}
    return {key: nll for key, (nll, _) in found.items()} | bounds | {name: found["model"][1][name] for name in ("kl", "kl_top")}
