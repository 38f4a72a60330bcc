"""Running a lesson: `run_lesson(6)`, or the script itself, `python lessons/06_elbo_and_kl.py`."""

import contextvars
import itertools
import os
import pathlib
import runpy
from typing import NamedTuple

from tinyae.course.library import entry
from tinyae.course.record import CheckFailed, Lesson
from tinyae.errors import ArgumentError, RunError


class Settings(NamedTuple):
    """fast: the short form of the lesson.  seed: of all its random streams.  out: its output folder, made when None."""

    fast: bool = False
    seed: int = 0
    out: pathlib.Path | None = None


_settings = contextvars.ContextVar("tinyae_lesson_settings", default=None)


def settings():
    """What the runner asked for; for a script run by itself, the environment variables TINYAE_FAST and TINYAE_SEED."""
    if _settings.get() is not None:
        return _settings.get()
    seed = os.environ.get("TINYAE_SEED", "0")
    if not seed.isdecimal():
        raise ArgumentError("TINYAE_SEED must be a whole number, 0 or more.", got=repr(seed))
    return Settings(os.environ.get("TINYAE_FAST", "0") not in ("", "0"), int(seed))


def begin(number):
    """The record of lesson `number`, with the settings in use: the first line of every lesson."""
    found, current = entry(number), settings()
    if current.out is None:
        current = current._replace(out=output_folder(number))
    print(f"Lesson {number}: {found.title} ({'fast' if current.fast else 'full'} form, seed {current.seed})\n")
    return Lesson(found, current)


def run_lesson(number, fast=False, seed=0, out=None):
    """Run a lesson, print its numbers, and write metrics.json and its figures.  Returns the folder, a Path.

    out: a folder without results of an earlier run; without it runs/lesson-06, then runs/lesson-06-2, and so on.
    Raises ArgumentError for an unknown lesson or seed, RunError for a folder that cannot be used, CheckFailed where
    something that the lesson claims does not hold.
    """
    found = entry(number)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ArgumentError("seed: a whole number, 0 or more, is needed.", got=repr(seed))
    folder = output_folder(number, out)
    token = _settings.set(Settings(bool(fast), seed, folder))
    try:
        runpy.run_path(str(found.path), run_name=found.path.stem)
        if not (folder / "metrics.json").exists():
            raise CheckFailed(f"lesson {number} ended without its numbers.", expected="lesson.finish() as the last line")
    finally:
        _settings.reset(token)
        if not any(folder.iterdir()):
            folder.rmdir()
    return folder


def output_folder(number, out=None):
    """Make the output folder of a lesson; without `out` the first free name runs/lesson-NN, runs/lesson-NN-2, ..."""
    try:
        if out is not None:
            folder = pathlib.Path(out)
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / "metrics.json").exists():
                raise RunError("the output folder holds a run already.", got=folder, remedy="choose another folder")
            if not os.access(folder, os.W_OK):
                raise PermissionError(13, "permission denied")
            return folder
        runs = pathlib.Path("runs")
        runs.mkdir(exist_ok=True)
        for count in itertools.count(1):
            folder = runs / (f"lesson-{number:02d}" + (f"-{count}" if count > 1 else ""))
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
    except RunError:
        raise
    except OSError as error:
        raise RunError("the output folder cannot be made.", got=f"{out or 'runs'}: {error.strerror}", remedy="choose another") from error
