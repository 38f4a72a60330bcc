"""The line-by-line view of a forward and backward pass: `record` it, then print it with `to_text`."""

from tinyae.microscope.ledger import Kept, Ledger, ledger
from tinyae.microscope.text import microscope_model, to_text
from tinyae.microscope.trace import Trace, record

__all__ = ["Kept", "Ledger", "Trace", "ledger", "microscope_model", "record", "to_text"]
