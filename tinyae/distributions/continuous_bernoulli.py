"""The continuous Bernoulli distribution of grey values in [0, 1].  Loaiza-Ganem & Cunningham 2019."""

from tinyae.distributions.distribution import Reparameterised, uniform
from tinyae.ops.exponential import exp, expm1, log, log1p
from tinyae.ops.selection import abs, maximum, where

NEAR, NEAR_DRAW = 0.5, 0.01  # logits closer to 0 than this have a series, for the quotients lose their digits and become 0 / 0
# the mean is 1/2 + sum_k c_k logits^k over k = 1, 3, 5, ..., with c_k = B / (k + 1)! and B the Bernoulli number of index k + 1
SERIES = {1: 1 / 12, 3: -1 / 720, 5: 1 / 30240, 7: -1 / 1209600, 9: 1 / 47900160, 11: -691 / 1307674368000}


class ContinuousBernoulli(Reparameterised):
    """x in [0, 1] with a density proportional to exp(x logits), independent in each of D features.  logits: (..., D).

    It is the formula of the Bernoulli, taken for x between 0 and 1 too, and divided by its integral: without that the binary cross
    entropy of grey images is no likelihood.  Loaiza-Ganem & Cunningham 2019, equation 4, with logits = log(lambda / (1 - lambda)).
    """

    parameters, support, noise = ("logits",), (0.0, 1.0), staticmethod(uniform)

    def __init__(self, logits):
        self.logits = logits

    @property
    def mean(self):
        """1 / (1 - exp(-logits)) - 1 / logits, (..., D): nearer to 1/2 than sigmoid(logits)."""
        near, small, size = parts(self.logits, NEAR)
        smaller = smaller_mean(size)
        return where(near, 0.5 + small * even(small, SERIES.values()), where(self.logits > 0, 1 - smaller, smaller))

    def rsample(self, noise):
        """The point below which the share `noise` of the probability lies: log(1 + noise (exp(logits) - 1)) / logits.

        noise: (..., D), uniform on (0, 1).  Returns (..., D).
        """
        near, small, size = parts(self.logits, NEAR_DRAW)
        positive = self.logits > 0
        u = where(positive, 1 - noise, noise)  # x for -logits is 1 - x: as if all were negative, nothing overflows
        x = -log1p(u * expm1(-size)) / size
        series = noise + small * noise * (1 - noise) * (1 + small * (1 - 2 * noise) / 3) / 2
        return where(near, series, where(positive, 1 - x, x))

    def log_prob(self, x):
        """The log-density of x, (..., D), in nats; summed over D.  Returns (...,).  Raises DataError outside [0, 1] (on the host)."""
        self.check_support(x, 0, 1)
        return (x * self.logits - log_normaliser(self.logits)).sum(axis=-1)

    def entropy(self):
        """The differential entropy in nats, summed over D: 0 at logits 0, negative elsewhere.  Returns (...,)."""
        near, small, size = parts(self.logits, NEAR)
        series = small * small * even(small, [c / (k + 1) - c for k, c in SERIES.items()])  # log_normaliser - logits * mean
        return where(near, series, log(-expm1(-size) / size) + size * smaller_mean(size)).sum(axis=-1)


def parts(logits, limit):
    """(whether |logits| is below the limit, logits where it is and else 0, |logits| where it is not and else 1)."""
    t = abs(logits)
    near = t < limit
    return near, where(near, logits, 0), where(near, 1, t)


def even(x, coefficients):
    """c_1 + c_3 x^2 + c_5 x^4 + ..., by Horner's rule."""
    total, square = 0, x * x
    for c in reversed(coefficients):
        total = total * square + c
    return total


def log_normaliser(logits):
    """The logarithm of the integral of exp(x logits) over [0, 1], (exp(logits) - 1) / logits, elementwise."""
    near, small, size = parts(logits, NEAR)
    series = small / 2 + small * small * even(small, [c / (k + 1) for k, c in SERIES.items()])  # the integral of the mean
    return where(near, series, maximum(logits, 0) + log(-expm1(-size) / size))


def smaller_mean(t):
    """The mean for the logits -t, at most 1/2: 1 / t - 1 / (exp(t) - 1), elementwise.  t: not near 0."""
    return 1 / t + exp(-t) / expm1(-t)
