"""A trace run again: with one value moved a little, to prove a gradient by finite differences; with other noise, to see how gradients spread."""

from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, raw
from tinyae.autograd.graph import backward_steps
from tinyae.backend import Rng, to_numpy
from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError
from tinyae.microscope.lines import norm

HORIZONS = 100, 10, 1  # operations that are computed again for the proof of a value's gradient; fewer where it is lost in rounding
EPSILON = 2.0**-52
ENTRIES = 32  # that are moved one by one where a random direction crosses kinks
STEP = 1e-4  # along a direction of length 1, in float64
ROUNDED = 32  # roundings of the size of all that is added up, which a gradient may be off by: of one that is next to nothing, all of it
TOLERANCE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 2e-4}  # relative, of gradients that were computed in this dtype


class Proof(NamedTuple):
    """A directional derivative of the loss, or of one operation, by finite differences and by the gradient of the trace.

    verdict: "right", "wrong", "kink" (between the two one-sided slopes), "surrogate" (a gradient that is not meant to be the derivative),
    "no gradient", or "not finite" (the loss is not, so it has no slope).  error: relative.  slopes: one-sided, (backward, forward).
    at: the input of the operation; None for the line's value.  whole: of a leaf, at its first line, the gradient from all lines that use it.
    """

    line: object
    at: object
    verdict: str
    numeric: float = np.nan
    analytic: float = np.nan
    error: float = np.nan
    slopes: tuple = (np.nan, np.nan)
    whole: bool = False

    @property
    def what(self):
        """The gradient that this is the proof of."""
        if self.whole:
            return f"d loss / d {self.at.text}"
        return f"d loss / d {self.line.label}" if self.at is None else f"the gradient of {self.line.primitive.name} in {self.at.text}"

    @property
    def numbers(self):
        """What was measured, in brackets; "" where nothing was."""
        if self.verdict in ("surrogate", "no gradient", "not finite"):
            return ""
        return f" (finite differences {self.numeric:.8g}, trace {self.analytic:.8g}, relative error {self.error:.1e})"

    def __str__(self):
        where = f"operation {self.line.number}, {self.line.call.file}:{self.line.call.line}  {self.line.label} = {self.line.text}"
        return f"{where}\n  {self.what}: {self.verdict}{self.numbers}"


def wide(value):
    """An array of floats in float64, on the host; anything else as it is."""
    array = to_numpy(value) if hasattr(value, "dtype") else value
    return array.astype(np.float64, copy=False) if getattr(getattr(array, "dtype", None), "kind", "") == "f" else array


def on_host(value):
    """An attribute of an operation with its arrays on the host, those within a tuple (an index) too."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(on_host, value))
    return to_numpy(value) if hasattr(value, "dtype") and hasattr(value, "shape") else value


def inputs_of(line):
    """The values of a line's inputs in float64.  Raises ArgumentError where a leaf is no longer what it was in the pass."""
    for argument in line.arguments:
        if argument.kind in ("parameter", "leaf") and argument.given.version[0] != argument.version:
            remedy = "look before the optimiser's step, or trace again"
            raise ArgumentError(f"microscope: {argument.text} was changed since the pass, so its gradients cannot be proved.", remedy=remedy)
    return [wide(argument.value) for argument in line.arguments]


def result_of(line, values):
    """What the operation of a line makes of other values, in float64."""
    attributes = {name: np.float64 if name == "dtype" else on_host(value) for name, value in line.attributes.items()}
    return np.asarray(line.primitive.forward(*values, **attributes))


def check(trace, line, seed=0):
    """A Proof of the gradient of a value: it is moved along a random direction, and what follows from it is computed again.

    That is all that follows, or the next operations of a longer program (see HORIZONS); how much the loss changes with what they hand on
    is taken from their gradients, for which there are proofs of their own.  So are, where the loss has a kink, operations with kinks.
    line: a Line, its number, the Tensor that it computed, or a leaf.
    """
    line = trace.lines[line - 1] if isinstance(line, int) else line
    if isinstance(line, Tensor):
        leaf, line = line, trace.line_of(line)
        if line is None:
            return check_leaf(trace, leaf, seed)
    if line.cotangent is None:
        return Proof(line, None, "no gradient")
    if leads_to_surrogate(trace, line.consumers):
        return Proof(line, None, "surrogate")
    moves = Moves(trace, wide(line.value.data), wide(line.cotangent), line=line)
    return Proof(line, None, *proved(moves, seed, line.value.dtype))


def check_leaf(trace, leaf, seed=0):
    """A Proof of the gradient of a leaf, the sum of what all lines that use it gave."""
    uses = [gradient for line in trace.lines for gradient in line.gradients if gradient.argument.given is leaf]
    if not uses:
        users = [line for line in trace.lines if any(argument.given is leaf for argument in line.arguments)]
        return Proof(users[0], next(a for a in users[0].arguments if a.given is leaf), "no gradient", whole=True)
    first = uses[0].line, uses[0].argument
    users = {gradient.line.number for gradient in uses}
    if any(trace.lines[number - 1].primitive.surrogate for number in users) or leads_to_surrogate(trace, users):
        return Proof(*first, "surrogate", whole=True)
    given = sum(wide(gradient.value) for gradient in uses)  # leaf.grad may hold more: of another loss, or of a step before
    moves = Moves(trace, wide(leaf.data), given, leaf=leaf)
    return Proof(*first, *proved(moves, seed, leaf.dtype), whole=True)


