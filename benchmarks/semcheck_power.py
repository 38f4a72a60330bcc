"""What semcheck finds, and whom it accuses: eight classic errors, the right models, and the smallest errors that it sees.

    OPENBLAS_NUM_THREADS=1 python benchmarks/semcheck_power.py --write      # about ten minutes on one core

The VAE is 64-64-2-64-64 with 120 binary images.  Seeds change the weights, the images and the draws of semcheck.
"""

import argparse
import pathlib
import statistics
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "checks")]

import vae_bugs  # noqa: E402

import tinyae as ta  # noqa: E402
from tinyae import distributions as d  # noqa: E402
from tinyae.checks import gradcheck, semcheck, semcheck_distribution  # noqa: E402

TABLE = pathlib.Path(__file__).with_suffix(".md")
FACTORS = 1e-6, 1e-4, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2


def of_model(bug, seed):
    """semcheck of a model with a bug."""
    return semcheck(vae_bugs.model(bug, seed=seed), vae_bugs.binary_images(seed=2 * seed), seed=seed)


def of_functions(bug, seed, **settings):
    """semcheck of NumPy functions with a bug: the loss, encode, decode and the likelihood's name are all there is."""
    return semcheck(x=vae_bugs.binary_images(seed=2 * seed), seed=seed, **vae_bugs.functions(bug, seed=seed, **settings))


def of_drawing_functions(bug, seed):
    """The same, with a loss(x) that draws its own noise."""
    return of_functions(bug, seed, own_noise=True)


def of_gaussian_model(bug, seed):
    """semcheck of a model with a Gaussian likelihood."""
    x = np.random.default_rng(seed).normal(size=(120, 64))
    return semcheck(vae_bugs.model(bug, seed=seed, likelihood="gaussian", latent=3, activation="tanh"), x, seed=seed)


def slope_error(bug):
    """The worst relative error of the gradient, by gradcheck, for a small model with the bug."""
    model = vae_bugs.model(bug, features=6, latent=3, hidden=(5,), activation="tanh").astype("float64")
    x, noise = vae_bugs.binary_images(4, 6).astype(float), ta.rng(2).normal((4, 3), np.float64)
    return gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst


def errors_found(seeds):
    """Lines: for each bug, the error of its gradient, how often it is found, and the checks that find it most often."""
    yield f"| error | gradcheck: relative error | model: found | functions: found | what fails (model, of {seeds}) |"
    yield "|---|---|---|---|---|"
    for bug in vae_bugs.BUGS:
        models, functions = ([of(bug, seed) for seed in range(seeds)] for of in (of_model, of_functions))
        names = [row.check for result in models for row in result.failures if "noise" not in row.check]
        often = sorted(set(names), key=lambda name: (-names.count(name), name))[:5]
        found = " | ".join(f"{sum(not result.passed for result in results)} of {seeds}" for results in (models, functions))
        yield f"| {bug} | {slope_error(bug):.0e} | {found} | {', '.join(f'{name} {names.count(name)}' for name in often)} |"


