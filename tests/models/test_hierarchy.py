"""What hierarchies share: one noise for all levels, a KL for each, objectives with free bits for each level, and an exact likelihood."""

import math

import numpy as np
import pytest
import small_models
from hypothesis import given
from hypothesis import strategies as st
from small_models import noise_for

import tinyae as ta
from tinyae.distributions import Normal, kl_divergence
from tinyae.errors import ArgumentError, DataError, ShapeError
from tinyae.models.hierarchy import HierarchyELBO
from tinyae.ops.softmax import logsumexp

NAMES = ["two-level-vae", "ladder-vae"]
LEVELS = {"two-level-vae": (2, 3), "ladder-vae": (2, 1, 3)}


def hierarchy(name, seed=0, **settings):
    """A small model in float64, its weights far from their initial values."""
    levels = settings.pop("levels", LEVELS[name])
    given = {"model": name, "features": 6, "levels": levels, "hidden": (5, 4, 3)[: len(levels)], "activation": "tanh"}
    return small_models.moved(ta.models.build(given | settings, ta.rng(seed)).astype("float64"), 1.5, 0.3, seed)


def binary(n, features=6, seed=5):
    return small_models.binary(n, features, seed)


@pytest.fixture(params=NAMES)
def model(request):
    return hierarchy(request.param)


