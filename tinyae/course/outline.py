"""The outline of the course: learning paths, a guide to the models, and of each lesson its drawing and its summary; lessons/course.toml."""

import json
import statistics
import tomllib
from typing import NamedTuple

from tinyae.course import library
from tinyae.course.prose import goal, inline, parts, plain, slug
from tinyae.course.script import read
from tinyae.errors import DataError


class Outline(NamedTuple):
    """paths, guides: lists of dicts as they stand in the file.  about: number of a lesson -> its dict: drawing, summary, minutes."""

    paths: list
    guides: list
    about: dict

    def of(self, number):
        """What is said about a lesson; nothing about one that is not named."""
        return self.about.get(number, {})


def outline():
    """The Outline; an empty one where there is no file.  Raises DataError where it is no TOML or an entry is missing."""
    path = library.folder() / "course.toml"
    if not path.exists():
        return Outline([], [], {})
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        about = {int(number): entries for number, entries in content.get("lesson", {}).items()}
    except ValueError as error:
        raise DataError(f"{path.name}: it cannot be read.", got=str(error)) from error
    for kind, names in (("path", ("title", "for", "lessons", "why")), ("guide", ("question", "answer", "model", "lesson"))):
        for entry in content.get(kind, []):
            if missing := [name for name in names if name not in entry]:
                raise DataError(f"{path.name}: a [[{kind}]] lacks {', '.join(missing)}.", got=str(entry))
    return Outline(content.get("path", []), content.get("guide", []), about)


def goal_of(entry):
    """The goal of a lesson as (HTML, plain text)."""
    text, place = goal(read(entry.path)), f"lesson {entry.number}"
    return inline(text, place), plain(text, place)


def time_of(entry, fast):
    """About how long a lesson takes on one quiet core, from the runs that made its bands: "about 20 s"; empty where there are none."""
    if not entry.bands.exists():
        return ""
    seconds = statistics.median(json.loads(entry.bands.read_text(encoding="utf-8"))["fast" if fast else "full"].get("wall_seconds", [0]))
    step = 1 if seconds < 10 else 5
    return f"about {max(step * round(seconds / step), 1)} s" if seconds else ""


def sections(entry):
    """What the search looks through: (id, heading, text) of each section of a lesson."""
    found = [["top", "", []]]
    for cell in read(entry.path).cells:
        if cell.kind == "code":
            found[-1][2].append(cell.title)
            continue
        for part in parts(cell, f"lesson {entry.number}"):
            if part.title is not None:
                found.append([slug(part.title), plain(part.title, f"lesson {entry.number}"), []])
            found[-1][2].append(part.text)
    return [(name, heading, " ".join(" ".join(texts).split())) for name, heading, texts in found]


def listing():
    """The lessons and their goals, as the command prints them."""
    lines = []
    for lesson in library.lessons():
        lines += [f"{lesson.number:>2}  {lesson.title}", f"    {goal_of(lesson)[1]}"]
    return "\n".join(lines)
