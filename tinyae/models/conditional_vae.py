"""The conditional VAE: images of a given label.  Sohn, Lee & Yan 2015."""

import numpy as np

from tinyae.backend import is_array, to_device
from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError, DtypeError, ShapeError, caller, show
from tinyae.models.about import About
from tinyae.models.parts import check_sizes, dtype_of, encoder_and_decoder
from tinyae.models.vae import VAE
from tinyae.ops.indexing import one_hot
from tinyae.ops.joining import concatenate
from tinyae.ops.shapes import broadcast_to


class ConditionalVAE(VAE):
    """p(x | label) with a latent z ~ N(0, I): encoder and decoder get the label as well, one-hot, so that z keeps what it does not say.

    classes: the number C of labels 0, ..., C - 1.  `given(labels)` is the model of images with these labels, a VAE like any other; what
    this one does, it does through it.  The other settings: see VAE; there are no convolutions.

    Measured (benchmarks/family.md): negative ELBO of test digits, their labels given, 16.458 nats against 20.380 of a VAE of the same size
    without labels; log 10 = 2.30 nats would pay for the label: better.
    """

    about = About(
        title="Conditional VAE",
        objective="E_q[-log p(x | z, y)] + KL(q(z | x, y) || p(z))",
        paper="Sohn, Lee & Yan 2015",
        good_for="new examples of a label that one chooses; a code of style, without the label",
        drawing="conditional_vae",
    )

    def __init__(self, features, classes, latent=2, hidden=(64,), likelihood="bernoulli", activation="relu", variance=None, *, rng=None):
        check_sizes(classes=classes)
        rng = make_rng(0) if rng is None else rng
        super().__init__(features, latent, hidden, likelihood, activation, variance, rng=rng)
        self.config |= {"model": "conditional-vae", "classes": int(classes)}
        del self.config["channels"], self.config["image_shape"]
        self.classes = classes
        sizes = features + classes, 2 * latent, latent + classes, self.likelihood.outputs * features
        self.encoder, self.decoder = encoder_and_decoder(*sizes, self.config["hidden"], (), None, activation, rng)

    def given(self, labels):
        """The model of images with these labels: (N,) whole numbers, one for each row, or one for all rows.

        Raises ArgumentError where they are missing or (on the host) outside 0, ..., C - 1; DtypeError where they are no whole numbers.
        """
        return GivenLabels(self, labels)

    def encode(self, x, labels=None):
        """The posterior q(z | x, labels), a Normal (N, J).  x: (N, D), labels: (N,)."""
        return self.given(labels).encode(x)

    def decode(self, z, labels=None):
        """The parameters of p(x | z, labels), (..., N, D).  z: (..., N, J), labels: (N,)."""
        return self.given(labels).decode(z)

    def loss(self, x, labels=None, noise=None, rng=None):
        """The terms, nats per example, as VAE.loss.  x: (N, D), labels: (N,)."""
        return self.given(labels).loss(x, noise, rng)

    def log_weights(self, x, noise, labels=None):
        """log p(x, z | labels) - log q(z | x, labels), (..., N), as VAE.log_weights."""
        return self.given(labels).log_weights(x, noise)

    def reconstruct(self, x, labels=None):
        """The mean of p(x | z, labels) at the mean of q: an array of x's shape."""
        return self.given(labels).reconstruct(x)

    def sample(self, n, rng=None, noise=None, labels=None):
        """The means of p(x | z, labels) for n draws z of the prior, (n, D).  labels: (n,), or one for all; without them 0, 1, ..., C - 1, 0, ..."""
        check_sizes(n=n)
        return self.given(to_device(np.arange(n) % self.classes) if labels is None else labels).sample(n, rng, noise)


class GivenLabels(VAE):
    """A ConditionalVAE with labels filled in: the same parts, and functions that need no labels."""

    def __init__(self, model, labels):
        vars(self).update(vars(model))
        self.labels = as_labels(labels, model)

    def encode(self, x):
        """The posterior q(z | x, labels), a Normal (N, J).  x: (N, D)."""
        h = self.encoder(self.beside(self.rows(x)))
        return self.posterior(h[:, : self.latent], h[:, self.latent :])

    def decode(self, z):
        """The parameters of p(x | z, labels).  z: (..., N, J).  Returns (..., N, D)."""
        return self.decoder(self.beside(z))

    def beside(self, x):
        """x, (..., N, K), and the labels, one-hot: (..., N, K + C).  Raises ShapeError for another number of rows."""
        if len(self.labels) not in (1, x.shape[-2]):
            raise ShapeError("each example has one label.", expected=f"{x.shape[-2]} labels", got=len(self.labels), at=show(caller()))
        return concatenate([x, broadcast_to(self.labels, shape=(*x.shape[:-1], self.classes))], axis=-1)


def as_labels(labels, model):
    """Labels as one-hot rows (N, C) of the weights' dtype, or (1, C) of a single label; see ConditionalVAE.given for what is refused."""
    expected = f"whole numbers from 0 to {model.classes - 1}, one for each example"
    if labels is None:
        raise ArgumentError("labels: a conditional model needs them.", expected=expected, at=show(caller()), remedy="model.given(labels), or labels=")
    labels = labels if is_array(labels) else to_device(np.asarray(labels))
    if labels.dtype.kind not in "iu" or labels.ndim > 1:
        got = f"dtype {labels.dtype}, shape {labels.shape}"
        raise DtypeError("labels: they are no list of whole numbers.", expected=expected, got=got, at=show(caller()))
    if isinstance(labels, np.ndarray) and labels.size and not 0 <= labels.min() <= labels.max() < model.classes:
        got = f"labels from {labels.min()} to {labels.max()}"
        raise ArgumentError("labels: one is not among the classes.", expected=expected, got=got, at=show(caller()))
    return one_hot(labels.reshape(-1), model.classes, dtype_of(model))
