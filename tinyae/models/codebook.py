"""The quantiser of a VQ-VAE: a codebook of vectors, the nearest one for each of the encoder's.  van den Oord, Vinyals & Kavukcuoglu 2017."""

from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, raw
from tinyae.backend import array_module, to_device
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.nn import Buffer, Module, Parameter
from tinyae.ops.arithmetic import square
from tinyae.ops.indexing import one_hot, take
from tinyae.ops.surrogates import straight_through

SMOOTHING = 1e-5  # Laplace's, of the counts: no division by 0


class Quantised(NamedTuple):
    """z: (N, S, W), the nearest codes, with the gradient of the encoder's output.  vectors: (N, S, W), that output z_e, indices: (N, S), the
    numbers of those codes: plain arrays.

    codebook: |sg[z_e] - e|^2, (N,), which moves the codes e only.  commitment: |z_e - sg[e]|^2, (N,), which moves the encoder only.
    Both are sums over sites and entries, and equal in value.  sg: stop-gradient, `detach()`.
    """

    z: Tensor
    vectors: object
    indices: object
    codebook: Tensor
    commitment: Tensor


class Codebook(Module):
    """K codes e_k of W entries.  weight: (K, W), drawn from N(0, 1 / W): a parameter, or with "ema" a buffer that `update` moves.

    method: "loss" (the codebook term and the optimiser move the codes) or "ema" (each is a moving average of the vectors that chose it,
    with this decay).  restart: a code that no vector chose in so many steps becomes one of the batch's vectors; 0: never.
    Raises ArgumentError for settings out of range.
    """

    def __init__(self, codes, width, method="loss", decay=0.99, restart=20, *, rng):
        if method not in ("loss", "ema"):
            raise ArgumentError("codebook: how its codes are learned.", expected="loss or ema", got=repr(method))
        if not 0 <= decay < 1:
            raise ArgumentError("decay: of a moving average.", expected="0 <= decay < 1", got=decay)
        if isinstance(restart, bool) or not isinstance(restart, (int, np.integer)) or restart < 0:
            raise ArgumentError("restart: a number of steps, or 0 for never.", got=repr(restart))
        self.method, self.decay, self.restart = method, decay, restart
        first = rng.normal((codes, width)) / width**0.5
        self.weight = (Parameter if method == "loss" else Buffer)(first)
        if method == "ema":  # as if each code had been chosen once, by itself
            self.counts, self.sums = Buffer(np.ones(codes, np.float32)), Buffer(first)
        if restart:
            self.idle = Buffer(np.zeros(codes, np.int64))  # steps since a code was last chosen
        self.seen = None  # the vectors and indices of the last training batch, until `update`

    def nearest(self, z):
        """The index of the code nearest to each vector: argmin_k |z - e_k|^2; of equals the first.  z: an array (..., W).  Returns (...)."""
        e = self.weight.data
        if z.shape[-1] != e.shape[-1]:
            raise ShapeError("Codebook: the width of a vector is that of a code.", expected=f"(..., {e.shape[-1]})", got=z.shape, at=show(caller()))
        distances = (e * e).sum(axis=-1) - 2 * (z @ e.T)  # and |z|^2, the same for all codes
        return array_module(z).argmin(distances, axis=-1)

    def forward(self, z_e):
        """z_e: (N, S, W), a vector at each of S sites: the last axis, not the channels of an image.  Returns Quantised."""
        indices = self.nearest(raw(z_e))
        e = take(self.weight, indices, axis=0)
        z = straight_through(z_e, value=raw(e))  # the true gradient is 0: this one is biased on purpose
        codebook = square(raw(z_e) - e).sum(axis=(-2, -1))
        commitment = square(z_e - raw(e)).sum(axis=(-2, -1))
        return Quantised(z, raw(z_e), indices, codebook, commitment)

    def update(self, rng):
        """After the optimiser's step, in this order, from the vectors z and indices of the batch just seen, M of them; nothing where there is none.

        1. n_k = how many chose code k, s_k = the sum of them, both with the codes from before the step.
        2. With "ema": N_k <- decay N_k + (1 - decay) n_k, m_k <- decay m_k + (1 - decay) s_k, then e_k = m_k / N_k, where N_k is smoothed
           to (N_k + a) / (sum N + K a) sum N, a = 1e-5.
        3. A code idle for `restart` steps becomes a vector drawn from the batch, no two the same, with N_k = 1 and m_k = e_k.

        rng: a stream, for 3.  van den Oord et al. 2017, appendix A.1; Dhariwal et al. 2020 (random restarts).
        """
        if self.seen is None:
            return
        z, indices = self.seen
        self.seen = None
        z, chosen = z.reshape(-1, z.shape[-1]), one_hot(indices.reshape(-1), len(self.weight), z.dtype)
        n = chosen.sum(axis=0)
        if self.method == "ema":
            self.average(n, chosen.T @ z)
        if self.restart:
            self.revive(n, z, rng)

    def average(self, n, s):
        """Step 2 of `update`.  n: (K,), s: (K, W)."""
        keep = self.decay
        self.counts.assign(keep * self.counts.data + (1 - keep) * n)
        self.sums.assign(keep * self.sums.data + (1 - keep) * s)
        total = self.counts.data.sum()
        smoothed = (self.counts.data + SMOOTHING) / (total + len(n) * SMOOTHING) * total
        self.weight.assign(self.sums.data / smoothed[:, None])

    def revive(self, n, z, rng):
        """Step 3 of `update`.  n: (K,), z: (M, W).  Nothing waits for the device: every code has a vector ready, and few take it."""
        xp, k = array_module(z), len(n)
        idle = xp.where(n > 0, 0, self.idle.data + 1)
        dead = idle >= self.restart
        vectors = z[to_device(rng.permutation(len(z))[np.arange(k) % len(z)])]
        self.idle.assign(xp.where(dead, 0, idle))
        self.weight.assign(xp.where(dead[:, None], vectors, self.weight.data))
        if self.method == "ema":
            self.counts.assign(xp.where(dead, 1, self.counts.data))
            self.sums.assign(xp.where(dead[:, None], vectors, self.sums.data))
