"""Where the lessons are: percent scripts NN_name.py, each with its bands in NN_name.bands.json beside it."""

import pathlib
import re
from typing import NamedTuple

from tinyae.errors import LESSONS, PACKAGE, ArgumentError

NAME = re.compile(r"(\d+)_\w+\.py")
HEADING = re.compile(r"^# # (?:Lesson \d+: )?(.+)$", re.MULTILINE)


class Entry(NamedTuple):
    """A lesson: its number, its title (the first heading of the script), and its script."""

    number: int
    title: str
    path: pathlib.Path

    @property
    def bands(self):
        """The file of the bands, which `benchmarks/lesson_bands.py` writes."""
        return self.path.with_suffix(".bands.json")


def folder():
    """The folder of the scripts: inside an installed package, or beside the package in the repository."""
    inside = pathlib.Path(LESSONS)
    return inside if inside.is_dir() else pathlib.Path(PACKAGE).parent / "lessons"


def lessons():
    """All lessons in the order of their numbers, a list of Entry(number, title, path)."""
    found = []
    for path in folder().glob("*.py"):
        if match := NAME.fullmatch(path.name):
            heading = HEADING.search(path.read_text(encoding="utf-8"))
            found.append(Entry(int(match[1]), heading[1].strip() if heading else path.stem, path))
    return sorted(found)


def entry(number):
    """The lesson with this number.  Raises ArgumentError, naming those there are, for any other."""
    known = lessons()
    for lesson in known:
        if lesson.number == number:
            return lesson
    names = "; ".join(f"{lesson.number} ({lesson.title})" for lesson in known) or f"none in {folder()}"
    raise ArgumentError(f"there is no lesson {number}.", expected=names)
