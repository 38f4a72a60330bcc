"""Checks of gradients, as good for someone else's operations as for ours.  `strategies` needs Hypothesis."""

import importlib

from tinyae.checks.gradcheck import GradientError, Report, assert_gradients, gradcheck
from tinyae.checks.semcheck import Semantics, SemanticsError, assert_distribution, assert_semantics, semcheck, semcheck_distribution

__all__ = [
    "GradientError",
    "Report",
    "Semantics",
    "SemanticsError",
    "assert_distribution",
    "assert_gradients",
    "assert_semantics",
    "fake_device",
    "gradcheck",
    "semcheck",
    "semcheck_distribution",
    "strategies",
]


def __getattr__(name):
    if name in ("fake_device", "strategies"):
        return importlib.import_module(f"tinyae.checks.{name}")
    raise AttributeError(f"module 'tinyae.checks' has no attribute {name!r}")
