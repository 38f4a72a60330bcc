"""`tinyae exercise`: judge a learner's files, start one, give a hint."""

import json
import os
import pathlib
import sys

from tinyae.course.exercises.runner import SECONDS, check_file
from tinyae.course.exercises.sheet import exercises_of, files_of, numbers
from tinyae.course.exercises.show import plain, short
from tinyae.errors import ArgumentError, RunError

PRINTED = 12  # lines of a learner's own printing


def check(number, files=(), seconds=SECONDS, as_json=False):
    """Judge files (by default NN_name.py here), print what was found; returns the exit code, 0 where everything passed, else 1.

    Raises ArgumentError where the only file is not there.
    """
    sheet = exercises_of(number)
    files = list(files) or [sheet.name]
    if len(files) == 1 and not os.path.isfile(files[0]):
        there = "it is a folder" if os.path.isdir(files[0]) else "there is no such file"
        raise ArgumentError(f"{files[0]}: {there}.", remedy=f"tinyae exercise {number} --start makes {sheet.name} here")
    reports = []
    for file in files:
        reports.append(check_file(file, number, seconds, sheet))
        if not as_json:
            say(in_full(sheet, reports[-1]) if len(files) == 1 else in_a_line(reports[-1], max(map(len, files))))
    if as_json:
        print(json.dumps([as_dict(report) for report in reports], indent=2))
    elif len(files) > 1:
        say(f"\n{sum(report.passed for report in reports)} of {len(files)} files passed; one in full: tinyae exercise {number} FILE")
    return 0 if all(report.passed for report in reports) else 1


def as_dict(report):
    """A report as JSON has it."""
    return report._asdict() | {"exercises": [verdict._asdict() for verdict in report.exercises]}


def in_full(sheet, report):
    """The report on one file as a text."""
    lines = [f"Lesson {sheet.number}, {sheet.title}: {report.file}", ""]
    if report.problem:
        lines += [f"  {line}" for line in report.problem.splitlines()]
    width = max(len(verdict.name) for verdict in report.exercises)
    for verdict in report.exercises if not report.problem else ():
        told = [f"line {verdict.line}"] * (verdict.state != "passed" and verdict.line is not None)
        told += [f"{verdict.assertions} comparisons"] * (verdict.state == "passed") + [verdict.remark] * bool(verdict.remark)
        told += [f"the function is that of {verdict.origin}"] * bool(verdict.origin)
        lines.append(f"  {verdict.kind:<7} {verdict.name:<{width}}  {verdict.state:<9}  {', '.join(told)}".rstrip())
        lines += [f"      {line}" for line in verdict.message.splitlines()]
        if verdict.state not in ("passed", "error"):
            lines.append(f"        hint      tinyae exercise {sheet.number} --hint {verdict.kind}")
    if report.printed:
        printed = report.printed.splitlines()
        printed = [*printed[: PRINTED - 2], "...", printed[-1]] if len(printed) > PRINTED else printed
        lines += ["", "Your file printed:", *(f"  {short(line, 120)}" for line in printed)]
    passed = sum(verdict.state == "passed" for verdict in report.exercises)
    return "\n".join([*lines, "", f"{passed} of {len(report.exercises)} passed"])


def in_a_line(report, width):
    """The report on one of many files."""
    states = "  ".join(f"{verdict.kind}: {verdict.state:<9}" for verdict in report.exercises)
    origins = ", ".join(dict.fromkeys(os.path.basename(verdict.origin) for verdict in report.exercises if verdict.origin))
    told = report.problem.splitlines()[:1] + [f"functions of {origins}"] * bool(origins)
    return "  ".join([f"{report.file:<{width}}", states, *told]).rstrip()


def start(number, folder):
    """Copy the learner's file of a lesson into a folder; returns its path.  Raises RunError where there is one of that name."""
    given, _, _ = files_of(number)
    path = pathlib.Path(folder) / given.name
    try:
        text = given.read_text(encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        if not path.is_file():
            raise RunError(f"{folder}: it is no folder.", remedy=f"tinyae exercise {number} --start FOLDER") from error
        raise RunError(f"{path}: it is there already, and is left as it is.", remedy=f"tinyae exercise {number} checks it") from error
    except OSError as error:
        raise RunError(f"{path}: it cannot be written.", got=f"{error.filename}: {error.strerror}") from error
    return path


def hint(number, name=None, step=1):
    """The text of hint `step` of an exercise; without a name, how many there are.  Raises ArgumentError for a hint that there is not."""
    sheet = exercises_of(number)
    if name is None:
        width = max(len(one.function) for one in sheet.exercises)
        rows = [f"  {one.kind:<7} {one.function:<{width}}  {len(one.hints)} hints   {one.goal}" for one in sheet.exercises]
        return "\n".join([*rows, "", f"the first: tinyae exercise {number} --hint do        the second: tinyae exercise {number} --hint do 2"])
    exercise = sheet.find(name)
    if not 1 <= step <= len(exercise.hints):
        raise ArgumentError(f"{exercise.function} has {len(exercise.hints)} hints.", got=step)
    following = f"tinyae exercise {number} --hint {name} {step + 1}" if step < len(exercise.hints) else f"the solution: {sheet.solution}"
    return f"{exercise.function}, hint {step} of {len(exercise.hints)}: {exercise.hints[step - 1]}\n\nnext: {following}"


def listing():
    """The lessons that have exercises, as a text."""
    sheets = [exercises_of(number) for number in numbers()]
    if not sheets:
        return "no lesson has exercises"
    rows = [f"  {sheet.number:>3}  {sheet.title}: {', '.join(one.function for one in sheet.exercises)}" for sheet in sheets]
    return "\n".join([*rows, "", f"begin: tinyae exercise {sheets[0].number} --start"])


def say(text):
    """Print a text, also on a terminal that does not know all its characters."""
    encoding = sys.stdout.encoding or "utf-8"
    print(plain(text).encode(encoding, "backslashreplace").decode(encoding), flush=True)
