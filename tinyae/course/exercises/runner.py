"""Starting the process in which a learner's file runs, with a limit on its time and on what it prints, and reading what it found."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

from tinyae.course.exercises.judge import Verdict
from tinyae.course.exercises.sheet import exercises_of
from tinyae.course.exercises.show import plain
from tinyae.errors import PACKAGE, ArgumentError

SECONDS = 20.0  # for a whole file
STARTING = 30.0  # seconds for a process to load our own libraries, on a slow machine
PRINTED = 2_000  # characters of a learner's own printing that are shown


class Report(NamedTuple):
    """What was found about a learner's file.  problem: why it could not be run at all.  printed: what it printed, the first of it.

    exercises: a Verdict for each.
    """

    file: str
    lesson: int
    passed: bool
    exercises: tuple
    problem: str = ""
    printed: str = ""


def check_file(file, number, seconds=SECONDS, sheet=None):
    """Run a learner's file in a process of its own and judge its exercises.  Returns a Report, whatever the file does.

    number: of the lesson.  seconds: for the whole file; each exercise may take an equal share of what is left.  sheet: of `exercises_of(number)`.
    """
    sheet = exercises_of(number) if sheet is None else sheet
    if not 0 < seconds < float("inf"):
        raise ArgumentError("seconds: a finite number above 0 is needed.", got=seconds)
    path, verdicts, printed, left = os.path.abspath(file), {}, Printed(), seconds
    if not os.path.isfile(path):
        there = "a folder and no file" if os.path.isdir(path) else "no file" if os.path.exists(path) else "not there"
        return report(file, sheet, verdicts, problem=f"it is {there}")
    while todo := [one.function for one in sheet.exercises if one.function not in verdicts]:
        run = Run(sheet, path, todo, max(left, seconds / 10), printed)
        left -= run.took
        verdicts |= run.verdicts(sheet)
        if run.problem:
            return report(file, sheet, verdicts, run.problem, printed, run.line)
    return report(file, sheet, verdicts, printed=printed)


def report(file, sheet, verdicts, problem="", printed="", line=None):
    """The Report, with a verdict for every exercise."""
    rows = [verdicts.get(one.function) or Verdict(one.function, one.kind, "error", problem, line=line) for one in sheet.exercises]
    passed = bool(rows) and all(row.state == "passed" for row in rows)
    return Report(str(file), sheet.number, passed, tuple(rows), problem, str(printed))


class Printed:
    """What a learner's file prints: the first characters are kept, the rest is only counted."""

    def __init__(self):
        self.kept, self.size = b"", 0

    def read(self, pipe):
        """Read a pipe to its end, and close it."""
        while data := os.read(pipe, 1 << 16):
            self.kept += data[: max(PRINTED - len(self.kept), 0)]
            self.size += len(data)
        os.close(pipe)

    def __str__(self):
        text = plain(self.kept.decode("utf-8", "replace"))
        return text if self.size <= PRINTED else f"{text}\n... the first {PRINTED:,} of {self.size:,} characters"


