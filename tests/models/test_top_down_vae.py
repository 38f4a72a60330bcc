"""The top-down VAE: its string of layers, its residual posterior, and its bound against densities written with NumPy.

Tiling the pixels, a test of the dense models, does not apply: twice as many pixels are another network of convolutions.
"""

import math

import numpy as np
import pytest
import small_models
from hypothesis import given
from hypothesis import strategies as st
from small_models import noise_for

import tinyae as ta
from tinyae.backend import to_device
from tinyae.distributions import Normal, StandardNormal, kl_divergence
from tinyae.errors import ArgumentError, ShapeError
from tinyae.models import hierarchy, top_down_vae
from tinyae.models.top_down_blocks import between, grow, shrink, stages_of
from tinyae.models.top_down_vae import BOUND, ResidualPosterior

LAYERS = "1x2:3:2,2x1:4:1,4x1:2:1"  # three sizes of a 4x4 image


def model_of(layers=LAYERS, size=4, seed=0, **settings):
    """A small model in float64, its weights far from their initial values."""
    given = {"model": "top-down-vae", "features": size * size, "layers": layers, "image_shape": (size, size), "activation": "tanh"}
    return small_models.moved(ta.models.build(given | settings, ta.rng(seed)).astype("float64"), 1.2, 0.4, seed)


def binary(n, features=16, seed=5):
    return small_models.binary(n, features, seed)


def log_normal(z, mean, log_variance):
    return (-0.5 * (np.log(2 * np.pi) + log_variance + (z - mean) ** 2 / np.exp(log_variance))).sum(-1)


def independent_bound(model, x, draws):
    """(mean, standard error) of the negative ELBO of a model of 1x1 maps and 2x2 images, where a convolution is a matrix: NumPy and densities."""
    generator, weights, x = np.random.default_rng(1), model.state_dict(), np.tile(x, (draws, 1))

    def layer(name, h):
        matrix = weights[f"{name}.weight"]
        return h @ matrix.reshape(len(matrix), -1).T + weights[f"{name}.bias"]

    def bottleneck(name, h):
        for part in ("squeeze", "mix", "expand"):
            h = layer(f"{name}.{part}", np.tanh(h))
        return h

    def mean_and_log_variance(h):
        return np.split(BOUND * np.tanh(h / BOUND), 2, axis=1)

    seen = layer("encoders.0.0.0", x)
    seen = seen + bottleneck("encoders.0.1.module", seen)
    h, total = np.tile(weights["start"].reshape(1, -1), (len(x), 1)), 0.0
    for i in range(len(model.levels)):
        mean, log_variance = mean_and_log_variance(layer(f"blocks.{i}.prior.1", np.tanh(h))) if i else (0.0, 0.0)
        change, log_change = mean_and_log_variance(bottleneck(f"blocks.{i}.posterior", np.concatenate([h, seen], axis=1)))
        z = generator.normal(mean + change, np.sqrt(np.exp(log_variance + log_change)))
        total = total + log_normal(z, mean + change, log_variance + log_change) - log_normal(z, mean, log_variance)
        h = h + layer(f"blocks.{i}.insert", z)
        h = h + bottleneck(f"blocks.{i}.residual", h)
    matrix = weights["growths.0.1.weight"]
    p = 1 / (1 + np.exp(-(np.tanh(h) @ matrix.reshape(len(matrix), -1) + weights["growths.0.1.bias"])))
    total = (total - (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)).reshape(draws, -1).mean(axis=1)
    return total.mean(), total.std() / math.sqrt(draws)


def z_score(seed):
    """How many standard errors the model's loss is from the independent bound."""
    model, x = model_of("1x3:4:2", size=2, seed=seed), binary(12, features=4)
    for block in model.blocks[1:]:
        block.prior[1].bias.assign(block.prior[1].bias.data + 0.8)  # far from N(0, I)
    losses = [model.loss(x, noise=noise_for(model, 100, 12, seed=i)).loss.item() for i in range(40)]
    truth, error = independent_bound(model, x, 4000)
    return abs(np.mean(losses) - truth) / math.hypot(error, np.std(losses) / math.sqrt(len(losses)))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_is_the_negative_elbo_of_an_independent_estimate(seed):
    assert z_score(seed) < 5


