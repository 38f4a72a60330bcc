"""The three files of a lesson's exercises: lessons/exercises/NN_name.py for the learner, and beside it solutions/ and checks/."""

import linecache
import pathlib
import re
import sys
import types
from typing import NamedTuple

from tinyae.course import library
from tinyae.errors import ArgumentError

NAME = re.compile(r"(\d+)_\w+\.py")


class Sheet(NamedTuple):
    """The exercises of a lesson.  name: of the learner's file.  start, solution, checks: the files.  exercises: a tuple of Exercise."""

    number: int
    title: str
    name: str
    start: pathlib.Path
    solution: pathlib.Path
    checks: pathlib.Path
    exercises: tuple

    def find(self, text):
        """The exercise called `text`: its function, its kind, or its place 1, 2, 3.  Raises ArgumentError for any other."""
        for place, exercise in enumerate(self.exercises, 1):
            if text in (exercise.function, exercise.kind, str(place)):
                return exercise
        known = ", ".join(f"{exercise.kind} ({exercise.function})" for exercise in self.exercises)
        raise ArgumentError(f"lesson {self.number} has no exercise {text!r}.", expected=known)


def numbers():
    """The numbers of the lessons that have exercises."""
    return sorted(int(NAME.fullmatch(path.name)[1]) for path in (library.folder() / "checks").glob("*.py") if NAME.fullmatch(path.name))


def files_of(number):
    """(start, solution, checks): the files of lesson `number`'s exercises.  Raises ArgumentError where it has none."""
    folder = library.folder()
    for checks in (folder / "checks").glob("*.py"):
        if (match := NAME.fullmatch(checks.name)) and int(match[1]) == number:
            return folder / "exercises" / checks.name, folder / "solutions" / checks.name, checks
    known = ", ".join(map(str, numbers())) or f"none in {folder / 'checks'}"
    raise ArgumentError(f"lesson {number} has no exercises.", expected=f"one of {known}")


def exercises_of(number):
    """The Sheet of lesson `number`.  Raises ArgumentError where it has none, or where Hypothesis is not installed."""
    start, solution, checks = files_of(number)
    titles = {lesson.number: lesson.title for lesson in library.lessons()}
    return Sheet(number, titles.get(number, checks.stem), checks.name, start, solution, checks, exercises_in(checks))


def exercises_in(checks):
    """The exercises that a file of checks defines."""
    try:
        import hypothesis  # noqa: F401
    except ModuleNotFoundError as error:
        raise ArgumentError("exercise: inputs are drawn by Hypothesis, which is not installed.", remedy='pip install "tinyae[checks]"') from error
    return tuple(load(checks, "tinyae_checks").EXERCISES)


def load(path, name, source=None):
    """Run a file as a module of that name and return it, without writing anything beside it.  source: its text, where it is known."""
    source = pathlib.Path(path).read_text(encoding="utf-8") if source is None else source
    module = types.ModuleType(name)
    module.__file__ = str(path)
    linecache.cache[str(path)] = (len(source), None, source.splitlines(keepends=True), str(path))  # what is shown is what runs
    sys.modules[name] = module  # dataclasses look their module up
    exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    return module