def numbers(terms):
    return {name: term.item() for name, term in terms._asdict().items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", [{}, {"likelihood": "gaussian", "variance": 0.3}, {"activation": "softplus"}])
def test_the_gradient_of_the_whole_loss_is_its_derivative(name, settings, backend):
    model = hierarchy(name, **settings).to(backend)
    x, noise = ta.backend.to_device(binary(4)), noise_for(model, 4)
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_every_part_runs_where_the_model_is(name, backend):
    model = hierarchy(name).to(backend)
    x, noise = ta.backend.to_device(binary(4)), noise_for(model, 3, 4)
    assert model.log_weights(x, noise).shape == (3, 4)
    assert [kl.shape for kl in model.level_kls(x, noise)] == [(4,)] + [(3, 4)] * (len(model.levels) - 1)
    z = model.encode(x)
    assert (z.shape, model.decode(z).shape, model.decode(noise).shape) == ((4, model.latent), (4, 6), (3, 4, 6))
    assert model.reconstruct(x).shape == (4, 6)
    assert model.sample(5, rng=ta.rng(0)).shape == (5, 6)


@given(st.sampled_from(NAMES), st.integers(1, 5), st.integers(2, 3), st.integers(0, 99))
def test_duplicating_the_batch_with_its_noise_changes_neither_terms_nor_gradients(name, n, times, seed):
    model = hierarchy(name, seed)
    x, noise = binary(n, seed=seed), noise_for(model, n, seed=seed)

    def run(x, noise):
        for p in model.parameters():
            p.grad = None
        terms = model.loss(x, noise=noise)
        terms.loss.backward()
        return list(numbers(terms).values()), [p.grad for p in model.parameters()]

    (one, gradients), (two, more) = run(x, noise), run(np.tile(x, (times, 1)), np.tile(noise, (times, 1)))
    np.testing.assert_allclose(one, two, rtol=1e-10)
    for g, h in zip(gradients, more, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-8, atol=1e-11)


def test_each_example_has_its_own_terms_whatever_stands_beside_it(model):
    x, noise = binary(7), noise_for(model, 7)
    together = model.loss(x, noise=noise)
    apart = [numbers(model.loss(x[i : i + 1], noise=noise[i : i + 1])) for i in range(7)]
    for name, value in numbers(together).items():
        assert math.isclose(value, np.mean([terms[name] for terms in apart]), rel_tol=1e-12)


def test_the_mean_over_several_draws_is_the_mean_of_the_losses(model):
    x, noise = binary(6), noise_for(model, 3, 6)
    apart = [numbers(model.loss(x, noise=part)) for part in noise]
    for name, value in numbers(model.loss(x, noise=noise)).items():
        assert math.isclose(value, np.mean([terms[name] for terms in apart]), rel_tol=1e-12)
    together = model.log_weights(x, noise).data
    np.testing.assert_allclose(together, [model.log_weights(x, part).data for part in noise], rtol=1e-10)


def test_tiling_the_pixels_doubles_the_reconstruction_and_leaves_the_kl(model):
    x, noise, name = binary(6), noise_for(model, 6), model.config["model"]
    wide = hierarchy(name, features=12)
    state = model.state_dict()
    last = max(key for key in state if key.startswith("decoder") and key.endswith("weight"))
    state["upward.0.0.weight"] = np.tile(state["upward.0.0.weight"], 2) / 2
    state[last], bias = np.tile(state[last], (2, 1)), last.replace("weight", "bias")
    state[bias] = np.tile(state[bias], 2)
    wide.load_state_dict(state)
    one, two = numbers(model.loss(x, noise=noise)), numbers(wide.loss(np.tile(x, 2), noise=noise))
    assert math.isclose(two["reconstruction"], 2 * one["reconstruction"], rel_tol=1e-12)
    assert math.isclose(two["kl"], one["kl"], rel_tol=1e-12)
    assert math.isclose(two["kl_top"], one["kl_top"], rel_tol=1e-12)


def test_the_terms_are_those_of_the_levels(model):
    x, noise = binary(8), noise_for(model, 8)
    terms, kls = numbers(model.loss(x, noise=noise)), [kl.data.mean() for kl in model.level_kls(x, noise)]
    assert math.isclose(terms["kl"], sum(kls), rel_tol=1e-12)
    assert math.isclose(terms["kl_top"], kls[0], rel_tol=1e-12)
    assert math.isclose(terms["negative_elbo"], terms["reconstruction"] + terms["kl"], rel_tol=1e-12)
    assert terms["loss"] == terms["negative_elbo"]
    assert min(kls) > 0


def test_the_closed_kl_of_each_level_is_that_of_samples(model):
    """log q - log p of a level, at many draws of it, whatever the levels above drew: its mean is the mean of the closed form."""
    x, noise = binary(3), noise_for(model, 20_000, 3)
    levels, _ = model.infer(model.rows(x), noise)
    for (q, p, z), closed in zip(levels, model.level_kls(x, noise), strict=True):
        difference = (q.log_prob(z) - p.log_prob(z) - closed).data
        assert np.all(np.abs(difference.mean(axis=0)) < 5 * difference.std(axis=0) / math.sqrt(len(difference)))


@pytest.mark.parametrize(
    "planted",
    [
        lambda q, p: ((q.mean - p.mean) ** 2 + ta.ops.exp(q.log_variance) - q.log_variance - 1).sum(axis=-1) / 2,  # forgets the prior variance
        lambda q, p: -kl_divergence(q, p),  # the sign
        lambda q, p: kl_divergence(p, q) if p.shape else kl_divergence(q, p),  # the wrong way round
    ],
)
def test_a_wrong_kl_between_two_normals_is_seen_in_samples(planted, model):
    bias = model.priors[-1][2].bias
    bias.assign(bias.data + np.repeat([0.0, 1.5], model.levels[-1]))  # a prior with a variance of its own
    levels, _ = model.infer(model.rows(binary(3)), noise_for(model, 20_000, 3))
    q, p, z = levels[-1]
    difference = (q.log_prob(z) - p.log_prob(z) - planted(q, p)).data
    assert np.max(np.abs(difference.mean(axis=0)) / (difference.std(axis=0) / math.sqrt(len(difference)))) > 8


def test_the_mean_log_weight_is_the_negative_elbo_and_more_draws_tighten_the_bound(model):
    x = binary(10)
    noise = noise_for(model, 6000, 10)
    weights = model.log_weights(x, noise).data
    loss = model.loss(x, noise=noise).negative_elbo.item()
    error = weights.mean(axis=1).std() / math.sqrt(len(weights))
    assert abs(weights.mean() + loss) < 5 * error
    bounds = [(logsumexp(weights.reshape(-1, k, 10), axis=1) - math.log(k)).mean() for k in (1, 5, 50)]
    assert bounds == sorted(bounds)


def test_codes_of_all_levels_stand_in_one_array_the_top_first(model):
    x, noise = binary(4), noise_for(model, 4)
    parts = model.split(noise)
    assert [part.shape[-1] for part in parts] == list(model.levels)
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), noise)
    top = model.posterior_at(0, None, model.prior, model.evidence(model.rows(x)))
    np.testing.assert_array_equal(model.encode(x).data[:, : model.levels[0]], top.mean.data)
    changed = noise.copy()
    changed[:, -1] += 1.0  # the level nearest to the data: no level above it hears of it
    before, after = model.level_kls(x, noise), model.level_kls(x, changed)
    assert all((a.data == b.data).all() for a, b in zip(before, after, strict=True))
    changed[:, 0] += 1.0
    assert not (model.level_kls(x, changed)[-1].data == before[-1].data).any()


