"""The linear autoencoder beside PCA: the same error, the same subspace.

    python benchmarks/linear_autoencoder.py             # digits, codes of three widths, five seeds: a minute on one core
    python benchmarks/linear_autoencoder.py --write     # and write the table to benchmarks/linear_autoencoder.md

An autoencoder without hidden layers, trained by Adam with steps that fall to 0, all seeds from other weights.  Ratio: its squared error per
pixel over that of the PCA with as many axes, on the training split, where PCA is the best there is.  Angle: the largest principal angle
between the columns of the decoder and those axes.  Baldi & Hornik 1989: both have one minimum, and no other that is not a saddle.
"""

import argparse
import pathlib
import statistics
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import tinyae as ta

PAGE = pathlib.Path(__file__).with_suffix(".md")
SEEDS = range(5)
WIDTHS = (2, 8, 16)
TRAINING = {"batch_size": 350, "epochs": 2000}
RATE = 2e-2  # the first one: with a smaller one some axes are still those of a saddle after so many epochs
INTRO = """# The linear autoencoder and PCA

Made by `python benchmarks/linear_autoencoder.py --write`; digits, grey values, seeds 0 to 4.  The bounds to be met: a ratio of 1.000 within
0.002, an angle below 1 degree.
"""
HEADER = "| code | squared error per pixel of PCA | ratio: mean (standard deviation) | largest | angle in degrees: mean (largest) | test ratio |"


def principal_axes(x, k):
    """The first k axes of PCA as columns (D, k), and the mean.  x: (N, D) float64."""
    mean = x.mean(axis=0)
    return np.linalg.eigh((x - mean).T @ (x - mean))[1][:, : -k - 1 : -1], mean


def largest_angle(columns, others):
    """The largest principal angle between the spans of two matrices (D, k), in degrees: its sine is the most of one that sticks out."""
    q, p = np.linalg.qr(columns)[0], np.linalg.qr(others)[0]
    return float(np.degrees(np.arcsin(min(1.0, np.linalg.norm(q - p @ (p.T @ q), ord=2)))))


def error(y, x):
    """Squared error per entry."""
    return float(np.square(y - x).mean())


def compare(data, test, k, seed):
    """(error of PCA, ratio, angle, ratio on the test split)."""
    x, unseen = (np.asarray(part.images, np.float64) for part in (data, test))
    axes, mean = principal_axes(x, k)
    model = ta.models.Autoencoder(data.features, k, (), rng=ta.rng(seed).stream("weights")).astype("float64")
    ta.fit(model, data, **TRAINING, schedules={"lr": ta.optim.linear(RATE, 0, TRAINING["epochs"])}, seed=seed, progress=False)
    pca, ratios = [error((y - mean) @ axes @ axes.T + mean, y) for y in (x, unseen)], []
    for y, least in zip((x, unseen), pca, strict=True):
        ratios.append(error(model.reconstruct(y), y) / least)
    return pca[0], ratios[0], largest_angle(model.decoder[0].weight.data, axes), ratios[1]


def rows():
    """A row of the table for each width of the code."""
    data, test = (ta.data.load("digits", split=split) for split in ("train", "test"))
    for k in WIDTHS:
        pca, ratio, angle, unseen = zip(*(compare(data, test, k, seed) for seed in SEEDS), strict=True)
        cells = [k, f"{pca[0]:.5f}", f"{statistics.mean(ratio):.5f} ({statistics.stdev(ratio):.5f})", f"{max(ratio):.5f}"]
        yield "| " + " | ".join(map(str, [*cells, f"{statistics.mean(angle):.3f} ({max(angle):.3f})", f"{statistics.mean(unseen):.4f}"])) + " |"


def main():
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write benchmarks/linear_autoencoder.md")
    write, found = parser.parse_args().write, []
    for row in rows():
        print(row, flush=True)
        found.append(row)
    if write:
        PAGE.write_text(INTRO + "\n" + "\n".join([HEADER, "|" + "---|" * 6, *found]) + "\n")


if __name__ == "__main__":
    main()
