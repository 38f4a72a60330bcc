"""Every model of the family beside the best simpler one of equal size and budget, over five seeds.

    python benchmarks/family.py                       # all of them: see what is there, one row each
    python benchmarks/family.py vae beta-vae --write  # measure these again: benchmarks/family/NAME.json, and the table of family.md

Each file benchmarks/family/NAME.py compares one model, as `tinyae train NAME` makes it, with a baseline.  It has

    METRIC, UNIT    what is compared, on the test split
    LOWER           whether lower is better
    BASELINE        what the model is held against, in words
    measure(seed)   a dict: "model", "baseline", and any other numbers by name

A process of its own for each seed, with one thread of the linear algebra.  The difference is judged pair by pair, as both have the seed in common:
"better" or "worse" where its mean is more than two standard errors from 0, else "no difference".
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

FOLDER = pathlib.Path(__file__).with_suffix("")
sys.path.insert(0, str(FOLDER.parent.parent))
SEEDS = 5
INTRO = """# The family, measured

Made by `python benchmarks/family.py --write`, five seeds each; what is compared stands in `benchmarks/family/NAME.py`.  The model is the one
that `tinyae train NAME` makes.  Difference: model minus baseline, in pairs of one seed; more than two standard errors from 0 is called better
or worse.  Seconds: both, on one core, data and evaluation included.

"""
HEADER = "| model | measured on the test split | model: mean (standard error) | baseline | its mean (standard error) | difference | seconds |"


def trained(name, seed, *options):
    """(model, training set, test set): what `tinyae train NAME --seed SEED OPTION ...` trains, without writing anything."""
    import tinyae as ta
    from tinyae.cli import parser, train

    arguments = parser().parse_args(["train", name, "--seed", str(seed), *map(str, options)])
    settings = train.settings_of(arguments)
    data, test = (ta.data.load(settings["data"], split=split, binarisation=settings["binarisation"]) for split in ("train", "test"))
    model = train.model_for(settings, data)
    train.fit(model, data, None, settings, None, False, progress=False)
    return model, data, test


def comparison(name):
    """The module benchmarks/family/NAME.py."""
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one(name, seed):
    """The numbers of one seed, from a process of its own, and its seconds."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, name, "--seed", str(seed)], check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1]) | {"seconds": round(time.perf_counter() - started, 1)}


def mean_and_error(values):
    """(mean, its standard error)."""
    return statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5


def summary(name, seeds):
    """The content of NAME.json: for each number its mean, standard error and values, and the verdict."""
    module, runs = comparison(name), [one(name, seed) for seed in seeds]
    found = {"metric": module.METRIC, "unit": module.UNIT, "held_against": module.BASELINE, "seeds": list(seeds)}
    for key in runs[0]:
        mean, error = mean_and_error([run[key] for run in runs])
        found[key] = {"mean": mean, "standard_error": error, "values": [run[key] for run in runs]}
    mean, error = mean_and_error([run["model"] - run["baseline"] for run in runs])
    verdict = "no difference" if abs(mean) <= 2 * error else "better" if (mean < 0) == module.LOWER else "worse"
    return {"name": name} | found | {"difference": {"mean": mean, "standard_error": error}, "verdict": verdict}


def shown(number):
    """Mean and standard error, the latter with two digits."""
    mean, error = number["mean"], number["standard_error"]
    digits = max(0, 1 - int(f"{error:.1e}".partition("e")[2])) if error else 3
    return f"{mean:.{digits}f} ({error:.{digits}f})"


def row(found):
    """A row of the table."""
    cells = [found["name"], f"{found['metric']}, {found['unit']}", shown(found["model"]), found["held_against"], shown(found["baseline"])]
    return "| " + " | ".join([*cells, f"{shown(found['difference'])}: {found['verdict']}", f"{found['seconds']['mean']:.0f}"]) + " |"


def write_table():
    """family.md from all the JSON files."""
    rows = [row(json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))]
    FOLDER.with_suffix(".md").write_text(INTRO + "\n".join([HEADER, "|" + "---|" * 7, *rows]) + "\n")


def main():
    """The command line."""
    names = sorted(path.stem for path in FOLDER.glob("*.py"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all): " + ", ".join(names))
    parser.add_argument("--seed", type=int, help="print the numbers of this seed alone, as JSON")
    parser.add_argument("--write", action="store_true", help="write NAME.json and family.md")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in names]:
        parser.error(f"there is no comparison {unknown[0]}; there are {', '.join(names)}")
    if arguments.seed is not None:
        for name in arguments.names:
            print(json.dumps(comparison(name).measure(arguments.seed)))
        return
    for name in arguments.names or names:
        found = summary(name, range(SEEDS))
        print(row(found), flush=True)
        if arguments.write:
            (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    if arguments.write:
        write_table()


if __name__ == "__main__":
    main()
