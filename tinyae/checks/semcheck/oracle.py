"""The negative ELBO once more, in plain NumPy, from densities alone: what a loss is compared with.

-ELBO = E_q[-log p(x | z) - log p(z) + log q(z | x)], estimated from draws z = mean + standard deviation * noise.
"""

import math

import numpy as np

LOG_2_PI = math.log(2 * math.pi)


class Bernoulli:
    """p(x | z) of binary features, given by logits."""

    name = "bernoulli"

    def log_prob(self, logits, x):
        """log p = -log(1 + exp(-logit)), log(1 - p) = -log(1 + exp(logit)).  logits, x: (N, ...).  Returns (N,)."""
        both = np.log1p(np.exp(-np.abs(logits)))  # what the two have in common: log(1 + exp(a)) = max(a, 0) + log(1 + exp(-|a|))
        terms = x * np.maximum(-logits, 0) + (1 - x) * np.maximum(logits, 0) + both
        return -terms.reshape(len(x), -1).sum(axis=1)

    def mean(self, logits):
        """The probability of a 1."""
        return np.exp(-np.logaddexp(0, -logits))


class Gaussian:
    """p(x | z) = N(x; decoded, variance).  variance: a number, or an array that broadcasts with x."""

    name = "gaussian"

    def __init__(self, variance):
        self.variance = np.asarray(variance, dtype=np.float64)

    def log_prob(self, decoded, x):
        """The log-density.  decoded, x: (N, ...).  Returns (N,)."""
        terms = (x - decoded) ** 2 / self.variance + np.log(self.variance) + LOG_2_PI
        return -0.5 * terms.reshape(len(x), -1).sum(axis=1)

    def mean(self, decoded):
        """What the decoder gives."""
        return decoded


class Given:
    """Somebody's log_prob(parameters, x) -> (N,): that it is a probability is a check of its own.  mean(parameters): None if unknown."""

    name = "given"

    def __init__(self, log_prob, mean=None):
        self.log_prob, self.mean = log_prob, mean


def balanced_noise(shape, rng):
    """Four draws, (4, *shape), whose mean is exactly 0 and whose mean square is exactly 1, in every entry.

    A quadratic function has its normal expectation as the mean over the four, and log q - log p is quadratic in the noise:
    so the closed KL and the four samples agree to rounding, and a KL that is wrong by a millionth stands out.
    """
    angle = rng.uniform(0, 2 * np.pi, shape)
    one, other = math.sqrt(2) * np.cos(angle), math.sqrt(2) * np.sin(angle)
    return np.stack([one, -one, other, -other])


def draw(mean, log_variance, noise):
    """A draw from N(mean, exp(log_variance))."""
    return mean + np.sqrt(np.exp(log_variance)) * noise


def log_ratio(log_variance, z, noise):
    """log q(z | x) - log p(z) of a draw, from the two normal densities.  All (..., J).  Returns (...,).

    log q is that of the noise less the logarithm of the standard deviation: z - mean would lose its digits where that is tiny.
    """
    log_q = -0.5 * (LOG_2_PI + log_variance + noise**2)
    log_p = -0.5 * (LOG_2_PI + z**2)
    return (log_q - log_p).sum(axis=-1)


def single_samples(subject, x, noise):
    """The two terms of the single-sample estimate for each draw and example, (K, N) each: -log p(x | z), and log q - log p.

    x: (N, ...).  noise: (K, N, J).
    """
    mean, log_variance = subject.encode(x)
    z = draw(mean, log_variance, noise)
    decoded = subject.decode(z.reshape(-1, z.shape[-1]))
    again = np.broadcast_to(x, (len(noise), *x.shape)).reshape(len(decoded), *x.shape[1:])
    decoded = decoded.reshape(again.shape) if decoded.size == again.size else decoded  # else several numbers for a feature
    log_likelihood = subject.likelihood.log_prob(decoded, again)
    return -log_likelihood.reshape(noise.shape[:2]), log_ratio(log_variance, z, noise)