class Moves:
    """The loss, up to a constant, as a function of a move of one value: of a line, or of a leaf.  gradient: what is to be proved."""

    def __init__(self, trace, start, gradient, line=None, leaf=None):
        self.trace, self.start, self.gradient, self.line, self.leaf = trace, start, gradient, line, leaf

    def is_moved(self, argument, numbers):
        """Whether an input is the value itself, or comes from it."""
        return argument.line in numbers or (self.leaf is not None and argument.given is self.leaf)

    def followers(self, most, kinks=True):
        """The first lines that depend on the value, `most` at most, in their order; kinks: through operations with kinks too."""
        found, numbers = [], {self.line.number} if self.line else set()
        for other in self.trace.lines[self.line.number if self.line else 0 :]:
            if any(self.is_moved(argument, numbers) for argument in other.arguments) and (kinks or not other.primitive.kinks):
                numbers.add(other.number)
                found.append(other)
                if len(found) == most:
                    break
        return found

    def loss(self, rest):
        """A function of the move: numbers whose sum is the loss up to a constant.  rest: the operations that are run again."""
        weights = handed_on(self.trace, [*([self.line] if self.line else []), *rest])
        inside = {other.number for other in rest}
        outside = [g for other in self.trace.lines for g in other.gradients if other.number not in inside and g.argument.given is self.leaf]
        again = [(other, inputs_of(other)) for other in rest]

        def loss(move):
            value = self.start + move
            moved = {self.line.number: value} if self.line else {}
            for other, values in again:
                values = [
                    value if self.leaf is not None and argument.given is self.leaf else moved.get(argument.line, old)
                    for argument, old in zip(other.arguments, values, strict=True)
                ]
                moved[other.number] = result_of(other, values)
            parts = [(weight * moved[number]).ravel() for number, weight in weights.items()]
            parts += [(wide(gradient.value) * value).ravel() for gradient in outside] if self.leaf is not None else []
            return np.concatenate(parts)

        return loss


def proved(moves, seed, dtype):
    """(verdict, numeric, analytic, error, slopes) of a value that is moved."""
    direction, near = unit(moves.gradient.shape, seed), moves.loss(moves.followers(1))
    for most in HORIZONS:
        rest = moves.followers(most)
        verdict, numbers = compared(moves.loss(rest), moves.gradient, direction, dtype, near)
        if verdict != "lost":
            break
    if verdict in ("wrong", "kink") and any(other.primitive.kinks for other in rest):
        smooth = moves.loss(moves.followers(most, kinks=False))
        verdict = "kink" if compared(smooth, moves.gradient, direction, dtype, near)[0] in ("right", "lost") else "wrong"
    return "right" if verdict == "lost" else verdict, *numbers


def leads_to_surrogate(trace, consumers):
    """Whether the gradient that these lines, by number, hand on comes through a surrogate."""
    seen, stack = set(), list(consumers)
    while stack:
        if (number := stack.pop()) not in seen:
            seen.add(number)
            if trace.lines[number - 1].primitive.surrogate:
                return True
            stack.extend(trace.lines[number - 1].consumers)
    return False


def handed_on(trace, lines):
    """{line number: weights}: how the loss depends on the values of these lines directly, not through one another, in float64."""
    root, numbers, found = trace.line_of(trace.loss), {line.number for line in lines}, {}
    for line in lines:
        parts = [wide(root.cotangent)] if line is root else []
        for outside in (trace.lines[number - 1] for number in line.consumers if number not in numbers):
            parts += [wide(gradient.value) for gradient in outside.gradients if gradient.argument.line == line.number]
        if parts:
            found[line.number] = sum(parts)
    return found


def check_rules(line, seed=0):
    """A Proof for each gradient that the rules of a line gave: the operation alone, with the cotangent that came in."""
    values, gy = inputs_of(line), wide(line.cotangent)
    for gradient in line.gradients:
        if line.primitive.surrogate:
            yield Proof(line, gradient.argument, "surrogate")
            continue

        def moved(move, position=gradient.position):
            return gy * result_of(line, [value + move if i == position else value for i, value in enumerate(values)])

        yield judged(line, gradient.argument, moved, wide(gradient.value), seed)


def blame(trace, seed=0):
    """The Proof of the first gradient that is wrong on the way back from the loss, its line and input named; None where all are right."""
    for line in reversed(trace.lines):
        if line.cotangent is not None:
            for proof in check_rules(line, seed):
                if proof.verdict == "wrong":
                    return proof
    return None


def unit(shape, seed):
    """A random direction of length 1."""
    direction = np.random.default_rng(seed).standard_normal(shape)
    return direction / (norm(direction) or 1.0)


