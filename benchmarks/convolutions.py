"""What each choice in `ops/correlation.py` is worth in a training step: a convolutional VAE, batches of 128, pure NumPy, one thread.

    python benchmarks/convolutions.py            # a minute or two

The step is measured as it is, with blocks of other sizes, with all columns at once, and with freed memory going back to the
system.  Every variant is a process of its own; they take turns, and shown are medians over the rounds of processor time, pages
that the system had to hand out, and peak memory.  With --write the table goes to benchmarks/convolutions.md.
"""

import argparse
import contextlib
import functools
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from unittest import mock

import numpy as np

TABLE = pathlib.Path(__file__).with_suffix(".md")
ROOT = TABLE.parent.parent
ROUNDS, WARM, STEPS = 5, 3, 12
SIZES = {f"blocks of {size}": at for size, at in (("0.25 MB", 2**18), ("0.5 MB", 2**19), ("1 MB", 2**20), ("4 MB", 2**22), ("8 MB", 2**23))}
NO_BLOCKS, NOTHING_KEPT = "all columns at once", "freed memory goes back"
VARIANTS = ["as it is (blocks of 2 MB)", *SIZES, NO_BLOCKS, NOTHING_KEPT, f"{NO_BLOCKS}, {NOTHING_KEPT}"]


def prepared(variant):
    """tinyae, changed as the variant says."""
    sys.modules["numba"] = None  # importing it fails: pure NumPy
    without = mock.patch("numpy.empty", functools.wraps(np.empty)(lambda *_, **__: None))  # nothing for keep_freed_memory to free
    with without if NOTHING_KEPT in variant else contextlib.nullcontext():
        from tinyae.ops import correlation
    if NO_BLOCKS in variant:
        correlation.BLOCK = 2**40
    elif variant in SIZES:
        correlation.BLOCK, correlation.FEWEST = SIZES[variant], 1
    import tinyae

    return tinyae


def measure(variant):
    """Processor milliseconds and page faults of a step, and peak memory in megabytes."""
    ta = prepared(variant)
    model = ta.models.VAE(784, 20, (256,), channels=(32, 64), image_shape=(1, 28, 28), rng=ta.rng(0))
    x, rng = ta.rng(1).bernoulli(np.full((128, 784), 0.3, np.float32)), ta.rng(2)
    adam = ta.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(WARM + STEPS):
        if step == WARM:
            start, faults = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        loss = model.loss(x, rng=rng).loss
        adam.zero_grad()
        loss.backward()
        adam.step()
    took, usage = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF)
    return took / STEPS * 1e3, (usage.ru_minflt - faults) / STEPS, usage.ru_maxrss / 1024


def main():
    """Measure in turn, print a table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {TABLE.name}")
    parser.add_argument("--only", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(*measure(arguments.only))
        return
    found = {variant: [] for variant in VARIANTS}
    for _ in range(ROUNDS):
        for variant, rows in found.items():
            environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
            command = [sys.executable, __file__, "--only", variant]
            rows.append([float(n) for n in subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()])
    lines = ["| variant | ms a step | page faults a step | peak memory, MB |", "|---|---|---|---|"]
    for variant, rows in found.items():
        took, faults, peak = map(statistics.median, zip(*rows, strict=True))
        lines.append(f"| {variant} | {took:.1f} | {faults:.0f} | {peak:.0f} |")
    print("\n".join(lines))
    if arguments.write:
        made = "Made by `python benchmarks/convolutions.py --write`, which says what is measured."
        TABLE.write_text(f"# Convolutions: what each choice is worth\n\n{made}\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
