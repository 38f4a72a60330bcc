"""Plain loops for the formulas of linear algebra."""

import itertools

import numpy as np


def einsum(subscripts, *arrays):
    """By the definition: a loop over all values of all indices.  The result must be stated."""
    left, result = subscripts.split("->")
    terms = left.split(",")
    lengths = {letter: n for term, array in zip(terms, arrays, strict=True) for letter, n in zip(term, array.shape, strict=True)}
    y = np.zeros([lengths[letter] for letter in result])
    for values in itertools.product(*map(range, lengths.values())):
        at = dict(zip(lengths, values, strict=True))
        product = 1.0
        for term, array in zip(terms, arrays, strict=True):
            product *= array[tuple(at[letter] for letter in term)]
        y[tuple(at[letter] for letter in result)] += product
    return y


def exchanged(subscripts, position):
    """The operand and the result in each other's place."""
    operands, result = subscripts.split("->")
    operands = operands.split(",")
    moved = operands[position]
    operands[position] = result
    return ",".join(operands) + "->" + moved


def diagonal(x, offset=0, axis1=0, axis2=1):
    """Entry after entry of the moved matrices."""
    matrices = np.moveaxis(x, (axis1, axis2), (-2, -1))
    places = [(i, i + offset) for i in range(matrices.shape[-2]) if 0 <= i + offset < matrices.shape[-1]]
    result = np.empty((*matrices.shape[:-2], len(places)))
    for d, (i, j) in enumerate(places):
        result[..., d] = matrices[..., i, j]
    return result


def on_diagonal(gy, shape, offset, axis1, axis2):
    """By the transpose's definition: every entry of gy goes where `diagonal` took it from."""
    places = diagonal(np.arange(np.prod(shape)).reshape(shape), offset, axis1, axis2).astype(int)
    result = np.zeros(shape)
    result.reshape(-1)[places.reshape(-1)] = gy.reshape(-1)
    return result


def triangle(x, lower):
    """Zeros where the column is larger than the row, or smaller."""
    result = np.array(x)
    for i, j in np.ndindex(*x.shape[-2:]):
        if (j > i) if lower else (j < i):
            result[..., i, j] = 0
    return result


LINEAR_ALGEBRA = {
    "einsum": einsum, "contract": lambda a, b, subscripts: einsum(subscripts, a, b), "exchanged": exchanged, "diagonal": diagonal,
    "on_diagonal": on_diagonal, "triangle": triangle, "tril": np.tril, "triu": np.triu, "eye": np.eye,
    "solve": lambda a, b: np.linalg.inv(a) @ b, "solve_triangular": lambda a, b, lower: np.linalg.inv(triangle(a, lower)) @ b,
}  # fmt: skip
