"""The line-by-line view of a forward and backward pass: `record` it, then print it with `to_text`, or make its page with `write_page`."""

from tinyae.microscope.diff import diff
from tinyae.microscope.expand import expand
from tinyae.microscope.file import load, save
from tinyae.microscope.ledger import Kept, Ledger, ledger
from tinyae.microscope.page import to_html, write_page
from tinyae.microscope.record import FORMAT, record_of
from tinyae.microscope.replay import Proof, redraw
from tinyae.microscope.text import microscope_model, to_text
from tinyae.microscope.trace import Trace, record, trace
from tinyae.microscope.unroll import unroll

__all__ = [
    "FORMAT",
    "Kept",
    "Ledger",
    "Proof",
    "Trace",
    "diff",
    "expand",
    "ledger",
    "load",
    "microscope_model",
    "record",
    "record_of",
    "redraw",
    "save",
    "to_html",
    "to_text",
    "trace",
    "unroll",
    "write_page",
]
