"""The process in which a learner's file runs: `python -P -m tinyae.course.exercises.child FOLDER`, started by the runner.

FOLDER holds request.json.  Each line of what is found is appended to found.jsonl there, out of reach of what the learner's file prints;
stack.txt gets the stack where the time is over or the process crashes.
"""

import contextlib
import faulthandler
import gc
import json
import os
import pathlib
import sys
import time

import numpy as np  # noqa: F401  before the learner's folder is on the path: a numpy.py there hides nothing

from tinyae.course.exercises.draw import drawn
from tinyae.course.exercises.judge import judge
from tinyae.course.exercises.memory import allow, limit
from tinyae.course.exercises.notes import changed_in_numpy
from tinyae.course.exercises.sheet import exercises_in, load
from tinyae.course.exercises.show import plain
from tinyae.course.exercises.trouble import Unreadable, describe, read


def main(folder):
    """Run the learner's file that the request in `folder` names, and judge its exercises."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    write = writer(folder / "found.jsonl")
    stack = open(folder / "stack.txt", "w", encoding="utf-8")  # noqa: SIM115  open as long as the process lives
    faulthandler.enable(file=stack)
    exercises = [one for one in exercises_in(request["checks"]) if one.function in request["todo"]]
    solution = load(request["solution"], "tinyae_solution")
    inputs = {exercise.function: drawn(exercise) for exercise in exercises}
    prepare(request["file"])
    until = time.monotonic() + request["seconds"]
    write(state="ready", time=time.time())
    faulthandler.dump_traceback_later(request["seconds"], exit=True, file=stack)
    learner = learners_module(request["file"], write)
    if learner is None:
        return
    write(state="loaded")
    for place, exercise in enumerate(exercises):
        share = max(until - time.monotonic(), 0.1) / (len(exercises) - place)
        write(state="begun", name=exercise.function, share=share, time=time.time())
        faulthandler.dump_traceback_later(share, exit=True, file=stack)
        write(**verdict_of(exercise, learner, solution, request["file"], inputs[exercise.function]))
        gc.collect()  # an error keeps all that the functions it passed had made
    faulthandler.cancel_dump_traceback_later()


def verdict_of(*settings):
    """The verdict of a judge's settings as a dict of what JSON knows."""
    found = judge(*settings)._asdict()
    return {key: plain(value) if isinstance(value, str) else value for key, value in found.items()}


def writer(path):
    """A function that appends a line to the file: by name each time, for a learner's file may close every open one."""
    process = os.getpid()

    def write(**found):
        if os.getpid() != process:  # the learner's file has made another one, by os.fork
            os._exit(0)
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")

    return write


def prepare(path):
    """Limit the memory; let the learner's file find others in its folder, after all that is installed."""
    sys.dont_write_bytecode = True
    sys.argv = [path]
    sys.path.append(os.path.dirname(path))
    limit()


def learners_module(path, write):
    """The learner's file, run as a module; None where that is not possible, which is written down."""
    try:
        start = time.monotonic()
        text = read(path)
        allow("theirs")
        module = load(path, "learner", text)
        module.loaded_in = time.monotonic() - start
        if name := changed_in_numpy():
            raise Unreadable(f"the file changes NumPy itself, {name}: give what is yours another name")
        return module
    except Unreadable as error:
        write(state="unreadable", message=plain(error.text), line=error.line)
    except BaseException as error:
        text, line = describe(error, path)
        write(state="unreadable", message=plain(text), line=line)
    finally:
        allow("all")
    return None


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(0)  # threads of the learner's file hold nobody up
