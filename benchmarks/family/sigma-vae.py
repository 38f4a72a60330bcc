"""The sigma-VAE against Gaussian VAEs with variances chosen beforehand, on grey sprites."""

import family

import tinyae as ta

METRIC, UNIT, LOWER = "negative ELBO (a density: it may be negative), grey shapes", "nats per example", True
BASELINE = "the best on the test split of vaes with the fixed variances 0.5, 0.05 and 0.005"
VARIANCES = (0.5, 0.05, 0.005)


def bound(name, seed, *options):
    """(negative ELBO on the test split, model)."""
    model, _, test = family.trained(name, seed, "--data", "shapes", *options)
    return ta.evaluation.evaluate(model.eval(), test, rng=ta.rng(seed).stream("sigma benchmark"), draws=5)["negative_elbo"], model


def measure(seed):
    """The numbers of one seed."""
    fixed = {v: bound("vae", seed, "--likelihood", "gaussian", "--variance", v)[0] for v in VARIANCES}
    found, model = bound("sigma-vae", seed)
    best = min(fixed, key=fixed.get)
    numbers = {"model": found, "baseline": fixed[best], "variance": model.likelihood.variance.item(), "best_fixed_variance": best}
    return numbers | {"variance_one_half": fixed[0.5]}
