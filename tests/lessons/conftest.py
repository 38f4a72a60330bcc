"""What the tests of the lessons share: each lesson's fast form is run once."""

import functools
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
