"""detect_anomaly: which operation made the first NaN or infinity, and who wrote into an array that backward still needs."""

import hashlib
import weakref

import numpy as np

from tinyae.autograd import raw
from tinyae.autograd.graph import observed
from tinyae.backend import array_module, is_array, to_numpy
from tinyae.errors import AnomalyError, GraphError, caller, show
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
        self.cotangent = None  # digest of the cotangent that rules are about to get

    def on_forward(self, operation, args, attributes, result):
        """An operation was computed."""
        if kind := made(result, [*args, *attributes.values()]):
            found = inputs_of(operation.inputs, operation.variadic, [raw(arg) for arg in args])
            raise anomaly(f"{operation.name}: it made the first {kind}.", result, kind, found, caller())
        if result.node is not None:
            self.kept[result.node] = [digest(value) for value in result.node.saved]

    def on_rules(self, node, gy):
        """The rules of an operation are about to run."""
        if kind := made(gy, []):
            rule = f"{node.primitive.name}: the gradients that reach its result sum up to the first {kind}, in the backward pass."
            raise anomaly(rule, gy, kind, "finite parts, or the cotangent that was given", node.site)
        self.cotangent = digest(raw(gy))
        self.check_kept(node)

    def on_sum(self, parent, shape):
        """A gradient is summed; nothing to see."""

    def on_backward(self, node, gy, gradients):
        """The rules of an operation were run."""
        if digest(raw(gy)) != self.cotangent:
            raise writes(node, "the cotangent")
        self.check_kept(node, after=True)
        names = [
            name
            for rule, positions, _ in node.plan.rules
            for name, p in zip(names_of(rule, positions), positions, strict=True)
            if node.parents[p] is not None
        ]
        for name, (_, gradient) in zip(names, gradients, strict=True):
            if kind := made(gradient, []):
                rule = f"{node.primitive.name}: its rule for {name} made the first {kind}, in the backward pass."
                raise anomaly(rule, gradient, kind, f"the cotangent {tuple(gy.shape)}, all finite", node.site)

    def check_kept(self, node, after=False):
        """Raise where what a node keeps is not what it was."""
        for source, value, before in zip(node.plan.sources, node.saved, self.kept.get(node, ()), strict=False):
            if digest(value) != before:
                name = "result" if source.kind == "output" else f"{source.kind} {source.name}"
                raise writes(node, f"the {name}") if after else changed(node.primitive.name, name, node.site)


def writes(node, what):
    """The error for a rule that changes what others need."""
    rule = f"{node.primitive.name}: a rule of it writes into {what} that it is given."
    return GraphError(rule, at=show(node.site), remedy="a new array: gy = gy * ..., not gy *= ...")


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
    """Whether an array or a number has an entry that is NaN (test "isnan") or infinite ("isinf")."""
    array = raw(value)
    if isinstance(array, (float, np.generic)):
        array = np.asarray(array)
    return is_array(array) and array.dtype.kind == "f" and bool(to_numpy(getattr(array_module(array), test)(array).any()))


def anomaly(rule, value, kind, inputs, site):
    """The error: how many entries, and where the first one is."""
    bad = getattr(array_module(raw(value)), KINDS[kind])(raw(value))
    where = np.argwhere(to_numpy(bad))
    got = f"{kind} in {len(where)} of {bad.size} entries, the first at {tuple(where[0].tolist())}, from {inputs}"
    return AnomalyError(rule, expected="finite numbers", got=got, at=show(site), remedy="look at the values of its inputs: tensor.data.min(), .max()")


def digest(value):
    """A fingerprint of an array's bytes, or of the arrays in a tuple; None for what is neither."""
    if isinstance(value, (tuple, list)):
        return tuple(map(digest, value)) if any(map(is_array, value)) else repr(value)
    return hashlib.blake2b(to_numpy(value).tobytes(), digest_size=16).digest() if is_array(value) else None
