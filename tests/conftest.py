"""Hypothesis profiles, and the backends on which a test body runs."""

import os
import re

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a second thread costs small matrices more than it gives, above all on a busy machine

import hypothesis
import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

import tinyae as ta
from tinyae.checks import fake_device

hypothesis.settings.register_profile("dev", max_examples=15, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("thorough", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def gpu_answers():
    """Whether CuPy is installed and a GPU answers."""
    try:
        ta.backend.cupy_module()
    except ta.errors.BackendError:
        return False
    return True


class ByLesson(LoadScopeScheduling):
    """Of several processes, one runs all tests of a file, and one all tests of a lesson, which thus runs once.

    (The mark `xdist_group` says nothing any more: pytest 9.2 keeps its own names of tests, and pytest-xdist 3.8 writes the group into them.)
    """

    def _split_scope(self, nodeid):
        lesson = re.search(r"test_(\d\d)_\w+\.py|\[lesson (\d\d)", nodeid)
        return f"lesson {lesson[1] or lesson[2]}" if lesson else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config, log):
    """How the tests are shared out among processes."""
    return ByLesson(config, log)


def pytest_report_header():
    """Say which backends the test bodies ran on."""
    return "backends: numpy, fake device, " + ("cupy" if gpu_answers() else "no GPU answers: nothing ran on cupy")


@pytest.fixture
def on_a_gpu():
    """Whether a GPU answers."""
    return gpu_answers()


@pytest.fixture(params=["numpy", "fake", pytest.param("cupy", marks=pytest.mark.gpu)])
def backend(request):
    """Each backend in turn; new arrays are made on it."""
    if request.param == "cupy" and not gpu_answers():
        pytest.skip("needs CuPy and a GPU that answers")
    with fake_device.installed(), ta.using(request.param):
        yield request.param


@pytest.fixture
def rng():
    """A NumPy generator for the inputs of a test."""
    return np.random.default_rng(7)


@pytest.fixture(autouse=True)
def sealed():
    """No test leaves a backend, an observer or a switched-off recording behind."""
    yield
    from tinyae.autograd.graph import state

    assert ta.backend.current() == "numpy"
    assert state.recording
    assert state.observers == ()
