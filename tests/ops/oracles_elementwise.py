"""Meanings for the formulas of elementwise operations and reductions: NumPy's functions and plain loops."""

import numpy as np


def bounded(choose):
    """`choose(x, bound)`, where None is no bound."""
    return lambda x, bound: x if bound is None else choose(x, bound)


def count(shape, axis):
    """How many entries a sum along `axis` adds, by letting NumPy add ones."""
    return int(np.ones(shape).sum(axis=axis).reshape(-1)[0])


def product_of_others(x, axis):
    """By the definition: the product after the entry itself was replaced by one."""
    result = np.empty(x.shape)
    for index in np.ndindex(*x.shape):
        others = x.copy()
        others[index] = 1
        result[index] = np.broadcast_to(others.prod(axis=axis, keepdims=True), x.shape)[index]
    return result


ELEMENTWISE = {
    "maximum": bounded(np.maximum), "minimum": bounded(np.minimum), "where": np.where, "abs": np.abs, "sign": np.sign,
    "sin": np.sin, "cos": np.cos, "arctan": np.arctan, "cosh": np.cosh, "mean": np.mean, "max": np.max, "min": np.min,
    "count": count, "product_of_others": product_of_others,
}  # fmt: skip
