"""The VAE against a mixture of Bernoulli distributions fitted by EM: how likely are test digits of 8x8 binary pixels?"""

import family
import numpy as np

import tinyae as ta
from tinyae.autograd import no_grad, raw
from tinyae.ops.softmax import logsumexp

METRIC, UNIT, LOWER = "-log p(x), by 500 importance samples where it has no closed form; digits, 10 latents, 200 epochs", "nats per example", True
BASELINE = "mixture of Bernoullis by EM, of as many components as a held-out tenth likes best, up to equal parameters"
SAMPLES = 500


def joint(x, p, weight):
    """log weight_k p_k(x), (N, K).  x: (N, D), p: (K, D), the probabilities of a 1."""
    return x @ np.log(p).T + (1 - x) @ np.log1p(-p).T + np.log(weight)


def mixture(x, components, rng, steps=60):
    """(p (K, D), weight (K,)) by EM from random shares, each probability with half a pseudo-count of both values.  Bishop 2006, section 9.3.3."""
    share = rng.dirichlet(np.ones(components), size=len(x))
    for _ in range(steps):
        count = share.sum(axis=0) + 1e-9
        p, weight = (share.T @ x + 0.5) / (count[:, None] + 1), count / count.sum()
        log_joint = joint(x, p, weight)
        share = np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
    return p, weight


def mixture_nats(train, test, most, rng):
    """-log p(x) of the test images, on average, under the best mixture of up to `most` components."""
    fit, held_out = train[: -len(train) // 10], train[-len(train) // 10 :]
    nats = {k: -logsumexp(joint(held_out, *mixture(fit, k, rng)), axis=1).mean() for k in (20, 40, 80, most)}
    return -logsumexp(joint(test, *mixture(train, min(nats, key=nats.get), rng)), axis=1).mean()


def importance_nats(model, x, rng):
    """-log of the mean of the importance weights of each image, on average."""
    with no_grad():
        parts = [raw(model.log_weights(x, model.draw_noise(len(x), rng=rng, draws=(50,)))) for _ in range(SAMPLES // 50)]
    log_weights = np.concatenate(parts).astype(np.float64)
    return float(np.log(SAMPLES) - logsumexp(log_weights, axis=0).mean()), float(-log_weights.mean())


def measure(seed):
    """The numbers of one seed."""
    model, train, test = family.trained("vae", seed, "--latent", 10, "--epochs", 200)
    rng, features = ta.rng(seed).stream("vae benchmark"), test.features
    found, negative_elbo = importance_nats(model, test.take(slice(None), rng), rng)
    images = [data.take(slice(None), rng).astype(np.float64) for data in (train, test)]
    most = sum(p.size for p in model.parameters()) // (features + 1)
    baseline = mixture_nats(*images, most, np.random.default_rng(seed))
    return {"model": found, "baseline": float(baseline), "negative_elbo": negative_elbo}
