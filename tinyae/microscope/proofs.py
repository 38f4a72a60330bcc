"""The proofs of all gradients of a trace as text: which are wrong, where the wrong rule is written, and what is wrong through it."""

import inspect
import os

import numpy as np

from tinyae.backend import to_numpy
from tinyae.errors import PACKAGE
from tinyae.microscope.replay import check_leaf, check_rules

FAILED = {"wrong", "not finite"}
ALONE = "rule right"  # of a rule that is, but whose cotangent is not


def check_text(trace):
    """(the proof of every gradient as text, in the order of the backward pass; whether all hold)."""
    proofs = [proof for line in reversed(trace.lines) if line.cotangent is not None for proof in (trace.check(line), *check_rules(line))]
    leaves = [check_leaf(trace, leaf) for _, leaf in trace.leaves.values()]
    wrong = [proof for proof in proofs if proof.at is not None and proof.verdict == "wrong"]
    lines, _ = wrong_through(trace, wrong)
    counts, rows, above = {}, [], None
    for proof in (*proofs, *leaves):
        if leaves and proof is leaves[0]:
            rows.append("parameters and other leaves, from all operations that use them")
        alone = proof.verdict == "right" and proof.line.number in lines and not proof.whole
        verdict = ALONE if alone else proof.verdict
        counts[verdict] = counts.get(verdict, 0) + 1
        if proof.line is not above and not proof.whole:
            rows.append(f"{place(proof.line)}  {proof.line.label} = {proof.line.text}")
        above = proof.line
        rows.append(f"  {proof.what}: {verdict}{proof.numbers}")
    rows += ["", ", ".join(f"{count} {verdict}" for verdict, count in counts.items())]
    if ALONE in counts:
        rows.append(f'"{ALONE}": it makes the right thing of a gradient that is wrong when it comes in')
    finite = is_finite(trace.loss.data)
    if not finite or "not finite" in counts:
        rows += ["", *not_finite(trace)]
    rows += ["", *blamed(trace, wrong)] if wrong else []
    return "\n".join(rows), finite and not FAILED & counts.keys()


def place(line):
    """The number of an operation, and its line of the source."""
    return f"operation {line.number} ({os.path.basename(line.home.file)}:{line.home.line})"


def wrong_through(trace, wrong):
    """({numbers of the lines}, [names of the leaves]) whose gradients come through the rules that these proofs find wrong."""
    lines, leaves, inputs = set(), set(), [proof.at for proof in wrong]
    while inputs:
        found = inputs.pop()
        if found.kind in ("parameter", "leaf"):
            leaves.add(id(found.given))
        elif found.line is not None and found.line not in lines and trace.lines[found.line - 1].cotangent is not None:
            lines.add(found.line)
            inputs += trace.lines[found.line - 1].arguments
    return lines, [name for key, (name, _) in trace.leaves.items() if key in leaves]


def blamed(trace, wrong):
    """Rows that say of each wrong rule where it is used and written, the first on the way back first, and what is wrong through it."""
    rules = {}
    for proof in wrong:
        rules.setdefault(rule_of(proof), []).append(proof)
    for i, (rule, proofs) in enumerate(rules.items()):
        first, used = proofs[0], ", ".join(dict.fromkeys(place(proof.line) for proof in proofs))
        if i == 0:
            yield f"the first wrong rule on the way back from the loss: {first.line.primitive.name}, in {first.at.text}"
        yield f"the rule of {used} is wrong; it is written in {written(rule)}"
        yield f"  {first.what}: {first.verdict}{first.numbers}"
        lines, leaves = wrong_through(trace, proofs)
        through = leaves + [f"{len(lines)} value{'s' * (len(lines) > 1)}"] * bool(lines)
        yield f"  the gradients of what lies before it are wrong through it: {', '.join(through) or 'nothing else'}"


def rule_of(proof):
    """The function of the rule that gave the gradient."""
    return next(gradient.vjp.function for gradient in proof.line.gradients if gradient.argument is proof.at)


def written(function):
    """file:line of a function: below the working folder, or as the path of tinyae's own."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return "code that has no line of Python"
    file = os.path.abspath(code.co_filename)
    near = os.path.relpath(file)
    if file.startswith(PACKAGE):
        near = os.path.join("tinyae", file.removeprefix(PACKAGE))
    return f"{file if near.startswith(os.pardir) else near}:{code.co_firstlineno}"


def not_finite(trace):
    """Rows that name the first value that is not finite, or else the first gradient on the way back; none where all are."""
    if not is_finite(trace.loss.data):
        yield f"the loss is not finite: {trace.loss.item()}"
    for line in trace.lines:
        if not is_finite(line.value.data):
            yield f"the first operation with a result that is not finite: {place(line)}  {line.label} = {line.text}"
            if given := [argument.text for argument in line.arguments if not is_finite(argument.value)]:
                yield f"  what it is given is not finite already: {', '.join(given)}"
            return
    for line in reversed(trace.lines):
        if found := [gradient.argument.text for gradient in line.gradients if not is_finite(gradient.value)]:
            yield f"the first gradient that is not finite, on the way back: that of {line.primitive.name} in {', '.join(found)}, {place(line)}"
            return


def is_finite(array):
    """Whether all entries of an array, or a number, are finite; of what is no number, True."""
    array = np.asarray(to_numpy(array) if hasattr(array, "dtype") else array)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
