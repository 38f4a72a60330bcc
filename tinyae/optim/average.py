"""An exponential moving average of weights: where a noisy training stands on the whole."""

import contextlib

import numpy as np

from tinyae.backend import array_module, to_numpy
from tinyae.errors import ArgumentError, DtypeError, ShapeError
from tinyae.guards import described


class WeightAverage:
    """The average of each parameter over the recent steps: average <- average + (1 - decay) (parameter - average).

    It begins with the weights of the moment.  model: a Module, or a list of parameters (frozen ones are averaged too, and stay
    what they are).  A model's buffers, such as running statistics, are left alone: they are averages already.  A model that constrains its
    weights has `constrain()`, which brings averages back to what is allowed: the mean of unit vectors is shorter than they are.
    warm_up: in the t-th update the decay is at most (1 + t) / (10 + t), so that the beginning is soon forgotten.

        average = WeightAverage(model, 0.999)
        ...                              # after each optimizer.step(): average.update()
        with average.applied():          # the averaged weights are in place here
            evaluate(model, test, rng=rng)

    Polyak & Juditsky 1992 (the plain mean); the exponential one for VAEs: Child 2021.
    """

    def __init__(self, model, decay=0.999, warm_up=False):
        if not 0 <= decay < 1:
            raise ArgumentError("WeightAverage: the decay must be in [0, 1).", got=decay)
        named = model.named_parameters() if hasattr(model, "named_parameters") else enumerate(model)
        self.parameters, self.constrain = {str(name): p for name, p in named}, getattr(model, "constrain", None)
        self.averages = {name: p.data.copy() for name, p in self.parameters.items()}
        self.decay, self.warm_up, self.updates = decay, warm_up, 0

    def pairs(self):
        """(average, parameter) of each.  Raises DtypeError where a parameter was moved or converted meanwhile."""
        pairs = [(self.averages[name], p) for name, p in self.parameters.items()]
        if any(array_module(a) is not array_module(p.data) or a.dtype != p.dtype for a, p in pairs):
            raise DtypeError("WeightAverage: a parameter was moved or converted after the average was made.", remedy="make a new one")
        return pairs

    def update(self):
        """Take the weights of the moment in; call it after each step of the optimiser."""
        pairs = self.pairs()
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warm_up else self.decay
        for average, p in pairs:
            average += (1 - decay) * (p.data - average)

    @contextlib.contextmanager
    def applied(self):
        """`with average.applied():` puts the averages in place of the weights, and the weights back afterwards, bit for bit."""
        pairs = self.pairs()
        own = [p.data.copy() for _, p in pairs]
        for average, p in pairs:
            p.assign(average)
        if self.constrain is not None:
            self.constrain()
        try:
            yield
        finally:
            for (_, p), value in zip(pairs, own, strict=True):
                p.assign(value)

    def state_dict(self):
        """The averages (average.NAME) and the number of updates, as NumPy arrays."""
        averages = {f"average.{name}": np.array(to_numpy(a)) for name, a in self.averages.items()}
        return averages | {"updates": np.array([self.updates], dtype=np.int64)}

    def load_state_dict(self, state):
        """Go on, bit for bit, where `state` was taken.  Raises ShapeError, before anything is changed, where it does not fit."""
        own = self.state_dict()
        if misfits := [k for k in own.keys() | state.keys() if k not in own or k not in state or described(own[k]) != described(state[k])]:
            expected, got = (described(arrays.get(misfits[0], "nothing")) for arrays in (own, state))
            raise ShapeError(f"WeightAverage: this state belongs to other parameters ({misfits[0]}).", expected=expected, got=got)
        for name, average in self.averages.items():
            average[...] = array_module(average).asarray(state[f"average.{name}"])
        self.updates = int(state["updates"][0])
