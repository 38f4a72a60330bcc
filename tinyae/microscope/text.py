"""A trace as plain text: the forward lines, the backward lines newest first, and what every parameter got."""

import os
import re
import textwrap

from tinyae.autograd import Tensor
from tinyae.microscope import cards
from tinyae.microscope.lines import norm
from tinyae.microscope.proofs import is_finite, not_finite
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
    places = [_place(call) for line in trace.lines for call in (line.call, *line.path)]
    table = _Table(width, places, [_flow(line.consumers) for line in trace.lines])
    parts = [heading] if heading else []
    rules = [gradient.rule for line in trace.lines for gradient in line.gradients]
    parts += ["\n".join(_legend(rules, width)), "\n".join(_forward(trace, table))]
    if any(line.cotangent_norm is not None for line in trace.lines):
        parts += ["\n".join(_backward(trace, table)), "\n".join(_parameters(trace))]
    if terms:
        parts.append(_loss({name: term.item() for name, term in terms.items()}, units))
    if trace.loss is not None and not is_finite(trace.loss.data):
        parts.append("\n".join(not_finite(trace)))
    return "\n\n".join(parts) + "\n"


def _loss(terms, units=""):
    """The terms of the loss, name -> number or None."""
    longest = max(map(len, terms))
    rows = [f"{name:<{longest}}  {'not finite' if value is None else f'{value:.4f}':>12}" for name, value in terms.items()]
    return "\n".join([f"LOSS{units and ', ' + units}", *rows])


def _legend(rules, width):
    """What the columns and the short names mean; of the words in rules only those that occur."""
    rules = " ".join(rules)
    meanings = {
        "names": "those of the source: a value has the name that it is given, or else the first that it is called by",
        "columns": "number of the operation; file and line of the source; operation; shapes; operations it comes from or goes to; norm",
        "y7, g7": "the value of operation 7, where the source gives it no name, and the gradient of the loss with respect to it",
        "grad[z]": "the gradient of the loss with respect to z, where the source names the value z",
        "from 5 + 4": "the gradient is the sum of those that operations 5 and 4 send",
        "const": "an array that needs no gradient: data or noise",
        "norm": "the root of the sum of the squares of all entries",
    }
    meanings |= {word: text for word, text in WORDS.items() if re.search(rf"\b{word}\(", rules)}
    column = max(map(len, meanings)) + 2
    for word, text in meanings.items():
        yield textwrap.fill(f"{word:<{column}}{text}", width, subsequent_indent=" " * column)


class _Table:
    """Rows of a number, a place, a text, and cells on the right; where the text is too long, the cells stand below it."""

    def __init__(self, width, places, flows):
        self.width, self.place, self.flow = width, max(map(len, places), default=0), max(map(len, flows), default=0)

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

    def gradient(self, name, rule, summed, shape, to, norm):
        """What a rule gives an input: its formula, its shape, the operation that it goes to (None: a leaf), its norm."""
        axes = f", summed over axis {', '.join(map(str, summed))}" if summed else ""
        return self.row("", "", f"d loss / d {name} = {rule}{axes}", f"{shape!s:<10}", f"to {to or '.grad'}", norm)

    def constants(self, names):
        """A row that names the inputs without a gradient, if there are any."""
        if names := list(names):
            yield self.row("", "", f"{', '.join(names)}: constant, no gradient")


def _skipped(numbers):
    """A row for the operations that the backward pass does not come to, if there are any."""
    if numbers := list(map(str, numbers)):
        yield f"No gradient passes through operation {', '.join(numbers)}."


def _place(call):
    return f"{os.path.basename(call.file)}:{call.line}"


def _flow(numbers):
    """Where the gradient of a result comes from: the operations of these numbers."""
    if len(numbers) > 4:
        return f"from {len(numbers)} operations"
    return f"from {' + '.join(map(str, numbers))}" if numbers else "start"


def _operation(line):
    return f"{line.label} = {line.text}"


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
        yield table.row(
            line.number, _place(line.call), _operation(line), f"{line.value.shape!s:<10}", _flow(line.consumers), f"{line.cotangent_norm:.4g}"
        )
        for gradient in line.gradients:
            yield table.gradient(
                gradient.argument.text, gradient.rule, gradient.summed, gradient.shape, gradient.argument.line, f"{gradient.norm:.4g}"
            )
        yield from table.constants(argument.text for argument in line.arguments if argument.kind == "constant")
    yield from _skipped(line.number for line in trace.lines if line.cotangent_norm is None)


