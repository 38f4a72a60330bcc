"""Adam.  Kingma & Ba 2015, algorithm 1."""

import math

import numpy as np

from tinyae.backend import to_numpy
from tinyae.errors import ArgumentError, GraphError, ShapeError
from tinyae.optim.flat import FlatParameters

CHUNK = 65_536  # entries a pass: the five arrays of a chunk stay in a core's cache


class Adam:
    """Adam: steps of the size lr along mean / sqrt(mean square) of the recent gradients.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
    p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    The parameters become views of one flat buffer, and `.grad` a view of a second, overwritten by the next backward pass:
    copy a gradient to keep it.  A parameter without gradient is left alone, its own t with it.
    Kingma & Ba 2015, algorithm 1.
    """

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        if not lr > 0 or not eps > 0 or not all(0 <= beta < 1 for beta in betas):
            raise ArgumentError(
                "Adam: a setting is out of range.", expected="lr > 0, eps > 0, 0 <= beta < 1", got=f"lr={lr}, betas={betas}, eps={eps}"
            )
        self.lr, self.betas, self.eps = lr, tuple(betas), eps
        self.flat = FlatParameters(parameters)
        zeros = self.flat.xp.zeros_like
        # m / (1 - beta1) and v / (1 - beta2) are kept: two passes less over the memory
        self.m, self.v, self.scratch = zeros(self.flat.values), zeros(self.flat.values), zeros(self.flat.values[:CHUNK])
        self.steps = [0] * len(self.flat.parameters)

    def zero_grad(self):
        """Forget the gradients before the next backward pass."""
        for p in self.flat.parameters:
            p.grad = None

    def step(self):
        """Change every parameter that has a gradient, in place."""
        flat = self.flat
        present = flat.collect()
        if not any(present):
            raise GraphError("Adam.step: no parameter has a gradient.", remedy="call loss.backward() before")
        self.steps = [t + has for t, has in zip(self.steps, present, strict=True)]
        for start, end, t in self._runs(present):
            width = min(CHUNK, end - start) if flat.xp is np else end - start
            for low in range(start, end, width):
                self._update(slice(low, min(low + width, end)), t)
        for p, has in zip(flat.parameters, present, strict=True):
            if has:
                p.touch()

    def _runs(self, present):
        """(start, end, t) of the longest stretches of the buffer whose parameters share the number of steps t."""
        runs = []
        for start, end, t, has in zip(self.flat.starts, self.flat.ends, self.steps, present, strict=True):
            if has and runs and runs[-1][1] == start and runs[-1][2] == t:
                runs[-1] = (runs[-1][0], end, t)
            elif has:
                runs.append((start, end, t))
        return runs

    def _update(self, part, t):
        """One step of the entries in the slice `part`."""
        xp, (beta1, beta2) = self.flat.xp, self.betas
        p, g, m, v = self.flat.values[part], self.flat.gradients[part], self.m[part], self.v[part]
        if len(self.scratch) < len(p):
            self.scratch = xp.zeros_like(p)
        s = self.scratch[: len(p)]
        m *= beta1
        m += g
        v *= beta2
        xp.multiply(g, g, out=s)
        v += s
        xp.sqrt(v, out=s)
        s *= math.sqrt((1 - beta2) / (1 - beta2**t))
        s += self.eps
        xp.divide(m, s, out=s)
        s *= self.lr * (1 - beta1) / (1 - beta1**t)
        p -= s

    def state_dict(self):
        """m / (1 - beta1), v / (1 - beta2) (flat NumPy arrays, in the order of the parameters) and the numbers of steps."""
        return {"m": to_numpy(self.m).copy(), "v": to_numpy(self.v).copy(), "steps": np.array(self.steps, dtype=np.int64)}

    def load_state_dict(self, state):
        """Go on, bit for bit, where `state` was taken.  Raises ShapeError, before anything is changed, where it does not fit."""
        if state["m"].shape != self.m.shape or state["v"].shape != self.v.shape or len(state["steps"]) != len(self.steps):
            raise ShapeError("Adam: this state belongs to other parameters.", expected=self.m.shape, got=state["m"].shape)
        self.m[...] = self.flat.xp.asarray(state["m"])
        self.v[...] = self.flat.xp.asarray(state["v"])
        self.steps = [int(t) for t in state["steps"]]
