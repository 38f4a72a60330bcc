"""`tinyae check`: the gradients of every operation, or of a function in somebody's file, as a table."""

import itertools
import sys
from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, grad, registry
from tinyae.checks.accuracy import LIMIT, REASONS, UNITS, accuracy, ulps
from tinyae.checks.gradcheck import GradientError, gradcheck
from tinyae.checks.subjects import failed as failed_in
from tinyae.checks.subjects import strategies, subjects
from tinyae.errors import ArgumentError

SMALL = 24  # entries of a call whose second order is checked
REASONED = "ok, with a reason"  # a float32 error above the limit for which accuracy.REASONS has one
HEADINGS = ("operation", "inputs", "gradient", "second order", "float32", "its gradient", "verdict")


class Row(NamedTuple):
    """What was found about a function: relative errors of its gradients, float32 errors in ulp; None for what was not checked."""

    name: str
    inputs: str
    first: float | None
    second: float | None
    forward: float | None
    gradient: float | None
    verdict: str
    message: str = ""  # the error in full
    notes: tuple = ()  # what else should be known


def check(names, *, order=2, seed=0, examples=10):
    """Check operations and functions by name (every operation if there is none), print a table; returns the exit code, 0 or 1.

    Raises ArgumentError for a name that means nothing.
    """
    rows, named = [], [one for name in names for one in subjects(name, examples, seed)]
    every = named or (one for name in registry for one in subjects(name, examples, seed))
    try:
        with Progress(len(named or registry)) as progress, np.errstate(all="ignore"):
            for one in every:
                rows.append(row_of(one, order, seed))
                progress.step(one.name)
    finally:  # what is done is shown after Ctrl-C as well
        if rows:
            print_table(rows)
    failed = [row for row in rows if row.message]
    told = [row.message for row in failed] or [text for row in rows if names for text in reasons_of(row)]
    for text in [*told, *(note for row in rows for note in row.notes)]:
        print(f"\n{text}")
    print(f"\n{len(failed)} of {len(rows)} failed: {', '.join(row.name for row in failed)}" if failed else f"\n{len(rows)} checked, none failed")
    return 1 if failed else 0


def check_mutants(names, targets=()):
    """Put every small error into the rules of the operations and into `targets`, print which of them no check sees; returns 0 or 1."""
    strategies()  # says so where Hypothesis is missing
    if files := [name for name in names if ".py" in name]:
        raise ArgumentError("--mutants puts errors into the library's own operations.", got=files[0], remedy=f"tinyae check {files[0]}")
    from tinyae.checks import mutants

    everything = itertools.chain(mutants.primitive_targets(), targets)
    lines, code = mutants.report(names, targets=everything, progress=sys.stderr if sys.stderr.isatty() else None)
    print("\n".join(lines))
    return code


def reasons_of(row):
    """Why the float32 errors of an operation may be large, a line each."""
    for part, error in (("value", row.forward), ("gradient", row.gradient)):
        if row.verdict == REASONED and (row.name, part) in REASONS and error > LIMIT:
            yield f"{row.name}, float32 {part}: {REASONS[row.name, part].text} (ulp {UNITS[REASONS[row.name, part].unit]})"


def row_of(one, order, seed):
    """Check one subject.  Raises ArgumentError, of one line, for what somebody's function raises."""
    shapes = max((values for _, values in one.calls), key=lambda values: sum(v.size for v in values))
    count = f"{len(one.calls)} call{'s' if len(one.calls) > 1 else ''}"
    inputs = f"{count}, up to {' '.join(str(v.shape).replace(' ', '') for v in shapes)}"
    row = Row(one.name, inputs, None, None, None, None, "FAILED", notes=one.notes)
    try:
        first, second = gradient_errors(one, order, seed)
        forward, gradient, accurate, where = float32_errors(one, seed)
    except GradientError as error:
        return row._replace(message=f"{error}\n  inputs    {one.assumed}" if one.assumed else str(error))
    except Exception as error:
        if not one.file:
            raise
        raise failed_in(one.file, error, "; ".join(filter(None, [*one.notes, one.assumed])) or None) from error
    row = row._replace(first=first, second=second, forward=forward, gradient=gradient)
    if not accurate:
        message = f"{one.name}: more than {LIMIT:g} ulp in float32, and no reason is stated in checks/accuracy.py: {where}."
        return row._replace(message=message)
    if one.file and None in (forward, gradient):
        row = row._replace(notes=(*one.notes, f"{one.name}, float32: - stands for what is float64 though the inputs are float32"))
    large = one.primitive and not one.file and max(forward, gradient) > LIMIT
    return row._replace(verdict="surrogate" if first is None else REASONED if large else "ok")


