"""The VQ-VAE: where each gradient goes, codes and prior against exact sums, moving averages against their recursion, classic bugs planted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.backend import to_device, to_numpy
from tinyae.checks import fake_device
from tinyae.errors import ArgumentError, DataError, ShapeError
from tinyae.evaluation.features import perplexity
from tinyae.models.codebook import Codebook
from tinyae.models.vq_vae import VQVAE
from tinyae.ops import square, take
from tinyae.training import Run

SETTINGS = {"image_shape": (4, 6), "codes": 5, "code_width": 3, "channels": (4,), "activation": "tanh", "prior_hidden": (7,), "codebook": "loss"}


def vq(seed=0, **settings):
    """A small VQ-VAE of 2 x 3 sites in float64, its weights far from their initial values."""
    settings = SETTINGS | settings
    model = VQVAE(math.prod(settings["image_shape"]), **settings, rng=ta.rng(seed)).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * 2 + ta.rng(seed + 100 + i).normal(p.shape, np.float64) * 0.3)
    return model


def binary(n, features=24, seed=5):
    return ta.rng(seed).bernoulli(np.full((n, features), 0.4))


def gradients(model, value):
    """name -> gradient of `value` (0 where there is none)."""
    for p in model.parameters():
        p.grad = None
    value.backward()
    return {name: np.zeros(p.shape) if p.grad is None else to_numpy(p.grad).copy() for name, p in model.named_parameters()}


def reached(model, value):
    """The parts of the model that get a gradient of `value`."""
    return {name.split(".")[0] for name, g in gradients(model, value).items() if g.any()}


def distances(model, x):
    """sum over sites of |z_e - e|^2, mean over the batch, in plain NumPy."""
    z_e, e = model.vectors(x).numpy(), model.codebook.weight.numpy()
    return ((z_e[:, :, None] - e) ** 2).sum(-1).min(-1).sum(-1).mean()


# where the gradients go


@pytest.mark.parametrize("method", ["loss", "ema"])
def test_each_term_has_gradient_to_its_own_parts_only(method, backend):
    model, x = vq(codebook=method).to(backend), to_device(binary(6))
    learned = {"codebook"} if method == "loss" else set()
    assert reached(model, model.loss(x).commitment) == {"encoder"}
    assert reached(model, model.loss(x).reconstruction) == {"encoder", "decoder"}
    assert reached(model, model.loss(x).kl) == {"prior"}
    assert reached(model, model.loss(x).loss) == {"encoder", "decoder", "prior"} | learned
    if learned:
        assert reached(model, model.loss(x).codebook) == learned


@pytest.mark.parametrize("settings", [{"likelihood": "gaussian"}, {"codebook": "ema"}])
def test_the_gradient_of_the_loss_is_the_derivative_where_codes_and_stopped_values_are_frozen(settings, backend):
    """With z_e + c for the quantised code, c = e - z_e a constant, the loss is smooth, and finite differences see its gradient."""
    small = {"image_shape": (2, 4), "codes": 3, "code_width": 2, "channels": (2,), "prior_hidden": (2,)}
    model = vq(**small | settings).to(backend)
    x = to_device(binary(3, model.features))
    z_0, chosen = model.vectors(x).detach(), model.indices(x)
    e_0 = take(model.codebook.weight, chosen, axis=0).detach()

    def frozen():
        z_e, e = model.vectors(x), take(model.codebook.weight, chosen, axis=0)
        decoded = model.decode((z_e + (e_0 - z_0)).reshape(len(x), model.latent))
        bound = -model.likelihood(decoded).log_prob(x).mean() - model.prior.log_prob(chosen).mean()
        codebook = square(z_0 - e).sum(axis=(1, 2)).mean() if model.codebook.method == "loss" else 0.0
        return bound + 0.25 * square(z_e - e_0).sum(axis=(1, 2)).mean() + codebook

    assert ta.checks.gradcheck(frozen, model).worst < 1e-6
    for (name, g), h in zip(gradients(model, model.loss(x).loss).items(), gradients(model, frozen()).values(), strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12, err_msg=name)


# the loss, and four bugs that are out there


def check_terms(model, x):
    """The loss and its terms against plain NumPy: sums over sites and pixels, means over the batch, each coefficient once."""
    terms = {name: value.item() for name, value in model.loss(x)._asdict().items()}
    indices, logits = model.indices(x), model.decode(model.encode(x)).numpy()
    p = 1 / (1 + np.exp(-logits))
    kl = -np.log(ta.ops.softmax(model.prior.logits(indices)).numpy()[np.arange(len(x))[:, None], np.arange(model.sites), indices]).sum(1).mean()
    truth = {"reconstruction": -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1).mean(), "kl": kl}
    truth |= {"codebook": distances(model, x), "commitment": distances(model, x)}
    truth["negative_elbo"] = truth["reconstruction"] + kl
    truth["loss"] = truth["negative_elbo"] + (1 + model.commitment) * distances(model, x)
    for name, value in truth.items():
        assert math.isclose(terms[name], value, rel_tol=1e-9), (name, terms[name], value)


def check_duplication(model, x):
    """The batch twice gives the same terms and gradients."""
    one, two = model.loss(x), model.loss(np.tile(x, (2, 1)))
    np.testing.assert_allclose([t.item() for t in one], [t.item() for t in two], rtol=1e-12)
    for (name, g), h in zip(gradients(model, one.loss).items(), gradients(model, two.loss).values(), strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12, err_msg=name)


def check_codebook_learns(model, x):
    """A step down the gradient of the loss brings the codes nearer to the vectors that chose them."""
    before, z_e, chosen = distances(model, x), model.vectors(x).numpy(), model.indices(x)
    model.codebook.weight.assign(model.codebook.weight.data - 1e-3 * gradients(model, model.loss(x).loss)["codebook.weight"])
    after = ((z_e - model.codebook.weight.numpy()[chosen]) ** 2).sum((1, 2)).mean()
    assert after < before - 1e-6


def check_sites(model):
    """The encoder gives one distinct vector per site: each is quantised as it is, and the decoder is handed it at its own place."""
    height, width = model.grid
    vectors = np.arange(model.latent, dtype=np.float64).reshape(height * width, -1)  # (sites, W)
    grid = np.ascontiguousarray(vectors.T.reshape(1, -1, height, width))
    model.codebook.weight.assign(vectors[::-1].copy())
    seen, decoder = [], model.decoder
    model.encoder, model.decoder = lambda x: ta.Tensor(grid), lambda z: seen.append(z.numpy()) or decoder(z)
    x = binary(1, model.features)
    np.testing.assert_array_equal(model.indices(x), np.arange(model.sites)[::-1][None])
    assert model.loss(x).commitment.item() == 0
    np.testing.assert_array_equal(seen[0].reshape(grid.shape), grid)


def test_the_terms_are_those_of_plain_numpy():
    check_terms(vq(), binary(6))
    model = vq(codebook="ema")
    terms = model.loss(binary(6))
    assert math.isclose(terms.loss.item(), terms.negative_elbo.item() + 0.25 * terms.commitment.item(), rel_tol=1e-12)


@given(st.integers(0, 1000))
def test_duplicating_the_batch_changes_nothing(seed):
    check_duplication(vq(seed), binary(5, seed=seed))


def test_a_step_brings_the_codes_nearer_to_their_vectors():
    check_codebook_learns(vq(), binary(6))


@pytest.mark.parametrize("settings", [{"codes": 6}, {"codes": 2, "channels": (4, 4), "image_shape": (8, 4)}])
def test_each_site_of_the_grid_is_quantised_by_itself(settings):
    check_sites(vq(**settings))


def planted(monkeypatch, change):
    """The codebook's results are changed before the loss sees them."""
    forward = Codebook.forward
    monkeypatch.setattr(Codebook, "forward", lambda self, z_e: change(self, z_e, forward(self, z_e)))


