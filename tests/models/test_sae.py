"""Sparse autoencoders: their losses by hand, identities, training, and the errors that others made."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.backend import to_device, to_numpy
from tinyae.errors import ArgumentError, DataError, ShapeError
from tinyae.evaluation.features import best_cosines, explained_variance
from tinyae.models.sae import DEAD_AFTER, unit
from tinyae.training import Run

SETTINGS = {
    "sae": {"penalty": 0.3},
    "top-k-sae": {"k": 3, "aux": 0.5},
    "batch-top-k-sae": {"k": 2, "aux": 0.5},
    "gated-sae": {"penalty": 0.3},
    "jump-relu-sae": {"penalty": 0.3, "bandwidth": 0.5, "threshold": 0.2},
}
PRICES = {"sae": {"penalty"}, "top-k-sae": {"aux"}, "batch-top-k-sae": {"aux"}, "gated-sae": {"penalty", "aux"}, "jump-relu-sae": {"penalty"}}
every_kind = pytest.mark.parametrize("kind", SETTINGS)


def sae(kind="sae", features=6, latent=10, seed=0, **settings):
    """A small model in float64, its weights away from their initial values, its columns of length 1."""
    config = {"model": kind, "features": features, "latent": latent} | SETTINGS[kind] | settings
    model = ta.models.build(config, ta.rng(seed)).astype("float64")
    for i, p in enumerate(model.parameters()):
        p.assign(p.data + ta.rng(seed + 100 + i).normal(p.shape, np.float64) * 0.3)
    model.dictionary.assign(unit(model.dictionary.data))
    return model


def with_dead(model, dead=(1, 4, 7)):
    """The model, these units of which count as dead for the auxiliary loss, not yet as to be revived."""
    idle = np.zeros(model.latent)
    idle[list(dead)] = DEAD_AFTER
    model.idle.assign(to_device(idle))
    return model


def points(n=8, features=6, seed=5):
    return ta.rng(seed).normal((n, features), np.float64)


def gradients(model, loss):
    """Gradients of a loss by the name of the parameter, zeros where it has none."""
    for p in model.parameters():
        p.grad = None
    loss.backward()
    return {name: np.zeros(p.shape) if p.grad is None else to_numpy(p.grad).copy() for name, p in model.named_parameters()}


def by_hand(kind, w, x, settings, idle, constants=None):
    """(reconstruction, prices) in plain NumPy, or on Tensors.  w: weights by name.  constants: what gradients do not pass, at its values."""
    frozen = w if constants is None else constants
    relu = ta.ops.relu if constants is not None else lambda a: np.maximum(a, 0)
    value = lambda t: getattr(t, "data", t) if isinstance(t, ta.Tensor) else t  # noqa: E731
    a = (x - w["bias"]) @ w["encoder.weight"].T + w["encoder.bias"]
    if kind in ("sae", "top-k-sae", "batch-top-k-sae"):
        h = relu(a)
    if kind == "top-k-sae":
        h = h * (value(h) >= np.sort(value(h), axis=1)[:, [-settings["k"]]])
    if kind == "batch-top-k-sae":
        h = h * (value(h) >= np.sort(value(h), axis=None)[-settings["k"] * len(x)])
    if kind == "gated-sae":
        magnitude = ta.ops.exp(w["log_scale"]) * ((x - w["bias"]) @ w["encoder.weight"].T) + w["shift"]
        h = relu(magnitude) * (value(a) > 0)
    if kind == "jump-relu-sae":
        h = a * (value(a) > np.exp(value(w["log_threshold"])))
    squares = lambda e: (e * e).sum(axis=1).mean()  # noqa: E731
    error = x - h @ w["dictionary"].T - w["bias"]
    if kind == "sae":
        return squares(error), {"penalty": settings["penalty"] * h.sum(axis=1).mean()}
    if kind == "gated-sae":
        gate = relu(a)
        aux = squares(x - gate @ frozen["dictionary"].T - frozen["bias"])
        return squares(error), {"penalty": settings["penalty"] * gate.sum(axis=1).mean(), "aux": aux}
    if kind == "jump-relu-sae":
        return squares(error), {"penalty": settings["penalty"] * (value(h) > 0).sum(axis=1).mean()}
    dead = idle >= DEAD_AFTER
    z = relu(a) * dead
    z = z * (value(z) >= np.sort(value(z), axis=1)[:, [-(x.shape[1] // 2)]])
    rest = error if constants is None else constants["error"]
    return squares(error), {"aux": settings["aux"] * squares(rest - z @ w["dictionary"].T) if dead.any() else 0.0}


@every_kind
@pytest.mark.parametrize("dead", [(), (1, 4, 7), (0, 1, 2, 3, 4, 5)])
def test_the_loss_is_the_formula_by_hand(kind, dead):
    model, x = with_dead(sae(kind), dead), points()
    reconstruction, prices = by_hand(kind, model.state_dict(), x, SETTINGS[kind], model.idle.numpy())
    found = {name: t.item() for name, t in model.loss(x)._asdict().items()}
    expected = {"loss": reconstruction + sum(prices.values()), "reconstruction": reconstruction, **prices, "mse": reconstruction / 6}
    assert found == pytest.approx(expected, rel=1e-12)
    assert set(prices) == PRICES[kind]


@every_kind
def test_its_gradient_is_the_derivative_with_what_is_held_back_as_constants(kind, backend):
    """Constants: the decoder in the gated model's auxiliary term, the error in that of top-k.  The threshold of JumpReLU has a test of its own."""
    with ta.using("numpy"):
        model, x = with_dead(sae(kind)), points()
        weights = {name: ta.Tensor(value, requires_grad=True) for name, value in model.state_dict().items() if name not in ("idle", "threshold")}
        constants = {name: t.data for name, t in weights.items()}
        constants["error"] = x - model.decode(model.code(model.activations(x), training=True)).numpy()

        def loss(*values):
            reconstruction, prices = by_hand(kind, dict(zip(weights, values, strict=True)), x, SETTINGS[kind], model.idle.numpy(), constants)
            return sum(prices.values(), reconstruction)

        leaves = [value for name, value in weights.items() if name != "log_threshold"]
        fixed = [constants["log_threshold"]] if kind == "jump-relu-sae" else []
        assert ta.checks.gradcheck(lambda *values: loss(*values, *fixed), [leaf.data for leaf in leaves]).worst < 1e-6
        loss(*leaves, *fixed).backward()
    found = gradients(model.to(backend), model.loss(to_device(x)).loss)
    for name, weight in weights.items():
        if name != "log_threshold":
            np.testing.assert_allclose(found[name], weight.grad, rtol=1e-9, atol=1e-12, err_msg=name)


