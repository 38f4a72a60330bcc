"""The sparse autoencoder that reads features: a dictionary of unit vectors, of which each example needs few.

Bricken et al. 2023, "Towards monosemanticity"; Cunningham et al. 2023.  Its variants are in the files sae_*.py.
"""

import math
from typing import NamedTuple

from tinyae.autograd import Tensor, no_grad
from tinyae.backend import array_module
from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError
from tinyae.models.about import About
from tinyae.models.parts import as_rows, check_sizes, dtype_of
from tinyae.nn import Buffer, Linear, Module, Parameter
from tinyae.ops.activations import relu
from tinyae.ops.arithmetic import square
from tinyae.ops.linear_algebra import linear

DEAD_AFTER = 2_000  # examples: a unit that was 0 for so many in a row counts as dead
TRAINING = {"latent": 32, "epochs": 100, "batch": 200, "lr": 3e-3}  # of `tinyae train`, for 10,000 points


class SparseTerms(NamedTuple):
    """loss = reconstruction + penalty.  reconstruction: the squared error, summed over features; mse: the same per feature."""

    loss: Tensor
    reconstruction: Tensor
    penalty: Tensor
    mse: Tensor


class SAE(Module):
    """x is about dictionary h + bias, with a code h = relu(W (x - bias) + t) >= 0 whose sum has a price: most h_j are 0.

    The columns of `dictionary`, (D, J), have length 1: else codes would shrink and columns grow, at no cost.  So `before_step` takes the
    part along the columns from their gradient, and `after_step` brings them back to length 1.  Dead units begin again: see `revive`.

    features: width D of an example.  latent: number J of units.  penalty: the price lambda.  rng: a stream for the initial weights.

    Measured (benchmarks/family.md): mean max cosine 0.9880 against 0.5902 of the same autoencoder without a price: better.
    """

    likelihood, terms = None, SparseTerms
    about = About(
        title="Sparse autoencoder, L1",
        objective="|x - decode(h)|^2 + lambda sum_j h_j,  h = encode(x) >= 0",
        paper="Bricken et al. 2023; Cunningham et al. 2023",
        good_for="finding the directions that data are sparse sums of: features in superposition",
        data="superposition",
        training=TRAINING,
        drawing="sparse_features",
    )

    def __init__(self, features, latent=32, penalty=0.2, *, rng=None):
        check_sizes(features=features, latent=latent)
        check_number(penalty=penalty)
        rng = make_rng(0) if rng is None else rng
        self.config = {"model": "sae", "features": int(features), "latent": int(latent), "penalty": penalty}
        self.features, self.latent, self.penalty = features, latent, penalty
        self.dictionary = Parameter(unit(rng.normal((features, latent))))
        self.encoder = Linear(features, latent, rng=rng)
        self.encoder.weight.assign(self.dictionary.data.T)  # at first, each unit looks for its own column
        self.bias = Parameter(self.dictionary.data[:, 0] * 0)
        self.idle = Buffer(self.dictionary.data[0] * 0)  # (J,): for how many examples in a row each unit was 0
        self.encoder.bias.assign(0)

    def starts(self):
        """(parameter, initial value) of what each unit has besides its column and its row of the encoder: parameters (J,)."""
        return [(self.encoder.bias, 0.0)]

    def rows(self, x):
        """x, (N, ...), as (N, D) of the weights' dtype."""
        return as_rows(x, self.features, dtype_of(self))

    def activations(self, x):
        """What codes are made of: W (x - bias) + t.  x: (N, D).  Returns (N, J)."""
        return self.encoder(self.rows(x) - self.bias)

    def code(self, a, training=False):
        """The code of activations.  a, and the result: (N, J).  training: where a batch in training is treated in another way."""
        return relu(a)

    def encode(self, x):
        """The code of x, 0 or more.  x: (N, D).  Returns (N, J)."""
        return self.code(self.activations(x))

    def decode(self, z):
        """dictionary z + bias.  z: (..., J).  Returns (..., D)."""
        return linear(z, self.dictionary, self.bias)

    def prices(self, x, a, h, error):
        """What the loss has besides the reconstruction, Tensors by name.  x, error = x - decode(h): (N, D).  a, h: (N, J)."""
        return {"penalty": self.penalty * h.sum(axis=-1).mean()}

    def loss(self, x):
        """The `terms` of a batch: means over examples.  x: (N, D)."""
        x = self.rows(x)
        a = self.activations(x)
        h = self.code(a, self.training)
        error = x - self.decode(h)
        if self.training:
            self.last = h.data, error.data  # for after_step
        reconstruction, prices = square(error).sum(axis=-1).mean(), self.prices(x, a, h, error)
        loss = sum(prices.values(), reconstruction)
        return self.terms(loss=loss, reconstruction=reconstruction, **prices, mse=reconstruction / self.features)

    def reconstruct(self, x):
        """decode(encode(x)) as an array of x's shape."""
        with no_grad():
            return self.decode(self.encode(x)).data.reshape(x.shape)

    def before_step(self):
        """The dictionary's gradient loses its part along the columns, which would only change their lengths."""
        g, d = self.dictionary.grad, self.dictionary.data
        if g is not None:  # it may be frozen
            g -= d * (d * g).sum(axis=0)

    def after_step(self, rng):
        """Columns of length 1, the count of idle examples, and new beginnings.  rng: a stream for `revive`."""
        h, error = self.last
        self.constrain()
        self.idle.assign((self.idle.data + len(h)) * ~(h > 0).any(axis=0))
        self.revive(error, rng)

    def constrain(self):
        """Bring the columns of the dictionary back to length 1."""
        self.dictionary.assign(unit(self.dictionary.data))

    def dead(self):
        """Which units were 0 for `DEAD_AFTER` examples in training: truth values (J,)."""
        return self.idle.data >= DEAD_AFTER

    def revive(self, error, rng):
        """A dead unit begins again along the error of an example, drawn with a probability proportional to |error|^4.

        All units draw, and the dead ones take what they drew: so the host need not wait for a GPU to know how many there are.
        error: (N, D), of the last batch.  Bricken et al. 2023, "Neuron resampling", where it is along the example itself.
        """
        xp, dead = array_module(error), self.dead()
        weights = xp.square(xp.square(error).sum(axis=1)).cumsum()
        drawn = xp.searchsorted(weights, rng.uniform((self.latent,)) * weights[-1], side="right")
        columns = unit(error[xp.minimum(drawn, len(error) - 1)].T)
        self.dictionary.assign(xp.where(dead, columns, self.dictionary.data))
        self.encoder.weight.assign(xp.where(dead[:, None], columns.T, self.encoder.weight.data))
        for parameter, start in self.starts():
            parameter.assign(xp.where(dead, start, parameter.data))
        self.idle.assign(self.idle.data * ~dead)


def unit(columns):
    """The columns with length 1; one of zeros stays.  columns: an array (D, J)."""
    xp = array_module(columns)
    lengths = xp.sqrt(xp.square(columns).sum(axis=0))
    return columns / (lengths + (lengths == 0))


def check_number(positive=False, **settings):
    """Raise ArgumentError unless each named setting is a finite number, 0 or more (or positive)."""
    for name, value in settings.items():
        if not (value > 0 or (value == 0 and not positive)) or not math.isfinite(value):
            raise ArgumentError(f"{name}: it must be a {'positive number' if positive else 'number, 0 or more'}.", got=value)
