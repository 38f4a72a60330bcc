"""The VAE with a rising capacity against the beta-VAE, at the KL that the beta-VAE happens to have."""

import family

METRIC, UNIT, LOWER = "reconstruction + 4 KL, what the beta-VAE minimises, at about its KL; shapes", "nats per example", True
BASELINE = "beta-vae (beta = 4), whose KL is the capacity asked for"


def measure(seed):
    """The numbers of one seed.  Four times the KL, so that a KL which is not quite the beta-VAE's costs what it is worth."""
    beta = family.comparison("beta-vae")
    baseline_gap, baseline = beta.of("beta-vae", seed)
    model_gap, model = beta.of("capacity-vae", seed, "--set", f"capacity={baseline['kl']:.4f}")
    found = {"model": model["reconstruction"] + 4 * model["kl"], "baseline": baseline["loss"], "kl": model["kl"], "kl_of_beta_vae": baseline["kl"]}
    return found | {"mig": model_gap, "mig_of_beta_vae": baseline_gap}
