"""Running a lesson: `run_lesson(6)`, or the script itself, `python lessons/06_elbo_and_kl.py`."""

import argparse
import contextvars
import itertools
import os
import pathlib
import sys
from typing import NamedTuple

from tinyae.backend import module_named
from tinyae.course.library import entry
from tinyae.course.record import CheckFailed, Lesson
from tinyae.course.script import execute, read
from tinyae.errors import ArgumentError, RunError


class Settings(NamedTuple):
    """fast: the short form of the lesson.  seed: of all its random streams.  out: its output folder, made when None.

    backend: "numpy" or "cupy", for what is inside `with lesson.device():`.  control: take the effect of the lesson away.
    """

    fast: bool = False
    seed: int = 0
    out: pathlib.Path | None = None
    backend: str = "numpy"
    control: bool = False


_settings = contextvars.ContextVar("tinyae_lesson_settings", default=None)
_watch = contextvars.ContextVar("tinyae_lesson_watch", default=None)


def settings(path=None):
    """What the runner asked for; else the environment variables TINYAE_FAST and TINYAE_SEED, and before them the arguments of a script
    that is run by itself: `path`.
    """
    if _settings.get() is not None:
        return _settings.get()
    seed = os.environ.get("TINYAE_SEED", "0")
    if not seed.isdecimal():
        raise ArgumentError("TINYAE_SEED must be a whole number, 0 or more.", got=repr(seed))
    found = Settings(os.environ.get("TINYAE_FAST", "0") not in ("", "0"), int(seed))
    main = getattr(sys.modules["__main__"], "__file__", None)
    if path is None or main is None or pathlib.Path(main).resolve() != pathlib.Path(path).resolve():
        return found
    parser = argparse.ArgumentParser(prog=f"python {pathlib.Path(path).name}", description=f"{pathlib.Path(path).name}: a lesson")
    add_settings(parser)
    parser.set_defaults(fast=found.fast, seed=found.seed)
    given = parser.parse_args()
    return Settings(given.fast, given.seed, given.out, given.backend, given.control)


def add_settings(parser):
    """The arguments of a lesson, for the command and for a script by itself."""
    parser.add_argument("--fast", action="store_true", help="less training: seconds instead of half a minute")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="default 0")
    parser.add_argument("--backend", choices=("numpy", "cupy"), default="numpy", help="where the models are trained (default numpy)")
    parser.add_argument("--control", action="store_true", help="take the effect of the lesson away: its numbers must leave their bands")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="folder for metrics, figures and pages (default: counts up runs/lesson-NN)")


def _seed(text):
    """An argument type: a whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def begin(number):
    """The record of lesson `number`, with the settings in use, and our style for its figures: the first line of every lesson."""
    import matplotlib.style

    from tinyae.figures.style import STYLE

    found = entry(number)
    current = settings(sys._getframe(1).f_globals.get("__file__"))  # of the script that calls: a copy of a lesson has options too
    if _settings.get() is None:
        current = current._replace(out=output_folder(number, current.out))
    form = f"{'fast' if current.fast else 'full'} form, seed {current.seed}" + ", control: without the effect" * current.control
    print(f"Lesson {number}: {found.title} ({form})\n")
    matplotlib.style.use(["default", STYLE])
    lesson = Lesson(found, current)
    if _watch.get() is not None:
        _watch.get().lesson = lesson
    return lesson


def run_lesson(number, fast=False, seed=0, out=None, backend="numpy", control=False, watch=None):
    """Run a lesson, print its numbers, and write metrics.json and its figures.  Returns the folder, a Path.

    out: a folder without results of an earlier run; without it runs/lesson-06, then runs/lesson-06-2, and so on.
    backend, control: see Settings.  watch: a Watch (of course.script), which keeps what each cell printed.  Raises ArgumentError for an unknown
    lesson or seed, RunError for a folder that cannot be used, CheckFailed where something that the lesson claims does not hold.
    """
    import matplotlib

    found = entry(number)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ArgumentError("seed: a whole number, 0 or more, is needed.", got=repr(seed))
    module_named(backend)
    folder = output_folder(number, out)
    token, watched = _settings.set(Settings(bool(fast), seed, folder, backend, control)), _watch.set(watch)
    try:
        with matplotlib.rc_context():
            execute(read(found.path), found.path.stem, watch)
        if not (folder / "metrics.json").exists():
            raise CheckFailed(f"lesson {number} ended without its numbers.", expected="lesson.finish() as the last line")
    finally:
        _settings.reset(token)
        _watch.reset(watched)
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
