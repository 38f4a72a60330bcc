"""What denoising and contraction are for: noisy input, the score of known data, and a start for a classifier with few labels.

    python benchmarks/denoising.py noisy          # digits: reconstructions of the clean image from noisy input
    python benchmarks/denoising.py score          # data of known density: the denoiser's step against the exact score
    python benchmarks/denoising.py labels         # digits: encoders trained without labels, then with 50 of them
    ... --write                                   # put the table into benchmarks/denoising.md

Five seeds each; mean (standard error).  A few minutes each on one core.
"""

import argparse
import pathlib
import re
import statistics
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import tinyae as ta
from tinyae import nn, ops
from tinyae.data.known import GaussianMixture, LinearGaussian

PAGE = pathlib.Path(__file__).with_suffix(".md")
SEEDS = range(5)
NETWORK = {"latent": 32, "hidden": (128,), "activation": "tanh"}  # of all models on digits
NOISES = (0.0, 0.1, 0.2, 0.3, 0.5)


def trained(name, data, seed, epochs=100, batch_size=100, lr=3e-3, **settings):
    """A model of the family, trained with steps that fall to 0."""
    model = ta.models.build({"model": name, "features": data.features, **settings}, ta.rng(seed).stream("weights"))
    falling = {"lr": ta.optim.linear(lr, 0, epochs)}
    ta.fit(model, data, epochs=epochs, batch_size=batch_size, schedules=falling, seed=seed, progress=False)
    return model


def cell(values, digits):
    """Mean (standard error)."""
    return f"{statistics.mean(values):.{digits}f} ({statistics.stdev(values) / len(values) ** 0.5:.{digits}f})"


