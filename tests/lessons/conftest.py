"""What the tests of the lessons share: each lesson's fast form is run once, and a broken copy must be found."""

import functools
import re
import runpy

import pytest

from tinyae import course
from tinyae.course import run


@pytest.fixture(scope="session")
def fast_form(tmp_path_factory):
    """A function of a lesson's number: the names that its fast form defines, and `out`, its output folder.  Each lesson runs once."""

    @functools.cache
    def names(number):
        out = tmp_path_factory.mktemp("lesson")
        token = run._settings.set(course.Settings(fast=True, seed=0, out=out))
        try:
            return runpy.run_path(str(course.entry(number).path)) | {"out": out}
        finally:
            run._settings.reset(token)

    return names


@pytest.fixture(scope="module")
def lesson(request, fast_form):
    """The names that the fast form of the module's lesson, NUMBER, defines."""
    return fast_form(request.module.NUMBER)


@pytest.fixture
def measured(lesson):
    """name -> value of the numbers and claims of the module's lesson, in its fast form."""
    return {name: row["value"] for name, row in lesson["lesson"].rows.items()}


@pytest.fixture
def assert_found(request, tmp_path, monkeypatch):
    """A function that breaks a learner's copy of the module's lesson, NUMBER, and asserts that the check named `check` finds it.

    assert_found((line, instead), check="group.name", before="x = "): each text to replace stands once in the script.  Without any, the copy is as
    it was, and the test has broken something in the engine.  before: how a line at the left edge begins, once in the script, which must not
    be reached (the start of the training, say).  control: whether it is a control run.
    """

    def run_copy(*changes, check, before=None, control=False):
        found = course.entry(request.module.NUMBER)
        script = found.path.read_text(encoding="utf-8")
        if before is not None:
            changes += ((f"\n{before}", f'\nraise RuntimeError("reached, and the planted error was not found")\n{before}'),)
        for text, instead in changes:
            assert script.count(text) == 1, f"{text!r} stands {script.count(text)} times in the lesson"
            script = script.replace(text, instead)
        learner = tmp_path / "learner.py"
        learner.write_text(script, encoding="utf-8")
        monkeypatch.setattr(run, "entry", lambda number: found._replace(path=learner))
        with pytest.raises(course.CheckFailed, match=rf"^lesson {found.number}: the check {re.escape(check)} failed\."):
            course.run_lesson(found.number, fast=True, control=control, out=tmp_path / "out")

    return run_copy


@pytest.fixture
def break_rule(monkeypatch):
    """A function that multiplies what a backward rule of the engine gives: break_rule(ta.ops.tanh, 1.1).

    of: the input whose rule it is, of an operation with several.
    """

    def multiply(operation, factor, of=None):
        (rule,) = [rule for rule in operation.rules if of is None or rule.inputs == (of,)]
        right = rule.function
        monkeypatch.setattr(rule, "function", lambda *args: factor * right(*args))

    return multiply
