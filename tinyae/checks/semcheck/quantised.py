"""A vector-quantised model: its codes against the nearest ones, its bound against -log p(x | c) - log p(c)."""

import numpy as np

from tinyae.autograd import no_grad
from tinyae.checks.semcheck.bench import Bench
from tinyae.checks.semcheck.evaluation import check_data, check_likelihood
from tinyae.checks.semcheck.identities import relative, twice
from tinyae.checks.semcheck.model import Adapter
from tinyae.checks.semcheck.result import judged
from tinyae.checks.semcheck.subject import Subject, named, plain


def check_quantised(model, x, seed):
    """The rows for a model with vectors, indices, codebook.weight, decode, prior.log_prob(indices), commitment and loss(x).  x: (N, D)."""
    adapter = Adapter(model)
    subject = Subject(type(model).__name__, likelihood=adapter.likelihood(), log_prob=adapter.log_prob)
    with np.errstate(all="ignore"):
        bench = Bench(subject, x.reshape(len(x), -1), seed)
        bench.rounding = 1e-10 if plain(model.codebook.weight).dtype == np.float64 else 3e-6
        return [*check_data(bench), *check_likelihood(bench), *check_codes(bench, adapter), *check_terms(bench, adapter)]


def distances(vectors, codes):
    """The squared distance of each vector to each code.  vectors: (N, S, W), codes: (K, W).  Returns (N, S, K)."""
    return ((vectors[:, :, None] - codes) ** 2).sum(axis=-1)


def check_codes(bench, adapter):
    """Each vector has its nearest code, and what is decoded are these codes."""
    model, x = adapter.model, adapter.send(bench.rows())
    codes = plain(model.codebook.weight).astype(np.float64)
    with no_grad():
        vectors, indices = plain(model.vectors(x)).astype(np.float64), plain(model.indices(x)).astype(int)
        encoded, shown, decoded = (plain(y) for y in (model.encode(x), model.reconstruct(x), model.decode(model.encode(x))))
    far = distances(vectors, codes)
    chosen = np.take_along_axis(far, indices[..., None], axis=-1)[..., 0]
    right, wrong = "Each vector has the code nearest to it.", "A vector has a code that is not the nearest."
    yield judged("codes", "farther by", (chosen - far.min(axis=-1)).max(), 100 * bench.rounding * (1 + far.max()), right, wrong)
    apart = np.abs(encoded.reshape(vectors.shape) - codes[indices]).max()
    yield judged("encode", "difference", apart, 10 * bench.rounding, "It gives the codes themselves.", "It does not give the chosen codes.")
    if bench.subject.likelihood.mean is not None:
        apart = np.abs(shown.reshape(len(x), -1) - bench.subject.likelihood.mean(decoded)).max()
        right = "It is the mean of p(x | c) at the chosen codes c."
        yield judged("reconstruct", "difference", apart, 1e3 * bench.rounding, right, f"It is not{right[5:]}")


def check_terms(bench, adapter):
    """The terms of the loss against densities and distances, and the loss of the batch twice."""
    model, x = adapter.model, bench.rows()
    sent = adapter.send(x)
    with no_grad():
        terms, again = (named(model.loss(adapter.send(batch))) for batch in twice(x))
        vectors, codes = plain(model.vectors(sent)).astype(np.float64), plain(model.codebook.weight).astype(np.float64)
        decoded, log_prior = plain(model.decode(model.encode(sent))), plain(model.prior.log_prob(model.indices(sent)))
    squared = distances(vectors, codes).min(axis=-1).sum(axis=1).mean()
    reconstruction, kl = -bench.subject.likelihood.log_prob(decoded, x).mean(), -log_prior.mean()
    loss = reconstruction + kl + model.commitment * squared + (squared if model.codebook.method == "loss" else 0.0)
    expected = {
        "reconstruction": (reconstruction, "-log p(x | c) of the chosen codes c"),
        "kl": (kl, "-log p(c) of the chosen codes c"),
        "negative_elbo": (reconstruction + kl, "-log p(x | c) - log p(c)"),
        "codebook": (squared, "the squared distance to the nearest codes, summed over sites and entries"),
        "commitment": (squared, "the squared distance to the nearest codes, summed over sites and entries"),
        "loss": (loss, "the bound and the squared distances, by their weights"),
    }
    for name, (value, title) in expected.items():
        yield relative(bench, name, terms[name], value, f"It is {title}.", f"It is {{0:.6g}}, where {title} is {{1:.6g}}.")
    wrong = "The loss depends on the size of the batch: {0:.6g}, where the batch once has {1:.6g}."
    yield relative(bench, "batch twice", again["loss"], terms["loss"], "The batch twice has the loss of the batch: a mean over examples.", wrong)
