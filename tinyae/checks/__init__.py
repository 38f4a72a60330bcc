"""Checks of gradients, as good for someone else's operations as for ours.  `strategies` needs Hypothesis."""

import importlib

from tinyae.checks.gradcheck import GradientError, Report, assert_gradients, gradcheck

__all__ = ["GradientError", "Report", "assert_gradients", "fake_device", "gradcheck", "strategies"]


def __getattr__(name):
    if name in ("fake_device", "strategies"):
        return importlib.import_module(f"tinyae.checks.{name}")
    raise AttributeError(f"module 'tinyae.checks' has no attribute {name!r}")
