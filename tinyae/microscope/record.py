"""A trace as a record: plain data for viewers, files and comparisons, without any Tensor.  `FORMAT` says what it holds.

A record is a dict of lists, dicts, texts and numbers, and JSON can hold all of it:

    format        "tinyae trace 1"
    title, seed, dtype
    loss          {"name", "value", "constant"}: the constant is what stays of it where every term is 0
    terms         [{"name", "node", "value"}]: what the loss adds up; their sum and the constant are the loss
    functions     [{"file", "name", "first", "lines"}]: the source that a reader sees, in the order in which it ran
    dimensions    [{"node", "name", "values"}]: what each latent dimension adds to the loss through a closed-form KL divergence
    nodes         the operations in their order, see `node_of`; of a loop of many turns the first ones and the last
    folded        how many operations were left out for it
    leaves        [{"name", "kind", "value", "gradient", "terms", "nodes", "check"}]: parameters and others, their gradients, by term, proved
    checks        [{"what", "passed", "text", "node"}]: what holds for the whole trace; node: where it first does not
    draws         how often the noise was drawn again for the `spread` of the gradients; 0 where there is no noise

Numbers have six significant digits; None stands for what is no finite number.
"""

import linecache
import math
import os

import numpy as np

from tinyae.backend import to_numpy
from tinyae.errors import ArgumentError
from tinyae.microscope import replay
from tinyae.microscope.equations import rule_equation, value_equation
from tinyae.microscope.expand import can_expand, expand, is_large
from tinyae.microscope.lines import norm
from tinyae.microscope.names import READ
from tinyae.microscope.pixels import Pixels, picture_of
from tinyae.microscope.terms import contribution
from tinyae.ops.variational import kl_normal_normal, kl_standard_normal

FORMAT = "tinyae trace 1"
TURNS = 2, 1  # of a longer loop, how many turns are kept at its beginning and at its end
BINS = 16  # of a histogram
ENTRIES = 64  # an array of no more is shown in numbers too


def record_of(trace, *, title="", seed=None, image_shape=None, draws=None, checks=True):
    """The record of a finished trace, gradients and all (see the head of this file).

    image_shape: of rows that are images, (height, width) or (channels, height, width).  draws: how often the noise is drawn again for the
    spread of the gradients, 0 for not at all (default: 200, less often in a large program).
    checks: whether each gradient is proved by finite differences.
    """
    if not trace.terms:
        remedy = "trace.backward(loss, split=True) of a loss with one entry, or ta.microscope.trace(f, ...)"
        raise ArgumentError("microscope: a record needs a backward pass that was split into the terms of the loss.", remedy=remedy)
    kept, pixels = unfolded(trace), Pixels(trace, image_shape)
    draws = draws_for(trace) if draws is None else draws
    functions, spread = Functions(), replay.redraw(trace, draws) if draws else {}
    nodes = [node_of(trace, line, functions, pixels, spread, checks) for line in kept]
    root = trace.line_of(trace.loss)
    found = {
        "format": FORMAT,
        "title": title,
        "seed": seed,
        "dtype": str(trace.loss.dtype),
        "loss": {"name": root.name or "loss", "value": trace.loss.item(), "constant": replay.constant_of(trace)},
        "terms": [{"name": name, "node": line.number, "value": contribution(line)} for name, line in trace.terms.items()],
        "dimensions": dimensions_of(trace),
        "functions": functions.found,
        "nodes": nodes,
        "folded": len(trace.lines) - len(kept),
        "leaves": [leaf_of(trace, name, leaf, pixels, checks) for name, leaf in trace.leaves.values()],
        "draws": draws if spread else 0,
    }
    return tidy(found | {"checks": whole_checks(found)})


def tidy(found):
    """The same with floats of six significant digits, and None for those that are not finite."""
    if isinstance(found, dict):
        return {name: tidy(value) for name, value in found.items()}
    if isinstance(found, list):
        return [tidy(value) for value in found]
    if isinstance(found, float):
        return float(f"{found:.6g}") if math.isfinite(found) else None
    return found


def dimensions_of(trace):
    """Of each KL divergence of `ops`, what its latent dimensions add to the loss, one by one."""
    found = []
    for line in trace.lines:
        if line.primitive in (kl_standard_normal, kl_normal_normal) and line.cotangent is not None:
            values = np.broadcast_arrays(*(np.asarray(to_numpy(argument.value), np.float64) for argument in line.arguments))
            weights = np.asarray(to_numpy(line.cotangent), np.float64)
            parts = [(weights * line.primitive.forward(*(value[..., [j]] for value in values))).sum() for j in range(values[0].shape[-1])]
            found.append({"node": line.number, "name": line.label, "values": [float(part) for part in parts]})
    return found


