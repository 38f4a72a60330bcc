"""detect_anomaly: which operation made the first NaN or infinity, and who wrote into an array that backward still needs."""

import hashlib
import weakref

from tinyae.autograd import raw
from tinyae.autograd.graph import observed
from tinyae.backend import array_module, is_array, to_numpy
from tinyae.errors import AnomalyError, caller, show
from tinyae.guards import changed, inputs_of

KINDS = {"NaN": "isnan", "infinity": "isinf"}


def detect_anomaly():
    """`with detect_anomaly():` names the first operation that makes a NaN or an infinity, forward or backward, and its line.

    An operation makes one where its inputs hold none.  Inside, a raw write into `tensor.data` between forward and backward is
    an error too.  Slow, since every array is looked at (on a GPU this waits for it): for finding an error, then take it out.
    Raises AnomalyError.
    """
    return observed(Detector())


class Detector:
    """The observer behind `detect_anomaly`."""

    def __init__(self):
        self.kept = weakref.WeakKeyDictionary()  # node -> digests of the arrays that it keeps

    def on_forward(self, operation, args, attributes, result):
        """An operation was computed."""
        if kind := made(result, args):
            found = inputs_of(operation.inputs, operation.variadic, [raw(arg) for arg in args])
            raise anomaly(f"{operation.name}: it made the first {kind}.", result, kind, found, caller())
        if result.node is not None:
            self.kept[result.node] = [digest(value) for value in result.node.saved]

    def on_sum(self, parent, shape):
        """A gradient is summed; nothing to see."""

    def on_backward(self, node, gy, gradients):
        """The rules of an operation were run."""
        for source, value, before in zip(node.plan.sources, node.saved, self.kept.get(node, ()), strict=False):
            if digest(value) != before:
                raise changed(node.primitive.name, "result" if source.kind == "output" else f"{source.kind} {source.name}", node.site)
        names = [
            name
            for rule, positions, _ in node.plan.rules
            for name, p in zip(names_of(rule, positions), positions, strict=True)
            if node.parents[p] is not None
        ]
        for name, (_, gradient) in zip(names, gradients, strict=True):
            if kind := made(gradient, [gy]):
                rule = f"{node.primitive.name}: its rule for {name} made the first {kind}, in the backward pass."
                raise anomaly(rule, gradient, kind, f"the cotangent {tuple(gy.shape)}, all finite", node.site)


def names_of(rule, positions):
    """The input of each position that a rule serves."""
    return rule.inputs if len(rule.inputs) == len(positions) else [f"{rule.inputs[0]}[{p}]" for p in positions]


def made(result, inputs):
    """The kind, NaN or infinity, that the result holds and no input does; None where there is none."""
    for kind, test in KINDS.items():
        if holds(result, test) and not any(holds(x, test) for x in inputs):
            return kind
    return None


def holds(value, test):
    """Whether an array has an entry that is NaN (test "isnan") or infinite ("isinf")."""
    array = raw(value)
    return is_array(array) and array.dtype.kind == "f" and bool(to_numpy(getattr(array_module(array), test)(array).any()))


def anomaly(rule, value, kind, inputs, site):
    """The error: how many entries, and where the first one is."""
    bad = getattr(array_module(raw(value)), KINDS[kind])(raw(value))
    where = to_numpy(bad).nonzero()
    first = tuple(int(axis[0]) for axis in where)
    got = f"{kind} in {len(where[0]) if where else 1} of {bad.size} entries, the first at {first}, from {inputs}"
    return AnomalyError(rule, expected="finite numbers", got=got, at=show(site), remedy="look at the values of its inputs: tensor.data.min(), .max()")


def digest(value):
    """A fingerprint of an array's bytes, or of the arrays in a tuple; None for what is neither."""
    if isinstance(value, tuple):
        return tuple(map(digest, value))
    return hashlib.blake2b(to_numpy(value).tobytes(), digest_size=16).digest() if is_array(value) else None
