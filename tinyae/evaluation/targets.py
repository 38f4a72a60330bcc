"""What the mutation engine tries beside the operations: distributions, models and metrics, and the checks that must notice."""

import contextlib
import inspect
from functools import partial

import numpy as np

from tinyae import nn
from tinyae.autograd import Tensor, raw
from tinyae.backend import rng
from tinyae.checks.gradcheck import gradcheck
from tinyae.checks.mutants import Target, functions_of
from tinyae.checks.semcheck import assert_semantics
from tinyae.data import Dataset
from tinyae.distributions import StandardNormal
from tinyae.errors import ArgumentError, DataError
from tinyae.evaluation import terms
from tinyae.evaluation.distribution_targets import distribution_checks, numbers, same
from tinyae.models import ELBO, Autoencoder, autoencoder, build, likelihoods, objective, parts, vae

SMALL = {"features": 6, "latent": 3, "hidden": (5, 4), "activation": "tanh"}
MODELS = [{"likelihood": "bernoulli"}, {"likelihood": "gaussian", "variance": 0.3}]
IMAGES = np.random.default_rng(0).binomial(1, 0.5, (50, 6)).astype(np.float64)


def targets():
    """A Target for each function and method of the rooms distributions, models and evaluation; text for people is left out."""
    own = (parts, likelihoods, objective, autoencoder, vae, terms)
    of_distributions = distribution_checks()
    modules = (*of_distributions, *own)
    found = [(module, function) for module in modules for function in functions_of(module) if not told(function.__name__)]
    fewer = {terms: ("identities",)}  # the others never run this code
    checks = {module: {name: CHECKS[name] for name in fewer.get(module, CHECKS)} for module in own} | of_distributions
    return [Target(f"{module.__name__.rpartition('.')[2]}.{function.__qualname__}", function, checks[module]) for module, function in found]


def told(name):
    """Whether a function of this name only writes text, or only refuses bad input."""
    return name == "__repr__" or name.startswith("check_")


def model_of(settings, dtype="float64"):
    """A small VAE with these settings, always the same."""
    return vae.VAE(**SMALL, **settings, rng=rng(0)).astype(dtype)


def check_meaning(settings):
    """semcheck finds nothing."""
    assert_semantics(model_of(settings), IMAGES)


def check_meaning_of_autoencoder():
    """semcheck finds nothing."""
    assert_semantics(Autoencoder(**SMALL, rng=rng(0)).astype("float64"), IMAGES)


def check_gradients(kind):
    """The gradients of the parameters are derivatives."""
    gradcheck(kind(**SMALL, rng=rng(0)).astype("float64"), IMAGES[:3])


def check_autoencoder():
    """Its loss is the squared error of its reconstruction; images come back in their shape."""
    model, images = Autoencoder(**SMALL, rng=rng(0)).astype("float64"), IMAGES.reshape(50, 2, 3)
    found, again = model.loss(images), model.reconstruct(IMAGES)
    same(found.loss, ((again - IMAGES) ** 2).sum(axis=1).mean())
    same(found.mse, ((again - IMAGES) ** 2).mean())
    same(model.reconstruct(images), again.reshape(50, 2, 3))
    same(model.encode(images), through(model.encoder, IMAGES))
    same(again, through(model.decoder, through(model.encoder, IMAGES)))
    model.code = lambda h: 2 * h  # a variant's
    same(model.encode(images), 2 * through(model.encoder, IMAGES))


def through(network, x):
    """What a network with tanh between its layers makes of x, with NumPy alone."""
    first, *others = [layer for layer in network if hasattr(layer, "weight")]
    x = x @ first.weight.data.T + first.bias.data
    for layer in others:
        x = np.tanh(x) @ layer.weight.data.T + layer.bias.data
    return x


