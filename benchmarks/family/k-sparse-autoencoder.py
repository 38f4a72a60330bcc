"""Eight numbers a digit: which of 128 units they belong to may differ from digit to digit, or they are always the same eight."""

import family
import numpy as np

METRIC, UNIT, LOWER = "squared error with 8 numbers a code", "per pixel of digits", True
BASELINE = "autoencoder with a code of 8 and a hidden layer: as many parameters, the same epochs"


def measure(seed):
    """Test errors of both, their parameters, and the model's units that no test image uses."""
    model, _, test = family.trained("k-sparse-autoencoder", seed)
    dense = family.trained("autoencoder", seed, *"--latent 8 --hidden 114 --activation relu --epochs 150 --lr 0.003".split())[0]
    found = {name: float(np.square(one.reconstruct(test.images) - test.images).mean()) for name, one in (("model", model), ("baseline", dense))}
    sizes = {f"parameters_{name}": sum(p.size for p in one.parameters()) for name, one in (("model", model), ("baseline", dense))}
    return found | sizes | {"unused_units": int((model.encode(test.images).data == 0).all(axis=0).sum())}
