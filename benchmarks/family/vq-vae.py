"""The VQ-VAE beside a VAE of convolutions, as many parameters and epochs, on digits: the bound on -log p(x) of new images.

Both bounds are in nats, of the same binarised images, so they can be compared: the VQ-VAE pays -log p(c) for the code that it chose, its prior
having learned how often codes come together, the VAE the KL of a distribution over z.
mse: of the reconstructions, per pixel.  perplexity: of the 16 codes, over the whole training split.  parameters: of both.
"""

import family
import numpy as np

import tinyae as ta
from tinyae.evaluation.features import perplexity

METRIC, UNIT, LOWER = "negative ELBO", "nats", True
BASELINE = "vae: the same convolutions, 8 latents, equal parameters and epochs"
VAE = "--channels 16 32 --hidden 48 --latent 8 --activation relu --epochs 100 --lr 2e-3".split()


def measure(seed):
    """The negative ELBO of the test split, the VAE's over 20 draws; mean squared errors, perplexity, numbers of parameters."""
    found = {}
    for key, name, options, draws in (("model", "vq-vae", [], 1), ("baseline", "vae", VAE, 20)):
        model, train, test = family.trained(name, seed, *options)
        found[key] = ta.evaluation.evaluate(model, test, rng=ta.rng(seed).stream("metrics"), draws=draws)["negative_elbo"]
        x = test.take(slice(None), ta.rng(0))
        found[f"mse_of_{key}"] = float(np.square(model.reconstruct(x) - x).mean())
        found[f"parameters_of_{key}"] = sum(p.size for p in model.parameters())
        if name == "vq-vae":
            indices = model.indices(train.take(slice(None), ta.rng(0)))
            found["perplexity"] = perplexity(np.bincount(indices.ravel(), minlength=model.config["codes"]))
    return found