def test_reconstructions_take_means_and_no_noise(model):
    x = binary(4)
    np.testing.assert_array_equal(model.reconstruct(x), model.reconstruct(x))
    zero = model.infer(model.rows(x), np.zeros((4, model.latent)))[0]
    np.testing.assert_allclose(model.encode(x).data, np.concatenate([z.data for _, _, z in zero], axis=-1), rtol=1e-12)


def prior_draws(model, n=40_000):
    """Draws of the lowest level as `sample` makes them: they go to the decoder."""
    seen = {}
    decoder, model.decoder = model.decoder, lambda z: seen.setdefault("z", z) @ np.zeros((z.shape[-1], model.features))
    try:
        model.sample(n, noise=noise_for(model, n, seed=7))
    finally:
        model.decoder = decoder
    return seen["z"].data


def moments_fit(model, draws):
    """Whether draws of the lowest level have its prior's mean and covariance, by the levels above drawn with NumPy: in standard errors."""
    generator, z, n = np.random.default_rng(3), None, len(draws)
    for level, width in enumerate(model.levels):
        p = model.prior_at(level, z)
        mean, log_variance = (0.0, 0.0) if level == 0 else (p.mean.data, p.log_variance.data)
        z = mean + np.sqrt(np.exp(log_variance)) * generator.normal(size=(n, width))
    products = [np.concatenate([d, np.einsum("ni,nj->nij", d, d).reshape(n, -1)], axis=1) for d in (draws, z)]
    error = np.sqrt(sum(product.var(axis=0) for product in products) / n)
    return np.max(np.abs(products[0].mean(axis=0) - products[1].mean(axis=0)) / error)


def test_samples_come_from_the_models_own_prior(model, monkeypatch):
    assert moments_fit(model, prior_draws(model)) < 5
    monkeypatch.setattr(Normal, "rsample", lambda p, noise: noise)  # planted: N(0, I) at every level
    assert moments_fit(model, prior_draws(model)) > 8


def test_a_sample_is_what_its_levels_decode_to(model):
    noise = noise_for(model, 5)
    z = [z for _, _, z in model.walk(lambda level, q, p: p.rsample(model.split(noise)[level]))[0]]
    joined = np.concatenate([ta.autograd.raw(part) for part in z], axis=-1)
    np.testing.assert_allclose(model.sample(5, noise=noise), 1 / (1 + np.exp(-model.decode(joined).data)), rtol=1e-12)


@pytest.mark.parametrize(("settings", "counted"), [
    ({}, lambda kls, bits: sum(kls)),
    ({"beta": 0.3}, lambda kls, bits: 0.3 * sum(kls)),
    ({"beta": 5, "capacity": 1.5}, lambda kls, bits: 5 * abs(sum(kls) - 1.5)),
    ({"free_bits": None}, lambda kls, bits: sum(max(kl, bits) for kl in kls)),
    ({"beta": 2, "free_bits": None}, lambda kls, bits: 2 * sum(max(kl, bits) for kl in kls)),
])  # fmt: skip
def test_each_objective_is_its_formula(model, settings, counted):
    x, noise = binary(8), noise_for(model, 8)
    kls = [kl.data.mean() for kl in model.level_kls(x, noise)]
    bits = (min(kls) + max(kls)) / 2  # more than one level has, less than another
    plain = model.loss(x, noise=noise)
    model.objective = HierarchyELBO(**settings | ({"free_bits": bits} if "free_bits" in settings else {}))
    terms = model.loss(x, noise=noise)
    assert terms.negative_elbo.item() == plain.loss.item()
    assert math.isclose(terms.loss.item(), terms.reconstruction.item() + counted(kls, bits), rel_tol=1e-12)
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, model).worst < 1e-6