@every_kind
def test_the_whole_loss_passes_gradcheck_where_nothing_is_held_back(kind, backend):
    """Without dead units, without the gated model's auxiliary term, and with a band around the threshold that holds no activation."""
    model, x = sae(kind, **({"bandwidth": 1e-6} if kind == "jump-relu-sae" else {})).to(backend), to_device(points())

    def loss():
        terms = model.loss(x)
        return terms.loss - terms.aux if kind == "gated-sae" else terms.loss

    assert ta.checks.gradcheck(loss, model).worst < 1e-6


@every_kind
def test_duplicating_the_batch_changes_neither_loss_nor_gradients(kind):
    """Top kB of a batch too: of 2B examples 2kB stay, the same ones twice."""
    model, x = with_dead(sae(kind)), points()
    one, two = model.loss(x), model.loss(np.tile(x, (2, 1)))
    np.testing.assert_allclose([t.item() for t in one], [t.item() for t in two], rtol=1e-12)
    a, b = gradients(model, one.loss), gradients(model, two.loss)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-9, atol=1e-12)


@every_kind
def test_tiling_the_features_doubles_the_reconstruction_and_leaves_the_code(kind):
    model, x = sae(kind), points()
    state = model.state_dict()
    wide = ta.models.build(model.config | {"features": 12}, ta.rng(0)).astype("float64")
    tiled = {"dictionary": np.tile(state["dictionary"], (2, 1)), "encoder.weight": np.tile(state["encoder.weight"], 2) / 2}
    wide.load_state_dict(state | tiled | {"bias": np.tile(state["bias"], 2)})
    one, two = model.loss(x), wide.loss(np.tile(x, 2))
    assert two.reconstruction.item() == pytest.approx(2 * one.reconstruction.item(), rel=1e-12)
    assert two.mse.item() == pytest.approx(one.mse.item(), rel=1e-12)
    if "penalty" in PRICES[kind]:
        assert two.penalty.item() == pytest.approx(one.penalty.item(), rel=1e-12)


