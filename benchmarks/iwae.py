"""Importance-weighted autoencoders on MNIST: what K = 1, 5, 50 draws in the bound are worth, beside the published numbers.

    TINYAE_DATA=DIR python benchmarks/iwae.py --network iwae --samples 1 5   # two trainings, some minutes
    TINYAE_DATA=DIR python benchmarks/iwae.py --network iwae --samples 50    # half an hour on one quiet core
    python benchmarks/iwae.py --write                                        # what is finished: iwae.json and iwae.md

Each finished training is a line of the file --lines, and is not done again; one that was broken off goes on from its checkpoint.
Data: MNIST, dynamically binarised, 60,000 images for the training.  Adam, batches of 20 as published, its learning rate falls from 0.001
to 0.00001 along half a cosine.  -log p(x): 5000 draws of the posterior as importance samples for each of 2000 test images (every fifth),
binarised once, the same for all models.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import tinyae as ta
from tinyae.autograd import no_grad
from tinyae.training.run import Run

PAGE = pathlib.Path(__file__).with_suffix(".md")
NETWORKS = {
    "iwae": {"hidden": (200, 200), "latent": 50, "activation": "tanh"},  # Burda, Grosse & Salakhutdinov 2016, one stochastic layer
    "dense": {"hidden": (400,), "latent": 40, "activation": "relu"},
}
SHAPES = {"iwae": "784-200-200-50, tanh", "dense": "784-400-40, ReLU"}
PUBLISHED = {("iwae", 1): 86.76, ("iwae", 5): 85.54, ("iwae", 50): 84.78}  # the same, table 1: 3280 epochs
DRAWS, EVERY, IMAGES_AT_ONCE, DRAWS_AT_ONCE = 5000, 5, 20, 50
INTRODUCTION = """# Importance-weighted autoencoders on MNIST

Made by `python benchmarks/iwae.py --write`.  MNIST, dynamically binarised; {epochs} epochs in batches of 20, Adam, the learning rate falls from
0.001 to 0.00001.  Nats per image on {images} test images (every fifth), binarised once; -log p(x) by {draws} importance samples.
Published: Burda, Grosse & Salakhutdinov 2016, table 1, after 3280 epochs.  What compares is the order, and the gaps; they are means over pairs
of one image, with a standard error over images, not over seeds.  Active units: the variance of the posterior mean over the images is above
0.01.  Effective sample size: its median over the images.