def gradient_errors(one, order, seed):
    """The worst relative errors of first and second order; None for what is not checked.  Raises GradientError."""
    if one.primitive and one.primitive.surrogate:
        return None, None
    first = max(gradcheck(f, values, backward=one.backward, seed=seed).worst for f, values in one.calls)
    small = [(f, values) for f, values in one.calls if order == 2 and one.backward is None and sum(v.size for v in values) <= SMALL]
    return first, max((gradcheck(f, values, order=2, seed=seed).worst for f, values in small), default=None)


def float32_errors(one, seed):
    """(worst ulp of the value, of the gradient, whether that is accepted, where) of a subject.

    A primitive of ours is measured over its whole range and held to the limit; another function on its inputs, for information, in ulp of
    the largest entry.
    """
    if one.primitive and not one.file:
        found = accuracy(one.primitive, seed=seed)
        return found.forward, found.gradient, found.passed, f"{found.forward_at}; {found.gradient_at}"
    worst = [None, None]
    for f, values in one.calls:
        narrow = [v.astype(np.float32) if v.dtype.kind == "f" else v for v in values]
        results = [computed(one, f, narrow, dtype) for dtype in (np.float32, np.float64)]
        for i, (found, expected) in enumerate(zip(*results, strict=True)):
            if found.dtype == np.float32 and found.size:
                worst[i > 0] = max(worst[i > 0] or 0.0, float(ulps(found, expected, np.abs(expected).max()).max()))
    return *worst, True, ""


def computed(one, f, values, dtype):
    """[value, gradients] of a call in `dtype`, arrays; the cotangent has numbers of both signs, no two alike."""
    values = [v.astype(dtype) if v.dtype.kind == "f" else v for v in values]
    if one.backward is None:
        values = [Tensor(v, requires_grad=True) if v.dtype.kind == "f" else v for v in values]
    y = f(*values)
    shape = np.shape(y) if one.backward else y.shape
    gy = (np.linspace(0.5, 1.5, int(np.prod(shape))) * np.resize([1, -1], int(np.prod(shape)))).reshape(shape).astype(dtype)
    if one.backward is None:
        return [y.data, *(g.data for g in grad(y, [v for v in values if isinstance(v, Tensor)], gy))]
    gradients = one.backward(gy, *values)
    return [np.asarray(g) for g in (y, *(gradients if isinstance(gradients, (tuple, list)) else [gradients])) if g is not None]


def cells(row):
    """A row as texts."""
    error = lambda x: "-" if x is None else f"{x:.1e}"  # noqa: E731
    ulp = lambda x: "-" if x is None else f"{x:.2g} ulp" if x < 1e4 else f"{x:.0e} ulp"  # noqa: E731
    return (row.name, row.inputs, error(row.first), error(row.second), ulp(row.forward), ulp(row.gradient), row.verdict)


def print_table(rows):
    """Print the rows: a table on a terminal, elsewhere plain lines."""
    if not sys.stdout.isatty():
        lines = [HEADINGS, *map(cells, rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
        print("\n".join("  ".join(text.ljust(n) for text, n in zip(line, widths, strict=True)).rstrip() for line in lines))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, style="cyan" if heading == "operation" else "dim" if heading == "inputs" else "", overflow="fold")
    for row in rows:
        *texts, verdict = cells(row)
        table.add_row(*texts, Text(verdict, "bold red" if row.message else "green"))
    Console().print(table)


class Progress:
    """How far the checks are, on stderr: a bar on a terminal, else a line now and then."""

    def __init__(self, total):
        self.total, self.done, self.bar = total, 0, None

    def __enter__(self):
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Bar

            self.bar = Bar(console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task("", total=self.total)
            self.bar.start()
        return self

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.stop()

    def step(self, name):
        """One more is done."""
        self.done += 1
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, description=name)
        elif self.done % 20 == 0:
            print(f"checked {self.done} of {self.total}", file=sys.stderr, flush=True)
