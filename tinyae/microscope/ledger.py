"""The ledger of a graph: which arrays its operations keep for the backward pass, for which line, and how many bytes."""

from typing import NamedTuple

from tinyae.autograd import Tensor
from tinyae.autograd.graph import nodes_of
from tinyae.backend import is_array
from tinyae.errors import DtypeError, caller, show

KINDS = {
    "result": "what the operation gave",
    "computed": "an input that another operation gave",
    "given": "an input that wants no gradient: data, noise, a constant",
    "leaf": "an input that wants a gradient and that no operation gave, such as a weight",
}
FOR_GRADIENT = "for its gradient only"


class Kept(NamedTuple):
    """An array that a node keeps.  bytes: of its memory, 0 where a row above has counted it (a view, or kept twice)."""

    operation: str
    name: str
    kind: str  # one of KINDS
    shape: tuple
    bytes: int
    line: str | None
    parameter: str | None  # the dotted name of the model's parameter that it is
    whole: tuple | None  # the shape of the larger array that it is a part of


def size(shape):
    """The shape as a table shows it."""
    return "x".join(map(str, shape)) or "one"


class Ledger(list):
    """Rows of Kept, in the order of the forward pass; as text, a table and what its words mean."""

    @property
    def bytes(self):
        """The bytes of all memory that the graph keeps alive."""
        return sum(row.bytes for row in self)

    def __str__(self):
        shapes = [size(r.shape) + (f" (view of {size(r.whole)})" if r.whole else "") for r in self]
        names = [f"{r.operation}: {r.name}" + (f", {r.parameter}" if r.parameter else "") for r in self]
        rows = [(f"{r.bytes:,}", shape, r.kind, name, r.line or "") for r, shape, name in zip(self, shapes, names, strict=True)]
        rows.append((f"{self.bytes:,}", "", "", "kept in all", ""))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        texts = [f"{b:>{widths[0]}} bytes  {s:<{widths[1]}}  {k:<{widths[2]}}  {n:<{widths[3]}}  {line}".rstrip() for b, s, k, n, line in rows]
        meanings = [f"{word}: {text}" for word, text in self.legend().items()]
        return "\n".join([*texts, *([""] if meanings else []), *meanings])

    def legend(self):
        """word -> what it means, of the words in the table."""
        words = {kind: text for kind, text in KINDS.items() if any(row.kind == kind for row in self)}
        if any(row.name == FOR_GRADIENT for row in self):
            words[FOR_GRADIENT] = "no rule needs its values; it is kept because its gradient goes there"
        if any(row.whole for row in self):
            words["view of"] = "a part of a larger array, which stays in memory whole and is counted whole, in the first row that needs it"
        if any(row.bytes == 0 for row in self):
            words["0 bytes"] = "memory that a row above has counted"
        return words


def ledger(y, model=None):
    """The arrays that the graph of the Tensor `y` keeps alive until backward frees it: what the rules name, and the leaves.

    y: a Tensor, or the terms of a model, of which it takes the loss.  model: a Module, whose parameters are then called by their
    dotted names.  Memory is counted once, whole: a view keeps all that it is a part of.  The result `y` itself is its holder's.
    Raises DtypeError for anything else.
    """
    y = getattr(y, "loss", y)
    if not isinstance(y, Tensor):
        raise DtypeError("ledger: there is no graph.", expected="a Tensor, or terms with a loss", got=type(y).__name__, at=show(caller()))
    parameters = {} if model is None else {id(parameter): name for name, parameter in model.named_parameters()}
    rows, counted = Ledger(), set()

    def note(node, name, kind, array, leaf=None):
        owner = memory(array)
        count = 0 if id(owner) in counted else owner.nbytes
        whole = tuple(owner.shape) if array.nbytes < owner.nbytes else None
        rows.append(Kept(node.primitive.name, name, kind, tuple(array.shape), count, show(node.site), parameters.get(id(leaf)), whole))
        counted.add(id(owner))

    for node in nodes_of(y):
        for source, value in zip(node.plan.sources, node.saved or (), strict=False):
            arrays = value if isinstance(value, (tuple, list)) else (value,)
            for array in arrays:
                if is_array(array):
                    parent = node.parents[source.position] if source.kind == "input" else None
                    kind = "result" if source.kind == "output" else "leaf" if isinstance(parent, Tensor) else "computed" if parent else "given"
                    note(node, source.name, kind, array, parent)
        for parent in node.parents:
            if isinstance(parent, Tensor) and id(memory(parent.data)) not in counted:
                note(node, FOR_GRADIENT, "leaf", parent.data, parent)
    return rows


def memory(array):
    """The array that owns the memory: the outermost one of which this is a view."""
    while is_array(getattr(array, "base", None)):
        array = array.base
    return array
