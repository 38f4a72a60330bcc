"""Inputs of an exercise, drawn by Hypothesis: the same for every learner, and of those that fail the smallest."""

import contextlib
import copy
import time

import numpy as np

from tinyae.course.exercises.show import call

EXAMPLES = 25  # inputs drawn for each exercise
SECONDS = 2.0  # in which smaller ones than the first that fails are looked for


class Enough(BaseException):
    """Ends Hypothesis at once: it catches no BaseException of ours."""


def drawn(exercise):
    """A list of arguments.  To be drawn before a learner's file is loaded: Hypothesis takes constants from every module that is there."""
    from tinyae.checks.strategies import examples

    return examples(exercise.inputs, EXAMPLES) if exercise.inputs is not None else []


def smallest(strategy, error_of, error, arguments):
    """(error, arguments): the smallest arguments that fail, for a learner to think about; at worst those that are known to.

    error_of: a function of arguments that gives the error, or None.
    """
    import hypothesis

    worst, until = (error, arguments), time.monotonic() + SECONDS
    phases = hypothesis.Phase.generate, hypothesis.Phase.shrink
    quiet = {"database": None, "deadline": None, "derandomize": True, "print_blob": False, "verbosity": hypothesis.Verbosity.quiet}
    every = list(hypothesis.HealthCheck)

    @hypothesis.settings(max_examples=2 * EXAMPLES, phases=phases, report_multiple_bugs=False, suppress_health_check=every, **quiet)
    @hypothesis.given(strategy)
    def search(arguments):
        nonlocal worst
        if time.monotonic() > until:
            raise Enough
        error = error_of(arguments)
        if error is None:
            return
        if size(arguments) <= size(worst[1]):
            worst = error, copied(arguments)
        if isinstance(error, MemoryError):  # no more of these
            raise Enough
        raise AssertionError

    with contextlib.suppress(Enough, Exception):  # the failure that is looked for, or that it does not fail each time: what failed is known
        search()
    return worst


def size(arguments):
    """How large arguments are: entries first, then the length of their text."""
    return sum(np.size(v) if isinstance(v, (np.ndarray, list, tuple)) else 1 for v in arguments.values()), len(call("", arguments))


def copied(values):
    """Copies of arrays, also of those in lists and dicts; other things as they are."""
    if isinstance(values, np.ndarray):
        return values.copy(order="K")
    if isinstance(values, dict):
        return {key: copied(value) for key, value in values.items()}
    return type(values)(copied(value) for value in values) if type(values) in (list, tuple) else copy.copy(values)
