"""A trace as plain text: the forward lines, the backward lines newest first, and what every parameter got."""

import os
import re
import textwrap

from tinyae.autograd import Tensor
from tinyae.microscope.lines import norm
from tinyae.microscope.target import model_target, wrapped

WORDS = {
    "spread": "g, repeated to this shape along the axis that was reduced (all, if none is given)",
    "scatter_add": "zeros of this shape, to which g is added at this index",
    "unbroadcast": "g, summed over the axes that were broadcast, to this shape",
    "split": "g, cut along this axis into these shapes",
    "rows": "all leading axes as one",
    "swapaxes": "each matrix transposed",
    "outer": "the products of all pairs: a column times a row",
}


def to_text(trace, width=110, terms=None, heading="", units=""):
    """The trace as text for a terminal of `width` columns; the same trace gives the same text.

    terms: name -> Tensor with one entry, the terms of the loss, shown in the ledger at the end.  heading: text above all.
    """
    table = _Table(trace, width)
    parts = [heading] if heading else []
    parts += ["\n".join(_legend(trace, width)), "\n".join(_forward(trace, table))]
    if any(line.cotangent_norm is not None for line in trace.lines):
        parts += ["\n".join(_backward(trace, table)), "\n".join(_parameters(trace))]
    if terms:
        longest = max(map(len, terms))
        parts += ["\n".join([f"LOSS{units and ', ' + units}", *(f"{name:<{longest}}  {term.item():12.4f}" for name, term in terms.items())])]
    return "\n\n".join(parts) + "\n"


def _legend(trace, width):
    """What the columns and the short names mean; of the words in rules only those that occur."""
    rules = " ".join(gradient.rule for line in trace.lines for gradient in line.gradients)
    meanings = {
        "names": "those of the source: a value has the name that it is given, or else the first that it is called by",
        "columns": "number of the line; file and line of the source; operation; shapes; lines it comes from or goes to; norm",
        "y7, g7": "the value of line 7, where the source gives it no name, and the gradient of the loss with respect to it",
        "grad[z]": "the gradient of the loss with respect to z, where the source names the value z",
        "from 5 + 4": "the gradient is the sum of those that lines 5 and 4 send",
        "const": "an array that needs no gradient: data or noise",
        "norm": "the root of the sum of the squares of all entries",
    }
    meanings |= {word: text for word, text in WORDS.items() if re.search(rf"\b{word}\(", rules)}
    column = max(map(len, meanings)) + 2
    for word, text in meanings.items():
        yield textwrap.fill(f"{word:<{column}}{text}", width, subsequent_indent=" " * column)


class _Table:
    """Rows of a number, a place, a text, and cells on the right; where the text is too long, the cells stand below it."""

    def __init__(self, trace, width):
        self.width = width
        self.place = max((len(_place(call)) for line in trace.lines for call in (line.call, *line.path)), default=0)
        self.flow = max((len(_flow(line)) for line in trace.lines), default=0)

    def row(self, number, place, text, *cells):
        """Text with a place begins in the third column, text without one (a rule) in the second."""
        left = f"{number:>3}  {place:<{self.place}}  " if place else f"{number:>3}    "
        if not cells:
            return f"{left}{text}"
        right = f"{cells[0]}  {cells[1]:<{max(self.flow, 11)}}  {cells[2]:>9}"
        room = self.width - len(right) - 2
        if len(left + text) <= room:
            return f"{left + text:<{room}}  {right}"
        return f"{left}{text}\n{right:>{self.width}}"


def _place(call):
    return f"{os.path.basename(call.file)}:{call.line}"


def _flow(line):
    """Where the gradient of a line's result comes from."""
    if len(line.consumers) > 4:
        return f"from {len(line.consumers)} lines"
    return f"from {' + '.join(map(str, line.consumers))}" if line.consumers else "start"


def _operation(line):
    return f"{line.name or line.label} = {line.text}"


def _forward(trace, table):
    """Each operation below the lines that led to it."""
    open_calls = []
    yield table.row("", "", "FORWARD", f"{'shapes':<35}", "from", "norm")
    for line in trace.lines:
        calls = [*line.path, line.call]
        shared = 0
        while shared < min(len(calls), len(open_calls)) and calls[shared].site == open_calls[shared].site:
            shared += 1
        if line.call.whole and shared < len(calls):
            calls.pop()  # the operation is all there is on its line; otherwise the line stands above its operations
        for depth, call in enumerate(calls[shared:], shared):
            if call.source:
                yield table.row("", _place(call), "  " * min(depth, 8) + call.source)
        open_calls = calls
        shapes = f"{', '.join(str(a.shape) for a in line.arguments if a.kind != 'number')} -> {line.value.shape}"
        origins = [str(a.line) if a.kind == "line" else "const" for a in line.arguments if a.kind in ("line", "constant")]
        text = "  " * min(len(calls), 9) + _operation(line)
        yield table.row(line.number, _place(line.call), text, f"{shapes:<35}", ", ".join(dict.fromkeys(origins)), f"{line.norm:.4g}")


def _backward(trace, table):
    """Each operation, the gradient that arrives at it, and those that its rules give, in the order of the reverse pass."""
    yield table.row("", "", "BACKWARD", f"{'shape':<10}", "from, to", "norm")
    for line in reversed(trace.lines):
        if line.cotangent_norm is None:
            continue
        yield table.row(line.number, _place(line.call), _operation(line), f"{line.value.shape!s:<10}", _flow(line), f"{line.cotangent_norm:.4g}")
        for gradient in line.gradients:
            summed = f", summed over axis {', '.join(map(str, gradient.summed))}" if gradient.summed else ""
            text = f"d loss / d {gradient.argument.text} = {gradient.rule}{summed}"
            yield table.row("", "", text, f"{gradient.shape!s:<10}", f"to {gradient.argument.line or '.grad'}", f"{gradient.norm:.4g}")
        if constants := [argument.text for argument in line.arguments if argument.kind == "constant"]:
            yield table.row("", "", f"{', '.join(constants)}: constant, no gradient")
    if skipped := [str(line.number) for line in trace.lines if line.cotangent_norm is None]:
        yield f"No gradient passes through line {', '.join(skipped)}."


def _parameters(trace):
    """What arrived in the `.grad` of every parameter."""
    rows = [("PARAMETER", "shape", "norm", "norm of .grad")]
    for name, leaf in trace.leaves.values():
        rows.append((name, str(leaf.shape), f"{norm(leaf.data):.4g}", "none" if leaf.grad is None else f"{norm(leaf.grad):.4g}"))
    first, second, third, fourth = (max(len(row[i]) for row in rows) for i in range(4))
    for row in rows:
        yield f"{row[0]:<{first}}  {row[1]:<{second}}  {row[2]:>{third}}  {row[3]:>{fourth}}"


def microscope_model(name, seed=0, width=110, **sizes):
    """One training step of a small model on digits as text; sizes: see `target.model_target`."""
    return told(model_target(name, seed, **sizes), width)


def told(target, width=110, found=None):
    """A Target as text; found: its Trace, if there is one already."""
    found = target.trace() if found is None else found
    result = found.result._asdict() if hasattr(found.result, "_asdict") else found.result
    terms = {name: term for name, term in result.items() if isinstance(term, Tensor) and term.size == 1} if isinstance(result, dict) else {}
    return to_text(found, width, terms, wrapped(target.heading, width), target.units)
