"""What the engine costs beyond NumPy: microseconds an operation, forward and backward, on arrays of 10 entries.

    python benchmarks/overhead.py            # a minute

Three programs, each in processes of its own, in turn: the engine with all its guards; the engine without its three lines that
call observers (tracing, anomaly mode), to see what these cost while switched off; the same NumPy calls, forward and backward, by hand.
Each process gives its fastest of many rounds; shown are medians over the processes.  With --write the table goes to benchmarks/overhead.md.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = pathlib.Path(__file__).with_suffix(".md")
PROCESSES, ROUNDS, LOOPS, OPERATIONS = 15, 60, 100, 6
OBSERVERS = re.compile(r" +for observer in observers:\n +observer\.on_(forward|rules|backward).*\n")


def engine(x, c):
    """Six operations a loop with the engine: a constant factor, a sum of two Tensors, tanh, negation, exp, a square."""
    import tinyae as ta

    x = ta.Tensor(x, requires_grad=True)
    y = x
    for _ in range(LOOPS):
        y = ta.ops.exp(-(ta.ops.tanh(y * c) + x))
        y = ta.ops.square(y)
    y.backward(c)
    return x.grad


def by_hand(x, c):
    """The same with NumPy alone: the same calls, gradients included, kept in a list."""
    y, kept = x, []
    for _ in range(LOOPS):
        a = y * c
        t = np.tanh(a)
        s = t + x
        n = -s
        e = np.exp(n)
        y = e * e
        kept.append((t, e))
    g, gx = c, np.zeros(len(x), x.dtype)
    for t, e in reversed(kept):
        g = 2 * g * e
        g = g * e
        g = -g
        gx = gx + g
        g = g * (1 - t * t)
        g = g * c
    return gx + g


PROGRAMS = {"engine": engine, "engine without observers": engine, "by hand": by_hand}


def measure(program):
    """Microseconds an operation, the fastest of the rounds."""
    x, c = np.linspace(0.1, 0.2, 10), np.linspace(0.5, 1.0, 10)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        result = program(x, c)
        times.append(time.perf_counter() - start)
    np.testing.assert_allclose(result, by_hand(x, c), rtol=1e-12)  # all do the same
    return min(times) / (LOOPS * OPERATIONS) * 1e6


def without_observers(folder):
    """A copy of the package without the lines that call observers; returns how many were taken out."""
    shutil.copytree(ROOT / "tinyae", folder / "tinyae", ignore=shutil.ignore_patterns("__pycache__"))
    found = 0
    for path in (folder / "tinyae" / "autograd").glob("*.py"):
        source, count = OBSERVERS.subn("", path.read_text())
        path.write_text(source)
        found += count
    return found


def main():
    """Measure in turn, print a table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {TABLE.name}")
    parser.add_argument("--only", choices=PROGRAMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(measure(PROGRAMS[arguments.only]))
        return
    times = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        assert without_observers(pathlib.Path(folder)) == 3
        for _ in range(PROCESSES):
            for name in PROGRAMS:
                path = folder if name == "engine without observers" else str(ROOT)
                environment = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
                command = [sys.executable, __file__, "--only", name]
                times[name].append(float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout))
    median = {name: statistics.median(values) for name, values in times.items()}
    ratio = statistics.median(a / b for a, b in zip(times["engine"], times["engine without observers"], strict=True))
    lines = ["| program | microseconds an operation, forward and backward | beyond NumPy |", "|---|---|---|"]
    lines += [f"| {name} | {value:.2f} | {value - median['by hand']:.2f} |" for name, value in median.items()]
    lines += ["", f"Observers, switched off, cost {100 * (ratio - 1):.1f} % (median of {PROCESSES} pairs of processes)."]
    print("\n".join(lines))
    if arguments.write:
        TABLE.write_text("# Overhead of the engine\n\nMade by `python benchmarks/overhead.py --write`.\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
