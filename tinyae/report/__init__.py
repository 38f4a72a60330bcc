"""One self-contained page about a finished run."""

from tinyae.report.page import render, write_report

__all__ = ["render", "write_report"]
