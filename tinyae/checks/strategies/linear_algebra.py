"""How calls are drawn for products, diagonals, triangles and einsums."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyae.checks.strategies.calls import inputs_of, shapes_of
from tinyae.checks.strategies.values import arrays

LETTERS = "ijklm"


@inputs_of("outer")
def _(draw, operation, dtype):
    return [draw(arrays((draw(st.integers(0, 4)),), dtype=dtype)) for _ in operation.inputs], {}


@inputs_of("diagonal")
def _(draw, operation, dtype):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=3))
    first, second = draw(st.permutations(range(len(shape))))[:2]
    axes = {"axis1": first - draw(st.sampled_from([0, len(shape)])), "axis2": second - draw(st.sampled_from([0, len(shape)]))}
    return [draw(arrays(shape, dtype=dtype))], {"offset": draw(st.integers(-4, 4)), **axes}


@inputs_of("tril", "triu")
def _(draw, operation, dtype):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=3))
    return [draw(arrays(shape, dtype=dtype))], {"k": draw(st.integers(-3, 3))}


@inputs_of("solve_triangular")
def _(draw, operation, dtype):
    a, b = (draw(arrays(shape, dtype=dtype)) for shape in draw(shapes_of(operation)))
    a = a / 3  # a diagonal of 1 to 2 above small entries: an equation that magnifies no error
    return [a + np.eye(a.shape[-1], dtype=dtype) * np.sign(a), b], {"lower": draw(st.booleans())}


@inputs_of("contract")
def _(draw, operation, dtype):
    lengths = {letter: draw(st.integers(0, 3)) for letter in LETTERS[: draw(st.integers(0, 4))]}
    terms = [[], [], []]
    for letter in lengths:  # each stands in two of the three, or in all
        for term in draw(st.sampled_from([(0, 1), (0, 2), (1, 2), (0, 1, 2)])):
            terms[term].append(letter)
    a, b, y = ("".join(draw(st.permutations(term))) for term in terms)
    return [draw(arrays(tuple(lengths[letter] for letter in term), dtype=dtype)) for term in (a, b)], {"subscripts": f"{a},{b}->{y}"}


@st.composite
def einsum_calls(draw, most=3):
    """(subscripts, arrays) for einsum, up to `most` arrays: letters repeated, alone, shared or not; the result stated or not."""
    lengths = dict(zip(LETTERS, draw(st.lists(st.integers(0, 3), min_size=len(LETTERS), max_size=len(LETTERS))), strict=True))
    terms = draw(st.lists(st.text(LETTERS, max_size=3), min_size=1, max_size=most))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set("".join(terms)))
        result = draw(st.permutations(used))[: draw(st.integers(0, len(used)))]
        subscripts += "->" + "".join(result)
    return subscripts, [draw(arrays(tuple(lengths[letter] for letter in term))) for term in terms]
