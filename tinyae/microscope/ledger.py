"""The ledger of a graph: which arrays its operations keep for the backward pass, for which line, and how many bytes."""

from typing import NamedTuple

from tinyae.autograd import Tensor
from tinyae.autograd.graph import nodes_of
from tinyae.backend import is_array
from tinyae.errors import show


class Kept(NamedTuple):
    """An array that a node keeps.  bytes: of its memory, 0 where a row above has counted it (a view, or kept twice)."""

    operation: str
    name: str
    kind: str  # "result", "computed" (an input that was computed), "given" (data, noise, a constant) or "leaf" (wants a gradient)
    shape: tuple
    bytes: int
    line: str | None


class Ledger(list):
    """Rows of Kept, in the order of the forward pass; as text, a table."""

    @property
    def bytes(self):
        """The bytes of all memory that the graph keeps alive."""
        return sum(row.bytes for row in self)

    def __str__(self):
        rows = [(f"{r.bytes:,}", "x".join(map(str, r.shape)) or "one", r.kind, f"{r.operation}: {r.name}", r.line or "") for r in self]
        rows.append((f"{self.bytes:,}", "", "", "kept in all", ""))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        texts = [f"{b:>{widths[0]}} bytes  {s:<{widths[1]}}  {k:<{widths[2]}}  {n:<{widths[3]}}  {line}".rstrip() for b, s, k, n, line in rows]
        return "\n".join(texts)


def ledger(y):
    """The arrays that the graph of the Tensor `y` keeps alive until backward frees it: what the rules name, and the leaves.

    Memory is counted once, whole: a view keeps all that it is a part of.  The result `y` itself is its holder's.
    """
    rows, counted = Ledger(), set()

    def note(node, name, kind, array):
        owner = memory(array)
        rows.append(Kept(node.primitive.name, name, kind, tuple(array.shape), 0 if id(owner) in counted else owner.nbytes, show(node.site)))
        counted.add(id(owner))

    for node in nodes_of(y):
        for source, value in zip(node.plan.sources, node.saved or (), strict=False):
            arrays = value if isinstance(value, (tuple, list)) else (value,)
            for array in arrays:
                if is_array(array):
                    parent = node.parents[source.position] if source.kind == "input" else None
                    kind = "result" if source.kind == "output" else "leaf" if isinstance(parent, Tensor) else "computed" if parent else "given"
                    note(node, source.name, kind, array)
        for parent in node.parents:
            if isinstance(parent, Tensor) and id(memory(parent.data)) not in counted:
                note(node, "for its gradient only", "leaf", parent.data)
    return rows


def memory(array):
    """The array that owns the memory: the outermost one of which this is a view."""
    while is_array(getattr(array, "base", None)):
        array = array.base
    return array
