"""The Bernoulli distribution of binary features, given by logits."""

from tinyae.autograd import Tensor
from tinyae.ops.activations import sigmoid
from tinyae.ops.likelihoods import bce_with_logits


class Bernoulli:
    """0 or 1, independent in each of D features, with probability sigmoid(logits) of a 1.  logits: (..., D)."""

    def __init__(self, logits):
        self.logits = logits

    def __repr__(self):
        return f"Bernoulli(logits {self.logits.shape})"

    @property
    def mean(self):
        """The probability of a 1, (..., D)."""
        return sigmoid(self.logits)

    def sample(self, rng):
        """A draw of zeros and ones, an array (..., D)."""
        probability = self.mean
        return rng.bernoulli(probability.data if isinstance(probability, Tensor) else probability)

    def log_prob(self, x):
        """The log-probability of x, (..., D), in nats; summed over D.  Returns (...,)."""
        return -bce_with_logits(self.logits, x)
