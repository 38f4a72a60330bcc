"""A top level that collapses, beside the same network where it does not: the KL of each level, and -log p(x) of the test digits.

    python benchmarks/hierarchy.py            # five seeds, a few minutes
    python benchmarks/hierarchy.py --seeds 1
    python benchmarks/hierarchy.py --write    # writes benchmarks/hierarchy.md too

The network has sigmoid units: what z_2 says reaches z_1 weakly at the beginning, and its KL is a cost from the first step.  z_1 alone soon
serves, and the top level stays unused.  Remedies change the training (warm-up, free bits) or the posterior (ladder), never the generative
model.  A ladder without warm-up has the opposite trouble here: its bottom level stays at the prior.
"""

import argparse
import math
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is loaded; a second thread costs small matrices more than it gives

import tinyae as ta

EPOCHS, LR, SAMPLES = 150, 3e-3, 500
COLLAPSED = 0.01  # nats
NETWORK = {"features": 64, "levels": (2, 8), "hidden": (128, 64), "activation": "sigmoid"}
WARM_UP, FREE = {"beta": ta.optim.linear(0, 1, 75)}, {"free_bits": ta.optim.schedules.piecewise_constant({0: 1.0, 75: 0.0})}
ROWS = {  # what it is called -> (model, schedules)
    "two-level": ("two-level-vae", {}),
    "two-level, warm-up of the KL over 75 epochs": ("two-level-vae", WARM_UP),
    "two-level, 1 nat free for each level in the first 75 epochs": ("two-level-vae", FREE),
    "ladder": ("ladder-vae", {}),
    "ladder, warm-up of the KL over 75 epochs": ("ladder-vae", WARM_UP),
    "VAE with 8 latents, layers 128": ("vae", {}),
}
INTRO = f"""# A top level that collapses, and what helps

Made by `python benchmarks/hierarchy.py --write`.  Digits (threshold), {EPOCHS} epochs, batch 100, Adam {LR:g}, sigmoid units; levels 2 (top) and 8,
layers upwards 128 and 64.  On the test split, nats per example: means over SEEDS seeds (standard error).  -log p(x): {SAMPLES} importance samples.
Collapsed: the KL of a level is below {COLLAPSED} nats.

"""
HEADER = "| model | KL of the top | KL of the bottom | negative ELBO | -log p(x) | collapsed: top, bottom | parameters |"


def likelihood_and_terms(model, test, seed):
    """(-log p(x) by importance samples, the terms of the loss) on the test split, nats."""
    nll = ta.evaluation.log_likelihood(model, test, SAMPLES, rng=ta.rng(seed).stream("samples")).nll
    return nll, ta.evaluation.evaluate(model, test, rng=ta.rng(seed).stream("terms"), draws=20)


def measure(name, schedules, seed):
    """(KL of each level, negative ELBO, -log p(x), parameters) of a model after its training."""
    data, test = (ta.data.load("digits", split=split, binarisation="threshold") for split in ("train", "test"))
    own = {"latent": 8, "hidden": (128,)} if name == "vae" else {}
    config = {key: value for key, value in NETWORK.items() if name != "vae" or key not in ("levels", "hidden")} | own
    model = ta.models.build({"model": name} | config, ta.rng(seed).stream("weights"))
    ta.fit(model, data, epochs=EPOCHS, batch_size=100, lr=LR, seed=seed, schedules=schedules, progress=False)
    nll, terms = likelihood_and_terms(model, test, seed)
    top = terms.get("kl_top", math.nan)
    return [top, terms["kl"] - (0.0 if name == "vae" else top), terms["negative_elbo"], nll, sum(p.size for p in model.parameters())]


def row(title, seeds):
    """A row of the table, over the seeds."""
    found = [measure(*ROWS[title], seed) for seed in range(seeds)]
    cells, columns = [title], list(zip(*found, strict=True))
    for column in columns[:4]:
        if math.isnan(column[0]):  # a VAE has one level, no top
            cells.append("")
            continue
        error = f" ({statistics.stdev(column) / len(column) ** 0.5:.3f})" if len(column) > 1 else ""
        cells.append(f"{statistics.mean(column):.3f}{error}")
    collapsed = ", ".join(f"{sum(kl < COLLAPSED for kl in level)} of {seeds}" for level in columns[:2] if not math.isnan(level[0]))
    return "| " + " | ".join([*cells, collapsed, f"{columns[4][0]:,}"]) + " |"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write hierarchy.md")
    arguments = parser.parse_args()
    lines = [HEADER, "|" + "---|" * 7]
    print("\n".join(lines))
    for title in ROWS:
        began = time.perf_counter()
        lines.append(row(title, arguments.seeds))
        print(lines[-1], f"  {time.perf_counter() - began:.0f} s", flush=True)
    if arguments.write:
        pathlib.Path(__file__).with_suffix(".md").write_text(INTRO.replace("SEEDS", str(arguments.seeds)) + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
