"""The beta-VAE against the VAE on sprites whose factors are known: does each latent tell one of them?"""

import family
import numpy as np

import tinyae as ta
from tinyae.autograd import no_grad
from tinyae.evaluation.codes import mutual_information_gap

METRIC, UNIT, LOWER = "mutual information gap of the posterior means, shapes", "1 is best", False
BASELINE = "vae (beta = 1)"


def gap(model, train, test):
    """MIG over all 6,912 sprites: the test split alone has too few for a histogram of 20 bins and 9 values."""
    with no_grad():
        codes = model.encode(np.concatenate([train.images, test.images])).mean.data
    return mutual_information_gap(codes, np.concatenate([train.factors, test.factors]))


def of(name, seed, *options):
    """(MIG, terms of the test split) of a model of these options."""
    model, train, test = family.trained(name, seed, "--data", "shapes", *options)
    return gap(model, train, test), ta.evaluation.evaluate(model, test, rng=ta.rng(seed).stream("beta benchmark"), draws=5)


def measure(seed):
    """The numbers of one seed: the price is the negative ELBO."""
    (model, terms), (baseline, plain) = of("beta-vae", seed), of("vae", seed)
    return {"model": model, "baseline": baseline, "negative_elbo": terms["negative_elbo"], "negative_elbo_of_vae": plain["negative_elbo"]}