"""
BOUNDS = (1, 5, 50, 500, 5000)


def train(network, samples, seed, epochs, folder):
    """(model, seconds of processor time): MNIST in batches of 20.  A training that was broken off goes on from its checkpoint in `folder`."""
    data = ta.data.load("mnist", binarisation="dynamic")
    model = ta.models.IWAE(data.features, samples=samples, **NETWORKS[network], rng=ta.rng(seed))
    mean = np.clip(data.images.mean(axis=0), 0.001, 0.999)
    model.parameters()[-1].assign(np.log(mean / (1 - mean)))  # the decoder's last bias, as published: it begins with the mean image
    run = Run.open(folder) if (folder / "config.json").exists() else Run(folder, "iwae", model.config)
    before, started = len(run.progress().get("history", [])), time.process_time()
    schedules = {"lr": ta.optim.cosine(1e-3, 1e-5, epochs)}
    ta.fit(model, data, epochs=epochs, batch_size=20, schedules=schedules, seed=seed, run=run, resume=True, progress=False)
    return model, (time.process_time() - started) * epochs / max(epochs - before, 1)


def log_mean(log_weights, axis):
    """The logarithm of the mean of the weights along an axis."""
    largest = log_weights.max(axis=axis, keepdims=True)
    return np.log(np.exp(log_weights - largest).mean(axis=axis)) + largest.squeeze(axis)


def importance_sampled(model, images, rng):
    """For each image the bounds of K in BOUNDS, in nats, the last one the estimate of -log p(x), and the effective sample size of that one.

    A bound is the mean over as many bounds of K draws as DRAWS has.  images: (N, D).  Returns a dict K -> (N,), and (N,).
    """
    bounds, sizes = {k: [] for k in BOUNDS}, []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        x, stream = images[start : start + IMAGES_AT_ONCE], rng.stream("images", start)
        noise = (stream.normal((DRAWS_AT_ONCE, len(x), model.latent), np.float32) for _ in range(DRAWS // DRAWS_AT_ONCE))
        with no_grad():
            log_weights = np.concatenate([model.log_weights(x, eps).data for eps in noise]).astype(np.float64)
        for k in BOUNDS:
            bounds[k].append(-log_mean(log_weights.reshape(-1, k, len(x)), axis=1).mean(axis=0))
        normalised = np.exp(log_weights - log_weights.max(axis=0))
        sizes.append(normalised.sum(axis=0) ** 2 / (normalised**2).sum(axis=0))
    return {k: np.concatenate(parts) for k, parts in bounds.items()}, np.concatenate(sizes)


def measure(network, samples, seed, epochs, folder):
    """One training and its numbers on the test split: a dict for a line of JSON."""
    model, seconds = train(network, samples, seed, epochs, folder)
    test = ta.data.load("mnist", split="test", binarisation="dynamic")
    images = test.take(slice(None, None, EVERY), ta.rng(0).stream("test images"))
    bounds, sizes = importance_sampled(model, images, ta.rng(0).stream("importance samples"))
    with no_grad():
        means = model.encode(images).mean.data
    found = {"network": network, "samples": samples, "seed": seed, "epochs": epochs, "cpu_seconds": round(seconds, 1)}
    found |= {"bounds": {k: float(values.mean()) for k, values in bounds.items()}}
    found |= {"active_units": int((means.var(axis=0) > 0.01).sum()), "effective_sample_size": float(np.median(sizes))}
    return found | {"nll": [round(value, 3) for value in bounds[DRAWS].tolist()]}


def mean_and_error(values):
    """(mean, its standard error) over images."""
    return statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5


def over_seeds(lines):
    """For each network and K the means over its seeds: what iwae.json holds."""
    rows = []
    for network, samples in sorted({(line["network"], line["samples"]) for line in lines}, key=lambda pair: (pair[0] != "iwae", pair)):
        own = sorted((line for line in lines if (line["network"], line["samples"]) == (network, samples)), key=lambda line: line["seed"])
        nll = np.mean([line["nll"] for line in own], axis=0).tolist()
        row = {"network": network, "samples": samples, "epochs": own[0]["epochs"], "seeds": [line["seed"] for line in own], "images": len(nll)}
        row |= {"bounds": {k: statistics.mean(line["bounds"][k] for line in own) for k in own[0]["bounds"]}}
        row |= {"nll": statistics.mean(nll), "standard_error": mean_and_error(nll)[1], "nll_of_seeds": [statistics.mean(line["nll"]) for line in own]}
        row |= {"published": PUBLISHED.get((network, samples))}
        for name in ("active_units", "effective_sample_size", "cpu_seconds"):
            row |= {name: statistics.mean(line[name] for line in own)}
        rows.append((row, nll))
    return rows


def gaps_of(rows):
    """For each network, K and the next: how much -log p(x) falls, in pairs of one image, beside the published gap."""
    gaps = []
    for (fewer, before), (more, after) in itertools.pairwise(rows):
        if fewer["network"] == more["network"]:
            mean, error = mean_and_error([a - b for a, b in zip(before, after, strict=True)])
            published = fewer["published"] and more["published"] and round(fewer["published"] - more["published"], 2)
            gaps.append({"network": fewer["network"], "samples": [fewer["samples"], more["samples"]], "gap": mean, "standard_error": error})
            gaps[-1] |= {"published": published}
    return gaps


def table(rows, gaps):
    """Two Markdown tables."""
    ks = list(rows[0][0]["bounds"])
    head = [
        "network",
        "K in training",
        "seeds",
        *(f"bound of K = {k}" for k in ks[:-1]),
        "-log p(x) (standard error)",
        "of each seed",
        "published, 3280 epochs",
    ]
    head += ["active units", "effective sample size", "processor minutes"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row, _ in rows:
        cells = [SHAPES[row["network"]], row["samples"], len(row["seeds"]), *(f"{row['bounds'][k]:.2f}" for k in ks[:-1])]
        cells += [
            f"{row['nll']:.2f} ({row['standard_error']:.2f})",
            ", ".join(f"{nll:.2f}" for nll in row["nll_of_seeds"]),
            row["published"] or "",
            f"{row['active_units']:.3g}",
        ]
        cells += [f"{row['effective_sample_size']:.0f} of {DRAWS}", f"{row['cpu_seconds'] / 60:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "| network | from K to K | -log p(x) falls by (standard error) | published |", "|---|---|---|---|"]
    for gap in gaps:
        cells = [SHAPES[gap["network"]], "{} to {}".format(*gap["samples"])]
        cells += [f"{gap['gap']:.2f} ({gap['standard_error']:.2f})", gap["published"] or ""]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def write(rows, gaps):
    """iwae.json and iwae.md."""
    PAGE.with_suffix(".json").write_text(json.dumps({"runs": [row for row, _ in rows], "gaps": gaps}, indent=2) + "\n")
    settings = {"epochs": rows[0][0]["epochs"], "images": rows[0][0]["images"], "draws": DRAWS}
    PAGE.write_text(INTRODUCTION.format(**settings) + table(rows, gaps) + "\n")


def main():
    """Train what is missing, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=["iwae"])
    parser.add_argument("--samples", nargs="+", type=int, default=[], metavar="K", help="train these (default: nothing, only show what is there)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lines", type=pathlib.Path, default=pathlib.Path("iwae.jsonl"), help="finished trainings, one a line (default: iwae.jsonl)")
    parser.add_argument("--write", action="store_true", help="write benchmarks/iwae.json and benchmarks/iwae.md")
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in arguments.lines.read_text().splitlines()] if arguments.lines.exists() else []
    for job in ((network, samples, seed) for network in arguments.network for samples in arguments.samples for seed in arguments.seeds):
        if job not in [(line["network"], line["samples"], line["seed"]) for line in lines]:
            folder = arguments.lines.with_suffix("") / "-".join(map(str, job))
            lines.append(json.loads(json.dumps(measure(*job, arguments.epochs, folder))))
            with arguments.lines.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    if not lines:
        parser.error(f"{arguments.lines} has no finished training; --samples trains")
    rows = over_seeds(lines)
    gaps = gaps_of(rows)
    print(table(rows, gaps))
    if arguments.write:
        write(rows, gaps)


if __name__ == "__main__":
    main()
