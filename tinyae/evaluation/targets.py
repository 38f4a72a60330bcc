"""What the mutation engine tries beside the operations: distributions, models and metrics, and the checks that must notice."""

import contextlib
import inspect
import math
from functools import partial

import numpy as np

from tinyae.autograd import Tensor, grad, raw
from tinyae.backend import Rng, rng
from tinyae.checks.gradcheck import gradcheck
from tinyae.checks.mutants import Target, functions_of
from tinyae.checks.semcheck import assert_distribution, assert_semantics
from tinyae.data import Dataset
from tinyae.distributions import (
    Normal,
    StandardNormal,
    bernoulli,
    categorical,
    continuous_bernoulli,
    discretised_logistic,
    distribution,
    divergence,
    kl_divergence,
    laplace,
    mixture,
    normal,
    uniform,
)
from tinyae.errors import ArgumentError, DataError
from tinyae.evaluation import terms
from tinyae.models import ELBO, Autoencoder, autoencoder, build, objective, parts, vae

SMALL = {"features": 6, "latent": 3, "hidden": (5, 4), "activation": "tanh"}
MODELS = [{"likelihood": "bernoulli"}, {"likelihood": "gaussian", "variance": 0.3}]
IMAGES = np.random.default_rng(0).binomial(1, 0.5, (50, 6)).astype(np.float64)


def targets():
    """A Target for each function and method of the rooms distributions, models and evaluation; text for people is left out."""
    modules = (distribution, divergence, *DISTRIBUTIONS, parts, objective, autoencoder, vae, terms)
    found = [(module, function) for module in modules for function in functions_of(module) if not told(function.__name__)]
    fewer = {terms: ("identities",)}  # the others never run this code
    checks = {module: {name: CHECKS[name] for name in fewer.get(module, CHECKS)} for module in modules} | distribution_checks()
    return [Target(f"{module.__name__.rpartition('.')[2]}.{function.__qualname__}", function, checks[module]) for module, function in found]


def told(name):
    """Whether a function of this name only writes text, or only refuses bad input."""
    return name == "__repr__" or name.startswith("check_")


def model_of(settings, dtype="float64"):
    """A small VAE with these settings, always the same."""
    return vae.VAE(**SMALL, **settings, rng=rng(0)).astype(dtype)


