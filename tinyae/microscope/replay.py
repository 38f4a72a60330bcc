"""A trace run again: with one value moved a little, to prove a gradient by finite differences; with other noise, to see how gradients spread."""

from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, raw
from tinyae.autograd.graph import backward_steps
from tinyae.backend import Rng, to_numpy
from tinyae.backend import rng as make_rng
from tinyae.microscope.lines import norm

STEP = 1e-4  # along a direction of length 1, in float64
TOLERANCE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 2e-4}  # relative, of gradients that were computed in this dtype


class Proof(NamedTuple):
    """A directional derivative of the loss, or of one operation, by finite differences and by the gradient of the trace.

    verdict: "right", "wrong", "kink" (between the two one-sided slopes), "surrogate" (a gradient that is not meant to be the derivative),
    or "no gradient".  error: relative.  slopes: one-sided, (backward, forward).  at: the input of the operation; None for the line's value.
    """

    line: object
    at: object
    verdict: str
    numeric: float = np.nan
    analytic: float = np.nan
    error: float = np.nan
    slopes: tuple = (np.nan, np.nan)

    def __str__(self):
        where = f"line {self.line.number}, {self.line.call.file}:{self.line.call.line}  {self.line.label} = {self.line.text}"
        what = f"d loss / d {self.line.label}" if self.at is None else f"the gradient of {self.line.primitive.name} in {self.at.text}"
        if self.verdict in ("surrogate", "no gradient"):
            return f"{where}\n  {what}: {self.verdict}"
        numbers = f"finite differences {self.numeric:.8g}, trace {self.analytic:.8g}, relative error {self.error:.1e}"
        return f"{where}\n  {what}: {self.verdict} ({numbers})"


def wide(value):
    """An array of floats in float64, on the host; anything else as it is."""
    array = to_numpy(value) if hasattr(value, "dtype") else value
    return array.astype(np.float64) if getattr(getattr(array, "dtype", None), "kind", "") == "f" else array


def inputs_of(line):
    """The values of a line's inputs in float64."""
    return [wide(argument.value) for argument in line.arguments]


def result_of(line, values):
    """What the operation of a line makes of other values, in float64."""
    attributes = {name: np.float64 if name == "dtype" else value for name, value in line.attributes.items()}
    return np.asarray(line.primitive.forward(*values, **attributes))


def check(trace, line, seed=0):
    """A Proof of `line.cotangent`: the value is moved along a random direction, and all that follows from it is computed again.

    line: a Line, its number, or the Tensor that it computed.
    """
    line = line if hasattr(line, "primitive") else trace.lines[line - 1] if isinstance(line, int) else trace.line_of(line)
    if line.cotangent is None:
        return Proof(line, None, "no gradient")
    rest = followers(trace, line)
    if any(other.primitive.surrogate for other in rest):
        return Proof(line, None, "surrogate")
    root = trace.line_of(trace.loss)
    weights = wide(root.cotangent)
    direction = unit(line.value.shape, seed)
    start = wide(line.value.data)

    def loss(step):
        moved = {line.number: start + step * direction}
        for other in rest:
            moved[other.number] = result_of(other, [moved.get(a.line, value) for a, value in zip(other.arguments, inputs_of(other), strict=True)])
        return (weights * moved[root.number]).sum()

    return judged(line, None, loss, wide(line.cotangent), direction)


def followers(trace, line):
    """The lines that depend on a line, in their order."""
    found, numbers = [], {line.number}
    for other in trace.lines[line.number :]:
        if any(argument.line in numbers for argument in other.arguments):
            numbers.add(other.number)
            found.append(other)
    return found


def check_rules(line, seed=0):
    """A Proof for each gradient that the rules of a line gave: the operation alone, with the cotangent that came in."""
    values, gy = inputs_of(line), wide(line.cotangent)
    for gradient in line.gradients:
        if line.primitive.surrogate:
            yield Proof(line, gradient.argument, "surrogate")
            continue
        direction = unit(gradient.shape, seed)

        def moved(step, position=gradient.position, direction=direction):
            return (gy * result_of(line, [value + step * direction if i == position else value for i, value in enumerate(values)])).sum()

        yield judged(line, gradient.argument, moved, wide(gradient.value), direction)


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


def judged(line, at, function, gradient, direction):
    """The Proof: slopes of `function` at 0 against the gradient along the direction."""
    with np.errstate(all="ignore"):
        here, ahead, behind = function(0.0), function(STEP), function(-STEP)
    forward, backward = (ahead - here) / STEP, (here - behind) / STEP
    numeric, analytic = (forward + backward) / 2, float((gradient * direction).sum())
    scale = max(abs(numeric), abs(analytic), norm(gradient) / max(gradient.size, 1) ** 0.5, 1e-9 * (1 + abs(here)))
    error = abs(numeric - analytic) / scale
    tolerance = TOLERANCE.get(line.value.dtype, 1e-6)
    low, high = sorted((backward, forward))
    right = error <= tolerance
    at_kink = high - low > 10 * tolerance * scale and low - tolerance * scale <= analytic <= high + tolerance * scale
    verdict = "right" if right else "kink" if at_kink else "wrong"
    return Proof(line, at, verdict, float(numeric), analytic, float(error), (float(backward), float(forward)))


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
