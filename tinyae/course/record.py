"""The record of a lesson: claims, which must hold, numbers, which are compared with the bands of other seeds, and predictions of both.

A control run takes the effect of the lesson away.  Then each number and claim marked with effect=True must be outside its band or limits:
a number that stays where it was shows nothing.
"""

import json
import math
import platform
import time

import numpy as np

from tinyae.backend import using
from tinyae.course.notebook import show
from tinyae.course.proofs import gradient_errors
from tinyae.errors import ArgumentError, TinyaeError
from tinyae.training.run import write_json


class CheckFailed(TinyaeError, AssertionError):
    """A lesson claimed something that does not hold."""


class Lesson:
    """What a lesson script writes into; `course.begin(number)` makes it.

    entry: the lesson (number, title, path).  settings: fast, seed, out, backend, control.  A name such as "test.kl" has a group and a name.
    """

    def __init__(self, entry, settings):
        self.entry, self.fast, self.seed, self.out = entry, settings.fast, settings.seed, settings.out
        self.backend, self.control = settings.backend, settings.control
        self.rows, self.predictions, self.figures, self.started = {}, {}, {}, time.perf_counter()

    def predict(self, name, value, unit):
        """Print what a number or claim will be; to be said before it is measured, from a formula or a stated argument."""
        if name in self.rows or name in self.predictions:
            raise ArgumentError(f"{name} is known already.", expected="a prediction comes before its number, once", got=value)
        self.predictions[name] = float(value)
        print(f"  predicted: {name:<25}{float(value):>12.5g}  {unit}".rstrip())

    def number(self, name, value, unit, *, effect=False):
        """Print a number that depends on the seed, and keep it for the comparison with its band.  effect: see the head of this file."""
        self._add(name, value, unit, kind="number", effect=effect)

    def claim(self, name, value, unit, *, at_least=-math.inf, at_most=math.inf, effect=False):
        """Print a number that has stated limits for every seed.  Raises CheckFailed where it is outside; in a control run not for an effect."""
        at_least, at_most = float(at_least), float(at_most)
        limits = [f"at least {at_least:g}"] * (at_least > -math.inf) + [f"at most {at_most:g}"] * (at_most < math.inf)
        if not limits:
            raise ArgumentError(f"{name}: a claim needs a limit.", remedy="at_least= or at_most=, or lesson.number(...)")
        self._add(name, value, unit, kind="claim", effect=effect, remark=", ".join(limits))
        row = self.rows[name]
        row["inside"] = at_least <= row["value"] <= at_most
        row |= {name: limit for name, limit in (("at_least", at_least), ("at_most", at_most)) if math.isfinite(limit)}
        if not row["inside"] and not (effect and self.control):
            got = f"{row['value']:.6g} {unit}"
            raise CheckFailed(f"lesson {self.entry.number}: the check {name} failed.", expected=", ".join(limits), got=got)

    def gradients(self, name, f, inputs, by_hand, cotangent=None, at_most=1e-8, analytic=True):
        """Claim that gradients derived by hand are those of the engine, of finite differences, and of a complex step: "gradients.name_input_way".

        f: takes the inputs, arrays or Tensors, made of our operations.  inputs: name -> float64 array.  by_hand: name -> its gradient.
        cotangent: an array of the shape of f's result, random so that no sum hides (None: f gives one number).  analytic: False
        where f has kinks or compares, which leaves the complex step out.
        """
        for (of, way), error in gradient_errors(f, inputs, by_hand, cotangent, analytic).items():
            self.claim(f"gradients.{name}_{of}_{way}", error, "relative error", at_most=at_most)

    def device(self):
        """A context in which new arrays, models and batches are on the backend that was asked for: `with lesson.device():`."""
        return using(self.backend)

    def microscope(self, trace, **settings):
        """Write the page microscope.html of a `ta.microscope.trace` into the output folder: a step of this lesson, line by line."""
        trace.to_html(self.out / "microscope.html", **settings)

    def figure(self, figure, name, alt):
        """Save a matplotlib Figure as `name` (a PNG) in the output folder, and show it where a notebook runs; `alt` says in words what it shows."""
        from tinyae.figures.style import DPI

        figure.savefig(self.out / name, dpi=DPI, metadata={"Software": None, "Description": alt})
        self.figures[name] = alt
        show(self.out / name, alt)

    def finish(self, **facts):
        """Say for each number whether it is inside its band, and write metrics.json.  facts: further entries of that file."""
        if not any(row["kind"] == "claim" for row in self.rows.values()):
            raise CheckFailed(f"lesson {self.entry.number} checked nothing.", remedy="lesson.claim(...)")
        if forgotten := self.predictions.keys() - self.rows.keys():
            raise CheckFailed(f"lesson {self.entry.number} predicted what it never measured.", got=", ".join(sorted(forgotten)))
        self._compare()
        if self.control:
            self._without_effect()
        write_json(self.out / "metrics.json", self._metrics() | facts)
        print(f"\nwritten: {self.out / 'metrics.json'}", *(self.out / name for name in self.figures), sep="\n         ")

    def _add(self, name, value, unit, kind, effect, remark=""):
        if name in self.rows or name.count(".") != 1:
            raise ArgumentError("a number of a lesson needs a name of its own.", expected="group.name, used once", got=repr(name))
        if not math.isfinite(value):
            raise CheckFailed(f"lesson {self.entry.number}: {name} is not a finite number.", got=value)
        self.rows[name] = {"value": float(value), "unit": unit, "kind": kind, "effect": bool(effect)}
        if name in self.predictions:
            predicted = self.predictions[name]
            self.rows[name]["predicted"] = predicted
            told = f"predicted {predicted:.5g}, off by {float(value) - predicted:+.3g}"
            remark = f"{told}; {remark}" if remark else told
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

    def _without_effect(self):
        """Raise CheckFailed where a control run leaves a number of the effect where it was."""
        effects = {name: row for name, row in self.rows.items() if row["effect"]}
        if still := [name for name, row in effects.items() if row.get("inside", True)]:
            raise CheckFailed(
                f"lesson {self.entry.number}: without its effect, these are what they were with it.",
                expected="outside their bands or limits",
                got=", ".join(still),
            )
        print(f"\nControl run: without the effect, {', '.join(effects) or 'nothing'} left the band.")
        if not effects:
            raise CheckFailed(f"lesson {self.entry.number} has no number that depends on its effect.", remedy="lesson.number(..., effect=True)")

    def _metrics(self):
        """The content of metrics.json: the values by group, and for each number its unit, limits and verdict."""
        import tinyae

        metrics = {"lesson": self.entry.number, "title": self.entry.title, "fast": self.fast, "seed": self.seed, "control": self.control}
        for name, row in self.rows.items():
            group, short = name.split(".")
            metrics.setdefault(group, {})[short] = row["value"]
        versions = {"tinyae": tinyae.__version__, "numpy": np.__version__, "python": platform.python_version()}
        metrics |= {"units": "nats per example", "backend": self.backend, "versions": versions, "numbers": self.rows, "figures": self.figures}
        return metrics | {"wall_seconds": round(time.perf_counter() - self.started, 2)}


def read_bands(entry):
    """The bands of a lesson: {"full": {"seeds": [...], "bands": {name: [low, high]}}, "fast": ...}."""
    return json.loads(entry.bands.read_text(encoding="utf-8"))
