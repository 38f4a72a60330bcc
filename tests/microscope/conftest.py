"""What the tests of the microscope share."""

import sys

import pytest

from tinyae.checks import subjects


@pytest.fixture
def somebody(tmp_path):
    """The folder of somebody's files; what was imported from there is forgotten afterwards."""
    modules, path, loaded = set(sys.modules), list(sys.path), dict(subjects._loaded)
    yield tmp_path
    sys.path[:] = path
    subjects._loaded.clear()
    subjects._loaded.update(loaded)
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