def draws_for(trace):
    """How often the noise is drawn again: 200 times, and less often in a long or a large program, where it would take seconds."""
    return max(2, min(200, 6_000_000 // sum(1000 + line.value.size for line in trace.lines)))


def unfolded(trace):
    """The lines that are shown: of a loop of many turns the first ones and the last."""
    turns = {}
    for line in trace.lines:
        turns[place(line)] = line.turn
    first, last = TURNS
    return [line for line in trace.lines if line.turn < first or line.turn > turns[place(line)] - last or turns[place(line)] <= first + last]


def place(line):
    """What the turns of a loop have in common."""
    return line.primitive.name, line.call.file, line.call.line, id(line.call.statement), tuple((call.file, call.line) for call in line.path)


class Functions:
    """The functions whose lines are shown."""

    def __init__(self):
        self.found, self._numbers = [], {}

    def number(self, call):
        """The index of the function around a Call in `found`."""
        name, first, last = call.scope
        key = call.file, name, first
        if key not in self._numbers:
            self._numbers[key] = len(self.found)
            lines = [line.rstrip("\n") for line in linecache.getlines(call.file)[first - 1 : last]] or ["(its source is not at hand)"]
            self.found.append({"file": os.path.basename(call.file), "name": name, "first": first, "lines": lines})
        return self._numbers[key]


def node_of(trace, line, functions, pixels, spread, checks):
    """An operation.  Its line is that of the reader's own code, or of a model's; `path` the lines from there to the operation.

    inputs: of each its text, role in the operation, kind, and the node that made it.  equation: its value as LaTeX, or None.
    rules: of each gradient that it gives the formula in the names of the line, as text and as LaTeX (both sides; the right one is None
    where it is no single expression), what it gives to whom, and the proof.  from: the nodes that its own gradient comes from, and their
    shares.  inside: the operations of the composed twin of a fused one.
    """
    home, image_shape = line.home, pixels.shape_of(line.number, line.value)
    for call in line.path:  # the functions that led to it are shown before it
        if call is home or call.room not in READ:
            break
        functions.number(call)
    proof = replay.check(trace, line) if checks and line.cotangent is not None else None
    found = {
        "id": line.number,
        "operation": line.primitive.name,
        "function": functions.number(home),
        "line": getattr(home.statement, "lineno", home.line),
        "at": home.line,
        "source": home.source,
        "path": [{"function": call.scope[0], "file": os.path.basename(call.file), "line": call.line, "source": call.source} for call in inner(line)],
        "turn": line.turn,
        "name": line.label,
        "text": line.text,
        "equation": value_equation(line),
        "about": (line.primitive.__doc__ or "").strip().partition("\n")[0],
        "inputs": [
            {"text": a.text, "role": a.role, "kind": a.kind, "node": a.line, "shape": list(a.shape), "noise": a.is_noise} for a in line.arguments
        ],
        "attributes": {name: repr(value) for name, value in line.attributes.items()},
        "notes": notes_of(line),
        "value": array_of(line.value.data, image_shape),
        "gradient": None if line.cotangent is None else array_of(line.cotangent, image_shape),
        "terms": {name: array_of(part, image_shape) for name, part in line.by_term.items()},
        "rules": [rule_of(gradient, checks) for gradient in line.gradients],
        "from": shares(trace, line),
        "check": None if proof is None else proof_of(proof),
        "spread": spread_of(spread.get(line.number)),
        "inside": [],
    }
    if can_expand(line) and not is_large(line):
        twin, inside = expand(line, compare=False), Functions()  # a wrong rule is what a reader may have come to see
        found["inside"] = [node_of(twin, one, inside, Pixels(twin, None), {}, False) for one in twin.lines]
    return found


def inner(line):
    """The calls from the line that a reader looks at, which is not among them, to the operation."""
    calls = [*line.path, line.call]
    at = next(i for i in reversed(range(len(calls))) if calls[i] is line.home)
    return calls[at + 1 :]


def notes_of(line):
    """What a reader must know of an operation: that it draws, that its gradient is no derivative, where it has a kink."""
    found = []
    if any(argument.is_noise for argument in line.arguments):
        found.append("stochastic: its noise is an input, a constant for the gradient")
    if line.primitive.surrogate:
        found.append("surrogate: its gradient is not the derivative, on purpose")
    elif line.primitive.kinks:
        found.append(f"kink at {line.primitive.kinks}")
    return found


def rule_of(gradient, checks):
    """What a rule gave an input: the formula, the value, and the proof."""
    proof = next(one for one in replay.check_rules(gradient.line) if one.at is gradient.argument) if checks else None
    argument = gradient.argument
    found = {"input": gradient.position, "text": gradient.rule, "equation": list(rule_equation(gradient))}
    found |= {"norm": gradient.norm, "shape": list(gradient.shape), "summed": list(gradient.summed)}
    return found | {"to": argument.line or argument.text, "check": None if proof is None else proof_of(proof)}


def shares(trace, line):
    """The nodes whose gradients add up to that of a line, each with the share of its norm in the sum of the norms."""
    found = []
    for number in line.consumers:
        parts = [gradient.value for gradient in trace.lines[number - 1].gradients if gradient.argument.line == line.number]
        found.append({"node": number, "norm": norm(sum(parts))})
    total = sum(one["norm"] for one in found) or 1.0
    return [one | {"share": one["norm"] / total} for one in found]


def proof_of(proof):
    """A Proof as a dict."""
    return {
        "verdict": proof.verdict,
        "numeric": proof.numeric,
        "analytic": proof.analytic,
        "error": proof.error,
        "step": replay.STEP,
        "slopes": list(proof.slopes),
    }


def spread_of(found):
    """The norms of the mean gradient and of its standard deviation over fresh noise; None where nothing was drawn."""
    return None if found is None else {"mean": norm(found[0]), "deviation": norm(found[1])}


def leaf_of(trace, name, leaf, pixels, checks):
    """A leaf with its gradient, by term, and the proof."""
    image_shape = pixels.shape_of(id(leaf), leaf)
    nodes = [line.number for line in trace.lines if any(argument.given is leaf for argument in line.arguments)]
    kind = next(a.kind for a in trace.lines[nodes[0] - 1].arguments if a.given is leaf)
    parts = {term: array_of(part, image_shape) for term, part in trace.leaf_terms.get(id(leaf), {}).items()}
    gradient = None if leaf.grad is None else array_of(leaf.grad, image_shape)
    proof = proof_of(replay.check_leaf(trace, leaf)) if checks and gradient is not None else None
    found = {"name": name, "kind": kind, "value": array_of(leaf.data, image_shape), "gradient": gradient, "terms": parts, "nodes": nodes}
    return found | {"check": proof}


def array_of(array, image_shape=None):
    """An array as statistics, a histogram of BINS equal bins from min to max, a picture, and if it has few entries these one by one.

    Infinite and NaN entries are counted apart.
    """
    array = np.asarray(to_numpy(array))
    whole = array.astype(np.float64)
    finite = whole[np.isfinite(whole)]
    found = {"shape": list(array.shape), "dtype": str(array.dtype), "norm": norm(whole) if len(finite) == whole.size else None}
    found["entries"] = whole.ravel().tolist() if whole.size <= ENTRIES else None
    found |= {"nan": int(np.isnan(whole).sum()), "infinite": int(np.isinf(whole).sum()), "zeros": float((whole == 0).mean()) if whole.size else 0.0}
    if not finite.size:
        return found | {"mean": None, "deviation": None, "min": None, "max": None, "histogram": [], "picture": None}
    low, high = float(finite.min()), float(finite.max())
    apart = high - low > 1e-12 * max(abs(low), abs(high))  # or no float lies between two bins
    histogram = np.histogram(finite, BINS, (low, high))[0].tolist() if apart else [int(finite.size)]
    found |= {"mean": float(finite.mean()), "deviation": float(finite.std()), "min": low, "max": high, "histogram": histogram}
    return found | {"picture": picture_of(whole, image_shape) if whole.size > 1 else None}


def whole_checks(record):
    """What holds for the whole trace: the loss is finite (told where it is not), the terms add up, and every gradient is proved."""
    found, rules = list(lost(record)), [(node, rule["check"]) for node in reversed(record["nodes"]) for rule in node["rules"]]
    proofs = [*(one["check"] for one in (*record["nodes"], *record["leaves"])), *(check for _, check in rules)]
    if len(record["terms"]) > 1:
        constant, loss = record["loss"]["constant"], record["loss"]["value"]
        total = constant + sum(term["value"] for term in record["terms"])
        names = " + ".join([*(term["name"] for term in record["terms"]), *["constants"] * bool(constant)])
        passed = abs(total - loss) <= 1e-4 * (1 + abs(loss))
        names = names.replace("+ -", "- ")
        found.append({"what": f"{names} = {record['loss']['name']}", "passed": passed, "text": f"{total:.6g} and {loss:.6g}", "node": None})
    if proofs := [proof for proof in proofs if proof is not None]:
        verdicts = [proof["verdict"] for proof in proofs]
        others = [f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts) if verdict != "right"]
        text = f"{verdicts.count('right')} of {len(proofs)} gradients agree with finite differences{'; ' * bool(others)}{', '.join(others)}"
        first = next((node for node, check in rules if check and check["verdict"] == "wrong"), None)
        text += f"; the first wrong rule on the way back is that of {first['id']} {first['name']} = {first['text']}" if first else ""
        passed = not {"wrong", "not finite"} & {*verdicts}
        found.append({"what": "gradients", "passed": passed, "text": text, "node": first and first["id"]})
    return found


def lost(record):
    """Where the loss is not finite: a check that names the first operation with such a result."""
    if math.isfinite(record["loss"]["value"]):
        return
    for node in record["nodes"]:
        if node["value"]["nan"] or node["value"]["infinite"]:
            text = f"the first operation with a result that is not finite is {node['id']} {node['name']} = {node['text']}"
            yield {"what": "finite loss", "passed": False, "text": text, "node": node["id"]}
            return
