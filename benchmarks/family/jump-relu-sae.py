"""A price for each active unit, whatever its size: is more explained with as few units?"""

import sae

METRIC, UNIT, LOWER = "explained variance at equal sparsity", "of 1, superposition", False
BASELINE = "sae with the price 0.7: as many units, epochs, and active units a point, or more"


def measure(seed):
    """Explained variance of the test points by both; then features found, mean max cosine, active units a point."""
    return sae.at_equal_sparsity("jump-relu-sae", seed, 0.7)