def check_parts(settings):
    """Mean and log-variance are the two halves of the encoder's output; the likelihood has the variance that was asked for."""
    model = model_of(settings)
    h, z = through(model.encoder, IMAGES), np.random.default_rng(1).normal(size=(4, 3))
    q = model.encode(IMAGES.reshape(50, 2, 3))
    same(q.mean, h[:, :3])
    same(q.log_variance, h[:, 3:])
    decoded = through(model.decoder, z)
    same(model.decode(z), decoded)
    variance = settings.get("variance")
    if variance:
        density = -((IMAGES[:4] - decoded) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2
        same(model.likelihood(decoded).log_prob(IMAGES[:4]), density.sum(axis=1))


def check_objective():
    """Weights, a capacity and free bits make of the two terms what their papers say; the bound stays what it was."""
    nll, q = numbers(4, 50), model_of({}).encode(IMAGES)
    each = (raw(q.mean) ** 2 + np.exp(raw(q.log_variance)) - raw(q.log_variance) - 1) / 2
    kl, low = each.sum(axis=1).mean(), np.median(each.mean(axis=0))
    for given, counted in (
        ({}, kl),
        ({"beta": 0.0}, 0.0),
        ({"beta": 0.3}, 0.3 * kl),
        ({"beta": 5, "capacity": 3 * kl}, 10 * kl),
        ({"capacity": 0.0}, kl),
        ({"beta": 2.0, "free_bits": low}, 2 * np.maximum(each.mean(axis=0), low).sum()),
    ):
        terms = ELBO(**given)(Tensor(nll), q, StandardNormal())
        same(terms.loss, counted + nll.mean())
        same([terms.reconstruction.data, terms.kl.data, terms.negative_elbo.data], [nll.mean(), kl, kl + nll.mean()])
    for name in ("beta", "capacity", "free_bits"):
        refused(ELBO, **{name: -1.0}, error=ArgumentError)


def check_gradients_of_objective():
    """The gradients of what is minimised, where it is no weighted sum, are derivatives."""
    for given in ({"beta": 2.0, "capacity": 0.1}, {"free_bits": 0.04}):
        model = model_of({})
        model.objective = ELBO(**given)
        gradcheck(model, IMAGES[:3])


def check_convolutions():
    """Convolutions stand before and after the layers, with weights from the stream in this order; an image shape must fit."""
    shape, given = (1, 4, 8), {"features": 32, "latent": 3, "hidden": (5, 4), "activation": "tanh"}
    for kind, outputs in ((vae.VAE, 6), (Autoencoder, 3)):
        model, stream = kind(**given, channels=[np.int64(2)], image_shape=shape, rng=rng(0)), rng(0)
        encoder = nn.conv_encoder(shape, (2,), (5, 4), outputs, activation="tanh", rng=stream)
        decoder = nn.conv_decoder(3, (5, 4), (2,), shape, activation="tanh", rng=stream)
        x, z = numbers(2, 32, high=1.0).astype(np.float32), numbers(2, 3).astype(np.float32)
        same(model.encoder(x), encoder(x))
        same(model.decoder(z), decoder(z))
        assert (model.config["channels"], model.config["image_shape"], type(model.config["channels"][0])) == ((2,), shape, int)
        same(build(model.config, rng(0)).decoder(z), decoder(z))
        for wrong in (None, (1, 4, 4)):
            refused(kind, **given, channels=(2,), image_shape=wrong, error=ArgumentError)
        refused(kind, **given, channels=(0,), image_shape=shape, error=ArgumentError)
        refused(kind, **given, channels=2, image_shape=shape, error=ArgumentError)


def check_config():
    """What a model says of itself names every setting, and builds it again; the weights come from the given stream."""
    for kind, settings in [(Autoencoder, {}), *((vae.VAE, settings) for settings in MODELS)]:
        given = SMALL | {"hidden": [np.int64(5), np.int64(4)], "features": np.int64(6), "latent": np.int64(3)} | settings
        model, default, other = kind(**given, rng=rng(0)), kind(**given), kind(**given, rng=rng(1))
        assert {name: model.config[name] for name in SMALL | settings} == SMALL | settings
        assert set(model.config) == {"model", *inspect.signature(kind).parameters} - {"rng"}
        assert all(type(n) is int for n in (model.config["features"], model.config["latent"], *model.config["hidden"]))
        assert (model.features, model.latent) == (6, 3)
        widths = [(5, 6), (4, 5), (6 if kind is vae.VAE else 3, 4)]
        assert [p.shape for name, p in model.encoder.named_parameters() if "weight" in name] == widths
        assert [p.shape for name, p in model.decoder.named_parameters() if "weight" in name] == [(4, 3), (5, 4), (6, 5)]
        again = build(model.config, rng(0))
        assert again.config == model.config
        for p, q, r, s in zip(*(m.parameters() for m in (model, again, default, other)), strict=True):
            same(p, q)
            same(p, r)
            assert (p.data != s.data).any()


def check_rows():
    """Any numbers become rows of the model's dtype, a Tensor stays in its graph, and values outside the support are refused."""
    numbers, leaf = np.arange(12).reshape(2, 2, 3), Tensor(IMAGES.reshape(50, 2, 3), requires_grad=True)
    rows = parts.as_rows(numbers, 6, np.float32)
    assert rows.dtype == np.float32
    same(rows, numbers.reshape(2, 6))
    flat = parts.as_rows(leaf, 6, np.float32)
    assert flat.requires_grad
    assert flat.dtype == leaf.dtype
    same(flat, IMAGES)
    assert all(parts.as_rows(x, 6, np.float32) is x for x in (rows, flat))
    for wrong in (leaf, IMAGES):
        refused(parts.as_rows, wrong, 6, np.float64, low=0.5)
        refused(parts.as_rows, wrong, 6, np.float64, high=0.5)
    model = model_of({}, "float32")
    refused(model.loss, 2 * IMAGES, rng=rng(0))
    refused(model.loss, -IMAGES, rng=rng(0))


def refused(function, *args, error=DataError, **settings):
    """Raise AssertionError unless a call raises an error."""
    try:
        function(*args, **settings)
    except error:
        return
    raise AssertionError("values that make no sense were taken")


def check_sizes_and_types(settings):
    """Draws, reconstructions and losses have the shapes and the dtype that are asked for."""
    model = model_of(settings, "float32")
    images = IMAGES.reshape(50, 2, 3).astype(np.float32)
    again, drawn, noise = model.reconstruct(images), model.sample(7, rng=rng(2)), model.draw_noise(7, rng=rng(2))
    assert [(x.shape, x.dtype) for x in (again, drawn, noise)] == [((50, 2, 3), np.float32), ((7, 6), np.float32), ((7, 3), np.float32)]
    same(drawn, model.sample(7, noise=noise))
    both = rng(3).normal((2, 50, 3))
    one_by_one = [model.loss(images, noise=part).loss.data for part in both]
    np.testing.assert_allclose(model.loss(images.astype(np.float64), noise=both).loss.data, np.mean(one_by_one), rtol=1e-5)


def check_means():
    """Means over a data set are those of the losses, whatever the size of the batches; each pass draws noise and pixels of its own."""
    model, plain = model_of({}), Autoencoder(**SMALL, rng=rng(0)).astype("float64")
    grey = Dataset("toy", "test", np.random.default_rng(2).uniform(size=(50, 6)), np.zeros(50, int), (2, 3), 1.0, "dynamic")
    whole, short = (terms.evaluate(model, grey, rng=rng(0), draws=2, batch_size=size) for size in (1000, 17))
    passes = [next(grey.batches(50, rng=rng(0).stream("pixels", draw), shuffle=False)) for draw in range(2)]
    expected = [model.loss(x, rng=rng(0).stream("noise", draw))._asdict() for draw, x in enumerate(passes)]
    for name in expected[0]:
        same(whole[name], np.mean([one[name].data for one in expected]))
        same(short[name], whole[name])
        assert type(whole[name]) is float
    assert whole.keys() == short.keys() == expected[0].keys()
    found = terms.evaluate(plain, IMAGES, rng=rng(0))
    same([found["loss"], found["mse"]], [plain.loss(IMAGES).loss.data, plain.loss(IMAGES).mse.data])
    same(terms.named_loss(Bare())(3.0, None)["loss"], 6.0)


def check_modes():
    """While data are evaluated every module of a model is in evaluation; afterwards each is what it was, even after an error."""
    model = model_of({})
    model.decoder.eval()
    before, within = [module.training for module in model.modules()], []
    with contextlib.suppress(ZeroDivisionError), terms.evaluating(model):
        within += [module.training for module in model.modules()]
        raise ZeroDivisionError
    assert [module.training for module in model.modules()] == before
    assert not any(within)
    assert len(set(before)) == 2
    model.loss = lambda x: Tensor(np.array(float(model.training)))
    assert terms.evaluate(model, IMAGES, rng=rng(0)) == {"loss": 0.0}
    with terms.evaluating(Bare()):
        pass


class Bare:
    """A model whose loss is one Tensor."""

    def loss(self, x):
        """Twice x."""
        return Tensor(2 * x)


IDENTITIES = [check_autoencoder, check_objective, check_convolutions, check_config, check_rows, check_means, check_modes]
IDENTITIES += [partial(check, settings) for settings in MODELS for check in (check_parts, check_sizes_and_types)]
CHECKS = {
    "semcheck": [*(partial(check_meaning, settings) for settings in MODELS), check_meaning_of_autoencoder],
    "gradcheck": [*(partial(check_gradients, kind) for kind in (vae.VAE, Autoencoder)), check_gradients_of_objective],
    "identities": IDENTITIES,
}
