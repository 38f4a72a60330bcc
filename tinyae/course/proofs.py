"""A gradient derived by hand, against three other ways: the engine, finite differences, and the complex step."""

import numpy as np

from tinyae.autograd import Tensor, grad
from tinyae.checks.slopes import complex_slopes, numerical_slopes
from tinyae.errors import ArgumentError


def gradient_errors(f, inputs, by_hand, cotangent=None, analytic=True):
    """The largest difference between gradients by hand and those of each way, relative to the largest entry: {(input, way): error}.

    f: takes the inputs, float64 arrays or Tensors, made of our operations; gives an array of the cotangent's shape, or one number.
    inputs, by_hand: name -> array.  analytic: False leaves out the complex step.  Raises ArgumentError where the shapes disagree, or where
    f does not compute with complex numbers.
    """
    leaves = {name: Tensor(np.asarray(x, dtype=np.float64), requires_grad=True) for name, x in inputs.items()}
    result = f(*leaves.values())
    weights = np.ones(result.shape) if cotangent is None else np.asarray(cotangent)
    if weights.shape != result.shape or (cotangent is None and result.data.size != 1) or by_hand.keys() != inputs.keys():
        expected = f"a cotangent {result.shape}, and a gradient of each input: {', '.join(inputs)}"
        raise ArgumentError("gradients by hand: inputs, gradients and cotangent do not fit.", expected=expected, got=(weights.shape, list(by_hand)))
    ways = {"engine": dict(zip(inputs, grad(result, list(leaves.values()), weights), strict=True)), "differences": {}, "complex": {}}
    for name, leaf in leaves.items():
        low, high, _ = numerical_slopes(leaf, lambda: float((weights * f(*_values(leaves))).sum()))
        ways["differences"][name] = (low + high) / 2
        if analytic:
            found = complex_slopes(leaf, lambda: (weights * f(*_values(leaves))).sum(), range(leaf.data.size))
            if found is None:
                raise ArgumentError(f"gradients by hand: f does not compute with a complex {name}.", remedy="analytic=False")
            ways["complex"][name] = found
    return {(name, way): _error(g, by_hand[name]) for way, found in ways.items() for name, g in found.items()}


def _values(leaves):
    return [leaf.data for leaf in leaves.values()]


def _error(found, exact):
    found = np.asarray(found.data if isinstance(found, Tensor) else found)
    if found.size != np.size(exact):
        raise ArgumentError("gradients by hand: a gradient has the shape of its input.", expected=found.shape, got=np.shape(exact))
    return np.abs(found.reshape(np.shape(exact)) - exact).max() / np.abs(exact).max()