def same(found, expected):
    """Raise AssertionError unless two arrays or Tensors agree."""
    found, expected = (x.data if isinstance(x, Tensor) else x for x in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


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
    log_likelihood, q = numbers(4, 50), model_of({}).encode(IMAGES)
    each = (raw(q.mean) ** 2 + np.exp(raw(q.log_variance)) - raw(q.log_variance) - 1) / 2
    kl, low = each.sum(axis=1).mean(), np.median(each.mean(axis=0))
    for given, counted in (
        ({}, kl),
        ({"beta": 0.0}, 0.0),
        ({"beta": 0.3}, 0.3 * kl),
        ({"beta": 5, "capacity": 2 * kl}, 5 * kl),
        ({"capacity": 0.0}, kl),
        ({"beta": 2.0, "free_bits": low}, 2 * np.maximum(each.mean(axis=0), low).sum()),
    ):
        terms = ELBO(**given)(Tensor(log_likelihood), q, StandardNormal())
        same(terms.loss, counted - log_likelihood.mean())
        same([terms.reconstruction.data, terms.kl.data, terms.negative_elbo.data], [-log_likelihood.mean(), kl, kl - log_likelihood.mean()])


def check_gradients_of_objective():
    """The gradients of what is minimised, where it is no weighted sum, are derivatives."""
    for given in ({"beta": 2.0, "capacity": 0.1}, {"free_bits": 0.04}):
        model = model_of({})
        model.objective = ELBO(**given)
        gradcheck(model, IMAGES[:3])


def check_config():
    """What a model says of itself names every setting, and builds it again; the weights come from the given stream."""
    for kind, settings in [(Autoencoder, {}), *((vae.VAE, settings) for settings in MODELS)]:
        given = SMALL | {"hidden": [np.int64(5), np.int64(4)], "features": np.int64(6), "latent": np.int64(3)} | settings
        model, default, other = kind(**given, rng=rng(0)), kind(**given), kind(**given, rng=rng(1))
        assert {name: model.config[name] for name in SMALL | settings} == SMALL | settings
        assert set(model.config) == {"model", *inspect.signature(kind).parameters} - {"rng"}
        assert all(type(n) is int for n in (model.config["features"], model.config["latent"], *model.config["hidden"]))
        assert (model.features, model.latent) == (6, 3)
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


def refused(function, *args, **settings):
    """Raise AssertionError unless a call raises DataError."""
    try:
        function(*args, **settings)
    except DataError:
        return
    raise AssertionError("values outside the support were taken")


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


def numbers(*shape, low=-1.0, high=1.5):
    """Different numbers between low and high, in no order."""
    return np.random.default_rng(0).permutation(np.linspace(low, high, math.prod(shape))).reshape(shape)


# module -> (distribution, its parameters, those of another one for their divergence), in float64, one feature or few.
DISTRIBUTIONS = {
    normal: [(Normal, [numbers(2, 2, 1), numbers(2, 2, 1, high=0.4)], [numbers(2, 1), numbers(1, low=0.3)]), (Normal, [numbers(3, 1), 0.4], None)],
    bernoulli: [(bernoulli.Bernoulli, [2 * numbers(2, 2, 3)], [numbers(2, 3)])],
    continuous_bernoulli: [(continuous_bernoulli.ContinuousBernoulli, [size * numbers(2, 2, 1)], [numbers(2, 1)]) for size in (9.0, 4e-3)],
    categorical: [
        (categorical.Categorical, [2 * numbers(2, 2, 3)], [numbers(2, 3)]),
        (categorical.Concrete, [numbers(3), 0.7], None),
        (categorical.Concrete, [numbers(3, 2, 2), 1.6], None),
    ],
    laplace: [
        (laplace.Laplace, [numbers(2, 2, 1), numbers(2, 2, 1, high=0.4)], [numbers(2, 1), numbers(1, low=0.3)]),
        (laplace.Laplace, [numbers(2, 2, 1), 0.4], None),
    ],
    uniform: [
        (uniform.Uniform, [numbers(2, 2, 1), numbers(2, 2, 1) + 1.7], other)
        for other in ([-4.0, numbers(1) + 7.0], [numbers(1) + 1.0, 9.0], [-9.0, numbers(1) + 1.5], None)
    ],
    mixture: [
        (lambda a, b, c: mixture.Mixture(a, Normal(b, c)), [numbers(2, 2, 3), numbers(2, 2, 3, 1), numbers(3, 1) - 1.5], None),
        (lambda a, c: mixture.Mixture(a, Normal(0.3, c)), [numbers(3), numbers(3, 2)], None),
    ],
    discretised_logistic: [
        (discretised_logistic.DiscretisedLogistic, [numbers(2, 2, 1), numbers(2, 2, 1) - 2.0], None),
        (discretised_logistic.DiscretisedLogistic, [numbers(2, 2, 1), -6.0], None),
        (discretised_logistic.DiscretisedLogisticMixture, [2 * numbers(2, 2, 1, 3), numbers(2, 2, 1, 3), numbers(2, 2, 1, 3) - 2.0], None),
    ],
}


def distribution_checks():
    """module -> its checks: semcheck and gradcheck of its own distributions; of all of them for what they share."""
    found = {}
    for module, instances in DISTRIBUTIONS.items():
        semantic = [partial(check_distribution, *instance, dtype) for instance in instances for dtype in (np.float64, np.float32)]
        found[module] = {"semcheck": semantic, "gradcheck": [partial(check_distribution_gradients, *instance) for instance in instances]}
    found[categorical]["semcheck"].append(check_straight_through)
    found[continuous_bernoulli]["semcheck"].append(check_near_zero)
    found[uniform]["semcheck"].append(check_ends)
    found[normal]["semcheck"].append(check_divergences)
    everything = {name: [check for checks in found.values() for check in checks[name]] for name in ("semcheck", "gradcheck")}
    everything["semcheck"] = [check_divergences, *everything["semcheck"]]
    return found | {distribution: everything, divergence: everything}


def check_distribution(kind, given, other, dtype):
    """What it says of itself and its divergences are those of its density; it keeps its parameters, Tensors or numbers."""
    given, other = ([as_tensor(value, dtype) for value in values or []] for values in (given, other))
    q = kind(*given)
    held = [part for part in q.parameters if part != "components"]
    held = [getattr(q, name) for name in held] + [getattr(q.components, name) for name in getattr(getattr(q, "components", None), "parameters", ())]
    for value, expected in zip(*([raw(v).ravel() for v in values if isinstance(v, Tensor)] for values in (held, given)), strict=True):
        same(value, expected)
    drawn = q.sample(rng(0))
    assert drawn.shape == q.shape
    assert not isinstance(getattr(type(q), "mean", None), property) or q.mean.shape == q.shape
    assert isinstance(drawn, Tensor) == hasattr(q, "rsample")  # others have no gradient
    others = [kind(*other)] + [StandardNormal()] * (kind is Normal) if other else []
    assert_distribution(q, others=others, kl=kl_divergence, draws=50_000)


def as_tensor(value, dtype):
    """A parameter as a Tensor of this dtype, one number as it is."""
    return Tensor(value.astype(dtype)) if isinstance(value, np.ndarray) else value


def check_distribution_gradients(kind, given, other):
    """log_prob, rsample, mean, entropy and a finite divergence have the right gradients in the parameters."""
    given, other = ([value.copy() if isinstance(value, np.ndarray) else value for value in values or []] for values in (given, other))
    x, leaves = kind(*given).sample(rng(0)), [value for value in given + other if isinstance(value, np.ndarray)]

    def everything(*tensors):
        tensors = iter(tensors)
        q, *p = (kind(*(next(tensors) if isinstance(value, np.ndarray) else value for value in values)) for values in (given, other) if values)
        found = [q.log_prob(x)]
        if not isinstance(q.support, list) or len(q.support) == 2:  # those of 256 levels are sums of as many of the first
            found += [getattr(q, "mean", 0.0), q.entropy() if hasattr(q, "entropy") else 0.0]
        found += [q.rsample(q.draw_noise(rng(1)))] if hasattr(q, "rsample") else []
        found += [y for y in (kl_divergence(q, one) for one in p) if np.isfinite(y.data).all()]
        return sum(((i + y) ** 2).sum() for i, y in enumerate(found) if isinstance(y, Tensor))

    gradcheck(everything, leaves)


def check_straight_through():
    """A hard draw of a Concrete is the corner nearest to the soft one, and its gradient the soft one's; the corners are a Categorical's."""
    logits, drawn = numbers(2, 4), []
    for hard in (False, True):
        leaf = Tensor(logits, requires_grad=True)
        q = categorical.Concrete(leaf, 0.7)
        drawn.append(q.rsample(q.draw_noise(rng(0)), hard=hard))
        drawn.append(grad(drawn[-1], [leaf], numbers(2, 4, high=3.0))[0])
    soft, slope, hard, same_slope = drawn
    same(hard, soft.data == soft.data.max(axis=-1, keepdims=True))
    same(slope, same_slope)
    same(hard, categorical.Categorical(logits).sample(rng(0)))


def check_near_zero():
    """A continuous Bernoulli's draw is the inverse of its distribution function, to 8 digits near logits 0, where nothing is 0 / 0."""
    a, u = np.array([-5.0, -9e-3, -4e-3, 3e-3, 9e-3, 5.0]), np.array([[0.1], [0.6], [0.9]])
    q = continuous_bernoulli.ContinuousBernoulli(a)
    np.testing.assert_allclose(np.expm1(a * q.rsample(u)) / np.expm1(a), np.broadcast_to(u, (3, 6)), rtol=3e-8)
    np.testing.assert_allclose([one.log_prob(np.zeros(1)) for one in map(type(q), a[:, None])], -np.log(np.expm1(a) / a), rtol=0, atol=1e-9)
    leaf = Tensor(np.zeros(1), requires_grad=True)
    q = continuous_bernoulli.ContinuousBernoulli(leaf)
    for y in (q.mean, q.rsample(np.full(1, 0.3)), q.log_prob(np.full(1, 0.3)), q.entropy()):
        assert np.isfinite(grad(y.sum(), [leaf])[0].data).all()


def check_ends():
    """Both ends of an interval belong to it, and numbers alone widen no dtype."""
    q = uniform.Uniform(numbers(1), 2.0)
    assert np.isfinite(q.log_prob(np.array([[-1.0], [2.0]]))).all()
    assert kl_divergence(q, q) == 0
    assert uniform.Uniform(0.0, 1.0).log_prob(np.full(2, 0.5, np.float32)).dtype == np.float32


def check_divergences():
    """Estimates agree with closed forms, which are found for subclasses too; noise has no end at which its logarithm is infinite."""
    q, p = Normal(numbers(3, 2), numbers(3, 2, high=0.5)), StandardNormal()
    tensors = Normal(Tensor(numbers(3, 2)), 0.5), Normal(Tensor(numbers(2)), 0.3)
    for one, other in ((q, p), (p, Normal(numbers(2), 0.3)), tensors, (bernoulli.Bernoulli(numbers(2, 3)), bernoulli.Bernoulli(numbers(3)))):
        mean, error = kl_divergence(one, other, samples=4000, rng=rng(0))
        exact = raw(kl_divergence(Normal(np.zeros(2), 0.0) if one is p else one, other))
        assert mean.shape == error.shape == exact.shape
        assert (np.abs(mean - exact) < 5 * error).all()
        x = one.sample(rng(0), (4000, *(() if one.shape else (2,))))
        ratio = raw(one.log_prob(x) - other.log_prob(x))
        same(error, ratio.std(axis=0, ddof=1) / 4000**0.5)
    same(kl_divergence(q, p, rng=rng(0)), kl_divergence(q, p))
    same(q.standard_deviation, np.exp(q.log_variance / 2))
    for one, other in ((q, laplace.Laplace(q.mean, 0.0)), (laplace.Laplace(q.mean, 0.0), q)):
        with contextlib.suppress(ArgumentError):
            kl_divergence(one, other)
            raise AssertionError("no closed form is known")
    assert kl_divergence(uniform.Uniform(np.zeros(1), 2.0), uniform.Uniform(0.0, 1.0), samples=100, rng=rng(0)).mean == np.inf
    for dtype in (np.float32, np.float64):
        for noise in (distribution.uniform, distribution.laplace, distribution.logistic, distribution.gumbel):
            assert np.isfinite(noise(Lowest(), (2,), dtype)).all()
        assert 0 < distribution.uniform(Lowest(), (), dtype) < np.finfo(dtype).eps / 4
    assert p.sample(rng(0), (3, 2)).dtype == np.float32


class Lowest(Rng):
    """A stream that gives the smallest number it may."""

    def uniform(self, shape, low=0.0, high=1.0, dtype=np.float32):
        """low."""
        return np.full(shape, low, dtype)


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


class Bare:
    """A model whose loss is one Tensor."""

    def loss(self, x):
        """Twice x."""
        return Tensor(2 * x)


IDENTITIES = [check_autoencoder, check_objective, check_config, check_rows, check_means]
IDENTITIES += [partial(check, settings) for settings in MODELS for check in (check_parts, check_sizes_and_types)]
CHECKS = {
    "semcheck": [*(partial(check_meaning, settings) for settings in MODELS), check_meaning_of_autoencoder],
    "gradcheck": [*(partial(check_gradients, kind) for kind in (vae.VAE, Autoencoder)), check_gradients_of_objective],
    "identities": IDENTITIES,
}
