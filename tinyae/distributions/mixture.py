"""A mixture of K distributions of one kind."""

from tinyae.autograd import raw
from tinyae.distributions.categorical import Categorical
from tinyae.distributions.distribution import Distribution
from tinyae.errors import ShapeError
from tinyae.ops.softmax import log_softmax, logsumexp, softmax


class Mixture(Distribution):
    """p(x) = sum_k softmax(logits)_k p_k(x): a whole vector x of D features comes from one of K components.

    logits: (..., K).  components: a distribution with parameters (..., K, D), as Normal(mean, log_variance) for a mixture of Gaussians.
    It has no closed entropy, and no draw that can be differentiated.  Raises ShapeError where the two do not fit.  Bishop 2006,
    section 2.3.9.  (A component for each feature: DiscretisedLogisticMixture.)
    """

    parameters = ("logits", "components")

    def __init__(self, logits, components):
        if tuple(logits.shape) != tuple(components.shape[:-1]):
            raise ShapeError("Mixture: each component has one logit.", expected=f"logits {components.shape[:-1]}", got=f"logits {logits.shape}")
        self.logits, self.components = logits, components

    @property
    def support(self):
        """That of the components."""
        return self.components.support

    @property
    def shape(self):
        """The shape of a draw, (..., D)."""
        return (*self.components.shape[:-2], self.components.shape[-1])

    @property
    def mean(self):
        """The mean of the components' means, (..., D)."""
        return (softmax(self.logits)[..., None] * (self.components.mean + self.components.zeros())).sum(axis=-2)

    def sample(self, rng, draws=()):
        """A draw, (*draws, ..., D): an array."""
        chosen = Categorical(self.logits).sample(rng, draws)
        return (chosen[..., None] * raw(self.components.sample(rng, draws))).sum(axis=-2)

    def log_prob(self, x):
        """The log-density or log-probability of x, (..., D), in nats; (...,)."""
        return logsumexp(log_softmax(self.logits) + self.components.log_prob(x[..., None, :]), axis=-1)
