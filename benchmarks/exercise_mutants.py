"""Are the checks of the exercises hard to fool and fair?  Mutants, stated wrong answers, right answers in other styles.

python benchmarks/exercise_mutants.py [N ...] [--write]     all lessons, or some; --write makes benchmarks/exercise_mutants.md
"""

import argparse
import ast
import collections
import pathlib
import runpy
import sys
import tempfile
import time

from tinyae.checks.mutants import Equivalents
from tinyae.course.exercises import exercises_of
from tinyae.course.exercises.judge import judge
from tinyae.course.exercises.mutants import EQUIVALENTS, verdicts
from tinyae.course.exercises.sheet import load, numbers

FOLDER = pathlib.Path(__file__).parent
HEAD = """# The checks of the exercises, checked

Made by `python benchmarks/exercise_mutants.py --write`.  For each exercise: mutants of its solution (`tinyae/checks/mutate.py`: an operator, a sign,
a constant, an axis, a name exchanged, a term or a call left out) that the judge notices, by a comparison or because they raise; those that survive
because they are right answers too, each with its reason in `lessons/checks/equivalents.toml`; and those that survive without a reason, which are
holes.  Then the misconceptions that the file of checks states, each of which fails with a message of its own; and the right answers in other
styles than the solution (`tests/lessons/other_styles.py`), all of which must pass.

| lesson | exercise | mutants | noticed by a comparison | raise | right too | survive | stated wrong answers noticed | other styles that pass |
|---|---|---|---|---|---|---|---|---|
"""


def stated(exercise, solution, path):
    """How many of the stated wrong answers fail with their phrase."""
    text = path.read_text(encoding="utf-8")
    node = next(node for node in ast.parse(text).body if getattr(node, "name", None) == exercise.function)
    source, count = ast.get_source_segment(text, node) + "\n", 0
    for wrong in exercise.wrong:
        verdict = answer(exercise, solution, text.replace(source, source.replace(wrong.old, wrong.new)))
        count += verdict.state == "failed" and wrong.phrase in verdict.message
    return count


def answer(exercise, solution, source):
    """The verdict on an answer with this source."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "answer.py"
        path.write_text(source, encoding="utf-8")
        return judge(exercise, load(path, "learner"), solution, path)


def row_of(number, exercise, solution, path, known, styles):
    """(a line of the table, its counts); what survives is printed."""
    found = collections.Counter()
    for verdict in verdicts(exercise, solution):
        what = verdict.killed_by or ("right" if known.reason(verdict) else "survived")
        found[what] += 1
        if what == "survived":
            print(f"SURVIVED {verdict.text}", file=sys.stderr)
    sources = [source for _, function, _, source in styles if function == exercise.function]
    passed = sum(answer(exercise, solution, f"import numpy as np\n{source}").state == "passed" for source in sources)
    found |= {"wrong": stated(exercise, solution, path), "wrongs": len(exercise.wrong), "passed": passed, "styles": len(sources)}
    return line_of(f"{number:02d}", f"`{exercise.function}`", found), found


def line_of(lesson, name, found):
    """Counts as a line of the table."""
    mutants = sum(found[key] for key in ("comparison", "exception", "right", "survived"))
    counts = f"{mutants:,} | {found['comparison']:,} | {found['exception']:,} | {found['right']} | {found['survived']}"
    return f"| {lesson} | {name} | {counts} | {found['wrong']} of {found['wrongs']} | {found['passed']} of {found['styles']} |\n"


def main():
    """Run it; the exit code is 1 where something survives, a stated wrong answer passes, or a right one does not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    styles = runpy.run_path(str(FOLDER.parent / "tests" / "lessons" / "other_styles.py"))["ANSWERS"]
    text, total, count, start = HEAD, collections.Counter(), 0, time.monotonic()
    for number in chosen.numbers or numbers():
        sheet = exercises_of(number)
        solution, known = load(sheet.solution, f"solution_{number:02d}"), Equivalents(sheet.checks.parent / EQUIVALENTS)
        for exercise in sheet.exercises:
            line, found = row_of(number, exercise, solution, sheet.solution, known, styles)
            text, total, count = text + line, total + found, count + 1
            print(line, end="", flush=True)
    text += line_of("", f"**all {count}**", total)
    print(f"{text.splitlines()[-1]}\n{time.monotonic() - start:.0f} s")
    if chosen.write:
        (FOLDER / "exercise_mutants.md").write_text(text, encoding="utf-8")
    return int(bool(total["survived"]) or total["wrong"] < total["wrongs"] or total["passed"] < total["styles"])


if __name__ == "__main__":
    sys.exit(main())
