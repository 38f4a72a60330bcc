"""Distributions, their features independent: log_prob, rsample with explicit noise, closed-form KL divergences."""

from tinyae.distributions.bernoulli import Bernoulli
from tinyae.distributions.normal import Normal, StandardNormal, kl_divergence

__all__ = ["Bernoulli", "Normal", "StandardNormal", "kl_divergence"]
