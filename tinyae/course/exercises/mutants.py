"""Mutants of the solutions: each is a wrong answer that a learner might write, made by rule; the judge must notice it."""

import types
import warnings

import numpy as np

from tinyae.autograd import raw
from tinyae.checks.mutants import Verdict
from tinyae.checks.mutate import STOP, mutants
from tinyae.course.exercises.draw import drawn
from tinyae.course.exercises.exercise import Mismatch
from tinyae.course.exercises.judge import Answer, attempt, seed

EQUIVALENTS = "equivalents.toml"  # beside the checks: mutants that are right answers too, and why


def verdicts(exercise, solution):
    """The Verdict on each mutant of an exercise's solution, as a learner's answer: killed by a comparison, by an exception, or not at all."""
    right = getattr(solution, exercise.function)
    inputs = [exercise.example, *drawn(exercise)]
    for mutant in mutants(right):
        function = types.FunctionType(mutant.code, right.__globals__ | {STOP: raw}, exercise.function, right.__defaults__)
        yield Verdict(exercise.function, mutant, killer(exercise, Answer(exercise, function), right, inputs))


def killer(exercise, answer, right, inputs):
    """What the judge says of an answer: "comparison", "exception", or None where it passes."""
    seed()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        errors = (attempt(exercise, answer, right, arguments)[0] for arguments in inputs)
        error = next((error for error in errors if error is not None), None)
    return None if error is None else "comparison" if isinstance(error, Mismatch) else "exception"
