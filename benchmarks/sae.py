"""Sparse autoencoders on data whose features are known: do they find them?

    OPENBLAS_NUM_THREADS=1 python benchmarks/sae.py --write      # a few minutes on one core

Points of 16 numbers, each a sum of a few of 32 directions (`ta.data.load("superposition")`): 10,000 to learn from, 2,000 for the test.
Each model as `tinyae train NAME` makes it, the same with another setting, and baselines of as many columns, over five seeds.
"""

import argparse
import pathlib
import statistics
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import family  # noqa: E402

import tinyae as ta  # noqa: E402
from tinyae.evaluation.features import dead_share, explained_variance, features_found, l0, mean_max_cosine  # noqa: E402

TABLE = pathlib.Path(__file__).with_suffix(".md")
SEEDS = range(5)
MODELS = {  # row -> name in `tinyae train`, and options
    "sae (L1)": ("sae", ""),
    "top-k-sae": ("top-k-sae", ""),
    "batch-top-k-sae": ("batch-top-k-sae", ""),
    "gated-sae": ("gated-sae", ""),
    "jump-relu-sae": ("jump-relu-sae", ""),
    "batch-top-k-sae without auxiliary loss": ("batch-top-k-sae", "--set aux=0"),
    "batch-top-k-sae, its weight 1/32 (Gao et al.)": ("batch-top-k-sae", "--set aux=0.03125"),
    "plain autoencoder (sae, price 0)": ("sae", "--set penalty=0"),
}
COLUMNS = ("found of 32", "least", "mean max cosine", "least", "L0", "explained variance", "dead share")
INTRO = """# Sparse autoencoders and known features

Made by `python benchmarks/sae.py --write`: `superposition`, {units} units, the training points of `tinyae train`; seeds 0 to 4, mean (standard
deviation over seeds), and the least of them.  Found: features with a column at a cosine above 0.9.  Mean max cosine: the mean over features
of the best column's.  L0: active units of a test point ({true} features of it are active).  Explained variance: of the test points, about their
mean.  Dead share: units that are 0 for each of the 2,000 test points.  The target: 30 found, a mean max cosine of 0.95, for each seed.
Random columns: unit vectors of N(0, 1); k-means: the centres of as many clusters, unit length.  They have no code: no L0.

"""


def of_model(name, options, seed):
    """The numbers of a trained model, in the order of COLUMNS without "least"."""
    model, data, test = family.trained(name, seed, *options.split())
    h = model.encode(test.images).numpy()
    explained = explained_variance(test.images, model.reconstruct(test.images))
    return [*of_columns(model.dictionary.numpy(), data), l0(h), explained, dead_share(h)]


def at_equal_sparsity(name, seed, price):
    """For benchmarks/family: explained variance of a model and of `sae` at a price that makes its codes about as sparse; then their other numbers."""
    rows = {"model": of_model(name, "", seed), "baseline": of_model("sae", f"--set penalty={price}", seed)}
    others = {"found": 0, "mean_max_cosine": 1, "l0": 2}
    found = {who: row[3] for who, row in rows.items()}
    return found | {f"{what}_{who}": row[i] for what, i in others.items() for who, row in rows.items()}


def of_columns(columns, data):
    """[found, mean max cosine].  columns: (D, J)."""
    known = data.truth.dictionary
    return [features_found(columns, known), mean_max_cosine(columns, known)]


def random_columns(data, units, seed):
    """Unit vectors of all directions alike, (D, units)."""
    columns = np.asarray(ta.rng(seed).stream("random").normal((data.features, units)), np.float64)
    return columns / np.linalg.norm(columns, axis=0)


def k_means(data, units, seed, steps=50):
    """The centres of Lloyd's algorithm from random points, as columns (D, units).  Empty clusters stay where they are."""
    x = np.asarray(data.images, np.float64)
    centres = x[np.asarray(ta.rng(seed).stream("k-means").permutation(len(x)))[:units]]
    for _ in range(steps):
        label = (np.square(centres).sum(axis=1) - 2 * x @ centres.T).argmin(axis=1)
        members = np.eye(units)[label]
        centres = np.where(members.sum(axis=0)[:, None] > 0, members.T @ x / np.maximum(members.sum(axis=0), 1)[:, None], centres)
    return centres.T


def row(name, runs):
    """A row of the table: mean (standard deviation) of each number over seeds, and the least of the first two."""
    cells = [name]
    for i, values in enumerate(zip(*runs, strict=True)):
        digits = (1, 3, 2, 3, 3)[i]
        cells.append(f"{statistics.mean(values):.{digits}f} ({statistics.stdev(values):.{digits}f})")
        if i < 2:
            cells.append(f"{min(values):.{digits if i else 0}f}")
    return "| " + " | ".join([*cells, *[""] * (len(COLUMNS) + 1 - len(cells))]) + " |"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write benchmarks/sae.md")
    write = parser.parse_args().write
    data, test = (ta.data.load("superposition", split=split, binarisation="grey") for split in ("train", "test"))
    units = ta.models.SAE.about.training["latent"]
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|" + "---|" * (len(COLUMNS) + 1)]
    jobs = {name: lambda seed, job=job: of_model(*job, seed) for name, job in MODELS.items()}
    jobs |= {f"{units} random columns": lambda seed: of_columns(random_columns(data, units, seed), data)}
    jobs |= {f"k-means, {units} clusters": lambda seed: of_columns(k_means(data, units, seed), data)}
    for name, job in jobs.items():
        lines.append(row(name, [job(seed) for seed in SEEDS]))
        print(lines[-1], flush=True)
    if write:
        TABLE.write_text(INTRO.format(units=units, true=f"{(test.factors > 0).sum(axis=1).mean():.2f}") + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
