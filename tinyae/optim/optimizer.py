"""What all optimisers share: groups of parameters, the flat buffer, state.  A subclass adds its update rule."""

import math

import numpy as np

from tinyae.backend import to_numpy
from tinyae.errors import ArgumentError, ShapeError
from tinyae.optim.clipping import gradient_norm
from tinyae.optim.flat import FlatParameters, listed

CHUNK = 65_536  # entries a pass: the arrays of a chunk stay in a core's cache

RANGES = {  # setting -> what it may be, in words and as a test
    "lr": ("lr > 0", lambda lr: 0 < lr < math.inf),
    "betas": ("two betas, 0 <= beta < 1", lambda betas: len(betas) == 2 and all(0 <= beta < 1 for beta in betas)),
    "alpha": ("0 <= alpha < 1", lambda alpha: 0 <= alpha < 1),
    "momentum": ("0 <= momentum < 1", lambda momentum: 0 <= momentum < 1),
    "eps": ("eps > 0", lambda eps: 0 < eps < math.inf),
    "weight_decay": ("weight_decay >= 0", lambda decay: 0 <= decay < math.inf),
}


class Optimizer:
    """Base of the optimisers.  A subclass names its `moments` (arrays kept from step to step) and has `update`.

    parameters: a list of parameters, or of groups {"params": [...], "lr": ..., ...} with settings of their own.
    groups: the groups, a list of dicts; a setting changed there holds from the next step on.
    lr: the learning rate of the first group.  Setting it sets all groups, in the proportions in which they were made: a group
    that began with a tenth of the first one's rate keeps a tenth under any schedule.

    The parameters become views of one flat buffer, and `.grad` a view of a second, overwritten by the next backward pass:
    copy a gradient to keep it.  A parameter without gradient, or frozen (requires_grad=False), is left alone, and so are
    its moments and its number of steps t.
    """

    moments = ()

    def __init__(self, parameters, **settings):
        given = listed(parameters)
        grouped = bool(given) and all(isinstance(group, dict) for group in given)
        self.groups = [self.checked(settings | group) for group in (given if grouped else [{"params": given}])]
        if unknown := {name for group in self.groups for name in group} - {"params", *settings}:
            raise ArgumentError(f"{self.kind}: a group has unknown settings.", expected=", ".join(settings), got=", ".join(sorted(unknown)))
        self.proportions = [group["lr"] / self.groups[0]["lr"] for group in self.groups]
        self.settings = tuple(settings)
        self.flat = FlatParameters([p for group in self.groups for p in group["params"]])
        self.group_of = [i for i, group in enumerate(self.groups) for _ in group["params"]]
        self.steps = [0] * len(self.flat.parameters)
        self.arrays = {name: self.flat.xp.zeros_like(self.flat.values) for name in self.moments}
        self.width = CHUNK if self.flat.xp is np else len(self.flat.values)

    @property
    def kind(self):
        """The optimiser's name."""
        return type(self).__name__

    def checked(self, group):
        """A group with its settings as plain Python numbers.  Raises ArgumentError for one out of its range."""
        if "params" not in group:
            raise ArgumentError(f"{self.kind}: a group is a dict with its parameters under 'params'.", got=sorted(group))
        group = group | {"params": listed(group["params"])}
        for name in group.keys() & RANGES.keys():
            words, allowed = RANGES[name]
            group[name] = tuple(map(float, group[name])) if name == "betas" else float(group[name])  # a NumPy number would widen float32
            if not allowed(group[name]):
                raise ArgumentError(f"{self.kind}: a setting is out of range.", expected=words, got=f"{name}={group[name]}")
        return group

    @property
    def lr(self):
        """The learning rate of the first group."""
        return self.groups[0]["lr"]

    @lr.setter
    def lr(self, rate):
        rate = float(rate)
        if not 0 <= rate < math.inf:
            raise ArgumentError(f"{self.kind}: the learning rate must be 0 or more.", got=rate)
        for group, proportion in zip(self.groups, self.proportions, strict=True):
            group["lr"] = rate * proportion

    def zero_grad(self):
        """Forget the gradients before the next backward pass."""
        for p in self.flat.parameters:
            p.grad = None

    def step(self, skip_above=None, norm=None):
        """Change every parameter that has a gradient, in place.  Returns whether it did.

        skip_above: leave everything as it is where the norm of the gradient is larger, or no number; to know it, the host
        waits for the device.  norm: that norm where it is known, as from `clip_norm`, which is the norm *before* clipping.
        Child 2021 (gradient skipping).  Raises GraphError where no parameter has a gradient.
        """
        flat = self.flat
        present = flat.collect()
        if skip_above is not None and not to_numpy(gradient_norm(self) if norm is None else norm) <= skip_above:
            return False
        self.steps = [t + has for t, has in zip(self.steps, present, strict=True)]
        keys = [(i, t) if has else None for i, t, has in zip(self.group_of, self.steps, present, strict=True)]
        arrays = [flat.values, flat.gradients, *self.arrays.values()]
        for start, end, (i, t) in flat.runs(keys):
            group = self.groups[i]
            settings = {name: group[name] for name in self.settings if name != "weight_decay"}
            for low in range(start, end, self.width):
                part = slice(low, min(low + self.width, end))
                p, g, *moments = [array[part] for array in arrays]
                if group.get("weight_decay"):
                    g = self.decay(p, g, group)
                self.update(p, g, t, *moments, **settings)
        for p, has in zip(flat.parameters, present, strict=True):
            if has:
                p.touch()
        return True

    def decay(self, p, g, group):
        """The gradient of the loss with the penalty weight_decay/2 sum p^2."""
        return g + group["weight_decay"] * p

    def update(self, p, g, t, *moments, **settings):
        """One step, the t-th, of the entries p with gradients g and their moments: flat arrays, p and moments changed in place.

        Abstract: each optimiser's own.
        """
        raise NotImplementedError

    def state_dict(self):
        """All that a continuation needs, as NumPy arrays: moments (flat, in the order of the parameters), numbers of steps,
        settings and the proportion of lr (a row a group), and the layout that they belong to: group, number of axes and shape of each parameter."""
        state = {name: np.array(to_numpy(array)) for name, array in self.arrays.items()}
        state |= {name: np.array([group[name] for group in self.groups]) for name in self.settings}
        layout = [n for i, p in zip(self.group_of, self.flat.parameters, strict=True) for n in (i, p.ndim, *p.shape)]
        state["proportions"] = np.array(self.proportions)
        state |= {"steps": np.array(self.steps, dtype=np.int64), "layout": np.array(layout, dtype=np.int64)}
        return {f"{self.kind}.{name}": array for name, array in state.items()}

    def load_state_dict(self, state):
        """Go on, bit for bit, where `state` was taken.

        Raises, before anything is changed, ArgumentError for another optimiser's state, ShapeError for other parameters'.
        """
        own = self.state_dict()
        if own.keys() - state.keys() == {lacking := f"{self.kind}.proportions"}:  # the state of an older version
            state = state | {lacking: own[lacking]}
        if own.keys() != state.keys():
            kinds = ", ".join(sorted({name.split(".")[0] for name in state}))
            raise ArgumentError(f"{self.kind}: this is the state of another optimiser.", expected=", ".join(own), got=kinds)
        for name, array in own.items():
            same_kind = array.dtype == state[name].dtype or name.split(".")[1] in self.settings
            if array.shape != state[name].shape or not same_kind or (name.endswith(".layout") and (array != state[name]).any()):
                expected, got = f"{name} {array.shape} {array.dtype}", f"{state[name].shape} {state[name].dtype}"
                raise ShapeError(f"{self.kind}: this state belongs to other parameters or groups.", expected=expected, got=got)
        state = {name.split(".")[1]: array for name, array in state.items()}
        for name, array in self.arrays.items():
            array[...] = self.flat.xp.asarray(state[name])
        for name in self.settings:
            for group, value in zip(self.groups, state[name].tolist(), strict=True):
                group[name] = tuple(value) if isinstance(value, list) else value
        self.steps, self.proportions = state["steps"].tolist(), state["proportions"].tolist()