def table(header, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


# ---- noisy input

LINEAR, ONE_LAYER = {"hidden": ()}, {"hidden": (), "latent": 64}
MODELS = {
    "autoencoder": ("autoencoder", {}),
    "autoencoder, code of 8": ("autoencoder", {"latent": 8}),
    "linear autoencoder, code of 8": ("autoencoder", LINEAR | {"latent": 8}),
    "linear autoencoder, code of 12": ("autoencoder", LINEAR | {"latent": 12}),
    "linear autoencoder, code of 16": ("autoencoder", LINEAR | {"latent": 16}),
    "contractive, weight 1": ("contractive-autoencoder", {"weight": 1.0, "probes": 1}),
    "contractive, one layer of 64, weight 0": ("contractive-autoencoder", ONE_LAYER | {"weight": 0.0}),
    "contractive, one layer of 64, weight 1": ("contractive-autoencoder", ONE_LAYER | {"weight": 1.0}),
    "denoising, noise 0.1": ("denoising-autoencoder", {"amount": 0.1}),
    "denoising, noise 0.3": ("denoising-autoencoder", {"amount": 0.3}),
}


def error_at(models, noise, seed):
    """The squared error per pixel of each model against clean test digits, from the same ones with noise.  models: a dict; returns one."""
    x = ta.data.load("digits", split="test").images
    seen = ta.data.gaussian_noise(x, ta.rng(seed).stream("test", int(100 * noise)), noise)
    return {name: float(np.square(model.reconstruct(seen) - x).mean()) for name, model in models.items()}


def noisy():
    """The squared error per pixel against the clean test image, for each noise at the input."""
    data, rows = ta.data.load("digits"), []
    for title, (name, settings) in MODELS.items():
        models = {seed: trained(name, data, seed, **NETWORK | settings) for seed in SEEDS}
        errors = [[error_at({seed: model}, noise, seed)[seed] for seed, model in models.items()] for noise in NOISES]
        rows.append([title, *(cell(values, 4) for values in errors)])
        print(rows[-1], flush=True)
    return table(["model", *(f"noise {noise}" for noise in NOISES)], rows)


# ---- the score

KNOWN = {"gaussian-ring": (GaussianMixture.ring(), (64, 64), 64), "linear-gaussian": (LinearGaussian.example(), (), 10)}


def exact_score(truth, y, s):
    """The gradient of the log-density of x + s n at y: of a mixture, or of a normal distribution.  y: (N, D).  Returns (N, D)."""
    if isinstance(truth, LinearGaussian):
        return -np.linalg.solve(truth.covariance + s**2 * np.eye(len(truth.mean)), (y - truth.mean).T).T
    variance = truth.sigma**2 + s**2
    away = truth.means - y[:, None]  # (N, K, D)
    share = ops.softmax(-np.square(away).sum(axis=-1) / (2 * variance))
    return (share[..., None] * away).sum(axis=1) / variance


def score():
    """Cosine and relative error of (reconstruct(y) - y) / s^2 against the exact score, at noisy test points y."""
    found = []
    for name, (truth, hidden, latent) in KNOWN.items():
        for s in (0.1, 0.3, 1.0):
            cosines, errors = [], []
            for seed in SEEDS:
                points = truth.sample(5000, ta.rng(seed).stream("train"))[0]
                data = ta.data.as_dataset(points)
                model = trained("denoising-autoencoder", data, seed, 200, 250, 3e-3, latent=latent, hidden=hidden, activation="tanh", amount=s)
                y = ta.data.gaussian_noise(truth.sample(5000, ta.rng(seed).stream("test"))[0], ta.rng(seed).stream("noise"), s)
                learned, exact = (model.reconstruct(y).astype(np.float64) - y) / s**2, exact_score(truth, y.astype(np.float64), s)
                cosines.append(float((learned * exact).sum() / np.linalg.norm(learned) / np.linalg.norm(exact)))
                errors.append(float(np.linalg.norm(learned - exact) / np.linalg.norm(exact)))
            found.append([name, s, cell(cosines, 4), cell(errors, 3)])
            print(found[-1], flush=True)
    return table(["data", "noise s", "cosine with the exact score", "relative error"], found)


# ---- few labels

STARTS = {
    "from scratch": None,
    "after a plain autoencoder": ("autoencoder", {}),
    "after denoising, gaussian 0.3": ("denoising-autoencoder", {"amount": 0.3}),
    "after denoising, masking 0.3": ("denoising-autoencoder", {"noise": "masking", "amount": 0.3}),
}


def few(labels, each, rng):
    """Places of `each` examples of every class, at random."""
    order = np.asarray(rng.permutation(len(labels)))
    return np.concatenate([order[labels[order] == label][:each] for label in np.unique(labels)])


def classify(encoder, latent, x, labels, seed, steps=300, lr=1e-3):
    """The network encoder, activation, linear layer, all of it trained on a few examples, all at once in each step."""
    classifier = nn.Sequential(encoder, nn.Tanh(), nn.Linear(latent, 10, rng=ta.rng(seed).stream("classifier")))
    adam = ta.optim.Adam(classifier.parameters(), lr=lr)
    for _ in range(steps):
        adam.zero_grad()
        ops.cross_entropy_with_logits(classifier(x), ops.one_hot(labels, 10)).mean().backward()
        adam.step()
    return classifier


def labels(each=5):
    """Accuracy on the test split, of the same network with four starts, and the gain over the start from scratch in pairs of a seed."""
    data, test = (ta.data.load("digits", split=split) for split in ("train", "test"))
    found = {title: [] for title in STARTS}
    for seed in SEEDS:
        chosen = few(data.labels, each, ta.rng(seed).stream("labels"))
        for title, start in STARTS.items():
            settings = {"features": data.features, **NETWORK}
            fresh = ta.models.Autoencoder(**settings, rng=ta.rng(seed).stream("weights"))
            model = fresh if start is None else trained(start[0], data, seed, **NETWORK | start[1])
            classifier = classify(model.encoder, NETWORK["latent"], data.images[chosen], data.labels[chosen].astype(int), seed)
            with ta.no_grad():
                found[title].append(100 * float((classifier(test.images).data.argmax(axis=1) == test.labels).mean()))
    scratch = found["from scratch"]
    rows = [[title, cell(values, 1), cell([a - b for a, b in zip(values, scratch, strict=True)], 1)] for title, values in found.items()]
    return table([f"start of the network, then {10 * each} labels", "test accuracy, %", "gain over scratch, points"], rows)


METRIC, UNIT, LOWER = "squared error against the clean image, input with noise 0.3", "per pixel of digits", True
BASELINE = "linear autoencoder with a code of 12, the best plain one at this noise in benchmarks/denoising.md"


def against_plain(name, seed, same_size):
    """For benchmarks/family: the errors of a model and of plain autoencoders, with noise of 0.3 and without.  same_size: options of one of them."""
    import family

    others = {"baseline": "--latent 12 --hidden --epochs 150 --lr 0.003", "same_size": same_size}
    models = {"model": family.trained(name, seed)[0]}
    models |= {key: family.trained("autoencoder", seed, *options.split())[0] for key, options in others.items()}
    return error_at(models, 0.3, seed) | {f"{key}_no_noise": value for key, value in error_at(models, 0.0, seed).items()}


def main():
    """Measure, print, and write."""
    jobs = {"noisy": noisy, "score": score, "labels": labels}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=jobs)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/denoising.md")
    arguments = parser.parse_args()
    text = jobs[arguments.what]()
    print(text)
    if arguments.write:
        marks = f"<!-- {arguments.what} -->", f"<!-- end {arguments.what} -->"
        page = PAGE.read_text()
        PAGE.write_text(re.sub(f"{marks[0]}.*?{marks[1]}", lambda _: f"{marks[0]}\n{text}\n{marks[1]}", page, flags=re.S))


if __name__ == "__main__":
    main()
