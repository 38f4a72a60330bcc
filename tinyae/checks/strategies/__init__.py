"""Hypothesis strategies for gradient tests: arrays away from kinks and ties by construction, and calls of a primitive."""

from tinyae.checks.strategies import domains as domains
from tinyae.checks.strategies.calls import inputs, inputs_of
from tinyae.checks.strategies.values import SHAPE, arrays, axes, indices

__all__ = ["SHAPE", "arrays", "axes", "indices", "inputs", "inputs_of"]
