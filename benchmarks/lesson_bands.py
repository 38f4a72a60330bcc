"""The tolerance bands of a lesson, from its numbers over many seeds: writes lessons/NN_name.bands.json.

python benchmarks/lesson_bands.py 6                       seeds 0 to 9, both forms
python benchmarks/lesson_bands.py 6 --check 100 101 102   are the numbers of other seeds inside?

A band is mean +- 5 standard deviations over the seeds.  With ten seeds a normally distributed number of a fresh seed
is outside once in a thousand.  Claims, which must hold for every seed, have limits in the lesson itself and no band.
"""

import argparse
import contextlib
import io
import json
import pathlib
import sys
import tempfile

import numpy as np

from tinyae.course import entry, run_lesson
from tinyae.training.run import write_json

WIDTH = 5


def measure(number, fast, seed):
    """The metrics.json of one run, its printing hidden."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        return json.loads((run_lesson(number, fast=fast, seed=seed, out=pathlib.Path(folder) / "run") / "metrics.json").read_text())


def make(number, seeds):
    """The content of the bands file, from runs of both forms."""
    content = {"lesson": number, "rule": f"mean +- {WIDTH} standard deviations over the seeds (benchmarks/lesson_bands.py)"}
    for form in ("full", "fast"):
        runs = [measure(number, form == "fast", seed) for seed in seeds]
        values = {name: [run["numbers"][name]["value"] for run in runs] for name, row in runs[0]["numbers"].items() if row["kind"] == "number"}
        bands = {name: (np.mean(v) + WIDTH * np.std(v, ddof=1) * np.array([-1, 1])).round(6).tolist() for name, v in values.items()}
        content[form] = {"seeds": seeds, "bands": bands, "values": {name: np.round(v, 6).tolist() for name, v in values.items()}}
        content[form]["wall_seconds"] = [run["wall_seconds"] for run in runs]
        for name, v in values.items():
            print(f"{form}  {name:<34}{min(v):>11.5g} to {max(v):<11.5g} band {bands[name][0]:.5g} to {bands[name][1]:.5g}")
        for name, row in runs[0]["numbers"].items():
            if row["kind"] == "claim":
                v = [run["numbers"][name]["value"] for run in runs]
                print(f"{form}  {name:<34}{min(v):>11.5g} to {max(v):<11.5g} (claim)")
        print(f"{form}  wall seconds {content[form]['wall_seconds']}")
    return content


def check(number, seeds):
    """Print every number of these seeds that is outside its band.  Returns how many."""
    outside = 0
    for form in ("full", "fast"):
        for seed in seeds:
            rows = measure(number, form == "fast", seed)["numbers"]
            missed = {name: row["value"] for name, row in rows.items() if row["kind"] == "number" and not row["inside"]}
            print(f"{form}, seed {seed}: {'all inside' if not missed else f'outside: {missed}'}")
            outside += len(missed)
    return outside


def main():
    """Make the bands, or check fresh seeds against them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)), help="at least five")
    parser.add_argument("--check", type=int, nargs="+", metavar="SEED", help="seeds that made no band")
    options = parser.parse_args()
    if options.check:
        sys.exit(1 if check(options.lesson, options.check) else 0)
    if len(set(options.seeds)) < 5:
        parser.error("bands need at least five different seeds")
    write_json(entry(options.lesson).bands, make(options.lesson, options.seeds))


if __name__ == "__main__":
    main()
