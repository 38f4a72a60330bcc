"""Parameters of distributions, and points where they have a density or a probability."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyae.checks.strategies.values import arrays
from tinyae.errors import ArgumentError


class Drawn(NamedTuple):
    """How a distribution is drawn: the domain of each parameter, and its support, as `arrays` knows them."""

    parameters: dict
    support: str


DISTRIBUTIONS = {
    "normal": Drawn({"mean": "real", "log_variance": "real"}, "real"),
    "bernoulli": Drawn({"logits": "real"}, "binary"),
    "categorical": Drawn({"logits": "real"}, "one-hot"),
    "continuous_bernoulli": Drawn({"logits": "real"}, "unit"),
    "concrete": Drawn({"logits": "real"}, "simplex"),
    "laplace": Drawn({"mean": "real", "log_scale": "real"}, "real"),
    "uniform": Drawn({"low": (-4, 0), "high": (1, 4)}, "unit"),
    "discretised_logistic": Drawn({"location": (-1, 1), "log_scale": (-5, 1)}, "levels"),
}


def parameters(name, shape, dtype=np.float64):
    """The parameters of a distribution, a dict of arrays of `shape`.  name: one of DISTRIBUTIONS."""
    return st.fixed_dictionaries({parameter: arrays(shape, domain, dtype) for parameter, domain in known(name).parameters.items()})


def support(name, shape, dtype=np.float64):
    """Arrays of `shape` of points that the distribution can give; rows along the last axis are one-hot, or sum to one."""
    domain = known(name).support
    if domain == "one-hot":
        return one_hot_rows(shape, dtype)
    if domain == "simplex":
        return arrays(shape, "positive").map(lambda x: (x / x.sum(axis=-1, keepdims=True)).astype(dtype))
    if domain == "levels":
        return hnp.arrays(np.uint8, shape).map(lambda byte: (byte / 127.5 - 1).astype(dtype))
    return arrays(shape, domain, dtype)


@st.composite
def one_hot_rows(draw, shape, dtype):
    """One 1 in each row, the last axis; zeros elsewhere."""
    *rows, classes = shape
    labels = [draw(st.integers(0, classes - 1)) for _ in range(int(np.prod(rows)))]
    return np.eye(classes, dtype=dtype)[labels].reshape(shape)


def known(name):
    """How a distribution is drawn.  Raises ArgumentError for an unknown one."""
    if name not in DISTRIBUTIONS:
        raise ArgumentError(f"no strategy for the distribution {name!r}.", expected="one of " + ", ".join(DISTRIBUTIONS))
    return DISTRIBUTIONS[name]
