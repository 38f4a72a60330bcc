"""A model with several levels of latent variables, level by level: its terms against the densities of its own priors and posteriors.

The model is asked for its walk from the top down alone: q and p of a level, given the z above.  All else is worked out again.
"""

import numpy as np

from tinyae.autograd import no_grad
from tinyae.checks.semcheck import oracle
from tinyae.checks.semcheck.bench import SETS, Bench
from tinyae.checks.semcheck.evaluation import check_data, check_evaluation, check_likelihood
from tinyae.checks.semcheck.identities import check_duplication, relative
from tinyae.checks.semcheck.model import Adapter, subject_of_model
from tinyae.checks.semcheck.result import judged
from tinyae.checks.semcheck.subject import parts_of, plain

ROWS = 8


def check_hierarchy(model, x, seed):
    """The rows for a model with walk(draw, evidence), evidence, output, split and levels.  x: (N, D)."""
    adapter, subject = Adapter(model), subject_of_model(model)
    subject.encode, subject.variant = (lambda rows: means_of_levels(adapter, rows)), None
    with np.errstate(all="ignore"):
        bench = Bench(subject, x.reshape(len(x), -1), seed)
        steps = check_data, check_likelihood, check_duplication, check_evaluation
        rows = [row for check in steps for row in bench.within(0, lambda check=check: list(check(bench)))]
        found = [bench.within(k, lambda: Walked(bench, adapter)) for k in range(SETS)]
        return [*rows, *compared(bench, found)]


def means_of_levels(adapter, x):
    """(mean, log_variance) of the posteriors of all levels side by side, (N, J), each given the means above it."""
    model = adapter.model
    with no_grad():
        levels, _ = model.walk(lambda level, q, p: q.mean, model.evidence(adapter.send(x)))
    return tuple(np.concatenate(parts, axis=-1) for parts in zip(*(parts_of(q) for q, _, _ in levels), strict=True))


class Walked:
    """What a hierarchy says of a few rows with some noise, under the weights it has now, and what the densities say."""

    def __init__(self, bench, adapter):
        self.adapter, self.model, self.likelihood = adapter, adapter.model, bench.subject.likelihood
        self.x = bench.rows(ROWS)
        self.noise = bench.noise(len(self.x))
        self.terms = bench.subject.loss(self.x, self.noise)
        self.reconstruction, ratios, self.z = self.densities(self.noise)
        self.kls = [self.closed_kl(level, bench) for level in range(len(ratios))]
        with no_grad():
            x, noise = adapter.send(self.x), adapter.send(self.noise)
            self.level_kls = [plain(kl).mean() for kl in self.model.level_kls(x, noise)]
            self.log_weights, self.weights = plain(self.model.log_weights(x, noise)).mean(), -self.reconstruction - sum(ratios)
            self.generated = plain(self.model.sample(len(x), noise=noise)).reshape(len(x), -1)
            self.prior_shift, self.expected = self.prior_alone(), self.ancestral()

    def walk(self, noise, evidence):
        """The model's walk, with z drawn here: ([(q, p) of each level as NumPy arrays], z, what is decoded); without evidence z is the prior's."""
        noise, seen, zs = self.model.split(noise), [], []

        def draw(level, q, p):
            seen.append((None if q is None else parts_of(q), parts_of(p) if hasattr(p, "mean") else (0.0, 0.0)))
            mean, log_variance = seen[-1][1 if q is None else 0]
            zs.append(oracle.draw(mean, log_variance, noise[level]))
            return self.adapter.send(zs[-1])

        with no_grad():
            _, below = self.model.walk(draw, evidence)
            return seen, zs, plain(self.model.output(below))

    def densities(self, noise):
        """(-log p(x | z), the mean of log q - log p of each level, z) at the draws of this noise."""
        with no_grad():
            evidence = self.model.evidence(self.adapter.send(self.x))
        seen, zs, decoded = self.walk(noise, evidence)
        ratios = []
        for (q, p), z, eps in zip(seen, zs, self.model.split(noise), strict=True):
            log_q, log_p = -0.5 * (q[1] + eps**2), -0.5 * (p[1] + (z - p[0]) ** 2 / np.exp(p[1]))  # the log(2 pi) of both cancel
            ratios.append((log_q - log_p).sum(axis=-1).mean())
        return -self.likelihood.log_prob(decoded, self.x).mean(), ratios, zs

    def closed_kl(self, level, bench):
        """The KL of a level given the draws above it: the mean of log q - log p over four balanced draws of that level alone."""
        width, before = self.model.levels[level], sum(self.model.levels[:level])
        values = []
        for eps in oracle.balanced_noise((len(self.x), width), bench.generator):
            noise = self.noise.copy()
            noise[:, before : before + width] = eps
            values.append(self.densities(noise)[1][level])
        return np.mean(values)

    def prior_alone(self):
        """How far the priors of the walk move when x is not known: with the same z they may not."""
        with no_grad():
            z = [self.adapter.send(part) for part in self.z]
            evidence = self.model.evidence(self.adapter.send(self.x))
            walks = (self.model.walk(lambda level, q, p: z[level], given)[0] for given in (evidence, None))
            pairs = [(parts_of(one[1]), parts_of(other[1])) for one, other in list(zip(*walks, strict=True))[1:]]
        return max((np.abs(a - b).max() for one, other in pairs for a, b in zip(one, other, strict=True)), default=0.0)

    def ancestral(self):
        """The means of p(x | z) with z drawn from the top down, each level from its prior."""
        _, _, decoded = self.walk(self.noise, None)
        return decoded if self.likelihood.mean is None else self.likelihood.mean(decoded)