def test_terms_summed_over_the_batch_are_caught_by_duplication_and_by_the_numbers(monkeypatch):
    planted(monkeypatch, lambda book, z, q: q._replace(codebook=q.codebook * len(z), commitment=q.commitment * len(z)))
    with pytest.raises(AssertionError):
        check_duplication(vq(), binary(5))
    with pytest.raises(AssertionError, match="codebook"):
        check_terms(vq(), binary(5))


def test_a_commitment_coefficient_that_counts_twice_is_caught(monkeypatch):
    planted(monkeypatch, lambda book, z, q: q._replace(commitment=0.25 * q.commitment))
    check_duplication(vq(), binary(5))
    with pytest.raises(AssertionError, match="commitment"):
        check_terms(vq(), binary(5))


def test_a_codebook_without_gradient_is_caught(monkeypatch):
    planted(monkeypatch, lambda book, z, q: q._replace(codebook=q.codebook.detach()))
    check_terms(vq(), binary(5))
    with pytest.raises(AssertionError):
        check_codebook_learns(vq(), binary(6))


def test_channels_taken_for_sites_are_caught(monkeypatch):
    """(N, W, height, width) reshaped to (N, S, W): a "code" is then pieces of one channel."""
    monkeypatch.setattr(VQVAE, "vectors", lambda model, x: model.encoder(model.rows(x)).reshape(len(x), model.sites, -1))
    check_duplication(vq(), binary(5))
    with pytest.raises(AssertionError):
        check_sites(vq(codes=6))


