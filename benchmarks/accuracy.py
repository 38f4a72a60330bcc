"""The accuracy of every operation in float32: the worst error of its value and of its gradient, in units in the last place.

    python benchmarks/accuracy.py            # seconds

`tinyae.checks.accuracy` says how it is measured.  With --write the table goes to benchmarks/accuracy.md.  Exit code 1 where an error is
above the limit and no reason is stated.
"""

import argparse
import pathlib
import sys

import tinyae as ta
from tinyae.checks.accuracy import LIMIT, POINTS, UNITS, accuracy

TABLE = pathlib.Path(__file__).with_suffix(".md")
TITLE = f"""# Accuracy in float32

Made by `python benchmarks/accuracy.py --write`.  The worst errors of each operation and of its gradient, in units in the last place (ulp) of
the exact value, over {POINTS:,} numbers of the whole range for each input (both signs, 0, subnormal, largest and infinite ones; those near 1
more often), or over drawn and large arrays.  Exact is the displayed formula in 120 digits, or the same code in float64.  Half an ulp is the
rounding that nobody can avoid; NumPy's own functions come to 2.  Above {LIMIT:g} a reason is needed, one of those below the table: it says of
what the ulp is taken instead, or how many are allowed.
"""


def main():
    """Measure, print a table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {TABLE.name}")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = [accuracy(operation, seed=arguments.seed) for operation in ta.ops.registry.values()]
    notes = {r: i for i, r in enumerate(dict.fromkeys(r for a in found for r in a.reasons.values()), 1)}
    lines = ["| operation | value | where | gradient | where | verdict |", "|---|---|---|---|---|---|"]
    for a in found:
        cells = [
            shown(error, place, notes.get(a.reasons.get(part)))
            for part, error, place in (("value", a.forward, a.forward_at), ("gradient", a.gradient, a.gradient_at))
        ]
        lines.append(f"| `{a.name}` | {' | '.join(cells)} | {'ok' if a.passed else 'FAILED'} |")
    lines += ["", *(f"{i}. {r.text}.  In ulp {UNITS[r.unit]}, up to {r.limit:.3g}." for r, i in notes.items())]
    failed = [a.name for a in found if not a.passed]
    lines += ["", f"{len(found) - len(failed)} of {len(found)} passed." + (f"  Failed: {', '.join(failed)}." if failed else "")]
    print("\n".join(lines))
    if arguments.write:
        TABLE.write_text(TITLE + "\n" + "\n".join(lines) + "\n")
    return 1 if failed else 0


def shown(error, place, note):
    """An error and where it is, as two cells; a note says why it is measured otherwise.  An exact result is nowhere worst."""
    return f"{error:.2g}{f' ({note})' if note else ''} | {place}" if error else "0 | "


if __name__ == "__main__":
    sys.exit(main())
