"""Distributions of D features along the last axis: log_prob in nats, rsample with explicit noise, entropies, KL divergences."""

from tinyae.distributions.bernoulli import Bernoulli
from tinyae.distributions.categorical import Categorical, Concrete
from tinyae.distributions.continuous_bernoulli import ContinuousBernoulli
from tinyae.distributions.discretised_logistic import DiscretisedLogistic, DiscretisedLogisticMixture
from tinyae.distributions.distribution import Distribution, Reparameterised
from tinyae.distributions.divergence import CLOSED_FORMS, Estimate, kl_divergence
from tinyae.distributions.laplace import Laplace
from tinyae.distributions.mixture import Mixture
from tinyae.distributions.normal import Normal, StandardNormal
from tinyae.distributions.uniform import Uniform

__all__ = ["CLOSED_FORMS", "Bernoulli", "Categorical", "Concrete", "ContinuousBernoulli", "DiscretisedLogistic", "DiscretisedLogisticMixture"]
__all__ += ["Distribution", "Estimate", "Laplace", "Mixture", "Normal", "Reparameterised", "StandardNormal", "Uniform", "kl_divergence"]
