"""The terms of a loss, and what each of them contributes to every gradient: backpropagation is linear, so they add up."""

import numpy as np

from tinyae.autograd import Tensor
from tinyae.autograd.graph import backward_steps
from tinyae.backend import to_numpy

SUMS = {"add", "subtract"}
PASSED = {"mean", "sum", "negative", "reshape", "multiply", "divide"}  # on the way from the loss to its sum, one input of which is no constant


def terms_of(trace, loss):
    """name -> the Line that computes a term: the inputs of the last sum before the loss, of `a + b + c` all three.

    Each gets its weight, the gradient that the sum gave it; what a term gets from another term that it is used in is that term's.
    A loss that is no sum has one term, itself.
    """
    line = root = trace.line_of(loss)
    if root is None:
        return {}
    while line.primitive.name in PASSED | SUMS and len(inner := computed(trace, line)) == 1:
        (line,) = inner
    if line.primitive.name not in SUMS or len(computed(trace, line)) < 2:
        root.weight = root.cotangent
        return {root.name or "loss": root}
    found, weights = {}, {}
    for term, weight in addends(trace, line):
        weights[term.number] = weights.get(term.number, 0.0) + weight  # `a + a` is one term
    for number, weight in weights.items():
        term = trace.lines[number - 1]
        term.weight = weight
        name = term.name or short(term.text)
        if np.asarray(to_numpy(weight)).max() < 0:  # it is subtracted
            name = f"-{name}" if term.name or term.primitive.name not in SUMS else f"-({name})"
        found[name if name not in found else f"{name} ({number})"] = term
    return found


def computed(trace, line):
    """The lines that a line takes, those without a gradient left out."""
    return [trace.lines[argument.line - 1] for argument in line.arguments if argument.kind == "line" and argument.given.requires_grad]


def addends(trace, line):
    """(term, weight) of the lines that a sum adds; a sum within it that nothing else uses and that has no name is opened too."""
    for gradient in line.gradients:
        if gradient.argument.kind == "line":
            part = trace.lines[gradient.argument.line - 1]
            if part.primitive.name in SUMS and part.name is None and part.consumers == [line.number] and len(computed(trace, part)) > 1:
                yield from addends(trace, part)
            else:
                yield part, gradient.value


def short(text):
    """A text that fits a heading."""
    return text if len(text) <= 30 else text[:29] + "\N{HORIZONTAL ELLIPSIS}"


def split(trace, loss):
    """Note in each line, and in `trace.leaf_terms`, what each term contributes to the gradient; the graph must still be there.

    Raises AssertionError where they do not add up to the gradient that `backward` gave.
    """
    trace.terms = terms_of(trace, loss)
    for name, term in trace.terms.items():
        for node, gy, gradients in backward_steps(term.value, term.weight, retain_graph=True):
            if (line := trace.line_of(node)) is not None:
                line.by_term[name] = gy
            for parent, gradient in gradients:
                if isinstance(parent, Tensor):
                    parts = trace.leaf_terms.setdefault(id(parent), {})
                    parts[name] = parts[name] + gradient if name in parts else gradient
    for line in trace.lines:
        if line.by_term:
            assert add_up(line, trace), f"line {line.number}: the terms do not add up to the gradient"


def add_up(line, trace):
    """Whether what the terms contribute is the gradient of a line, up to rounding; of numbers that are finite, and may be next to nothing.

    Where they are what is left of a sum that cancels, the gradients that it was a sum of say how large its rounding is.
    """
    parts = [np.asarray(to_numpy(part)) for part in line.by_term.values()]
    total, whole = sum(parts), np.asarray(to_numpy(line.cotangent))
    finite = np.isfinite(total) & np.isfinite(whole)
    scale = max(np.abs(part[finite]).max(initial=0) for part in parts)
    for gradient in (np.abs(to_numpy(trace.lines[number - 1].cotangent)) for number in line.consumers if trace.lines[number - 1].by_term):
        scale = max(scale, gradient[np.isfinite(gradient)].max(initial=0))
    return bool((np.abs(total - whole)[finite] <= 1e-5 * scale + np.finfo(whole.dtype).tiny).all())


def contribution(term):
    """What a term adds to the loss, a number: its entries times their weights."""
    return float((np.asarray(term.value.numpy(), np.float64) * np.asarray(to_numpy(term.weight), np.float64)).sum())
