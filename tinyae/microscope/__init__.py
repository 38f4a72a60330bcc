"""The line-by-line view of a forward and backward pass: `record` it, then print it with `to_text`, or make its page with `write_page`."""

from tinyae.microscope.expand import expand
from tinyae.microscope.ledger import Kept, Ledger, ledger
from tinyae.microscope.page import to_html, write_page
from tinyae.microscope.record import FORMAT, record_of
from tinyae.microscope.replay import Proof, redraw
from tinyae.microscope.text import microscope_model, to_text
from tinyae.microscope.trace import Trace, record, trace

__all__ = [
    "FORMAT",
    "Kept",
    "Ledger",
    "Proof",
    "Trace",
    "expand",
    "ledger",
    "microscope_model",
    "record",
    "record_of",
    "redraw",
    "to_html",
    "to_text",
    "trace",
    "write_page",
]
