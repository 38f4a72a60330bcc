"""Two levels of latents beside one, as many parameters and epochs and the same warm-up, on digits: the likelihood of new images.

vae_twice_the_epochs: the baseline with 600 epochs, in about the processor time of the model.
"""

import family
from hierarchy import likelihood_and_terms

METRIC, UNIT, LOWER = "-log p(x), 500 importance samples", "nats", True
BASELINE = "vae of 52,428 parameters (the model has 52,368), 16 latents, the same epochs and warm-up"


def measure(seed):
    """-log p(x) of all three; further their negative ELBO, and the KL of the model, all levels and the top one."""
    model, _, test = family.trained("two-level-vae", seed)
    vae = "--latent 16 --hidden 294 --warm-up 100 --epochs".split()
    others = {key: family.trained("vae", seed, *vae, epochs)[0] for key, epochs in {"baseline": 300, "vae_twice_the_epochs": 600}.items()}
    found = {key: likelihood_and_terms(one, test, seed) for key, one in ({"model": model} | others).items()}
    bounds = {f"negative_elbo_of_{key}": terms["negative_elbo"] for key, (_, terms) in found.items()}
    return {key: nll for key, (nll, _) in found.items()} | bounds | {name: found["model"][1][name] for name in ("kl", "kl_top")}