def _parameters(trace):
    """What arrived in the `.grad` of every parameter."""
    rows = []
    for name, leaf in trace.leaves.values():
        rows.append((name, str(leaf.shape), f"{norm(leaf.data):.4g}", "none" if leaf.grad is None else f"{norm(leaf.grad):.4g}"))
    return _columns(rows)


def _columns(rows):
    """Rows of a parameter's name, shape and norms below their heading."""
    rows = [("PARAMETER", "shape", "norm", "norm of .grad"), *rows]
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


def record_to_text(record, width=110):
    """A record (see record.py) as text, in the same tables; proofs that failed stand below their gradient."""
    nodes = record["nodes"]
    places = [cards.place(record, node) for node in nodes]
    table = _Table(width, places, [_flow([one["node"] for one in node["from"]]) for node in nodes])
    title = f"{record['title'] or 'a trace'}, seed {record['seed']}, {record['dtype']}."
    folded = [f"{record['folded']} operations of loops were left out."] * bool(record["folded"])
    parts = [wrapped("\n".join([title, *folded]), width)]
    parts.append("\n".join(_legend([rule["text"] for node in nodes for rule in node["rules"]], width)))
    parts.append("\n".join(_recorded_forward(record, table)))
    if any(node["gradient"] is not None for node in nodes):
        parts += ["\n".join(_recorded_backward(record, table)), "\n".join(_columns(map(_recorded_leaf, record["leaves"])))]
    parts.append(_loss({term["name"]: term["value"] for term in (*record["terms"], record["loss"])}))
    if record["checks"]:
        parts.append("\n".join(["CHECKS", *(f"{'holds' if one['passed'] else 'FAILS'}  {one['what']}: {one['text']}" for one in record["checks"])]))
    return "\n\n".join(parts) + "\n"


def _recorded_forward(record, table):
    """Each operation of a record below its line of the source."""
    above = None
    yield table.row("", "", "FORWARD", f"{'shapes':<35}", "from", "norm")
    for node in record["nodes"]:
        if cards.line_of(node) != above:
            yield table.row("", cards.place(record, node), node["source"])
        above = cards.line_of(node)
        given = ", ".join(cards.shape(one["shape"]) for one in node["inputs"] if one["kind"] != "number")
        shapes = f"{given} -> {cards.shape(node['value']['shape'])}"
        origins = [str(one["node"] or "const") for one in node["inputs"] if one["kind"] in ("line", "constant")]
        cells = f"{shapes:<35}", ", ".join(dict.fromkeys(origins)), cards.number(node["value"]["norm"])
        yield table.row(node["id"], cards.place(record, node), f"  {node['name']} = {node['text']}", *cells)


def _recorded_backward(record, table):
    """Each operation of a record, the gradient that arrives at it, and those that its rules give."""
    yield table.row("", "", "BACKWARD", f"{'shape':<10}", "from, to", "norm")
    for node in reversed(record["nodes"]):
        if node["gradient"] is None:
            continue
        flow, shape = _flow([one["node"] for one in node["from"]]), cards.shape(node["value"]["shape"])
        text = f"{node['name']} = {node['text']}"
        yield table.row(node["id"], cards.place(record, node), text, f"{shape:<10}", flow, cards.number(node["gradient"]["norm"]))
        yield from _failed(node["check"], table)
        for rule in node["rules"]:
            to, size = rule["to"] if isinstance(rule["to"], int) else None, cards.number(rule["norm"])
            yield table.gradient(node["inputs"][rule["input"]]["text"], rule["text"], rule["summed"], tuple(rule["shape"]), to, size)
            yield from _failed(rule["check"], table)
        yield from table.constants(one["text"] for one in node["inputs"] if one["kind"] == "constant")
    yield from _skipped(node["id"] for node in record["nodes"] if node["gradient"] is None)


def _recorded_leaf(leaf):
    """Name, shape and norms of a leaf of a record."""
    value, gradient = leaf["value"], leaf["gradient"]
    return leaf["name"], cards.shape(value["shape"]), cards.number(value["norm"]), "none" if gradient is None else cards.number(gradient["norm"])


def _failed(check, table):
    """A row for a proof that failed."""
    if check is not None and check["verdict"] in ("wrong", "not finite"):
        numbers = f": finite differences {cards.number(check['numeric'])}, trace {cards.number(check['analytic'])}"
        yield table.row("", "", f"! {check['verdict']}{numbers if check['verdict'] == 'wrong' else ''}")
