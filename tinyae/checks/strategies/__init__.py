"""Hypothesis strategies for gradient tests: arrays away from kinks and ties by construction, and calls of a primitive."""

from tinyae.checks.strategies import convolution as convolution
from tinyae.checks.strategies import domains as domains
from tinyae.checks.strategies import elementwise as elementwise
from tinyae.checks.strategies import fused as fused
from tinyae.checks.strategies import linear_algebra as linear_algebra
from tinyae.checks.strategies.calls import inputs, inputs_of
from tinyae.checks.strategies.values import SHAPE, arrays, axes, indices

__all__ = ["SHAPE", "arrays", "axes", "indices", "inputs", "inputs_of"]
