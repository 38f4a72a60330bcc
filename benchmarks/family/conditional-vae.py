"""The conditional VAE against the VAE: what knowing the label is worth, in nats."""

import math

import family

import tinyae as ta

METRIC, UNIT, LOWER = "negative ELBO of x, given its label or not, digits, 200 epochs", "nats per example", True
BASELINE = "vae of equal size, without labels"


def measure(seed):
    """The numbers of one seed.  with_label: plus log 10 nats for the label itself, which makes it a bound on -log p(x, label)."""
    found = {}
    for name in ("conditional-vae", "vae"):
        model, _, test = family.trained(name, seed, "--epochs", 200)
        found[name] = ta.evaluation.evaluate(model, test, rng=ta.rng(seed).stream("conditional benchmark"), draws=50)
    model, baseline = found["conditional-vae"], found["vae"]
    numbers = {"model": model["negative_elbo"], "baseline": baseline["negative_elbo"], "with_label": model["negative_elbo"] + math.log(10)}
    return numbers | {"kl": model["kl"], "kl_of_vae": baseline["kl"]}
