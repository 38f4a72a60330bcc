"""A fused operation opened into its composed twin: the same value and gradients, in simple steps."""

import math

import numpy as np

from tinyae.autograd import Tensor
from tinyae.backend import to_numpy
from tinyae.errors import ArgumentError
from tinyae.microscope.trace import Trace

LARGE = 20_000  # entries of all inputs together, above which a viewer leaves a twin closed: that of a convolution takes its time


def can_expand(line):
    """Whether the operation of a line has a twin for these inputs."""
    return line.primitive.composed is not None and all(argument.value is not None for argument in line.arguments)


def is_large(line):
    """Whether the twin of a line would be slow."""
    return sum(math.prod(argument.shape) for argument in line.arguments) > LARGE


def expand(line, compare=True):
    """The Trace of the twin of a line's operation: its steps with their values and, where the line has a cotangent, their gradients.

    The leaves of this trace are the inputs of the line.  Raises ArgumentError where the operation has no twin and, unless `compare` is
    False, AssertionError where its value or a gradient differs from the line's by more than rounding.
    """
    if not can_expand(line):
        raise ArgumentError(f"expand: {line.primitive.name} is no fused operation.", remedy="line.primitive.composed says whether there is a twin")
    wanted = {gradient.position for gradient in line.gradients}
    inputs = [Tensor(a.value, requires_grad=i in wanted) if hasattr(a.value, "dtype") else a.value for i, a in enumerate(line.arguments)]
    with Trace(inside=line.primitive.composed) as inner:
        result = line.primitive.composed(*inputs, **line.attributes)
    if compare:
        agree(result.data, line.value.data, [other.value.data for other in inner.lines], f"the value of {line.primitive.name}'s twin")
    if line.cotangent is not None and wanted:
        inner.backward(result, line.cotangent)
        sent = [gradient.value for other in inner.lines for gradient in other.gradients]
        for gradient in line.gradients if compare else ():
            agree(inputs[gradient.position].grad, gradient.value, sent, f"the gradient of {line.primitive.name}'s twin in {gradient.argument.role}")
    return inner


def agree(found, expected, steps, what):
    """Raise AssertionError where two arrays differ by more than the rounding of their dtype; steps: what the twin had on its way.

    Rounding is that of the largest step, of which little may be left.  A twin may overflow where the fused operation does not, so only
    entries that are finite in both count.
    """
    found, expected = np.asarray(to_numpy(found)), np.asarray(to_numpy(expected))
    sizes = [np.abs(step[np.isfinite(step)]).max(initial=0) for step in (expected, *(np.asarray(to_numpy(step)) for step in steps))]
    tolerance = 1e-4 if expected.dtype == np.float32 else 1e-9
    finite = np.isfinite(found) & np.isfinite(expected)
    assert np.allclose(found[finite], expected[finite], rtol=tolerance, atol=tolerance * max(sizes)), f"{what} differs"
