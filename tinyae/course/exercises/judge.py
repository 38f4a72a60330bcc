"""Judging a learner's function: its parameters, then the example, then inputs drawn by Hypothesis, of which the smallest that fails is shown."""

import contextlib
import difflib
import inspect
import os
import types
import warnings
from typing import NamedTuple

import numpy as np

from tinyae.course.exercises.compare import expect_same, expect_several
from tinyae.course.exercises.draw import copied, drawn, smallest
from tinyae.course.exercises.exercise import Count, Mismatch, expect
from tinyae.course.exercises.memory import allow
from tinyae.course.exercises.notes import again, changed_in_numpy, elsewhere, twice
from tinyae.course.exercises.show import call, meaning, show
from tinyae.course.exercises.trouble import describe, frames, innermost

KEEPS = "\n  called first with these arguments it is right: does it keep something of an earlier call, in a global or a default?"
LONG = 1.0  # seconds
DIGITS = 6  # of what a learner's function returned
RESTLESS = "\n  called again with the same arguments it gives something else: does it draw random numbers of its own?"


class Verdict(NamedTuple):
    """What was found about an exercise.  state: "passed", "failed", "not begun", "missing", "error" or "stopped".

    message: why it has not passed.  assertions: how many comparisons were made.  remark: of the judge.  line: of the learner's file, or None.
    origin: the file whose function it is, where that is not the learner's.
    """

    name: str
    kind: str
    state: str
    message: str = ""
    assertions: int = 0
    remark: str = ""
    line: int | None = None
    origin: str = ""


class Answer:
    """The learner's function as a judge calls it: on copies of the arguments, which it must leave as they are."""

    def __init__(self, exercise, function):
        self.exercise, self.function, self.calls, self.process, self.raised = exercise, function, 0, os.getpid(), None

    def __call__(self, *args, **kwargs):
        given = copied([*args, *kwargs.values()])
        kept = copied(given)
        self.calls += 1
        allow("theirs")
        try:
            found = self.function(*given[: len(args)], **dict(zip(kwargs, given[len(args) :], strict=True)))
        except BaseException as error:
            self.raised = error
            raise
        finally:
            allow("all")
            if os.getpid() != self.process:  # of a process that the answer has made by os.fork
                os._exit(0)
        if name := changed_in_numpy():
            expect(False, f"it changes NumPy itself, {name}: give what is yours another name.")
        names = [*list(self.exercise.example)[: len(args)], *kwargs]
        for i, (before, after) in enumerate(zip(kept, given, strict=True)):
            if not unchanged(before, after):
                name = names[i] if i < len(names) else f"number {i + 1}"
                expect(False, f"it changes its argument {name}: compute something new from it, x = x + 1 and not x += 1.", show(before), show(after))
        if found is None:
            expect(False, "it returns None: is a return missing?")
        return found


def unchanged(before, after):
    """Whether an argument is what it was."""
    if isinstance(before, np.ndarray):
        alike = isinstance(after, np.ndarray) and before.dtype == after.dtype and before.shape == after.shape
        return alike and (before.dtype.kind == "O" or before.tobytes() == after.tobytes())
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(unchanged(before[key], after[key]) for key in before)
    if type(before) in (list, tuple):
        return len(before) == len(after) and all(map(unchanged, before, after))
    return True


def judge(exercise, module, solution, path, inputs=None):
    """The Verdict on an exercise.  module: the learner's; path: its file.  solution: the module of the solutions.

    inputs: drawn before; they are drawn here where there are none.
    """
    Count.made = 0
    name = exercise.function
    function, right = getattr(module, name, None), getattr(solution, name)
    verdict = Verdict(name, exercise.kind, "failed", line=line_of(function, path))
    if not callable(function):
        return verdict._replace(state="missing", message=absent(name, module))
    if text := signature(function, right, exercise):
        return verdict._replace(message=text)
    if origin := elsewhere(function, path):
        verdict = verdict._replace(origin=origin)
        if origin == inspect.getfile(right):
            return verdict._replace(message="it is the function of the solution, and not your own.")
    answer = Answer(exercise, function)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found, remark = failure(exercise, answer, right, inputs)
        habit = "" if found is None else RESTLESS if restless(answer, *found) else KEEPS if keeps(module, exercise, right, *found, path) else ""
    double = twice(name, path)
    if found is None and (not Count.made or not answer.calls):
        text = "the check compared nothing: that is a fault of the exercise and not of your file."
        return verdict._replace(state="error", message=text, assertions=Count.made)
    if found is None:
        return verdict._replace(state="passed", assertions=Count.made, remark=", ".join(filter(None, (remark, double))))
    verdict = verdict._replace(assertions=Count.made, **told(exercise, *found, path, answer.raised))
    verdict = verdict._replace(message=verdict.message + habit * (verdict.state == "failed"))
    return verdict._replace(message=f"{verdict.message}\n  {double}".strip() if double else verdict.message)