def judged(line, at, function, gradient, seed):
    """The Proof of what a rule gave: `function` of a move of its input against it, along a random direction.

    Where entries stand at kinks, their one-sided slopes add up with both signs, which proves nothing.  Then some of the entries are moved
    one by one, the largest gradients among them.
    """
    dtype = line.value.dtype
    verdict, numbers = compared(function, gradient, unit(gradient.shape, seed), dtype)
    if verdict == "kink" or (verdict == "wrong" and line.primitive.kinks):
        largest = np.argsort(-np.abs(gradient), axis=None)[: ENTRIES // 2]
        others = np.random.default_rng(seed).permutation(gradient.size)[: ENTRIES // 2]
        alone = np.eye(1, gradient.size)
        found = {compared(function, gradient, np.roll(alone, entry).reshape(gradient.shape), dtype)[0] for entry in {*largest, *others}}
        verdict = "wrong" if "wrong" in found else "kink"
    verdict = "right" if verdict == "lost" else verdict
    return Proof(line, at, verdict, *numbers)


def compared(function, gradient, direction, dtype, near=None):
    """(verdict, (numeric, analytic, error, slopes)) along one direction of length 1; function: of a move, numbers that are summed.

    Where a step does not agree, a smaller one may: it does not reach as far as the next kink.  The verdict is "lost" where rounding of
    the numbers alone explains the difference.  The gradient was computed in `dtype`, as a sum of what the numbers of `near` (None: of
    `function`) change by: right is also what differs by no more than such a sum is rounded by.
    """
    analytic, lost, tolerance = float((gradient * direction).sum()), False, TOLERANCE.get(dtype, 1e-6)
    with np.errstate(all="ignore"):
        here = function(0.0 * direction)
        size = float(np.abs(here).sum())
        for step in (STEP, STEP / 10, STEP / 100):
            forward, backward = (float((function(sign * step * direction) - here).sum()) / (sign * step) for sign in (1, -1))
            numeric = (forward + backward) / 2
            scale = max(abs(numeric), abs(analytic), norm(gradient) / max(gradient.size, 1) ** 0.5, 1e-300)
            error = abs(numeric - analytic) / scale
            numbers = numeric, analytic, error, (backward, forward)
            if not np.isfinite(numeric):
                return "not finite", numbers
            if error <= tolerance:
                return "right", numbers
            if step == STEP:
                added = (near or function)(step * direction) - (near or function)(0.0 * direction)
                if error * scale <= ROUNDED * np.finfo(dtype).eps * float(np.abs(added).sum()) / step:
                    return "right", numbers
                first, lost = numbers, error * scale <= 4 * EPSILON * size / step
    low, high = sorted((backward, forward))
    at_kink = high - low > 10 * tolerance * scale and low - tolerance * scale <= analytic <= high + tolerance * scale
    return ("lost", first) if lost else ("kink" if at_kink else "wrong", numbers)


def constant_of(trace):
    """What stays of the loss where every term is 0: its constants."""
    moved = {term.number: np.zeros(term.value.shape) for term in trace.terms.values()}
    for line in trace.lines:
        if line.number not in moved and any(argument.line in moved for argument in line.arguments):
            values = [moved.get(argument.line, value) for argument, value in zip(line.arguments, inputs_of(line), strict=True)]
            moved[line.number] = result_of(line, values)
    root = trace.line_of(trace.loss)
    return float((wide(root.cotangent) * moved[root.number]).sum())


def redraw(trace, draws=200, seed=0):
    """How the gradients spread over the noise: {line number: (mean gradient, standard deviation)}, arrays like the values, float64.

    Every input called `noise` is drawn again from N(0, 1), forward and backward, `draws` times; empty where nothing draws.
    """
    if not any(argument.is_noise for line in trace.lines for argument in line.arguments):
        return {}
    rng = make_rng(seed) if not isinstance(seed, Rng) else seed
    totals, squares = {}, {}
    for draw in range(draws):
        for number, gradient in gradients_again(trace, rng.stream("redraw", draw)).items():
            gradient = np.asarray(to_numpy(gradient), np.float64)
            totals[number] = totals.get(number, 0.0) + gradient
            squares[number] = squares.get(number, 0.0) + gradient**2
    means = {number: total / draws for number, total in totals.items()}
    return {number: (mean, np.sqrt(np.maximum(squares[number] / draws - mean**2, 0))) for number, mean in means.items()}


def gradients_again(trace, rng):
    """{line number: gradient of the loss} of one more pass, with noise from `rng`."""
    made, numbers, noise = {}, {}, {}
    for line in trace.lines:
        values = []
        for argument in line.arguments:
            if argument.is_noise and id(argument.given) not in noise:
                noise[id(argument.given)] = rng.normal(argument.shape, argument.value.dtype)
            values.append(noise[id(argument.given)] if argument.is_noise else made.get(argument.line, argument.given))
        result = line.primitive(*values, **line.attributes)
        made[line.number] = result
        if isinstance(result, Tensor) and result.node is not None:
            numbers[result.node] = line.number
    root = trace.line_of(trace.loss)
    steps = backward_steps(made[root.number], raw(root.cotangent))
    return {numbers[node]: gy for node, gy, _ in steps}