@every_kind
def test_the_gradient_of_the_loss_is_the_sum_of_those_of_its_terms(kind):
    """The planted error: a coefficient that is in the loss twice, as in public code."""
    model, x = with_dead(sae(kind)), points()

    def adds_up(model):
        parts = [gradients(model, getattr(model.loss(x), name)) for name in ("reconstruction", *PRICES[kind])]
        whole = gradients(model, model.loss(x).loss)
        return all(np.allclose(whole[name], sum(part[name] for part in parts), rtol=1e-9, atol=1e-12) for name in whole)

    assert adds_up(model)
    right = model.loss
    model.loss = lambda x: (lambda terms: terms._replace(loss=terms.loss - 0.5 * getattr(terms, next(iter(PRICES[kind])))))(right(x))
    assert not adds_up(model)


@pytest.mark.parametrize(("kind", "name", "term"), [(kind, name, name) for kind in SETTINGS for name in PRICES[kind] & SETTINGS[kind].keys()])
def test_a_doubled_coefficient_doubles_its_term(kind, name, term):
    once, twice = (getattr(with_dead(sae(kind, **{name: value})).loss(points()), term).item() for value in (0.3, 0.6))
    assert once > 0
    assert twice == pytest.approx(2 * once, rel=1e-12)


@pytest.mark.parametrize("kind", ["top-k-sae", "batch-top-k-sae"])
def test_an_auxiliary_coefficient_that_counts_twice_is_found(kind, monkeypatch):
    """The planted error: alpha inside the term and again in the loss."""
    right = type(sae(kind)).prices
    monkeypatch.setattr(type(sae(kind)), "prices", lambda self, *args: {"aux": self.aux * right(self, *args)["aux"]})
    with pytest.raises(AssertionError):
        test_a_doubled_coefficient_doubles_its_term(kind, "aux", "aux")
    with pytest.raises(AssertionError):
        test_the_loss_is_the_formula_by_hand(kind, (1, 4, 7))


