"""A fused operation opened into its composed twin: the same value and gradients, in simple steps."""

import numpy as np

from tinyae.autograd import Tensor
from tinyae.errors import ArgumentError
from tinyae.microscope.trace import Trace


def can_expand(line):
    """Whether the operation of a line has a twin for these inputs."""
    return line.primitive.composed is not None and all(argument.value is not None for argument in line.arguments)


def expand(line):
    """The Trace of the twin of a line's operation: its steps with their values and, where the line has a cotangent, their gradients.

    The leaves of this trace are the inputs of the line.  Raises ArgumentError where the operation has no twin, and AssertionError where
    its value or a gradient differs from the line's by more than rounding.
    """
    if not can_expand(line):
        raise ArgumentError(f"expand: {line.primitive.name} is no fused operation.", remedy="line.primitive.composed says whether there is a twin")
    wanted = {gradient.position for gradient in line.gradients}
    inputs = [Tensor(a.value, requires_grad=i in wanted) if hasattr(a.value, "dtype") else a.value for i, a in enumerate(line.arguments)]
    with Trace(inside=line.primitive.composed) as inner:
        result = line.primitive.composed(*inputs, **line.attributes)
    agree(result.data, line.value.data, f"the value of {line.primitive.name}'s twin")
    if line.cotangent is not None and wanted:
        inner.backward(result, line.cotangent)
        for gradient in line.gradients:
            agree(inputs[gradient.position].grad, gradient.value, f"the gradient of {line.primitive.name}'s twin in {gradient.argument.role}")
    return inner


def agree(found, expected, what):
    """Raise AssertionError where two arrays differ by more than the rounding of their dtype."""
    scale = np.abs(expected).max(initial=0)
    tolerance = 1e-4 if expected.dtype == np.float32 else 1e-9
    assert np.allclose(found, expected, rtol=tolerance, atol=tolerance * scale), f"{what} differs"
