"""What the tests of all lessons share."""

import runpy

import pytest

from tinyae import course
from tinyae.course import run


@pytest.fixture(scope="module")
def lesson(request, tmp_path_factory):
    """The names that the fast form of the module's lesson, NUMBER, defines after a run; `out` is its output folder."""
    number, out = request.module.NUMBER, tmp_path_factory.mktemp("lesson")
    token = run._settings.set(course.Settings(fast=True, seed=0, out=out))
    try:
        return runpy.run_path(str(course.entry(number).path)) | {"out": out}
    finally:
        run._settings.reset(token)