def false_alarms(seeds):
    """Lines: how often a right loss is accused, the largest score as a share of its limit, and the seconds of a table."""
    yield "| right loss | tables | accused | largest score / limit | seconds a table, median (longest) |"
    yield "|---|---|---|---|---|"
    subjects = {
        "model, Bernoulli": of_model,
        "functions": of_functions,
        "model, Gaussian": of_gaussian_model,
        "functions, own noise": of_drawing_functions,
    }
    for name, of in subjects.items():
        shares, seconds, accused = [], [], 0
        count = seeds if of in (of_model, of_functions) else max(2, seeds // 4)
        for seed in range(count):
            start = time.perf_counter()
            result = of(None, seed)
            seconds.append(time.perf_counter() - start)
            accused += not result.passed
            shares += [abs(row.statistic) / row.limit for row in result if row.quantity == "z"]
        yield f"| {name} | {count} | {accused} | {max(shares):.2f} | {statistics.median(seconds):.2f} ({max(seconds):.2f}) |"


def distributions_of(seed):
    """(a distribution, another of its kind whose divergence has a closed form, or None), one of each kind with parameters by chance."""
    a, uniform = np.random.default_rng(seed).normal, np.random.default_rng(seed).uniform
    for kind, make in {
        d.Normal: lambda: d.Normal(a(size=(3, 2)), a(size=(3, 2))),
        d.Laplace: lambda: d.Laplace(a(size=(3, 2)), a(size=(3, 2))),
        d.Bernoulli: lambda: d.Bernoulli(2 * a(size=(3, 2))),
        d.ContinuousBernoulli: lambda: d.ContinuousBernoulli(4 * a(size=(3, 2))),
        d.Categorical: lambda: d.Categorical(a(size=(3, 4))),
        d.Uniform: lambda: d.Uniform(uniform(-2, 0, (3, 2)), uniform(1, 3, (3, 2))),
    }.items():
        yield kind.__name__, make(), make()
    yield "Concrete", d.Concrete(a(size=(3, 3)), uniform(0.3, 2)), None
    yield "DiscretisedLogistic", d.DiscretisedLogistic(a(size=(3, 2)) / 2, a(size=(3, 2)) - 2.5), None
    yield "DiscretisedLogisticMixture", d.DiscretisedLogisticMixture(a(size=(3, 1, 4)), a(size=(3, 1, 4)) / 3, a(size=(3, 1, 4)) - 2), None
    yield "Mixture of Normals", d.Mixture(a(size=(3, 4)), d.Normal(a(size=(3, 4, 2)), a(size=(3, 4, 2)))), None
    yield "Mixture of Bernoullis", d.Mixture(a(size=(2, 3)), d.Bernoulli(2 * a(size=(2, 3, 4)))), None


def false_alarms_of_distributions(seeds):
    """Lines: how often a right distribution is accused, and the largest score as a share of its limit."""
    yield "| right distribution | tables | accused | largest score / limit |"
    yield "|---|---|---|---|"
    found = {}
    for seed in range(seeds):
        for name, q, other in distributions_of(seed):
            others = [] if other is None else [other]
            found.setdefault(name, []).append(semcheck_distribution(q, others=others, kl=ta.distributions.kl_divergence, draws=50_000, seed=seed))
    for name, tables in found.items():
        share = max(abs(row.statistic) / row.limit for table in tables for row in table if row.quantity == "z")
        yield f"| {name} | {len(tables)} | {sum(not table.passed for table in tables)} | {share:.2f} |"


def smallest_found(of, make, sign, seeds):
    """The smallest of the FACTORS that is found with every seed; None if none is."""
    return next((size for size in FACTORS if all(not of(make(1 + sign * size), seed).passed for seed in range(seeds))), None)


def power(seeds):
    """Lines: the smallest relative errors that are found with every seed."""
    yield f"| smallest error found with each of {seeds} seeds | model | functions | functions, own noise |"
    yield "|---|---|---|---|"
    makers = {"KL": vae_bugs.wrong_kl, "standard deviation": vae_bugs.wrong_deviation}
    for (name, make), (word, sign) in ((pair, direction) for pair in makers.items() for direction in (("too large", 1), ("too small", -1))):
        sizes = [smallest_found(of, make, sign, seeds) for of in (of_model, of_functions, of_drawing_functions)]
        yield f"| {name} {word} | " + " | ".join("none" if size is None else f"{100 * size:g} %" for size in sizes) + " |"


def main():
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {TABLE.name}")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the seeds")
    share = 20 if (arguments := parser.parse_args()).quick else 1
    lines = []
    for measure, seeds in ((errors_found, 40), (false_alarms, 200), (false_alarms_of_distributions, 50), (power, 20)):
        for line in measure(max(2, seeds // share)):
            print(line, flush=True)
            lines.append(line)
        lines.append("")
    if arguments.write:
        head = "# What semcheck finds\n\nMade by `OPENBLAS_NUM_THREADS=1 python benchmarks/semcheck_power.py --write`; one core.\n\n"
        notes = "The sizes tried are " + ", ".join(f"{100 * size:g}" for size in FACTORS) + " %. A loss that draws its own noise cannot be compared"
        notes += "\ndraw by draw, so chance has to be averaged out: give it a `noise` argument to see the small errors.\n"
        TABLE.write_text(head + "\n".join(lines) + "\n" + notes)


if __name__ == "__main__":
    main()
