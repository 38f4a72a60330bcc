"""Hypothesis strategies for gradient tests: arrays away from kinks and ties by construction, shapes, and calls of a primitive.

Arrays and what goes with them: `arrays`, `cotangents`, `axes`, `indices`.  Shapes: `SHAPE`, `broadcastable`, `fitting`, `matmul_shapes`.
Whole calls: `inputs` (of any primitive), `einsum_calls`, `convolution_calls`; `inputs_of` teaches `inputs` a new one.  Distributions:
`parameters`, `support`.  `examples` draws from a strategy outside of a test.
"""

from tinyae.checks.strategies import domains as domains
from tinyae.checks.strategies import elementwise as elementwise
from tinyae.checks.strategies import fused as fused
from tinyae.checks.strategies.calls import examples, inputs, inputs_of
from tinyae.checks.strategies.convolution import convolution_calls
from tinyae.checks.strategies.distributions import parameters, support
from tinyae.checks.strategies.linear_algebra import einsum_calls
from tinyae.checks.strategies.values import SHAPE, arrays, axes, broadcastable, cotangents, fitting, indices, matmul_shapes

__all__ = ["SHAPE", "arrays", "axes", "broadcastable", "convolution_calls", "cotangents", "einsum_calls", "examples", "fitting", "indices", "inputs"]
__all__ += ["inputs_of", "matmul_shapes", "parameters", "support"]
