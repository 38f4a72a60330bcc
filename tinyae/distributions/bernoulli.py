"""The Bernoulli distribution of binary features, given by logits."""

from tinyae.autograd import raw
from tinyae.backend import check_rng
from tinyae.distributions.distribution import Distribution
from tinyae.ops.activations import sigmoid, softplus
from tinyae.ops.likelihoods import bce_with_logits


class Bernoulli(Distribution):
    """0 or 1, independent in each of D features, with probability sigmoid(logits) of a 1.  logits: (..., D)."""

    parameters, support = ("logits",), [0.0, 1.0]

    def __init__(self, logits):
        self.logits = logits

    @property
    def mean(self):
        """The probability of a 1, (..., D)."""
        return sigmoid(self.logits)

    def sample(self, rng, draws=()):
        """A draw of zeros and ones, an array (*draws, ..., D)."""
        return check_rng(rng).bernoulli(raw(self.mean) + self.zeros(draws))

    def log_prob(self, x):
        """The log-probability of x, (..., D), in nats; summed over D.  Returns (...,).  Grey values between 0 and 1: minus the cross entropy.

        Raises DataError for others (on the host).
        """
        return -Bernoulli.nll(self, x)  # not self.nll, which a subclass may take from its log_prob

    def nll(self, x):
        """-log_prob(x): the cross entropy, in nats, (...,)."""
        self.check_support(x, 0, 1)
        return bce_with_logits(self.logits, x)

    def entropy(self):
        """-p log p - (1 - p) log(1 - p), in nats, summed over D.  Returns (...,)."""
        a = self.logits
        return (sigmoid(a) * softplus(-a) + sigmoid(-a) * softplus(a)).sum(axis=-1)  # of positive terms: nothing cancels
