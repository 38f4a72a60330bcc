"""The bound and the samples of a VQ-VAE, against sums over all its codes and all images."""

import itertools
import math

import numpy as np

import tinyae as ta
from tinyae.backend import to_numpy
from tinyae.models.code_prior import CodePrior
from tinyae.models.vq_vae import VQVAE


def tiny():
    """Two sites of three codes, eight pixels: everything can be summed."""
    model = VQVAE(8, (2, 4), codes=3, code_width=2, channels=(4,), activation="tanh", prior_hidden=(4,), rng=ta.rng(0)).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(100 + i).normal(p.shape, np.float64) * 0.3)
    codes, images = (np.array(list(itertools.product(range(k), repeat=n))) for k, n in ((3, 2), (2, 8)))
    return model, codes, images.astype(np.float64)


def exact_log_likelihood(model, codes, x):
    """log sum_c p(c) p(x | c), (N,)."""
    log_joint = model.likelihood(model.decode_indices(codes)[:, None]).log_prob(x) + model.prior.log_prob(codes)[:, None]
    return ta.ops.logsumexp(log_joint, axis=0).numpy()


def test_the_negative_elbo_is_a_bound_on_the_exact_log_likelihood_of_a_model_of_all_images():
    model, codes, images = tiny()
    exact = exact_log_likelihood(model, codes, images)
    assert math.isclose(np.exp(exact).sum(), 1, rel_tol=1e-12)
    bound = model.log_weights(images, model.draw_noise(len(images))).numpy()
    assert (bound < exact).all()
    assert math.isclose(-bound.mean(), model.loss(images).negative_elbo.item(), rel_tol=1e-12)


def test_the_bound_is_exact_where_no_other_code_could_have_made_the_image():
    model, codes, images = tiny()
    every = ta.Tensor(np.where(model.decode_indices(codes).numpy() > 0, 60.0, -60.0))
    model.decoder = lambda z: every[(z.swapaxes(1, 2).numpy()[:, None] == book).all((-1, -2)).argmax(1)]
    book = model.codebook.weight.numpy()[codes]
    images = (every.numpy() > 0).astype(float)
    alone = [i for i, image in enumerate(images) if (images == image).all(1).sum() == 1]
    assert alone
    model.encoder = lambda x: ta.Tensor(book[alone].swapaxes(1, 2))
    bound = model.log_weights(images[alone], model.draw_noise(len(alone))).numpy()
    np.testing.assert_allclose(bound, exact_log_likelihood(model, codes, images[alone]), rtol=1e-9)


def test_a_prior_that_counts_half_its_nats_makes_no_distribution_of_the_images(monkeypatch):
    model, codes, images = tiny()
    log_prob = CodePrior.log_prob
    monkeypatch.setattr(CodePrior, "log_prob", lambda self, c: log_prob(self, c) / 2)
    assert not math.isclose(np.exp(exact_log_likelihood(model, codes, images)).sum(), 1, rel_tol=1e-3)


def test_samples_are_the_images_of_codes_drawn_from_the_learned_prior(backend):
    with ta.using("numpy"):
        model, codes, _ = tiny()
        images = model.likelihood(model.decode_indices(codes)).mean.numpy()
        mean, n = np.exp(model.prior.log_prob(codes).numpy()) @ images, 4000
    drawn = to_numpy(model.to(backend).sample(n, rng=ta.rng(0)))
    assert (np.abs(drawn.mean(0) - mean) < 5 * drawn.std(0) / math.sqrt(n) + 1e-12).all()
    assert (np.abs(images.mean(0) - mean) > 5 * drawn.std(0) / math.sqrt(n)).any()