def without_the_priors_variance(q, p):
    return ((q.mean - p.mean) ** 2 + ta.ops.exp(q.log_variance) - q.log_variance - 1).sum(axis=-1) / 2


@pytest.mark.parametrize(
    ("place", "name", "planted"),
    [
        (hierarchy, "kl_divergence", lambda q, p: kl_divergence(q, StandardNormal())),
        (hierarchy, "kl_divergence", without_the_priors_variance),
        (hierarchy, "kl_divergence", lambda q, p: -kl_divergence(q, p)),
        (ResidualPosterior, "__call__", lambda self, p, changes: Normal(p.mean + changes[0], changes[1])),
        (ResidualPosterior, "__call__", lambda self, p, changes: Normal(*changes)),
    ],
    ids=["KL against N(0, I)", "prior variance forgotten", "sign", "scale of the prior forgotten", "prior forgotten"],
)
def test_planted_errors_are_seen_by_the_estimate(place, name, planted, monkeypatch):
    monkeypatch.setattr(place, name, planted)
    assert z_score(0) > 8


def test_the_gradient_of_the_whole_loss_is_its_derivative(backend):
    """Of each kind of parameter one, so that it takes no time on the strict device."""
    model, x = model_of("1x2:2:1,4x1:2:1").to(backend), to_device(binary(2))
    noise = noise_for(model, 2)
    kinds = "start", "prior.1.weight", "posterior.mix.bias", "posterior.expand.weight", "insert.bias", "residual.squeeze.weight", "0.0.0.bias"
    some = {name: p for name, p in model.named_parameters() if name.endswith(kinds) and "blocks.0" not in name}
    assert len(some) == 12
    assert ta.checks.gradcheck(lambda: model.loss(x, noise=noise).loss, some).worst < 1e-6


def test_every_part_runs_where_the_model_is(backend):
    model = model_of().to(backend)
    x, noise = to_device(binary(4)), noise_for(model, 3, 4)
    assert model.log_weights(x, noise).shape == (3, 4)
    assert [kl.shape for kl in model.level_kls(x, noise)] == [(4,)] + [(3, 4)] * 3
    z = model.encode(x)
    assert (z.shape, model.decode(z).shape, model.decode(noise).shape) == ((4, 24), (4, 16), (3, 4, 16))
    assert (model.reconstruct(x).shape, model.sample(5, rng=ta.rng(0)).shape) == ((4, 16), (5, 16))


def test_several_draws_are_those_draws_one_by_one():
    model, x = model_of(), binary(4)
    noise = noise_for(model, 3, 4)
    np.testing.assert_allclose(model.log_weights(x, noise).data, [model.log_weights(x, part).data for part in noise], rtol=1e-10)
    apart = np.mean([[term.item() for term in model.loss(x, noise=part)] for part in noise], axis=0)
    np.testing.assert_allclose([term.item() for term in model.loss(x, noise=noise)], apart, rtol=1e-10)


@given(st.integers(1, 4), st.integers(2, 3), st.integers(0, 99))
def test_duplicating_the_batch_with_its_noise_changes_neither_terms_nor_gradients(n, times, seed):
    model = model_of(seed=seed)
    x, noise = binary(n, seed=seed), noise_for(model, n, seed=seed)

    def run(x, noise):
        for p in model.parameters():
            p.grad = None
        terms = model.loss(x, noise=noise)
        terms.loss.backward()
        return [term.item() for term in terms], [p.grad for p in model.parameters()]

    (one, gradients), (two, more) = run(x, noise), run(np.tile(x, (times, 1)), np.tile(noise, (times, 1)))
    np.testing.assert_allclose(one, two, rtol=1e-10)
    for g, h in zip(gradients, more, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-8, atol=1e-10)


