"""A VAE with a latent variable above its latent variable.  Rezende, Mohamed & Wierstra 2014; Burda, Grosse & Salakhutdinov 2016."""

from tinyae.backend import rng as make_rng
from tinyae.errors import ArgumentError
from tinyae.models.about import About
from tinyae.models.hierarchy import DenseHierarchy
from tinyae.nn import Linear, Sequential
from tinyae.nn.layers import activation_named


class TwoLevelVAE(DenseHierarchy):
    """p(z_2) p(z_1 | z_2) p(x | z_1), with the posterior q(z_2 | x) q(z_1 | x, z_2); z_1 is nearest to the data.

    The posterior goes from the top down, as in Tomczak & Welling 2018 (Burda et al. go up, q(z_1 | x) q(z_2 | z_1)): then each KL has a closed
    form given the z above.  Nothing forces the top level to be used: p(z_1 | z_2) may ignore z_2, and its KL is then 0
    (benchmarks/hierarchy.md).  levels: (dimensions of z_2, of z_1).  hidden: (width of the layer for z_1, for z_2); see DenseHierarchy.

    Time counts: a VAE takes twice the epochs in about the time of this one, and then has the better -log p(x), 17.211, but the worse bound
    (18.77 against 18.397; benchmarks/family/two-level-vae.json).  Measured (benchmarks/family.md): -log p(x) of new digits 17.330 (0.018) nats
    against 17.454 (0.018) of a VAE with as many parameters and epochs: better.
    """

    about = About(
        title="Two-level VAE",
        objective="E_q[-log p(x | z1)] + KL(q(z2 | x) || p(z2)) + E_q[KL(q(z1 | x, z2) || p(z1 | z2))]",
        paper="Rezende, Mohamed & Wierstra 2014; Burda, Grosse & Salakhutdinov 2016",
        good_for="a prior that is learned, and what goes wrong with a code above a code",
        training={"epochs": 300, "hidden": [128, 64], "warm_up": 100},
        drawing="hierarchical_vae",
    )

    def __init__(self, features, levels=(8, 16), hidden=(64, 64), likelihood="bernoulli", activation="relu", variance=None, *, rng=None):
        rng = make_rng(0) if rng is None else rng
        super().__init__("two-level-vae", features, levels, hidden, likelihood, activation, variance, rng)
        if len(self.levels) != 2:
            raise ArgumentError("levels: this model has two of them.", got=f"levels={self.levels}", remedy="ladder-vae takes any number")
        (top, bottom), (upper, lower) = self.levels, self.widths
        self.posterior_top = Linear(upper, 2 * top, rng=rng)
        self.from_x, self.from_above = Linear(lower, lower, rng=rng), Linear(top, lower, bias=False, rng=rng)
        self.posterior_bottom = Sequential(activation_named(activation), Linear(lower, 2 * bottom, rng=rng))

    def posterior_at(self, level, above, prior, evidence):
        """q(z_2 | x), or q(z_1 | x, z_2) from a layer that takes both, whatever the prior of z_1 says."""
        if level == 0:
            return self.posterior(self.posterior_top(evidence[0]))
        return self.posterior(self.posterior_bottom(self.from_x(evidence[1]) + self.from_above(above)))
