"""Einstein's summation: diagonals, then sums over what one array has alone, then products of two arrays at a time."""

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.errors import ArgumentError, DtypeError, ShapeError, caller, show
from tinyae.ops.linear_algebra import diagonal
from tinyae.ops.reductions import sum
from tinyae.ops.shapes import transpose


@primitive(formula="einsum(subscripts, a, b)")
def contract(a, b, *, subscripts):
    """The einsum of two arrays in which each has an index once, and none alone: "ij,jk->ik" is the matrix product.

    An index that the result does not name is summed.  So that nothing else happens, every index of an array stands in the other array
    or in the result; then each gradient is a product of the same kind, an array and the result having changed places.
    """
    xp = array_module(a)
    return xp.einsum(subscripts, a, b, optimize=True)  # by matrix products where that is possible


@contract.vjp("a")
def _(gy, b, subscripts):
    return contract(gy, b, subscripts=exchanged(subscripts, 0))


@contract.vjp("b")
def _(gy, a, subscripts):
    return contract(a, gy, subscripts=exchanged(subscripts, 1))


def exchanged(subscripts, position):
    """The subscripts with the array at `position` and the result in each other's place: "ij,jk->ik" and 0 give "ik,jk->ij"."""
    terms = subscripts.replace("->", ",").split(",")
    terms[position], terms[2] = terms[2], terms[position]
    return f"{terms[0]},{terms[1]}->{terms[2]}"


def einsum(subscripts, *arrays):
    """Einstein's summation convention, as in NumPy: einsum("ij,jk->ik", a, b) is the matrix product.

    One letter for each axis; equal letters run together (a letter twice in one array: its diagonal), and those that the result does not
    name are summed.  Without "->" the result has the letters that occur once, in the alphabet's order.
    Unlike NumPy, axes of length 1 do not broadcast, and "..." is not known.  Raises ArgumentError, ShapeError.
    """
    terms, result = parse(subscripts, arrays)
    y, indices = reduce_alone(arrays[0], terms[0], result + "".join(terms[1:]))
    for i in range(1, len(arrays)):
        needed = result + "".join(terms[i + 1 :])
        b, others = reduce_alone(arrays[i], terms[i], needed + indices)
        kept = "".join(c for c in dict.fromkeys(indices + others) if c in needed) if i + 1 < len(arrays) else result
        y, indices = contract(y, b, subscripts=f"{indices},{others}->{kept}"), kept
    return y if indices == result else transpose(y, axes=tuple(map(indices.index, result)))


def reduce_alone(x, indices, needed):
    """(x, its indices) without repeated indices, whose diagonal is taken, and without those that are not `needed`, which are summed."""
    while repeated := next((c for c in indices if indices.count(c) > 1), None):
        first = indices.index(repeated)
        second = indices.index(repeated, first + 1)
        x = diagonal(x, axis1=first, axis2=second)
        indices = indices[:first] + indices[first + 1 : second] + indices[second + 1 :] + repeated
    if alone := tuple(i for i, c in enumerate(indices) if c not in needed):
        x = sum(x, axis=alone)
    return x, "".join(c for c in indices if c in needed)


def parse(subscripts, arrays):
    """([the indices of each array], those of the result).  Raises an error that says what is wrong with the subscripts or the arrays."""
    if not isinstance(subscripts, str):
        raise DtypeError("einsum: the subscripts come first.", expected='einsum("ij,jk->ik", a, b)', got=type(subscripts).__name__, at=show(caller()))
    text = subscripts.replace(" ", "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    if not arrow:
        result = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    if any(not hasattr(x, "shape") for x in arrays):
        raise DtypeError("einsum: after the subscripts come arrays.", got=", ".join(type(x).__name__ for x in arrays), at=show(caller()))
    shapes = [x.shape for x in arrays]

    def wrong(kind, rule, remedy=None):
        return kind(f"einsum: {rule}", got=f"{subscripts!r} and shapes {', '.join(map(str, shapes))}", at=show(caller()), remedy=remedy)

    if "..." in text:
        raise wrong(ArgumentError, '"..." is not supported.', "name every axis, or use matmul, whose leading axes broadcast")
    if any(not (c.isascii() and c.isalpha()) for c in "".join(terms) + result):
        raise wrong(ArgumentError, 'subscripts are letters, "," and one "->".')
    if [*map(len, terms)] != [*map(len, shapes)]:
        raise wrong(ShapeError, "the subscripts need one letter for each axis of each array, and a comma between arrays.")
    if len(set(result)) < len(result) or not set(result) <= set(left):
        raise wrong(ArgumentError, "every letter of the result stands in it once, and in an array.")
    lengths = {}
    for letter, n in ((letter, n) for term, shape in zip(terms, shapes, strict=True) for letter, n in zip(term, shape, strict=True)):
        if lengths.setdefault(letter, n) != n:
            raise wrong(ShapeError, f"the axes called {letter} have lengths {lengths[letter]} and {n}.")
    return terms, result
