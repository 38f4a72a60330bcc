"""What semcheck hands back: a table of checks, and the error that a test raises."""

import math
import textwrap
from typing import NamedTuple

from tinyae.errors import TinyaeError

OK, FAILED, WARNING, NOT_TESTED = "ok", "FAILED", "warning", "not tested"


class SemanticsError(TinyaeError, AssertionError):
    """A loss, a sampler or a likelihood that is not what it says."""


class Row(NamedTuple):
    """One check: its name, what was measured, the largest |statistic| that passes, the verdict, and what that means."""

    check: str
    quantity: str
    statistic: float
    limit: float
    verdict: str
    meaning: str


def judged(check, quantity, statistic, limit, right, wrong):
    """The row of a statistic that must lie within [-limit, limit].  NaN and infinities fail."""
    passes = abs(statistic) <= limit
    return Row(check, quantity, float(statistic), float(limit), OK if passes else FAILED, right if passes else wrong)


def untested(check, why):
    """The row of a check for which something is missing."""
    return Row(check, "", math.nan, math.nan, NOT_TESTED, why)


def warning(check, meaning, quantity="", statistic=math.nan, limit=math.nan):
    """The row of something that is no error, but should be known."""
    return Row(check, quantity, float(statistic), float(limit), WARNING, meaning)


class Semantics(list):
    """The rows of semcheck, in order.  `print` shows them as a table."""

    def __init__(self, rows, subject):
        super().__init__(rows)
        self.subject = subject

    def where(self, verdict):
        """The rows with a verdict: "ok", "FAILED", "warning" or "not tested"."""
        return [row for row in self if row.verdict == verdict]

    @property
    def failures(self):
        """The rows that failed."""
        return self.where(FAILED)

    @property
    def passed(self):
        """Whether something was tested and nothing failed.  What was not tested has not passed: see `where("not tested")`."""
        return not self.failures and bool(self.where(OK))

    def require(self):
        """These rows.  Raises SemanticsError, with the rows that failed, unless they passed."""
        if not self.passed:
            names = ", ".join(row.check for row in self.failures) or "nothing could be tested"
            raise SemanticsError(f"semcheck of {self.subject}: {names}.\n\n{table(self.failures or self)}")
        return self

    def __str__(self):
        counts = ", ".join(f"{len(self.where(verdict))} {verdict}" for verdict in (OK, FAILED, WARNING, NOT_TESTED) if self.where(verdict))
        return f"semcheck of {self.subject}: {counts}\n\n{table(self)}"

    __repr__ = __str__


def table(rows, width=76):
    """Rows as text, the meaning wrapped at `width`."""
    cells = [("check", "statistic", "limit", "verdict", "meaning")]
    for row in rows:
        statistic = "" if row.verdict == NOT_TESTED or math.isnan(row.limit) else f"{row.quantity} {row.statistic:.3g}".strip()
        cells.append((row.check, statistic, "" if math.isnan(row.limit) else f"{row.limit:.2g}", row.verdict, row.meaning))
    widths = [max(len(cell[i]) for cell in cells) for i in range(4)]
    lines = []
    for *short, meaning in cells:
        first, *more = textwrap.wrap(meaning, width) or [""]
        start = "  ".join(text.ljust(n) for text, n in zip(short, widths, strict=True))
        lines += [f"{start}  {first}", *(" " * (len(start) + 2) + line for line in more)]
    return "\n".join(line.rstrip() for line in lines)
