"""semcheck: is the function the right one?  gradcheck cannot see it: a wrong loss has a right gradient, of the wrong loss.

A loss is compared with a negative ELBO written from densities alone, and held to identities that every one of them has.
"""

from functools import partial

import numpy as np

from tinyae.checks.semcheck.autoencoder import check_autoencoder
from tinyae.checks.semcheck.bench import Bench
from tinyae.checks.semcheck.distribution import assert_distribution, semcheck_distribution
from tinyae.checks.semcheck.evaluation import check_data, check_evaluation, check_generation, check_likelihood, check_log_weights, check_outputs
from tinyae.checks.semcheck.hierarchy import check_hierarchy
from tinyae.checks.semcheck.identities import check_constant_pixel, check_dead_latent, check_duplication, check_tiling
from tinyae.checks.semcheck.losses import check_bound, check_losses, check_noise, check_spread
from tinyae.checks.semcheck.model import subject_of_model
from tinyae.checks.semcheck.posterior import check_kl, check_sampler
from tinyae.checks.semcheck.quantised import check_quantised
from tinyae.checks.semcheck.result import Row, Semantics, SemanticsError, untested
from tinyae.checks.semcheck.subject import Untestable, plain, subject_of_functions
from tinyae.errors import ArgumentError

__all__ = ["Row", "Semantics", "SemanticsError", "assert_distribution", "assert_semantics", "semcheck", "semcheck_distribution"]

BATTERY = {
    "data": check_data,
    "noise": check_noise,
    "loss": check_losses,
    "bound": check_bound,
    "spread": check_spread,
    "batch twice": check_duplication,
    "pixels twice": check_tiling,
    "dead latent": check_dead_latent,
    "constant pixel": check_constant_pixel,
    "KL": check_kl,
    "sampler": check_sampler,
    "likelihood": check_likelihood,
    "reconstruct": check_evaluation,
    "generation": check_generation,
    "log_weights": check_log_weights,
    "outputs": check_outputs,
}


def semcheck(model=None, x=None, *, seed=0, beta=None, **functions):
    """Test a VAE's loss, KL, sampler, likelihood and evaluation against statistics.  Returns Semantics: rows, `.passed`, `.failures`.

    model: has loss(x, noise=) or loss(x, rng=), encode(x) -> a distribution with mean, log_variance and rsample(noise), decode,
    likelihood.  Its weights are moved for the test, and are afterwards what they were.  x: the data, (N, ...), 50 to 200 examples.
    An autoencoder, which has no likelihood, is tested for being one: its loss against the squared error of what it reconstructs; a hierarchy
    level by level, each against the densities of its own prior and posterior; a vector-quantised model against the code nearest to each vector.

    Or, for anybody's code, functions of NumPy arrays, as many as there are; what is not given is not tested, and said so:

        loss(x, noise), or loss(x) with noise of its own: nats per example, mean over the batch; a number, or named numbers
        encode(x) -> (mean, log_variance), (N, J) each      decode(z) -> logits or means
        likelihood: "bernoulli", "gaussian" (with variance=), or log_prob(parameters, x) -> (N,)
        sample(mean, log_variance, noise), kl(mean, log_variance), reconstruct(x), generate(noise)

    The noise enters as mean + exp(log_variance / 2) * noise, and the prior is N(0, I).  A loss that takes encode= and decode= too can be
    tested as far as a model's.  beta: the weight of the KL in what is minimised (default: model.beta, model.objective.beta, or 1).
    The same seed gives the same table.  A right loss fails in about one table of a million.  Raises ArgumentError for what cannot be tested.
    """
    if x is None:
        raise ArgumentError("semcheck: the data x are missing.", expected="semcheck(model, x) or semcheck(x=..., loss=..., encode=..., ...)")
    x = plain(x).astype(np.float64)
    if x.ndim < 2 or len(x) < 2 or not x.size or not np.isfinite(x).all():
        raise ArgumentError("semcheck: the data.", expected="x (N, ...) with two examples or more, all finite", got=f"shape {x.shape}")
    if model is not None and functions:
        raise ArgumentError("semcheck: a model, or functions, not both.", got=f"a {type(model).__name__} and {', '.join(functions)}")
    if model is not None and getattr(model, "likelihood", None) is None and hasattr(model, "reconstruct"):
        return Semantics(check_autoencoder(model, x), type(model).__name__)
    for attribute, check in (("walk", check_hierarchy), ("indices", check_quantised)):
        if hasattr(model, attribute):
            return Semantics(check(model, x, seed), type(model).__name__)
    subject = subject_of_functions(beta=beta, **functions) if model is None else subject_of_model(model, beta)
    with np.errstate(all="ignore"):  # what is not finite is a row that fails
        bench = Bench(subject, x, seed)
        rows = [row for name, check in BATTERY.items() for row in bench.within(0, partial(rows_of, name, check, bench))]
    return Semantics(rows, subject.name)


def rows_of(name, check, bench):
    """The rows of one check; what cannot be tested is a row as well."""
    rows = []
    try:
        rows.extend(check(bench))
    except Untestable as reason:
        rows.append(untested(name, f"{reason}."))
    return rows


def assert_semantics(*args, **settings):
    """semcheck for a test: the table, or a SemanticsError (an AssertionError) with the rows that failed."""
    return semcheck(*args, **settings).require()
