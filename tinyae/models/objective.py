"""What a variational model minimises, made of its two terms; the true bound is reconstruction + KL whatever is minimised."""

import math

from tinyae.distributions import Normal, kl_divergence
from tinyae.errors import ArgumentError
from tinyae.models.parts import Terms
from tinyae.ops.selection import abs, maximum


class ELBO:
    """reconstruction + beta KL, in nats per example: with beta = 1 the negative ELBO.

    beta: the weight of the KL; below 1 for a while (warm-up, Bowman et al. 2016), or above (Higgins et al. 2017).
    capacity: C nats, the KL that is asked for: beta |KL - C| instead (Burgess et al. 2018, equation 8).
    free_bits: nats that each latent dimension may have for nothing: the sum over dimensions of max(free_bits, KL of the dimension, mean
    over the batch) instead of the KL (Kingma et al. 2016, appendix C.8).  A schedule of `ta.fit` sets any of them by name.
    """

    def __init__(self, beta=1.0, capacity=None, free_bits=0.0):
        for name, value in {"beta": beta, "free_bits": free_bits, "capacity": capacity}.items():
            if (name, value) != ("capacity", None) and not (value >= 0 and math.isfinite(value)):
                raise ArgumentError(f"{name}: it must be a number, 0 or more.", got=value)
        if capacity is not None and free_bits:
            raise ArgumentError("capacity and free_bits are two answers to one question.", remedy="choose one")
        self.beta, self.capacity, self.free_bits = beta, capacity, free_bits

    def __call__(self, nll, q, prior):
        """Terms, means over the batch.  nll: (..., N), -log p(x | z).  q: the posterior, N rows."""
        reconstruction = nll.mean()
        kl = kl_divergence(q, prior).mean()
        negative_elbo = reconstruction + kl
        loss = negative_elbo
        if (self.beta, self.capacity, self.free_bits) != (1, None, 0):
            loss = reconstruction + self.beta * self.counted(kl, q, prior)
        return Terms(loss=loss, negative_elbo=negative_elbo, reconstruction=reconstruction, kl=kl)

    def counted(self, kl, q, prior):
        """What of the KL is minimised: a number."""
        if self.capacity is not None:
            return abs(kl - self.capacity)
        return maximum(kl_by_dimension(q, prior).mean(axis=0), self.free_bits).sum() if self.free_bits else kl


def kl_by_dimension(q, prior):
    """The KL of each latent dimension, nats.  q: a Normal of (N, J).  Returns (N, J)."""
    return kl_divergence(Normal(q.mean[..., None], q.log_variance[..., None]), prior)
