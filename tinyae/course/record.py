"""The record of a lesson: its claims, which must hold, and its numbers, which are compared with the bands of other seeds."""

import json
import math
import platform
import time

import numpy as np

from tinyae.errors import ArgumentError, TinyaeError
from tinyae.training.run import write_json


class CheckFailed(TinyaeError, AssertionError):
    """A lesson claimed something that does not hold."""


class Lesson:
    """What a lesson script writes into; `course.begin(number)` makes it.

    entry: the lesson (number, title, path).  settings: fast, seed, out.  A name such as "test.kl" has a group and a name.
    """

    def __init__(self, entry, settings):
        self.entry, self.fast, self.seed, self.out = entry, settings.fast, settings.seed, settings.out
        self.rows, self.figures, self.started = {}, {}, time.perf_counter()

    def number(self, name, value, unit):
        """Print a number that depends on the seed, and keep it for the comparison with its band."""
        self._add(name, value, unit, kind="number")

    def claim(self, name, value, unit, *, at_least=-math.inf, at_most=math.inf):
        """Print a number that has stated limits for every seed.  Raises CheckFailed where it is outside."""
        limits = [f"at least {at_least:g}"] * (at_least > -math.inf) + [f"at most {at_most:g}"] * (at_most < math.inf)
        if not limits:
            raise ArgumentError(f"{name}: a claim needs a limit.", remedy="at_least= or at_most=, or lesson.number(...)")
        self._add(name, value, unit, kind="claim", remark=", ".join(limits))
        if not at_least <= self.rows[name]["value"] <= at_most:
            got = f"{self.rows[name]['value']:.6g} {unit}"
            raise CheckFailed(f"lesson {self.entry.number}: the check {name} failed.", expected=", ".join(limits), got=got)

    def figure(self, figure, name, alt):
        """Save a matplotlib Figure as `name` (a PNG) in the output folder; `alt` says in words what it shows."""
        figure.savefig(self.out / name, dpi=100, metadata={"Software": None, "Description": alt})
        self.figures[name] = alt

    def finish(self, **facts):
        """Say for each number whether it is inside its band, and write metrics.json.  facts: further entries of that file."""
        if not any(row["kind"] == "claim" for row in self.rows.values()):
            raise CheckFailed(f"lesson {self.entry.number} checked nothing.", remedy="lesson.claim(...)")
        self._compare()
        write_json(self.out / "metrics.json", self._metrics() | facts)
        print(f"\nwritten: {self.out / 'metrics.json'}", *(self.out / name for name in self.figures), sep="\n         ")

    def _add(self, name, value, unit, kind, remark=""):
        if name in self.rows or name.count(".") != 1:
            raise ArgumentError("a number of a lesson needs a name of its own.", expected="group.name, used once", got=repr(name))
        if not math.isfinite(value):
            raise CheckFailed(f"lesson {self.entry.number}: {name} is not a finite number.", got=value)
        self.rows[name] = {"value": float(value), "unit": unit, "kind": kind}
        print(f"  {name:<36}{float(value):>12.5g}  {unit:<17}  {remark}".rstrip())

    def _compare(self):
        """Print inside or outside for each number, and note its band in its row."""
        form = "fast" if self.fast else "full"
        bands = read_bands(self.entry)[form]["bands"] if self.entry.bands.exists() else {}
        print(f"\nBands of the {form} form, from other seeds:")
        for name, row in self.rows.items():
            if row["kind"] == "number" and name in bands:
                row["low"], row["high"] = bands[name]
                row["inside"] = row["low"] <= row["value"] <= row["high"]
                verdict = "inside" if row["inside"] else "OUTSIDE"
                print(f"  {name:<36}{row['value']:>12.5g}  {verdict:<8} {row['low']:.5g} to {row['high']:.5g}")
            elif row["kind"] == "number":
                print(f"  {name:<36}{row['value']:>12.5g}  no band yet: benchmarks/lesson_bands.py makes them")

    def _metrics(self):
        """The content of metrics.json: the values by group, and for each number its unit, limits and verdict."""
        import tinyae

        metrics = {"lesson": self.entry.number, "title": self.entry.title, "fast": self.fast, "seed": self.seed}
        for name, row in self.rows.items():
            group, short = name.split(".")
            metrics.setdefault(group, {})[short] = row["value"]
        versions = {"tinyae": tinyae.__version__, "numpy": np.__version__, "python": platform.python_version()}
        metrics |= {"units": "nats per example", "backend": "numpy", "versions": versions, "numbers": self.rows, "figures": self.figures}
        return metrics | {"wall_seconds": round(time.perf_counter() - self.started, 2)}


def read_bands(entry):
    """The bands of a lesson: {"full": {"seeds": [...], "bands": {name: [low, high]}}, "fast": ...}."""
    return json.loads(entry.bands.read_text(encoding="utf-8"))
