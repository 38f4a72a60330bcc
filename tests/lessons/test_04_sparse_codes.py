"""Lesson 4: its functions against exact truths, and its checks fail when a line is broken."""

import numpy as np
import pytest

import tinyae as ta

NUMBER = 4
TRAINING = "digits, images = ta.data.load("


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("return (g_w - w * (w * g_w).sum(axis=0)) / n", "return g_w / n", "gradients.unit_v_engine"),
        ("return (g_w - w * (w * g_w).sum(axis=0)) / n", "return g_w - w * (w * g_w).sum(axis=0)", "gradients.unit_v_engine"),
        ("v / (v * v).sum(axis=0, keepdims=True) ** 0.5", "v / (v * v).sum(axis=0, keepdims=True)", "gradients.unit_v_engine"),
        ("(g_r @ W + price / len(x)) * (h > 0)", "(g_r @ W + price / len(x))", "gradients.loss_E_engine"),
        ("(g_r @ W + price / len(x)) * (h > 0)", "(g_r @ W + price) * (h > 0)", "gradients.loss_E_engine"),
        ("g_r = 2 * (h @ W.T - x) / len(x)", "g_r = (h @ W.T - x) / len(x)", "gradients.loss_v_engine"),
        ("np.maximum(np.abs(a) - PRICE / 2, 0)", "np.maximum(np.abs(a) - PRICE, 0)", "check.search"),
        ("2 * (h @ W.T - x) @ W + price) / c", "2 * (h @ W.T - x) @ W + price / 2) / c", "check.walk"),
        ("2 * np.linalg.norm(W, 2) ** 2", "0.9 * np.linalg.norm(W, 2) ** 2", "check.walk"),
    ],
)
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check, before=TRAINING)


def test_codes_at_the_end_of_the_walk_cannot_be_improved(lesson):
    """No other code >= 0 has a smaller loss: the loss is convex, so nearby ones are enough."""
    rng = np.random.default_rng(0)
    x, W, price = rng.normal(size=(5, 3)), lesson["unit"](rng.normal(size=(3, 7))), 0.3

    def loss(h):
        return ((h @ W.T - x) ** 2).sum(axis=1) + price * h.sum(axis=1)

    h = lesson["walk"](x, W, price, steps=5000)
    others = np.maximum(h + 0.01 * rng.normal(size=(200, *h.shape)), 0)
    assert (h == 0).any()
    assert (loss(h) <= np.array([loss(other) for other in others]).min(axis=0) + 1e-9).all()


def test_the_walk_takes_half_the_price_from_each_feature_that_is_alone(lesson):
    feature = lesson["D"] * 0.7
    h = lesson["walk"](feature.T, lesson["D"], 0.2)
    np.testing.assert_allclose(h, 0.6 * np.eye(32), atol=1e-6)


def test_no_step_of_the_walk_makes_the_loss_larger(lesson):
    """Step 3, with a dictionary that is not orthonormal: the parabola lies above the squared error."""
    rng = np.random.default_rng(1)
    x, W = rng.normal(size=(4, 3)), rng.normal(size=(3, 8))
    codes = [lesson["walk"](x, W, 0.3, steps=count) for count in range(30)]
    losses = np.array([((h @ W.T - x) ** 2).sum(axis=1) + 0.3 * h.sum(axis=1) for h in codes])
    assert (np.diff(losses, axis=0) <= 1e-12).all()
    assert (losses[-1] < losses[0]).all()


def test_a_good_reconstruction_says_nothing_about_its_code(measured):
    assert measured["unexplained.without"] < 0.01
    assert measured["without.mean_cosine"] < measured["random.mean_cosine"] + 0.12
    assert measured["unexplained.top_k"] > measured["unexplained.walk_learned"]


def test_unit_columns_leave_nothing_to_gain_by_scaling(lesson):
    """The cheat of step 4 works on free columns alone; here on a trained model, with the same weights both times."""
    x, trained, found = lesson["x"].astype(np.float32), lesson["models"]["features"], {}
    for free in (False, True):
        model = lesson["SparseAutoencoder"](16, 64, 0.2, ta.rng(0), free=free)
        weights = (model.v, trained.dictionary().data, 10), (model.E, trained.E.data, 0.1), (model.t, trained.t.data, 0.1)
        for weight, value, _ in weights:
            weight.assign(value)
        before = model.loss(x).item()
        for weight, value, factor in weights:
            weight.assign(value * np.float32(factor))
        found[free] = model.loss(x).item() - before
    assert found[True] < -0.05
    assert found[False] > 0.05


def test_top_k_keeps_the_largest_codes(lesson):
    model = lesson["models"]["top_k"]
    kept, x = model.codes(lesson["x"]).data, lesson["x"]
    everything = np.maximum(x @ model.E.data.T + model.t.data, 0)
    np.testing.assert_allclose(kept.sum(axis=1), np.sort(everything, axis=1)[:, -2:].sum(axis=1), rtol=1e-5)
    assert ((kept > 0).sum(axis=1) <= 2).all()


def test_the_features_that_were_found_are_the_true_ones(lesson):
    """Not the cosines of the lesson, but what they stand for: a code of the right unit goes up with its feature and no other."""
    cosines = lesson["D"].T @ lesson["models"]["features"].dictionary().data
    codes = lesson["models"]["features"].codes(lesson["x"]).data
    found = [i for i in range(32) if cosines[i].max() > 0.95]
    assert len(found) >= 28
    for i in found:
        correlations = [np.corrcoef(codes[:, cosines[i].argmax()], lesson["f"][:, k])[0, 1] for k in range(32)]
        assert np.argmax(correlations) == i


def test_the_prediction_of_what_stays_unexplained_is_that_of_samples(lesson):
    f = np.random.default_rng(0).uniform(size=1_000_000)
    lost = 0.05 * (np.minimum(f, 0.1) ** 2).mean() / (0.05 / 3 - 0.025**2)
    assert lesson["lesson"].predictions["unexplained.walk_true"] == pytest.approx(lost, rel=1e-3)
