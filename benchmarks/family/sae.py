"""Points made of a few of 32 known features in 16 dimensions: does a price for codes make the columns point along them?"""

import sae

METRIC, UNIT, LOWER = "mean over 32 features of the largest cosine with a column", "of 1, superposition", False
BASELINE = "the same autoencoder without a price"


def measure(seed):
    """Mean max cosine of both; then features found (cosine above 0.9), active units a point, explained variance."""
    rows = {"model": sae.of_model("sae", "", seed), "baseline": sae.of_model("sae", "--set penalty=0", seed)}
    others = {"found": 0, "l0": 2, "explained_variance": 3}
    return {who: row[1] for who, row in rows.items()} | {f"{what}_{who}": row[i] for what, i in others.items() for who, row in rows.items()}
