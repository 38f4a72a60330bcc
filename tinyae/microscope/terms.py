"""The terms of a loss, and what each of them contributes to every gradient: backpropagation is linear, so they add up."""

import numpy as np

from tinyae.autograd import Tensor
from tinyae.autograd.graph import backward_steps

SUMS = {"add", "subtract"}
PASSED = {"mean", "sum", "negative", "reshape", "multiply", "divide"}  # on the way from the loss to its sum, one input of which is no constant


def terms_of(trace, loss):
    """name -> the Line that computes a term: the inputs of the last sum before the loss, of `a + b + c` all three.

    A loss that is no sum has one term, itself.
    """
    line = trace.line_of(loss)
    while line is not None and line.primitive.name in PASSED and (inner := computed(trace, line)) and len(inner) == 1:
        (line,) = inner
    if line is None or line.primitive.name not in SUMS or len(computed(trace, line)) < 2:
        line = trace.line_of(loss)
        return {} if line is None else {line.name or "loss": line}
    found = {}
    for term in addends(trace, line):
        name = term.name or short(term.text)
        found[name if name not in found else f"{name} ({term.number})"] = term
    return found


def computed(trace, line):
    """The lines that a line takes, those without a gradient left out."""
    return [trace.lines[argument.line - 1] for argument in line.arguments if argument.kind == "line" and argument.given.requires_grad]


def addends(trace, line):
    """The lines that a sum adds; a sum within it that has no name of its own is opened too."""
    for part in computed(trace, line):
        if part.primitive.name in SUMS and part.name is None and len(computed(trace, part)) > 1:
            yield from addends(trace, part)
        else:
            yield part


def short(text):
    """A text that fits a heading."""
    return text if len(text) <= 30 else text[:29] + "\N{HORIZONTAL ELLIPSIS}"


def split(trace, loss):
    """Note in each line, and in `trace.leaf_terms`, what each term contributes to the gradient; the graph must still be there.

    Raises AssertionError where they do not add up to the gradient that `backward` gave.
    """
    trace.terms = terms_of(trace, loss)
    for name, term in trace.terms.items():
        for line in trace.lines:
            line.by_term.pop(name, None)
        for node, gy, gradients in backward_steps(term.value, term.cotangent, retain_graph=True):
            if (line := trace.line_of(node)) is not None:
                line.by_term[name] = gy
            for parent, gradient in gradients:
                if isinstance(parent, Tensor):
                    parts = trace.leaf_terms.setdefault(id(parent), {})
                    parts[name] = parts[name] + gradient if name in parts else gradient
    for line in trace.lines:
        if line.by_term:
            total = sum(line.by_term.values())
            scale = max(np.abs(part).max(initial=0) for part in line.by_term.values())
            assert np.allclose(total, line.cotangent, rtol=0, atol=1e-5 * scale), f"line {line.number}: the terms do not add up to the gradient"


def contribution(term):
    """What a term adds to the loss, a number: its entries times their weights."""
    return float((np.asarray(term.value.numpy(), np.float64) * np.asarray(term.cotangent, np.float64)).sum())
