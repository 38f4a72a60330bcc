"""The bounds of a VAE with two latents on digits beside the exact -log p(x), for the sum over a fine grid of z is exact there.

    python benchmarks/quadrature.py           # five seeds, some minutes
    python benchmarks/quadrature.py --write   # the same, into benchmarks/quadrature.md

The model is that of `tinyae train vae`, after 100 and after all 600 epochs.  For K importance samples the bound is -log of the mean of K
weights (Burda, Grosse & Salakhutdinov 2016, equation 8), here the mean over groups of K among DRAWS draws of each test image, the same
draws for each K.
"""

import argparse
import itertools
import pathlib
import statistics
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import family

import tinyae as ta
from tinyae.autograd import no_grad, raw
from tinyae.ops.softmax import logsumexp

TABLE = pathlib.Path(__file__).with_suffix(".md")
SAMPLES, DRAWS, SIDE, LIMIT, NEAR = (1, 5, 50, 500, 5000), 5000, 241, 6.0, 0.1
HEADER = "| epochs | seed | " + " | ".join(f"K = {k}" for k in SAMPLES)
HEADER += " | quadrature | K = 500 minus it | its median | images with more than 0.1 | half the grid |"


def quadrature(model, x, side=SIDE):
    """-log p(x), (N,): the sum of p(x | z) p(z) over a square grid of side x side points z up to LIMIT, times the area of a cell."""
    axis = np.linspace(-LIMIT, LIMIT, side)
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    with no_grad():
        logits = raw(model.decode(z))
    log_ones, log_zeros = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    log_prior = -(z * z).sum(axis=1, keepdims=True) / 2 - np.log(2 * np.pi)
    parts = [logsumexp(log_ones @ some.T + log_zeros @ (1 - some).T + log_prior, axis=0) for some in np.array_split(x, 20)]
    return -np.concatenate(parts) - 2 * np.log(axis[1] - axis[0])


def bounds(model, x, rng):
    """K -> the bound of each image, (N,)."""
    with no_grad():
        parts = [raw(model.log_weights(x, model.draw_noise(len(x), rng=rng, draws=(100,)))) for _ in range(DRAWS // 100)]
    log_weights = np.concatenate(parts)
    return {k: np.log(k) - logsumexp(log_weights.reshape(DRAWS // k, k, len(x)), axis=1).mean(axis=0) for k in SAMPLES}


def measure(seed, epochs):
    """(bounds, quadrature, quadrature with half as many points a side), the first a dict, each (N,)."""
    model, _, test = family.trained("vae", seed, "--epochs", epochs)
    model, rng = model.astype("float64"), ta.rng(seed).stream("quadrature")
    x = test.take(slice(None), rng).astype(np.float64)
    return bounds(model, x, rng), quadrature(model, x), quadrature(model, x, SIDE // 2 + 1)


def row(seed, epochs):
    """(A row of the table, its numbers: means of the bounds and of the quadrature, and of what is left at K = 500)."""
    found, exact, half = measure(seed, epochs)
    means, gap = [*(found[k].mean() for k in SAMPLES), exact.mean()], found[500] - exact
    cells = [epochs, seed, *(f"{mean:.3f}" for mean in means), f"{gap.mean():.4f} ({gap.std(ddof=1) / len(gap) ** 0.5:.4f})"]
    cells += [f"{np.median(gap):.4f}", f"{(gap > NEAR).mean():.1%}", f"{abs(half - exact).max():.0e}"]
    return "| " + " | ".join(map(str, cells)) + " |", [*means, gap.mean()]


def table(epochs, seeds):
    """The rows of so many epochs, and a sentence on them."""
    rows = [row(seed, epochs) for seed in range(seeds)]
    numbers = np.array([numbers for _, numbers in rows])
    spread = [f"{statistics.mean(c):.3f} ({statistics.stdev(c) / len(c) ** 0.5:.3f})" if len(c) > 1 else f"{c[0]:.3f}" for c in numbers.T]
    ordered = sum(all(a > b for a, b in itertools.pairwise(means)) for means in numbers[:, :-1])
    near, nearest = (numbers[:, -1] < NEAR).sum(), (numbers[:, -3] - numbers[:, -2] < NEAR).sum()
    said = f"After {epochs} epochs the bounds are in order, and above the quadrature, in {ordered} of {seeds} seeds; that of K = 500 is less than "
    said += f"{NEAR} nats above it in {near}, that of K = 5000 in {nearest}."
    return [*(line for line, _ in rows), f"| {epochs} | mean (standard error) | " + " | ".join(spread) + " | | | |"], said


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    arguments = parser.parse_args()
    parts = [table(epochs, arguments.seeds) for epochs in (100, 600)]
    lines = [HEADER, "|" + "---|" * (HEADER.count("|") - 1), *(line for rows, _ in parts for line in rows), "", *(said for _, said in parts)]
    print("\n".join(lines))
    if arguments.write:
        TABLE.write_text(INTRO + "\n".join(lines) + "\n")


INTRO = f"""# A two-dimensional VAE on digits: bounds beside the truth

Made by `python benchmarks/quadrature.py --write`: nats per example, means over the test split, binarised by threshold.  The bounds for K are
means over {DRAWS} draws of each image; the quadrature is a sum over {SIDE} x {SIDE} points z.  K = 500 minus it: mean over the images (standard
error over them), its median, and how many images have more than {NEAR} nats of it: for these the weights are very
uneven, and few draws count.  K = 5000 is one group of draws, whose noise may put it below the quadrature.  Half the grid: the largest
change for any image with half as many points a side.

"""

if __name__ == "__main__":
    main()
