"""Sparse autoencoders: codes with more units than they use.  Olshausen & Field 1996; Ng 2011; Makhzani & Frey 2013."""

import math

from tinyae.errors import ArgumentError
from tinyae.models.about import About
from tinyae.models.autoencoder import Autoencoder, PenalisedTerms, check_not_negative
from tinyae.ops.activations import relu, sigmoid, softplus
from tinyae.ops.arithmetic import square
from tinyae.ops.exponential import sqrt
from tinyae.ops.indexing import along, scatter_add, top_k
from tinyae.ops.softmax import logsumexp

PENALTIES = ("l1", "kl")


class SparseAutoencoder(Autoencoder):
    """An autoencoder that pays for each unit in use.

    penalty: "l1" has the code z = relu(h) of the encoder's output h, and pays sum_j z_j |d_j|, d_j the decoder's weights of unit j.  With
    their length as a factor, small codes before large weights gain nothing.  "kl" has z = sigmoid(h), and pays
    sum_j KL(Bernoulli(target) || Bernoulli(mean of z_j over the batch)): each unit is to be on for that share of the examples.
    weight: of the penalty, in squared errors for one of these.  The other settings are an autoencoder's.

    Measured (benchmarks/family.md): mean largest cosine of the decoder's columns with the true features 0.98741 against 0.5777 of an autoencoder
    of the same size: better.
    """

    about = About(
        title="Sparse autoencoder",
        objective="|x - decode(z)|^2 + weight sum_j z_j |d_j|, or + weight sum_j KL(target || mean z_j); z = encode(x)",
        paper="Olshausen & Field 1996; Ng 2011, lecture notes on sparse autoencoders",
        good_for="a code that says in few units what an example is made of",
        data="superposition",
        training={"epochs": 40, "batch": 200, "lr": 1e-2, "latent": 64, "hidden": []},
        drawing="sparse_autoencoder",
    )

    def __init__(
        self, features, latent=64, hidden=(), activation="relu", penalty="l1", weight=0.2, target=0.05, channels=(), image_shape=None, *, rng=None
    ):
        super().__init__(features, latent, hidden, activation, channels, image_shape, rng=rng)
        check_not_negative(weight=weight)
        if penalty not in PENALTIES:
            raise ArgumentError("penalty: an unknown one.", expected="one of " + ", ".join(PENALTIES), got=repr(penalty))
        if isinstance(target, bool) or not isinstance(target, (int, float)) or not 0 < target < 1:
            raise ArgumentError("target: the share of examples for which a unit is on.", expected="between 0 and 1", got=target)
        self.config |= {"model": "sparse-autoencoder", "penalty": penalty, "weight": weight, "target": target}
        self.kind, self.weight, self.target = penalty, weight, target

    def code(self, h):
        """relu(h) for "l1", sigmoid(h) for "kl".  h and the result: (N, J)."""
        return relu(h) if self.kind == "l1" else sigmoid(h)

    def penalty(self, h):
        """What the code of the encoder's output h costs, mean over the batch, without the weight.  h: (N, J)."""
        if self.kind == "l1":
            lengths = sqrt(square(self.decoder[0].weight).sum(axis=0))
            return (relu(h) * lengths).sum(axis=-1).mean()
        # logarithms of the mean of sigmoid(h) and of 1 minus it, finite also where a unit is off, or on, for the whole batch
        log_on, log_off = (logsumexp(-softplus(sign * h), axis=0) - math.log(len(h)) for sign in (-1, 1))
        t = self.target
        return (t * (math.log(t) - log_on) + (1 - t) * (math.log(1 - t) - log_off)).sum()

    def loss(self, x):
        """The squared error plus weight * penalty, as PenalisedTerms.  x: (N, D).  With "kl" it couples the examples of a batch."""
        x = self.rows(x)
        h = self.encoder(x)
        error, penalty = self.error(x, self.code(h)), self.penalty(h)
        return PenalisedTerms(loss=error + self.weight * penalty, reconstruction=error, penalty=penalty, mse=error / self.features)


class KSparseAutoencoder(Autoencoder):
    """An autoencoder whose code keeps its k largest entries; the others are 0, and no gradient goes through them.

    k: at most `latent`.  The other settings are an autoencoder's.  Many units may never be among the k largest; a
    top-k-sae has a loss that brings them back.

    Measured (benchmarks/family.md): test squared error per pixel with 8 numbers a code 0.01455 against 0.01534 of an autoencoder with a code
    of 8 and as many parameters: better.
    """

    about = About(
        title="k-sparse autoencoder",
        objective="|x - decode(top_k(encoder(x)))|^2",
        paper="Makhzani & Frey 2013",
        good_for="codes of exactly k units, with no weight to be chosen and nothing that shrinks them",
        training={"epochs": 150, "lr": 3e-3, "latent": 128, "hidden": []},
    )

    def __init__(self, features, latent=128, hidden=(), activation="relu", k=8, channels=(), image_shape=None, *, rng=None):
        super().__init__(features, latent, hidden, activation, channels, image_shape, rng=rng)
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= latent:
            raise ArgumentError("k: a whole number of the code's entries.", expected=f"1 to {latent} (latent)", got=repr(k))
        self.config |= {"model": "k-sparse-autoencoder", "k": k}
        self.k = k

    def code(self, h):
        """h with all but the k largest entries of each row set to 0; of equals, the first.  h and the result: (N, J)."""
        values, places = top_k(h, self.k)
        return scatter_add(values, index=along(places, -1, h.shape), shape=h.shape)