def test_below_its_free_bits_a_level_has_no_gradient(model):
    x, noise = binary(8), noise_for(model, 8)
    kls = [kl.mean() for kl in model.level_kls(x, noise)]
    counted = HierarchyELBO(free_bits=max(kl.item() for kl in kls) + 1).counted(None, kls)
    assert not any(g.data.any() for g in ta.grad(counted, model.parameters()[:2]))


def test_warm_up_and_free_bits_are_scheduled_by_fit(model):
    model.astype("float32")
    seen = {}
    schedules = {"beta": lambda t: seen.setdefault("beta", 0.25), "free_bits": lambda t: seen.setdefault("free_bits", 0.5)}
    history = ta.fit(model, binary(20).astype(np.float32), epochs=1, batch_size=10, schedules=schedules, progress=False)
    assert seen == {"beta": 0.25, "free_bits": 0.5}
    assert (model.objective.beta, model.objective.free_bits) == (0.25, 0.5)
    assert history["train_loss"][0] < history["train_negative_elbo"][0]
    assert {"train_kl", "train_kl_top"} <= set(history.rows[0])


def test_float32_stays_float32(model):
    model.astype("float32")
    terms = model.loss(binary(3), rng=ta.rng(0))
    terms.loss.backward()
    assert {t.dtype for t in terms} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_a_model_is_built_from_its_configuration(model):
    again = ta.models.build(model.config, ta.rng(4))
    assert again.config == model.config
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    for change in ({"levels": (3, 2, 1)[: len(model.levels)]}, {"hidden": (4, 4, 4)[: len(model.levels)]}, {"likelihood": "gaussian"}):
        other = ta.models.build(model.config | change, ta.rng(4))
        x, noise = binary(3).astype(np.float32), noise_for(again, 3).astype(np.float32)
        if sum(other.levels) == again.latent:
            assert other.loss(x, noise=noise).loss.item() != again.loss(x, noise=noise).loss.item()


def test_one_width_serves_all_levels():
    model = ta.models.LadderVAE(6, (1, 2, 3), hidden=(5,), rng=ta.rng(0))
    assert model.config["hidden"] == (5, 5, 5)
    assert model.widths == (5, 5, 5)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"levels": 3}, "levels: a sequence of widths"),
        ({"levels": ()}, "levels: there must be at least one"),
        ({"levels": (2, 0)}, "levels: a size must be a whole number"),
        ({"hidden": (5, 4, 3, 2)}, r"hidden: one width for each level(.|\n)*2 widths, from the data up, or one for all"),
        ({"hidden": (5, 1.5)}, "hidden: a size"),
        ({"likelihood": "poisson"}, "unknown likelihood"),
        ({"activation": "swish"}, "unknown activation"),
        ({"variance": 0.1}, "only the gaussian"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_settings_out_of_range_are_refused(name, settings, says):
    with pytest.raises(ArgumentError, match=says):
        ta.models.build({"model": name, "features": 6} | settings, ta.rng(0))


def test_wrong_data_and_noise_are_refused(model):
    with pytest.raises(ArgumentError, match="noise is an input"):
        model.loss(binary(3))
    with pytest.raises(ShapeError, match=rf"\(\.\.\., 3, {model.latent}\)"):
        model.log_weights(binary(3), np.zeros((3, model.levels[0])))
    with pytest.raises(DataError, match="outside the support"):
        model.encode(binary(3) + 1)
    with pytest.raises(ShapeError, match=r"expected  \(N, 6\)"):
        model.level_kls(binary(3, features=5), noise_for(model, 3))