def unchanging(model):
    """The model with posteriors that change nothing."""
    for block in model.blocks:
        for p in block.posterior.expand.parameters():
            p.assign(p.data * 0)
    return model


def test_a_posterior_that_changes_nothing_is_the_prior_and_its_kl_exactly_zero(monkeypatch):
    model, x = unchanging(model_of()), binary(5)
    noise = noise_for(model, 5)
    assert all((kl.data == 0).all() for kl in model.level_kls(x, noise))
    levels, _ = model.infer(model.rows(x), noise)
    assert all(np.ptp(p.mean.data) > 0.01 for _, p, _ in levels[1:])  # and the priors are not N(0, I)
    monkeypatch.setattr(ResidualPosterior, "__call__", lambda self, p, changes: Normal(p.mean + changes[0], changes[1]))
    assert max(kl.data.max() for kl in model.level_kls(x, noise)) > 0.01


def test_the_closed_kl_of_each_level_is_that_of_samples():
    model, x = model_of(), binary(3)
    noise = noise_for(model, 4000, 3)
    levels, _ = model.infer(model.rows(x), noise)
    for (q, p, z), closed in zip(levels, model.level_kls(x, noise), strict=True):
        difference = (q.log_prob(z) - p.log_prob(z) - closed).data
        assert np.all(np.abs(difference.mean(axis=0)) < 5 * difference.std(axis=0) / math.sqrt(len(difference)))


def prior_of_last_level(model, n):
    """Mean and standard deviation of the last level's z in samples, after its prior was set to a known one."""
    bias = model.blocks[-1].prior[1].bias
    model.blocks[-1].prior[1].weight.assign(model.blocks[-1].prior[1].weight.data * 0)
    bias.assign(np.array([1.5, -2.0]))
    seen, descend = [], model.descend
    model.descend = lambda level, above, z: seen.append(z) or descend(level, above, z)
    model.sample(n, noise=noise_for(model, n, seed=7))
    last = ta.autograd.raw(seen[-1])
    return last.mean(), last.std()


def test_samples_come_from_the_learned_priors(monkeypatch):
    mean, deviation = BOUND * math.tanh(1.5 / BOUND), math.exp(BOUND * math.tanh(-2 / BOUND) / 2)
    found = prior_of_last_level(model_of(), 1000)
    assert abs(found[0] - mean) < 5 * deviation / math.sqrt(16_000)
    assert abs(found[1] - deviation) < 5 * deviation / math.sqrt(32_000)
    monkeypatch.setattr(top_down_vae.TopDownVAE, "prior_at", lambda self, level, above: StandardNormal())  # planted
    assert abs(prior_of_last_level(model_of(), 1000)[0] - mean) > 1


def test_every_level_is_heard_by_those_below_and_by_the_image():
    model, x = model_of(), binary(4)
    noise = noise_for(model, 4)
    before, image, starts = model.level_kls(x, noise), model.decode(noise).data, np.cumsum([0, *model.levels[:-1]])
    for level, start in enumerate(starts):
        changed = noise.copy()
        changed[:, start] += 1.0
        same = [(a.data == b.data).all() for a, b in zip(before, model.level_kls(x, changed), strict=True)]
        assert same == [i <= level for i in range(len(starts))]
        assert not np.isclose(model.decode(changed).data, image).all()


def test_the_string_lists_size_blocks_channels_and_latent_of_each_stage():
    assert [tuple(stage) for stage in stages_of("1x4:64:8, 4x3:32:2,7x1:16:1", 28)] == [(1, 4, 64, 8), (4, 3, 32, 2), (7, 1, 16, 1)]
    model = model_of("1x2:4:3,7x2:4:1,14x1:3:2", size=28)
    assert model.levels == (3, 3, 49, 49, 392)
    assert model.latent == 496
    assert model.reconstruct(binary(2, 784)).shape == (2, 784)