@every_kind
def test_decode_and_reconstruct_are_the_dictionary_times_the_code(kind, backend):
    model, x = sae(kind).to(backend), to_device(points())
    h = model.encode(x)
    expected = h.numpy() @ model.dictionary.numpy().T + model.bias.numpy()
    np.testing.assert_allclose(model.decode(h).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(to_numpy(model.reconstruct(x)), expected, rtol=1e-12)
    assert h.shape == (8, 10)
    assert (h.numpy() >= 0).all()
    assert model.decode(h[None]).shape == (1, 8, 6)
    assert model.reconstruct(x.reshape(8, 2, 3)).shape == (8, 2, 3)
    assert (best_cosines(model.dictionary.numpy(), model.dictionary.numpy()) > 1 - 1e-9).all()


@given(shift=st.floats(-50, 50), scale=st.floats(0.1, 10))
def test_explained_variance_is_about_the_mean(shift, scale):
    """The planted error: about zero, a constant added to data and bias makes it look better."""
    model, x = sae(), points(50)
    y = model.reconstruct(x)
    moved, back = scale * x + shift, scale * y + shift
    assert explained_variance(moved, back) == pytest.approx(explained_variance(x, y), abs=1e-9)
    if abs(shift) > 5 * scale:
        assert 1 - ((moved - back) ** 2).sum() / (moved**2).sum() > explained_variance(x, y) + 0.05


def test_a_shift_of_the_data_and_the_bias_changes_neither_code_nor_loss():
    model, x = sae(), points()
    before, code = model.loss(x), model.encode(x).numpy()
    model.bias.assign(model.bias.data + 7)
    np.testing.assert_allclose(model.encode(x + 7).numpy(), code, atol=1e-12)
    np.testing.assert_allclose([t.item() for t in model.loss(x + 7)], [t.item() for t in before], rtol=1e-9)


@every_kind
def test_three_steps_by_fit_and_each_setting_has_an_effect(kind):
    x = points(60).astype(np.float32)

    def trained(**settings):
        model = ta.models.build({"model": kind, "features": 6, "latent": 10} | SETTINGS[kind] | settings, ta.rng(0))
        history = ta.fit(model, x, test=x, epochs=1, batch_size=20, lr=0.05, progress=False)
        assert all(math.isfinite(value) for value in history.rows[-1].values() if isinstance(value, float))
        assert {f"train_{name}" for name in ("loss", "reconstruction", "mse", *PRICES[kind])} <= set(history.rows[-1])
        assert {array.dtype for array in model.state_dict().values()} == {np.dtype(np.float32)}
        return model

    first = trained().state_dict()
    for name, value in SETTINGS[kind].items():
        if name != "aux":  # which needs dead units: see the doubled coefficient
            other = trained(**{name: value + 1 if name == "k" else value / 2}).state_dict()
            assert any((first[key] != other[key]).any() for key in first), name


@every_kind
@pytest.mark.parametrize("forget", [False, True])
def test_a_resumed_training_ends_in_the_same_bits_buffers_included(kind, forget, tmp_path, monkeypatch):
    """Units die for good after the break.  The planted error: their count of idle examples is not in the checkpoint."""
    x, low = points(600).astype(np.float32), np.arange(10) < 3

    def train(run, epochs, resume=False):
        settings = SETTINGS[kind] | ({"k": 1} if "top-k" in kind else {})
        model = ta.models.build({"model": kind, "features": 6, "latent": 10} | settings, ta.rng(0))
        if "top-k" in kind:
            model.encoder.weight.assign(model.encoder.weight.data * np.where(low, 0.01, 1).astype(np.float32)[:, None])
        else:
            model.encoder.bias.assign(np.where(low, -9, 0).astype(np.float32))
        model.idle.assign(np.where(low, DEAD_AFTER - 900, 0).astype(np.float32))
        ta.fit(model, x, epochs=epochs, batch_size=100, lr=0.001, seed=1, run=run, resume=resume, progress=False)
        return model.state_dict()

    whole, half = train(None, 3), train(Run(tmp_path / "run", kind, {}), 1)
    assert half["idle"].max() == DEAD_AFTER - 300
    if forget:
        right = Run.resume
        monkeypatch.setattr(Run, "resume", lambda run, state: right(run, state) or state.model.idle.assign(0))
    resumed = train(Run.open(tmp_path / "run"), 3, resume=True)
    assert all((whole[name] == resumed[name]).all() for name in whole) == (not forget)


@every_kind
def test_a_model_is_built_from_its_configuration(kind):
    model = ta.models.build({"model": kind, "features": 6, "latent": 10} | SETTINGS[kind], ta.rng(3))
    again = ta.models.build(model.config, ta.rng(3))
    assert model.config == again.config
    assert model.config["model"] == kind
    assert SETTINGS[kind].items() <= model.config.items()
    assert all((again.state_dict()[name] == value).all() for name, value in model.state_dict().items())
    assert model.about.data == "superposition"


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [
        ("sae", {"latent": 0}, "latent: a size"),
        ("sae", {"penalty": -1}, "penalty: it must be a number, 0 or more"),
        ("sae", {"penalty": math.inf}, "penalty: it must be a number"),
        ("top-k-sae", {"k": 11}, "k: "),
        ("top-k-sae", {"k": 0}, "k: "),
        ("top-k-sae", {"aux": math.nan}, "aux: it must be a number"),
        ("batch-top-k-sae", {"k": -2}, "k: "),
        ("gated-sae", {"penalty": -1}, "penalty: it must be a number"),
        ("jump-relu-sae", {"bandwidth": 0.0}, "bandwidth: it must be a positive number"),
        ("jump-relu-sae", {"threshold": -1.0}, "threshold: it must be a positive number"),
    ],
)
def test_settings_out_of_range_are_refused(kind, settings, says):
    with pytest.raises(ArgumentError, match=says):
        sae(kind, **settings)


@every_kind
def test_data_that_do_not_fit_are_refused(kind):
    model = sae(kind)
    with pytest.raises(ShapeError, match=r"expected  \(N, 6\)"):
        model.loss(points(features=5))
    with pytest.raises(DataError, match="NaN"):
        model.encode(np.full((2, 6), np.nan))


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_averaged_columns_have_length_1_too(decay, monkeypatch):
    def lengths():
        model = ta.models.SAE(16, 24, rng=ta.rng(0))
        ta.fit(model, ta.data.load("superposition", split="train").rows(slice(0, 2000)), epochs=2, lr=0.01, average=decay, progress=False)
        return np.linalg.norm(model.dictionary.data, axis=0)

    np.testing.assert_allclose(lengths(), 1, rtol=1e-6)
    monkeypatch.delattr(ta.models.SAE, "constrain")
    monkeypatch.setattr(ta.models.SAE, "after_step", lambda self, rng: self.dictionary.assign(unit(self.dictionary.data)))
    assert lengths().min() < 1 - 1e-4, "the mean of unit vectors is shorter"
