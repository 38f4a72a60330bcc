"""tinyae's own functions, gradient rules and optimiser, called once more on the arrays of one step: what a step would take if the engine,
the modules and the distributions cost nothing.  No replay of recorded operations, however clever, can be faster.
"""

import contextlib

from benchmarks.speed.networks import batches_of
from benchmarks.speed.peers import with_tinyae
from tinyae.ops import registry


@contextlib.contextmanager
def recorded(optimizer):
    """`with recorded(adam) as calls:` notes (function, arguments, attributes) of every function, rule and update that is run meanwhile."""
    calls, depth, back = [], [0], []

    def noted(function):
        def call(*arguments, **attributes):
            depth[0] += 1
            try:
                found = function(*arguments, **attributes)
            finally:
                depth[0] -= 1
            if not depth[0] and found is not NotImplemented:  # one that calls others is run whole
                calls.append((function, arguments, attributes))
            return found

        return call

    def put(owner, name):
        back.append((owner, name, getattr(owner, name)))
        setattr(owner, name, noted(getattr(owner, name)))

    put(optimizer, "update")
    for operation in registry.values():
        put(operation, "forward")
        if operation.fast is not None:
            put(operation, "fast")
        for rule in operation.rules:
            put(rule, "function")
    try:
        yield calls
    finally:
        for owner, name, function in back:
            setattr(owner, name, function)


class Peer:
    """The calls, with the face of a framework."""

    def __init__(self, network, weights, variant=""):
        whole, (x,) = with_tinyae.Peer(network, weights), batches_of(network, 1)
        whole.step(x)
        with recorded(whole.adam) as self.calls:
            whole.step(x)

    def array(self, x):
        """As it is."""
        return x

    def step(self, x, noise=None):
        """All calls once, in their order; x and noise play no part."""
        for function, arguments, attributes in self.calls:
            function(*arguments, **attributes)

    def wait(self):
        """Nothing is ever under way."""
