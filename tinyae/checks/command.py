"""`tinyae check`: the gradients of every operation, or of a function in somebody's file, as a table."""

import itertools
import sys
from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, grad, registry
from tinyae.checks.accuracy import LIMIT, REASONS, UNITS, accuracy, ulps
from tinyae.checks.gradcheck import GradientError, gradcheck
from tinyae.checks.subjects import failed as failed_in
from tinyae.checks.subjects import strategies, subject
from tinyae.errors import ArgumentError, TinyaeError

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


def check(names, *, order=2, seed=0, examples=10):
    """Check operations and functions by name (every operation if there is none), print a table; returns the exit code, 0 or 1.

    Raises ArgumentError for a name that means nothing.
    """
    rows = []
    subjects = [subject(name, examples, seed) for name in names] if names else (subject(name, examples, seed) for name in registry)
    with Progress(len(names) or len(registry)) as progress:
        for one in subjects:
            try:
                rows.append(row_of(one, order, seed))
            except TinyaeError:
                raise
            except Exception as error:  # what somebody's function raises, in one line
                if not one.file:
                    raise
                raise failed_in(one.file, error) from error
            progress.step(one.name)
    print_table(rows)
    failed = [row for row in rows if row.message]
    for text in [row.message for row in failed] or [text for row in rows if names for text in reasons_of(row)]:
        print(f"\n{text}")
    print(f"\n{len(failed)} of {len(rows)} failed: {', '.join(row.name for row in failed)}" if failed else f"\n{len(rows)} checked, none failed")
    return 1 if failed else 0


def check_mutants(names, targets=()):
    """Put every small error into the rules of the operations and into `targets`, print which of them no check sees; returns 0 or 1."""
    strategies()  # says so where Hypothesis is missing
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
    """Check one subject."""
    shapes = max((values for _, values in one.calls), key=lambda values: sum(v.size for v in values))
    inputs = f"{len(one.calls)} calls, up to {' '.join(str(v.shape).replace(' ', '') for v in shapes)}"
    forward, gradient, accurate, where = float32_errors(one, seed)
    first = second = None
    try:
        if not (one.primitive and one.primitive.surrogate):
            first = max(gradcheck(f, values, backward=one.backward, seed=seed).worst for f, values in one.calls)
            if order == 2 and one.backward is None:
                small = [(f, values) for f, values in one.calls if sum(v.size for v in values) <= SMALL]
                second = max((gradcheck(f, values, order=2, seed=seed).worst for f, values in small), default=None)
    except GradientError as error:
        return Row(one.name, inputs, first, second, forward, gradient, "FAILED", str(error))
    if not accurate:
        message = f"{one.name}: more than {LIMIT:g} ulp in float32, and no reason is stated in checks/accuracy.py: {where}."
        return Row(one.name, inputs, first, second, forward, gradient, "FAILED", message)
    large = one.primitive and not one.file and max(forward, gradient) > LIMIT
    return Row(one.name, inputs, first, second, forward, gradient, "surrogate" if first is None else REASONED if large else "ok")


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
    if one.backward is None and not isinstance(y, Tensor):
        raise ArgumentError(
            f"{one.name}: it returns no Tensor, and no backward stands beside it.",
            got=type(y).__name__,
            remedy=f"write {one.name}_backward(gy, *inputs), or use operations of tinyae.ops",
        )
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