def test_a_codebook_term_that_moves_the_encoder_is_caught(monkeypatch):
    def change(book, z_e, q):
        return q._replace(codebook=square(z_e - take(book.weight, q.indices, axis=0)).sum(axis=(1, 2)))

    planted(monkeypatch, change)
    check_terms(vq(), binary(5))
    model = vq()
    assert reached(model, model.loss(binary(5)).codebook) != {"codebook"}


def test_every_setting_of_the_objective_changes_it():
    x, model = binary(6), vq()
    assert vq(commitment=1.0).loss(x).loss.item() > model.loss(x).loss.item()
    assert vq(codebook="ema").loss(x).loss.item() < model.loss(x).loss.item()

    def after(**settings):
        model = vq(codebook="ema", codes=12, **settings)
        for i in range(3):
            model.loss(x)
            model.after_step(ta.rng(i))
        return model.loss(x).loss.item()

    assert len({after(), after(decay=0.5), after(restart=2)}) == 3


# the moving average, and codes that nobody chooses


def test_a_batch_counts_once_and_an_evaluation_not_at_all():
    model, x = vq(codebook="ema"), binary(6)
    before = model.state_dict()
    model.after_step(ta.rng(0))
    model.eval().loss(x)
    model.train().encode(x), model.reconstruct(x), model.indices(x)
    model.after_step(ta.rng(0))
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    model.loss(x)
    model.loss(x)  # a pure function: the second is not added to the first
    model.after_step(ta.rng(0))
    assert math.isclose(model.codebook.counts.data.sum(), 0.99 * 5 + 0.01 * 6 * model.sites, rel_tol=1e-9)
    after = model.state_dict()
    model.after_step(ta.rng(0))
    assert all((after[name] == value).all() for name, value in model.state_dict().items())


def test_perplexity_is_that_of_the_counts_of_a_whole_set_and_not_the_mean_over_batches():
    model, x = vq(), binary(60)
    parts = [np.bincount(model.indices(x[i : i + 5]).ravel(), minlength=5) for i in range(0, 60, 5)]
    assert perplexity(sum(parts)) == perplexity(np.bincount(model.indices(x).ravel(), minlength=5))
    assert np.mean([perplexity(part) for part in parts]) < perplexity(sum(parts)) - 0.01


# the prior, and the weights of the one code


def test_a_new_prior_is_uniform():
    model, x = VQVAE(24, **SETTINGS, rng=ta.rng(0)), binary(6).astype(np.float32)
    terms = model.loss(x)
    assert math.isclose(terms.kl.item(), 6 * math.log(5), rel_tol=1e-6)
    assert math.isclose(terms.negative_elbo.item(), terms.reconstruction.item() + 6 * math.log(5), rel_tol=1e-6)


def test_importance_weights_of_any_number_of_draws_are_the_bound_itself(backend):
    model, x = vq().to(backend), to_device(binary(5))
    noise = model.draw_noise(5, rng=ta.rng(0), draws=(7,))
    assert noise.shape == (7, 5, 0)
    weights = to_numpy(model.log_weights(x, noise).data)
    assert weights.shape == (7, 5)
    assert (weights == weights[0]).all()
    assert math.isclose(-weights[0].mean(), model.loss(x).negative_elbo.item(), rel_tol=1e-12)
    estimate = ta.evaluation.log_likelihood(model, binary(5), samples=20, rng=ta.rng(0))
    assert math.isclose(estimate.nll, model.loss(x).negative_elbo.item(), rel_tol=1e-9)


# training


@pytest.mark.parametrize("method", ["loss", "ema"])
def test_a_training_resumes_to_the_same_bits(method, tmp_path):
    digits = ta.data.load("digits", binarisation="dynamic").rows(slice(0, 300))

    def train(folder, epochs, resume=False):
        model = VQVAE(64, (8, 8), codes=16, code_width=4, channels=(4, 8), codebook=method, decay=0.9, restart=2, rng=ta.rng(0))
        run = Run.open(tmp_path / folder) if resume else Run(tmp_path / folder, "vq-vae", {})
        ta.fit(model, digits, epochs=epochs, batch_size=100, lr=3e-3, run=run, resume=resume, progress=False)
        return model.state_dict()

    whole = train("whole", 3)
    train("parts", 1)
    parts = train("parts", 3, resume=True)
    assert all((whole[name] == value).all() for name, value in parts.items())
    fresh = VQVAE(64, (8, 8), codes=16, code_width=4, channels=(4, 8), rng=ta.rng(0))
    assert (whole["codebook.weight"] != fresh.state_dict()["codebook.weight"]).all(-1).mean() > 0.5


