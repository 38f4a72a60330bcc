"""How many codes of a VQ-VAE's codebook are in use: codebook loss against moving average, with and without restart of dead codes.

    python benchmarks/vq.py                    # digits, 64 codes, five seeds
    python benchmarks/vq.py --start far        # the same from a codebook that begins far from the encoder's vectors
    python benchmarks/vq.py --write            # both, into benchmarks/vq.md

Perplexity is exp(entropy) of how often each code is chosen over the whole training split, never the mean over batches.  A process of its own
for each training, with one thread of the linear algebra.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
TABLE = pathlib.Path(__file__).with_suffix(".md")
CODES, EPOCHS, FAR = 64, 40, 4.0
METHODS = [(method, restart) for method in ("loss", "ema") for restart in (0, 20)]
COLUMNS = {"perplexity": 1, "used": 1, "mse": 4, "reconstruction": 2, "kl": 2, "negative_elbo": 2}
HEADER = "| codebook | restart | perplexity of 64 | codes used | MSE | -log p(x given c) | -log p(c) | negative ELBO |"
TITLE = f"""# Codes in use

Made by `python benchmarks/vq.py --write`.  VQ-VAE on digits (threshold), {CODES} codes at 2x2 sites, {EPOCHS} epochs, otherwise as `tinyae train
vq-vae` makes it; five seeds: mean (standard deviation).  Perplexity and codes used: training split, whole; the rest: test split, in nats per
example, MSE per pixel.  Restart: after 20 steps in which nobody chose a code.
"""
PUBLISHED = """
## Beside what is published

| run | codes | perplexity |
|---|---|---|
| Sonnet's VQ-VAE, CIFAR-10, 10,000 steps (its notebook) | 512 | 326 |
| Jackson-Kang's VQ-VAE, CIFAR-10, 50 epochs, channels taken for sites | 512 | 418 |
| the paper's VQ-VAE, CIFAR-10 | 512 | bound 4.67 bits a dimension, of a VAE 4.51 (unverified) |
| FashionMNIST without and with the rotation trick (vector-quantize-pytorch, pull request 164) | | about 25 % of the codes used, then 100 % |

Other data and other sizes: shares can be compared, numbers cannot.
"""


def one(method, restart, start, seed):
    """The numbers of one training."""
    import numpy as np

    import tinyae as ta
    from tinyae.evaluation.features import perplexity

    train, test = (ta.data.load("digits", split=split, binarisation="threshold") for split in ("train", "test"))
    weights = ta.rng(seed).stream("weights")
    model = ta.models.VQVAE(64, (8, 8), codes=CODES, codebook=method, restart=restart, rng=weights)
    if start == "far":  # a few codes are nearest to everything, and the others are never chosen
        model.codebook.weight.assign(model.codebook.weight.data * FAR)
        if method == "ema":
            model.codebook.sums.assign(model.codebook.weight.data)
    ta.fit(model, train, epochs=EPOCHS, batch_size=100, lr=2e-3, seed=seed, progress=False)
    counts = np.bincount(model.indices(train.take(slice(None), ta.rng(0))).ravel(), minlength=CODES)
    x = test.take(slice(None), ta.rng(0))
    found = {"perplexity": perplexity(counts), "used": int((counts > 0).sum()), "mse": float(np.square(model.reconstruct(x) - x).mean())}
    return found | ta.evaluation.evaluate(model, test, rng=ta.rng(seed))


def in_a_process(*arguments):
    """`one` in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps(arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    return json.loads(done.stdout.splitlines()[-1])


def table(start, seeds):
    """A row for each way to learn the codes."""
    rows = []
    for method, restart in METHODS:
        runs = [in_a_process(method, restart, start, seed) for seed in range(seeds)]
        cells = [
            f"{statistics.mean(run[name] for run in runs):.{digits}f} ({statistics.stdev(run[name] for run in runs):.{digits}f})"
            for name, digits in COLUMNS.items()
        ]
        rows.append("| " + " | ".join([method, "yes" if restart else "no", *cells]) + " |")
        print(rows[-1], flush=True)
    return "\n".join([HEADER, "|" + "---|" * 8, *rows])


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", choices=("near", "far"), default="near", help="where the codes begin")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="both starts, into benchmarks/vq.md")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(*arguments.one)))
        return
    if not arguments.write:
        table(arguments.start, arguments.seeds)
        return
    near = "\n## As it is\n\n" + table("near", arguments.seeds)
    far = f"\n\n## Codes that begin {FAR:g} times as far out\n\n" + table("far", arguments.seeds)
    TABLE.write_text(TITLE + near + far + "\n" + PUBLISHED)


if __name__ == "__main__":
    main()
