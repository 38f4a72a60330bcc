"""Points made of a few of 32 known features in 16 dimensions: do the decoder's columns point along the features?"""

import family
import numpy as np

METRIC, UNIT, LOWER = "mean over features of the largest cosine with a column of the decoder", "of 1, superposition", False
BASELINE = "autoencoder of the same size and epochs"


def measure(seed):
    """Mean max cosine of both; of the model the features found (cosine above 0.9, of 32), and the units in use."""
    model, data, test = family.trained("sparse-autoencoder", seed)
    plain = family.trained("autoencoder", seed, "--data", "superposition", *"--latent 64 --hidden --epochs 40 --batch 200 --lr 0.01".split())[0]
    best = {name: cosines(one, data.truth.dictionary) for name, one in (("model", model), ("baseline", plain))}
    used = (model.encode(test.images).data > 0).sum(axis=1).mean()
    return {name: float(found.mean()) for name, found in best.items()} | {"found": int((best["model"] > 0.9).sum()), "units_in_use": float(used)}


def cosines(model, dictionary):
    """The largest cosine of each true feature with a column of the decoder, (F,).  dictionary: (D, F), unit columns."""
    columns = model.decoder[0].weight.data
    return (dictionary.T @ (columns / np.linalg.norm(columns, axis=0))).max(axis=1)