def line_of(function, path):
    """The line where a function of the learner's file begins, or None."""
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if isinstance(code, types.CodeType) and code.co_filename == str(path) else None


def restless(answer, error, arguments):
    """Whether a wrong answer gives something else when it is called again."""
    with contextlib.suppress(BaseException):
        return isinstance(error, Mismatch) and not unchanged(answer(**arguments), answer(**arguments))
    return False


def keeps(module, exercise, right, error, arguments, path):
    """Whether what fails after other calls passes as the first call of all; not asked where the file takes long to load."""
    if not isinstance(error, Mismatch) or arguments is exercise.example or getattr(module, "loaded_in", 0.0) > LONG:
        return False
    if (function := again(exercise.function, path)) is None:
        return False
    return attempt(exercise, Answer(exercise, function), right, arguments)[0] is None


def absent(name, module):
    """What is said where there is no such function."""
    if hasattr(module, name):
        return f"{name} is {show(getattr(module, name))}, and no function."
    functions = [key for key, value in vars(module).items() if isinstance(value, types.FunctionType)]
    close = difflib.get_close_matches(name, functions, 1)
    return f"there is no function {name}." + (f" Is {close[0]} meant?" if close else "")


def signature(function, right, exercise):
    """What is wrong with the parameters of a function; nothing where they are right, or cannot be known."""
    try:
        wanted, found = inspect.signature(right), inspect.signature(function)
        found.bind(*exercise.example.values())
        found.bind(**exercise.example)
    except TypeError:
        return f"its parameters are {found}, and the exercise calls it with {wanted}."
    except ValueError:
        return ""
    return ""


def failure(exercise, answer, right, inputs):
    """((error, arguments), remark): what fails, with the smallest arguments that were found; or (None, remark) where nothing does."""
    seed()
    error, remark = attempt(exercise, answer, right, exercise.example)
    if error is not None:
        return (error, exercise.example), ""
    for arguments in drawn(exercise) if inputs is None else inputs:
        error, _ = attempt(exercise, answer, right, arguments)
        if error is not None:
            return smallest(exercise.inputs, lambda one: attempt(exercise, answer, right, one)[0], error, arguments), ""
    return None, remark


def attempt(exercise, answer, right, arguments):
    """(error, remark) of one set of arguments; the error is None where all is well."""
    own = copied(arguments)
    try:
        if exercise.judge is not None:
            return None, str(exercise.judge(answer, lambda *a, **k: right(*copied(a), **copied(k)), own) or "")
        found, expected = answer(**own), right(**copied(own))
        several = isinstance(expected, tuple) and exercise.returns
        compare, names = (expect_several, exercise.returns) if several else (expect_same, exercise.returns[0] if exercise.returns else "the result")
        compare(found, expected, names, own, exercise.rtol, exercise.atol)
    except BaseException as error:
        return error, ""
    return None, ""


def seed():
    """Start the global random streams anew: an answer that uses them is judged alike each time."""
    import random

    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


def told(exercise, error, arguments, path, raised=None):
    """What a Verdict says of an error: state, message, and the line where it has one of its own.  raised: the last one of the learner's own."""
    name = exercise.function
    if isinstance(error, Mismatch):
        arguments = arguments if error.arguments is None else error.arguments
        rows = [("for", call(name, arguments) if arguments else None)]
        rows += [("with", meaning(value)) for value in arguments.values() if inspect.isfunction(value)]
        rows += [(label, value if isinstance(value, str) else show(value, DIGITS)) for label, value in shown(error)]
        return {"message": error.text + "".join(f"\n  {label:<9} {value}" for label, value in rows if value)}
    if isinstance(error, NotImplementedError) and innermost(error) == str(path):
        line, function, _ = frames(error, path)[-1]
        return {"state": "not begun", "message": "" if function == name else f"it calls {function}, which is not begun.", "line": line}
    text, line = describe(error, path)
    if line is None:
        text = f"when it is called: {text}" if error is raised else f"the check could not work with what it returned: {text}"
    with contextlib.suppress(Exception):
        text += f"\n  {'for':<9} {call(name, arguments)}" if arguments else ""
    return {"state": "error", "message": text} | ({"line": line} if line else {})


def shown(error):
    """The rows of a Mismatch that say something."""
    return [(label, value) for label, value in (("expected", error.expected), ("got", error.got)) if value is not None]
