"""The ladder VAE: what x says from below and what the prior says from above, weighted by their precisions.  Sønderby et al. 2016."""

from tinyae.backend import rng as make_rng
from tinyae.distributions import Normal
from tinyae.models.about import About
from tinyae.models.hierarchy import DenseHierarchy
from tinyae.nn import Linear
from tinyae.ops.activations import sigmoid, softplus


def product_of_normals(a, b):
    """The normal whose density is proportional to the product of those of a and b: Bayes' rule for two of them.

    1 / variance = 1 / variance_a + 1 / variance_b, the precisions add up; the mean is that of both, weighted by the precisions.
    Written with the logarithm of the quotient of the precisions, so that nothing overflows.  Sønderby et al. 2016, section 2.
    """
    quotient = b.log_variance - a.log_variance  # log(precision_a / precision_b)
    return Normal(b.mean + sigmoid(quotient) * (a.mean - b.mean), b.log_variance - softplus(quotient))


class LadderVAE(DenseHierarchy):
    """p(z_L) p(z_l | z_(l+1)) ... p(x | z_1); each posterior below the top is its prior, p(z_l | z_(l+1)), times what x says of z_l.

    Where x says little of a level, its posterior is the prior and the KL 0: to be used, a level below has only to say what is new.  That is meant
    to keep more levels at work than independent posteriors do.  The paper has batch normalisation (not here) and a warm-up of the KL besides,
    and the warm-up is needed: without it the bottom level stays at its prior (benchmarks/hierarchy.md).
    levels: the dimensions of each level, the top first, any number of them.  hidden: a width for each, from the data up; see DenseHierarchy.

    Besides (benchmarks/family/ladder-vae.json): the two-level VAE with as many parameters has 17.657, the VAE with twice the epochs 17.264.
    Measured (benchmarks/family.md): -log p(x) of new digits 17.448 (0.082) nats against 17.566 (0.030) of a VAE with as many parameters and
    epochs, the difference being -0.12 (0.10): no difference.
    """

    about = About(
        title="Ladder VAE",
        objective="E_q[-log p(x | z1)] + sum_l E_q[KL(q(z_l | x, z_(l+1)) || p(z_l | z_(l+1)))]",
        paper="Sønderby, Raiko, Maaløe, Sønderby & Winther 2016",
        good_for="structure at several scales: more levels that stay at work",
        training={"epochs": 300, "hidden": [128, 64], "warm_up": 100},
        drawing="hierarchical_vae",
    )

    def __init__(self, features, levels=(8, 16), hidden=(64, 64), likelihood="bernoulli", activation="relu", variance=None, *, rng=None):
        rng = make_rng(0) if rng is None else rng
        super().__init__("ladder-vae", features, levels, hidden, likelihood, activation, variance, rng)
        self.from_below = [Linear(width, 2 * latent, rng=rng) for width, latent in zip(self.widths, self.levels, strict=True)]

    def posterior_at(self, level, above, prior, evidence):
        """The normal that x gives for a level, at the top; below it, times the prior."""
        q = self.posterior(self.from_below[level](evidence[level]))
        return product_of_normals(q, prior) if level else q
