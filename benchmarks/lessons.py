"""All lessons in full form, with their control runs: writes lessons/README.md.

python benchmarks/lessons.py            each lesson once in full and once in fast form, seed 0, and both forms as control runs
python benchmarks/lessons.py --fake     each lesson's fast form with its models on the fake device (minutes): would it run on a GPU?
"""

import argparse
import contextlib
import io
import json
import pathlib
import tempfile

import tinyae as ta
from tinyae import course
from tinyae.course.page import limits_of
from tinyae.course.record import read_bands

README = pathlib.Path(__file__).parent.parent / "lessons" / "README.md"
HEAD = """# The lessons

Each lesson is a script in cells (`# %%`), read from top to bottom: goal, picture, derivation, code with the same step numbers, check, a prediction
written before the run, the experiment, what surprised us, three exercises. It needs no network, and writes all its numbers to `metrics.json`.

```
tinyae course                    # the list
tinyae lesson 6                  # run it; --fast is shorter, --seed 3 another seed, --html writes it as a page
tinyae lesson 6 --control        # the same with its effect taken away: the numbers marked * must leave their bands
tinyae exercise 6 --start        # its exercises: fill in the functions, then `tinyae exercise 6` checks your file
tinyae course --html course      # all lessons as pages, with an index
```

A band is mean +- 5 standard deviations over the seeds beside it (`benchmarks/lesson_bands.py`); a claim has limits that must hold for every seed.
A prediction is computed before the number is measured. A number marked * is the lesson's effect: in the control run it was outside its band.
Solutions are in [`solutions/`](solutions/), apart from the [`exercises/`](exercises/). This file is written by `benchmarks/lessons.py`; the figures
are those of seed 0 in full form, the seconds those of one core of a shared machine.

| lesson | seconds, full form | fast form | claims that hold | numbers in their bands | left in the control run |
|---|---|---|---|---|---|
"""


def run(number, **settings):
    """The metrics.json of a run, its printing hidden."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        out = course.run_lesson(number, out=pathlib.Path(folder) / "run", **settings)
        return json.loads((out / "metrics.json").read_text())


def row_of(lesson, full, fast, controls):
    """A line of the first table."""
    rows = full["numbers"].values()
    claims, numbers = ([row for row in rows if row["kind"] == kind] for kind in ("claim", "number"))
    left = {name for control in controls for name, row in control["numbers"].items() if row["effect"]}
    inside = sum(row.get("inside", False) for row in numbers)
    title = f"[{lesson.number:02d} {lesson.title}]({lesson.path.name})"
    seconds = f"{full['wall_seconds']:.0f} | {fast['wall_seconds']:.0f}"
    held = sum(row["inside"] for row in claims)
    return f"| {title} | {seconds} | {held} of {len(claims)} | {inside} of {len(numbers)} | {len(left)} |\n"


def table_of(lesson, full):
    """The numbers of a lesson: measured, predicted, band; of the claims, those that were predicted or are the effect."""
    seeds = len(read_bands(lesson)["full"]["seeds"])
    lines = [
        f"\n## {lesson.number:02d} {lesson.title}\n",
        f"| number | measured | predicted | band ({seeds} seeds), or limits | unit |",
        "|---|---|---|---|---|",
    ]
    for name, row in full["numbers"].items():
        if row["kind"] == "number" or row["effect"] or "predicted" in row:
            band = f"{row['low']:.4g} to {row['high']:.4g}" if "low" in row else f"claim: {limits_of(row)}"
            predicted = f"{row['predicted']:.4g}" if "predicted" in row else ""
            lines.append(f"| `{name}`{' *' * row['effect']} | {row['value']:.4g} | {predicted} | {band} | {row['unit']} |")
    return "\n".join(lines) + "\n"


def write():
    """Run everything, and write lessons/README.md."""
    table, numbers = "", ""
    for lesson in course.lessons():
        full, fast = run(lesson.number), run(lesson.number, fast=True)
        controls = [run(lesson.number, fast=form, control=True) for form in (False, True)]  # raises where an effect stays
        table += row_of(lesson, full, fast, controls)
        numbers += table_of(lesson, full)
        print(table.splitlines()[-1], flush=True)
    README.write_text(HEAD + table + numbers, encoding="utf-8")


def on_the_fake_device():
    """Run the fast form of every lesson with its models on the fake device; their numbers are printed, their bands compared."""
    for lesson in course.lessons():
        with ta.checks.fake_device.fake_gpu() as counters, ta.using("numpy"):
            found = run(lesson.number, fast=True, backend="fake")
        numbers = [row for row in found["numbers"].values() if row["kind"] == "number"]
        inside = sum(row["inside"] for row in numbers)
        print(f"{lesson.path.name}: {found['wall_seconds']:.0f} s, {inside} of {len(numbers)} numbers in their bands, {counters}", flush=True)


def main():
    """Write the table, or try the fake device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fake", action="store_true", help="models on the fake device, fast forms")
    on_the_fake_device() if parser.parse_args().fake else write()


if __name__ == "__main__":
    main()
