"""Calls of a primitive: input arrays and attributes that fit each other, drawn from its registry data."""

import hypothesis
import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies.values import SHAPE, arrays, axes, broadcastable, fitting
from tinyae.errors import ArgumentError

SPECIAL = {}  # name of a primitive -> function(draw, operation, dtype) to (input arrays, attributes)


def inputs_of(*names):
    """Say how calls of the primitives `names` are drawn, where registry data do not tell (a decorator).

    The function takes (draw, operation, dtype), draw as in Hypothesis, and returns (input arrays, attributes).
    """

    def register(function):
        SPECIAL.update(dict.fromkeys(names, function))
        return function

    return register


@st.composite
def inputs(draw, operation, dtype=np.float64):
    """(input arrays, attributes) for any primitive, from its registry data, or as `inputs_of` says."""
    if operation.name in SPECIAL:
        return SPECIAL[operation.name](draw, operation, dtype)
    shapes = draw(shapes_of(operation))
    values = [draw(arrays(shape, operation.domain[name], dtype)) for shape, name in zip(shapes, names_of(operation, len(shapes)), strict=True)]
    return values, draw(attributes_of(operation, shapes[0]))


def examples(strategy, count, seed=0):
    """A list of `count` values of a strategy (fewer where it has no more), the same for the same seed: for use outside of tests."""
    found = []
    everything = list(hypothesis.HealthCheck)
    settings = hypothesis.settings(max_examples=count, phases=[hypothesis.Phase.generate], suppress_health_check=everything)

    @hypothesis.seed(seed)
    @hypothesis.settings(settings, deadline=None, database=None, derandomize=False)
    @hypothesis.given(strategy)
    def collect(value):
        found.append(value)

    collect()
    return found


def names_of(operation, count):
    """The name of each input in a call with `count` of them."""
    return operation.inputs * count if operation.variadic else operation.inputs


def shapes_of(operation):
    """The shapes of the inputs: fitting the operation's signature, or mutually broadcastable."""
    if operation.shapes is None and len(operation.inputs) == 1:
        return SHAPE.map(lambda shape: [shape])
    return fitting(operation.shapes) if operation.shapes else broadcastable(len(operation.inputs))


def attributes_of(operation, shape):
    """Values of the keyword-only attributes that fit an input of `shape`; numbers keep their defaults."""
    known = {"dtype": st.just(np.float64), "axis": axes(shape), "keepdims": st.booleans()}
    known |= {
        name: st.just(default) for name, default in operation.attributes.items() if isinstance(default, (bool, int, float)) and name not in known
    }
    if unknown := operation.attributes.keys() - known.keys():
        raise ArgumentError(
            f"{operation.name}: no strategy for its attribute {unknown.pop()!r}.",
            remedy=f"strategies.inputs_of({operation.name!r}) says how to draw calls",
        )
    return st.fixed_dictionaries({name: known[name] for name in operation.attributes})