class Run:
    """One process, for the exercises `todo` of a file: what it found, and how it ended."""

    def __init__(self, sheet, path, todo, seconds, printed):
        self.path, self.seconds, self.problem, self.line = path, seconds, "", None
        with tempfile.TemporaryDirectory(prefix="tinyae-exercise-", ignore_cleanup_errors=True) as name:
            folder = pathlib.Path(name)
            request = {"file": path, "checks": str(sheet.checks), "solution": str(sheet.solution), "todo": todo, "seconds": seconds}
            (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
            self.code, self.ended = run_process(folder, seconds, printed), time.time()
            self.found = [json.loads(line) for line in lines_of(folder / "found.jsonl") if line.startswith("{") and line.endswith("}")]
            self.took = self.ended - self.found[0]["time"] if self.found else 0.0  # our own libraries are not on the learner's account
            self.stack = "\n".join(lines_of(folder / "stack.txt"))

    def verdicts(self, sheet):
        """The verdicts by name; one more for the exercise in which the process ended.  Sets `problem` where there is none of any."""
        kinds, found, begun = {one.function: one.kind for one in sheet.exercises}, {}, None
        for row in self.found:
            if row["state"] == "unreadable":
                self.problem, self.line = row["message"], row["line"]
            elif row["state"] == "begun":
                begun = row
            elif "kind" in row:
                found[row["name"]] = Verdict(**row)
        if begun is not None and begun["name"] not in found:
            state, message, line = self.ending(begun["time"], begun["share"], "its share of the time")
            found[begun["name"]] = Verdict(begun["name"], kinds[begun["name"]], state, message, line=line)
        elif not found and not self.problem:
            self.problem, self.line = self.without_any()
        return found

    def without_any(self):
        """(text, line) where the process ended before the first exercise."""
        if self.found:
            _, message, line = self.ending(self.found[0]["time"], self.seconds, "while the file was loaded")
            return message, line
        return f"the check could not start: exit code {self.code}. That is a fault of ours, not of your file.", None

    def ending(self, begun, limit, what):
        """(state, message, line) where the process ended in the middle: by the clock, by a crash, or by the file itself.

        begun: when; limit: seconds from then on.  By the clock, its exit code is 1; the file may have closed the stack that would say so.
        """
        line = running(self.stack, self.path)
        text = f"\n  line {line:<4} {source_line(self.path, line)}" if line else ""
        if "Timeout" in self.stack or self.code is None or (self.code == 1 and self.ended - begun >= limit):
            after = f"it was still running after {limit:.3g} s, {what}"
            return "stopped", f"{after}: a loop or a recursion without an end?{text}\n  {'more time':<9} --seconds", line
        if self.code < 0:
            return "error", f"it crashed Python ({signal.Signals(-self.code).name}): a recursion without an end, or too much memory?{text}", line
        return "error", f"the process ended in the middle with exit code {self.code}: is there an os._exit?{text}", line


def run_process(folder, seconds, printed):
    """Run the child to its end; returns its exit code, or None where it had to be killed."""
    command = [sys.executable, "-P", "-m", "tinyae.course.exercises.child", str(folder)]
    reading, writing = os.pipe()
    streams = {"stdin": subprocess.DEVNULL, "stdout": writing, "stderr": subprocess.STDOUT}
    reader = threading.Thread(target=printed.read, args=(reading,), daemon=True)
    reader.start()
    try:
        process = subprocess.Popen(command, env=environment(folder), start_new_session=True, **streams)
    finally:
        os.close(writing)
    try:
        return process.wait(seconds + STARTING)
    except subprocess.TimeoutExpired:
        return None
    finally:  # also after Ctrl-C
        kill(process)
        reader.join(1.0)  # longer only where somebody who has left the group holds the pipe open


def environment(folder):
    """The environment of the child: our package first, one thread for matrices, every character can be printed, and Hypothesis keeps what it
    notes in `folder`.
    """
    paths = [os.path.dirname(PACKAGE.rstrip(os.sep)), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    path = os.pathsep.join(one for one in paths if one not in ("", "."))
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "1")  # each thread takes memory of its own
    settings = {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8:backslashreplace", "OPENBLAS_NUM_THREADS": threads, "MPLBACKEND": "agg"}
    return os.environ | settings | {"HYPOTHESIS_STORAGE_DIRECTORY": str(folder)}


def kill(process):
    """End a process, and those that it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


def lines_of(path):
    """The lines of a file; none where there is no file."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def running(stack, path):
    """The innermost line of the learner's file in a stack that faulthandler wrote; None where there is none."""
    written = re.escape(path.encode("ascii", "backslashreplace").decode()[:400])
    found = re.search(rf'File "{written}[^"\n]*", line (\d+)', stack)
    return int(found[1]) if found else None


def source_line(path, number):
    """A line of the learner's file."""
    lines = lines_of(pathlib.Path(path))
    return plain(lines[number - 1].strip())[:160] if number <= len(lines) else ""