@pytest.mark.parametrize("method", ["loss", "ema"])
def test_a_step_on_a_device_is_that_on_the_host_and_waits_for_nothing(method):
    def step(backend):
        model = VQVAE(24, **SETTINGS | {"codebook": method}, restart=1, rng=ta.rng(0)).to(backend)
        adam, x = ta.optim.Adam(model.parameters()), to_device(binary(6).astype(np.float32))
        before = fake_device.counters.synchronisations
        for i in range(2):
            adam.zero_grad()
            model.loss(x).loss.backward()
            adam.step()
            model.after_step(ta.rng(i))
        return model.state_dict(), fake_device.counters.synchronisations - before

    host, _ = step("numpy")
    with fake_device.installed(), ta.using("fake"):
        device, waited = step("fake")
    assert waited == len(device)  # state_dict, at the end
    for name, value in host.items():
        np.testing.assert_allclose(device[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_float32_stays_float32():
    model, x = VQVAE(24, **SETTINGS | {"codebook": "ema"}, rng=ta.rng(0)), binary(6)
    terms = model.loss(x)
    terms.loss.backward()
    model.after_step(ta.rng(0))
    assert {term.dtype for term in terms} == {np.dtype(np.float32)}
    assert {value.dtype.name for value in model.state_dict().values()} == {"float32", "int64"}
    assert model.sample(3, rng=ta.rng(0)).dtype == model.reconstruct(x.astype(np.float32)).dtype == np.float32


# shapes, configuration, refusals


def test_codes_and_images_have_their_shapes(backend):
    model = VQVAE(2 * 9 * 7, (2, 9, 7), codes=5, code_width=3, channels=(4, 4), prior_hidden=(6,), rng=ta.rng(0)).to(backend)
    x = ta.rng(1).uniform((3, 2, 9, 7))
    assert (model.grid, model.sites, model.latent) == ((2, 1), 2, 6)
    assert model.encode(x).shape == (3, 6)
    assert model.indices(x).shape == (3, 2)
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(4, rng=ta.rng(0)).shape == (4, 126)
    assert model.decode(ta.rng(2).normal((5, 4, 6))).shape == (5, 4, 126)
    np.testing.assert_allclose(to_numpy(model.decode_indices(model.indices(x)).data), to_numpy(model.decode(model.encode(x)).data), atol=1e-6)


def test_it_is_built_again_from_its_configuration():
    more = {"likelihood": "gaussian", "variance": 0.1, "commitment": 0.5, "codebook": "ema", "decay": 0.9, "restart": 0}
    model = VQVAE(24, **SETTINGS | more, rng=ta.rng(0))
    again = ta.models.build(model.config, ta.rng(0))
    assert again.config == model.config
    assert all((again.state_dict()[name] == value).all() for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"codes": 0}, "codes: a size"),
        ({"code_width": 0}, "code_width: a size"),
        ({"image_shape": None}, "VQ-VAE is made of convolutions"),
        ({"image_shape": (5, 5)}, "image shape of 24 features"),
        ({"channels": ()}, "VQ-VAE is made of convolutions"),
        ({"channels": (4, 4, 4)}, "each convolution halves the image"),
        ({"codebook": "kmeans"}, "expected  loss or ema"),
        ({"decay": 1.0}, "0 <= decay < 1"),
        ({"restart": True}, "restart: a number of steps"),
        ({"restart": -1}, "restart: a number of steps"),
        ({"commitment": -0.1}, "commitment: it must be"),
        ({"prior_hidden": 8}, "prior_hidden"),
        ({"prior_hidden": (4,)}, "5 or more in each layer"),
        ({"likelihood": "poisson"}, "unknown likelihood 'poisson'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ArgumentError, match=says):
        VQVAE(24, **SETTINGS | settings, rng=ta.rng(0))


def test_input_that_does_not_fit_is_refused():
    model = VQVAE(24, **SETTINGS, rng=ta.rng(0))
    with pytest.raises(ShapeError, match=r"expected  \(N, 24\)"):
        model.loss(np.zeros((3, 23), np.float32))
    with pytest.raises(DataError, match="outside the support"):
        model.loss(np.full((3, 24), 1.5, np.float32))
    with pytest.raises(ShapeError, match="a vector for each site"):
        model.decode(np.zeros((3, 17), np.float32))
    with pytest.raises(ShapeError, match="width of a vector"):
        model.codebook(np.zeros((3, 6, 4), np.float32))
    with pytest.raises(ShapeError, match="a code for each site"):
        model.prior.log_prob(np.zeros((3, 5), int))
    with pytest.raises(ShapeError, match="a VQ-VAE has none"):
        model.log_weights(np.zeros((3, 24), np.float32), np.zeros((3, 18), np.float32))
    with pytest.raises(ArgumentError, match="noise is an input"):
        model.sample(3)
    with pytest.raises(ShapeError, match=r"expected  \(3, 6\)"):
        model.sample(3, noise=np.zeros((3, 18), np.float32))
    with pytest.raises(ArgumentError, match="n: a size"):
        model.sample(0, rng=ta.rng(0))