@pytest.mark.parametrize(
    ("layers", "size", "says"),
    [
        ("1x4", 8, r"a stage cannot be read(.|\n)*SIZExBLOCKS:CHANNELS:LATENT(.|\n)*'1x4'"),
        ("1x4:8:2,", 8, "got +''"),
        ("1x4:8:2 4x1:8:1", 8, "cannot be read"),
        ("1x-1:8:2", 8, "cannot be read"),
        ("1x0:8:2", 8, "are 1 or more"),
        ("4x1:8:2,2x1:8:1", 8, "sizes rise from the top down"),
        ("2x1:8:2,2x1:8:1", 8, "sizes rise"),
        ("1x1:8:2,7x1:8:1", 8, r"images of 8x8 have no maps of 7x7(.|\n)*sizes of 1, 2, 4, 8"),
        ("1x1:8:2,14x1:8:1", 8, "no maps of 14x14"),
        (3, 8, "cannot be read"),
    ],
)
def test_a_bad_string_of_layers_is_one_readable_line(layers, size, says):
    with pytest.raises(ArgumentError, match=says):
        model_of(layers, size)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"image_shape": None}, "square images are needed"),
        ({"image_shape": (2, 8)}, r"square images are needed(.|\n)*of 16 features(.|\n)*\(2, 8\)"),
        ({"image_shape": (3, 3)}, "square images are needed"),
        ({"encoder_blocks": 0}, "encoder_blocks: a size"),
        ({"activation": "swish"}, "unknown activation"),
        ({"likelihood": "poisson"}, "unknown likelihood"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ArgumentError, match=says):
        model_of(**settings)
    with pytest.raises(ShapeError, match=r"expected  \(N, 16\)"):
        model_of().encode(binary(2, features=12))


@pytest.mark.parametrize(("large", "small"), [(28, 7), (28, 1), (7, 4), (9, 3), (8, 8), (5, 1), (3, 2), (1, 1)])
def test_maps_shrink_and_grow_to_the_size_asked_for(large, small):
    x = ta.rng(0).normal((2, 3, large, large))
    shrunk = shrink((3, large), (4, small), "relu", ta.rng(0))(x)
    assert shrunk.shape == (2, 4, small, small)
    assert grow((4, small), (3, large), "relu", ta.rng(0))(shrunk).shape == x.shape
    assert [pair[0] for pair in between(large, small)[:1]] == ([large] if large > small else [])


def test_maps_keep_their_size_in_numbers_through_a_fresh_network():
    x = ta.rng(0).normal((200, 8, 7, 7))
    for change in (shrink((8, 7), (32, 1), "relu", ta.rng(0)), grow((8, 7), (8, 28), "relu", ta.rng(0))):
        assert 0.5 < change(x).data.std() < 2.0


def test_a_model_is_built_from_its_configuration_and_grows_by_it_alone():
    model = model_of("1x1:4:2,4x1:4:1")
    again = ta.models.build(model.config, ta.rng(0))
    assert again.config == model.config
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    for layers, levels in {"1x5:4:2,4x1:4:1": 6, "1x1:4:2,2x3:5:2,4x2:4:1": 6}.items():
        assert len(ta.models.build(model.config | {"layers": layers}, ta.rng(0)).levels) == levels


def test_each_setting_changes_the_loss_and_float32_stays_float32():
    x = binary(3).astype(np.float32)

    def loss(**settings):
        model = ta.models.build(model_of().config | settings, ta.rng(0))
        terms = model.loss(x, noise=noise_for(model, 3).astype(np.float32))
        terms.loss.backward()
        assert {t.dtype for t in terms} | {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
        return terms.loss.item()

    changes = [{}, {"layers": LAYERS.replace("4:1", "5:1")}, {"activation": "relu"}, {"likelihood": "gaussian"}, {"encoder_blocks": 2}]
    assert len({loss(**change) for change in changes}) == len(changes)


def test_colour_images_and_images_of_odd_size():
    model = ta.models.TopDownVAE(75, "1x1:4:2,3x1:4:1", image_shape=(3, 5, 5), rng=ta.rng(0))
    assert model.loss(binary(2, 75), rng=ta.rng(0)).loss.shape == ()
    assert model.sample(2, rng=ta.rng(0)).shape == (2, 75)
