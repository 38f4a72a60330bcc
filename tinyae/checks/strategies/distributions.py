"""Parameters of distributions, and points where they have a density or a probability."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

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
}


def parameters(name, shape, dtype=np.float64):
    """The parameters of the distribution "normal", "bernoulli" or "categorical", a dict of arrays of `shape`."""
    return st.fixed_dictionaries({parameter: arrays(shape, domain, dtype) for parameter, domain in known(name).parameters.items()})


def support(name, shape, dtype=np.float64):
    """Arrays of `shape` of points that the distribution can give: real numbers, zeros and ones, or one-hot rows."""
    domain = known(name).support
    return one_hot_rows(shape, dtype) if domain == "one-hot" else arrays(shape, domain, dtype)


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
