"""Two units a point without a price: do their sizes say more than shrunken ones?"""

import sae

METRIC, UNIT, LOWER = "explained variance at equal sparsity", "of 1, superposition", False
BASELINE = "sae with the price 0.33: as many units, epochs, and active units a point, or more"


def measure(seed):
    """Explained variance of the test points by both; then features found, mean max cosine, active units a point."""
    return sae.at_equal_sparsity("top-k-sae", seed, 0.33)