def compared(bench, found):
    """The rows: each quantity of the model against the oracle's, the worst of all sets of weights."""
    beta = bench.subject.beta
    quantities = {
        "reconstruction": ("E[-log p(x|z)] at the same draws", [(w.terms["reconstruction"], w.reconstruction) for w in found]),
        "kl": ("the sum over levels of log q - log p", [(w.terms["kl"], sum(w.kls)) for w in found]),
        "kl_top": ("log q - log p of the top level", [(w.terms["kl_top"], w.kls[0]) for w in found]),
        "negative_elbo": ("reconstruction + KL", [(w.terms["negative_elbo"], w.reconstruction + sum(w.kls)) for w in found]),
        "loss": (f"reconstruction + {beta:g} KL", [(w.terms["loss"], w.reconstruction + beta * sum(w.kls)) for w in found]),
        "log_weights": ("log p(x, z) - log q(z | x) at the same draws", [(w.log_weights, w.weights) for w in found]),
    }
    for level in range(len(found[0].kls)):
        quantities[f"KL of level {level}"] = "log q - log p, given the z above", [(w.level_kls[level], w.kls[level]) for w in found]
    for name, (title, pairs) in quantities.items():
        value, expected = max(pairs, key=lambda pair: abs(pair[0] - pair[1]) / (1 + abs(pair[1])) if np.isfinite(pair[0]) else np.inf)
        yield relative(bench, name, value, expected, f"It is {title}.", f"It is {{0:.6g}}, where {title} is {{1:.6g}}.")
    moved = max(w.prior_shift for w in found)
    wrong = "The prior of a level is another when x is known: what is sampled is not the model that is trained."
    yield judged("prior", "difference", moved, 1e3 * bench.rounding, "The priors do not depend on x.", wrong)
    apart = max(np.abs(w.generated - w.expected).max() / (1 + np.abs(w.expected).max()) for w in found)
    wrong = "Samples are not decoded from draws of each level's own prior."
    yield judged("generation", "difference", apart, 1e3 * bench.rounding, "Samples are drawn from the top down, each level from its prior.", wrong)
