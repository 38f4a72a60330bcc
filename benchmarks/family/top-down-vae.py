"""Six stochastic layers from the top down beside a VAE with two dense hidden layers, as many parameters, and the same training.

active: the layers whose KL is above 0.1 nat.  The comparison on MNIST, with more layers and at equal time, is benchmarks/top_down.py.
"""

import family

METRIC, UNIT, LOWER = "negative ELBO", "nats", True
BASELINE = "vae, 10 latents, two hidden layers of 305, with as many parameters, and the same epochs, warm-up and averaging"


def measure(seed):
    """The bounds of both, means of five draws."""
    import tinyae as ta

    model, _, test = family.trained("top-down-vae", seed)
    options = "--latent 10 --hidden 305 305 --activation relu --epochs 100 --lr 2e-3 --warm-up 25 --average 0.99".split()
    vae, _, _ = family.trained("vae", seed, *options)
    found = {}
    for name, one in {"model": model, "baseline": vae}.items():
        terms = ta.evaluation.evaluate(one, test, rng=ta.rng(seed).stream("test"), draws=5)
        found |= {name: terms["negative_elbo"], f"kl_of_{name}": terms["kl"]}
        found[f"parameters_of_{name}"] = sum(p.size for p in one.parameters())
    x = test.take(slice(0, len(test)), ta.rng(seed).stream("pixels"))
    kls = model.level_kls(x, model.draw_noise(len(x), rng=ta.rng(seed).stream("noise")))
    return found | {"active": sum(kl.data.mean().item() > 0.1 for kl in kls)}
