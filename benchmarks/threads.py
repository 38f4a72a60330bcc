"""What threads of the linear algebra are worth in a training, on a quiet machine and beside a program that keeps one core busy.

    python benchmarks/threads.py --write     # some minutes

Each training runs in a process of its own: `ta.fit` with the threads that it chooses, and with all of them; digits (a small VAE, 30 epochs)
and random images of 784 features (400 hidden units, 60 steps).  Wall seconds, medians of three.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = pathlib.Path(__file__).with_suffix(".md")
ROUNDS = 3


def train(network, all_threads):
    """Seconds of a training in this process."""
    import numpy as np

    import tinyae as ta
    from tinyae.training import threads

    if all_threads:
        threads.LARGE = 0
    if network == "digits":
        data, epochs, model = ta.data.load("digits", split="train"), 30, ta.models.VAE(64, 2, (64,), rng=ta.rng(0))
    else:
        data, epochs = np.random.default_rng(0).integers(0, 2, (7680, 784)).astype(np.float32), 1
        model = ta.models.VAE(784, 20, (400,), rng=ta.rng(0))
    start = time.perf_counter()
    ta.fit(model, data, epochs=epochs, progress=False)
    return time.perf_counter() - start


@contextlib.contextmanager
def a_busy_core(busy):
    """Another program at work, or none."""
    if not busy:
        yield
        return
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def measured(network, all_threads):
    """Seconds of a training in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENBLAS_", "OMP_", "MKL_"))}
    command = [sys.executable, __file__, "--only", network, *(["--all"] if all_threads else [])]
    return float(subprocess.run(command, env=kept | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True).stdout)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {TABLE.name}")
    parser.add_argument("--only", choices=("digits", "784 features"), help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(train(arguments.only, arguments.all))
        return
    lines = ["| training | other programs | threads that `ta.fit` chooses | all threads | ratio |", "|---|---|---|---|---|"]
    for network in ("digits", "784 features"):
        for busy in (False, True):
            with a_busy_core(busy):
                times = [[measured(network, every) for every in (False, True)] for _ in range(ROUNDS)]
            chosen, every = (statistics.median(column) for column in zip(*times, strict=True))
            other = "one core is busy" if busy else "none"
            lines.append(f"| {network} | {other} | {chosen:.2f} s | {every:.2f} s | {every / chosen:.2f} |")
    lines += ["", f"On {os.cpu_count()} cores."]
    print("\n".join(lines))
    if arguments.write:
        TABLE.write_text("# Threads\n\nMade by `python benchmarks/threads.py --write`; wall seconds.\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
