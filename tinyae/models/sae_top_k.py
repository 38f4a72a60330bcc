"""Sparse autoencoders that are told how many units may be active: in each example, or in a batch on average."""

from typing import NamedTuple

from tinyae.autograd import Tensor, raw
from tinyae.backend import array_module
from tinyae.errors import ArgumentError
from tinyae.models.about import About
from tinyae.models.sae import SAE, TRAINING, check_number
from tinyae.nn import Buffer
from tinyae.ops.activations import relu
from tinyae.ops.arithmetic import square
from tinyae.ops.indexing import top_k
from tinyae.ops.selection import where

DECAY = 0.99  # of the moving average of the threshold


class TopKTerms(NamedTuple):
    """loss = reconstruction + aux.  reconstruction: the squared error, summed over features; mse: the same per feature."""

    loss: Tensor
    reconstruction: Tensor
    aux: Tensor
    mse: Tensor


class TopKSAE(SAE):
    """A sparse autoencoder whose code keeps the k largest entries: no price, so nothing shrinks.

    Dead units are brought back by an auxiliary loss: of what the code leaves over, they have to explain what they can.

    k: the units of an example.  aux: the weight alpha of the auxiliary loss (Gao et al. take 1/32; in benchmarks/sae.md, 1 finds more).
    The rest as in SAE.

    Measured (benchmarks/family.md): explained variance 0.8838 against 0.8525 of an L1 model (price 0.33) with no fewer active units: better.
    """

    terms = TopKTerms
    about = About(
        title="Sparse autoencoder, top-k",
        objective="|x - decode(h)|^2 + alpha |stop_gradient(x - decode(h)) - dictionary h_dead|^2,  h: the k largest of relu(a)",
        paper="Makhzani & Frey 2014; Gao et al. 2024",
        good_for="sparse codes with a known number of units, whose sizes do not shrink",
        data="superposition",
        training=TRAINING,
        drawing="sparse_features",
    )

    def __init__(self, features, latent=32, k=2, aux=1.0, *, rng=None):
        super().__init__(features, latent, rng=rng)
        check_number(aux=aux)
        if not 1 <= k <= latent:
            raise ArgumentError("k: how many units may be active.", expected=f"1 to {latent}", got=k)
        del self.config["penalty"]
        self.config |= {"model": "top-k-sae", "k": k, "aux": aux}
        self.k, self.aux = k, aux

    def code(self, a, training=False):
        """relu(a) where it is among the k largest of its row, 0 elsewhere.  a, and the result: (N, J)."""
        return largest(relu(a), self.k)

    def prices(self, x, a, h, error):
        """aux: alpha times what the dead units leave of the error; 0 where no unit is dead.

        Of the dead units, the D / 2 largest of an example take part, as Gao et al. 2024 have it (appendix A.2).
        """
        h = largest(where(self.dead(), relu(a), 0.0), min(max(1, self.features // 2), self.latent))
        left = square(error.detach() - h @ self.dictionary.T).sum(axis=-1).mean()
        return {"aux": where(self.dead().any(), self.aux * left, 0.0)}

    def revive(self, error, rng):
        """Nothing: the auxiliary loss does it."""


class BatchTopKSAE(TopKSAE):
    """A sparse autoencoder whose code keeps, of a batch of N, the k N largest entries: an example may need more, another fewer.

    The code of an example must not depend on others, so outside of training it keeps what is above `threshold`: a moving average,
    over the steps of training, of the smallest entry that was kept.  Bussmann et al. 2024, equation 5.

    Measured (benchmarks/family.md): explained variance 0.8845 against 0.6595 of an L1 model (price 0.7) with no fewer active units: better.
    """

    about = TopKSAE.about._replace(
        title="Sparse autoencoder, batch top-k",
        objective="as top-k-sae, h: the k N largest of relu(a) in a batch of N; outside of training, those above a threshold",
        paper="Bussmann, Leask & Nanda 2024",
        good_for="sparse codes with a known mean number of units, more where an example needs more",
    )

    def __init__(self, features, latent=32, k=1, aux=1.0, *, rng=None):
        super().__init__(features, latent, k, aux, rng=rng)
        self.config |= {"model": "batch-top-k-sae"}
        self.threshold = Buffer(self.idle.data[0])  # 0: there was no step yet

    def code(self, a, training=False):
        """relu(a) where it is among the k N largest of the batch in training, above the threshold else.  a, and the result: (N, J)."""
        h = relu(a)
        return largest(h.reshape(1, -1), self.k * len(a)).reshape(a.shape) if training else h * (raw(h) > self.threshold.data)

    def after_step(self, rng):
        """As ever, and the threshold moves towards the smallest entry that this step kept."""
        h, old = self.last[0], self.threshold.data
        xp = array_module(h)
        least = xp.where(h > 0, h, xp.inf).min()
        new = xp.where(old > 0, DECAY * old + (1 - DECAY) * least, least)
        self.threshold.assign(xp.where(xp.isfinite(least), new, old))
        super().after_step(rng)


def largest(h, k):
    """h where it is among the k largest of its row (with any that equal the last of them), 0 elsewhere.  h >= 0: (N, J)."""
    return h * (raw(h) >= top_k(raw(h), k)[0][:, -1:])
