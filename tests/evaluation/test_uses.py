"""What a model is used for: ways between codes, directions, scores, against exact truths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.errors import ArgumentError
from tinyae.evaluation import uses


def vectors(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@given(st.integers(0, 1000), st.integers(2, 9), st.booleans())
def test_a_way_begins_and_ends_at_its_ends(seed, steps, spherical):
    a, b = vectors(seed, 2, 3, 5)
    way = uses.interpolate(a, b, steps, spherical)
    assert way.shape == (steps, 3, 5)
    np.testing.assert_allclose(way[0], a, rtol=1e-9)
    np.testing.assert_allclose(way[-1], b, rtol=1e-9)


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_the_arc_between_codes_of_one_length_keeps_that_length_and_turns_evenly(seed, length):
    a, b = (length * v / np.linalg.norm(v) for v in vectors(seed, 2, 6))
    way = uses.interpolate(a, b, 7, spherical=True)
    np.testing.assert_allclose(np.linalg.norm(way, axis=-1), length, rtol=1e-9)
    turns = (way[1:] * way[:-1]).sum(axis=-1) / length**2
    np.testing.assert_allclose(turns, turns[0], rtol=1e-7)


def test_the_straight_line_cuts_the_corner_and_the_arc_does_not():
    a, b = np.array([1.0, 0]), np.array([0.0, 1])
    assert np.linalg.norm(uses.interpolate(a, b, 3)[1]) == pytest.approx(0.5**0.5)
    np.testing.assert_allclose(uses.interpolate(a, b, 3, spherical=True)[1], np.full(2, 0.5**0.5))


@pytest.mark.parametrize("end", [np.array([2.0, 0]), np.array([-1.0, 0]), np.zeros(2)], ids=["same direction", "opposite", "zero"])
def test_where_there_is_no_angle_the_arc_is_the_straight_line(end):
    start = np.array([1.0, 0])
    np.testing.assert_allclose(uses.interpolate(start, end, 5, spherical=True), uses.interpolate(start, end, 5), atol=1e-9)


def test_a_direction_is_the_difference_of_the_means_and_moves_one_class_onto_the_other():
    codes, has = vectors(0, 40, 3), np.arange(40) < 15
    codes[has] += [5, 0, -1]
    direction = uses.attribute_direction(codes, has)
    np.testing.assert_allclose(codes[~has].mean(axis=0) + direction, codes[has].mean(axis=0))
    for wrong in (np.zeros(40, bool), np.ones(40, bool), has[:10]):
        with pytest.raises(ArgumentError, match="with the attribute and without"):
            uses.attribute_direction(codes, wrong)


def test_draws_of_a_class_have_the_mean_and_the_covariance_of_its_codes():
    labels = np.arange(400) % 2
    codes = vectors(1, 400, 2) @ np.array([[1.0, 0.7], [0, 0.3]]) + 4.0 * labels[:, None]
    drawn = uses.class_codes(codes, labels, 1, 40_000, ta.rng(0))
    own = codes[labels == 1]
    error = np.sqrt(np.diag(np.cov(own.T)) / 40_000)
    assert (abs(drawn.mean(axis=0) - own.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(own.T), atol=0.03)
    with pytest.raises(ArgumentError, match="two examples of class 7"):
        uses.class_codes(codes, labels, 7, 3, ta.rng(0))


def test_a_traversal_changes_one_dimension_at_a_time():
    z, values = vectors(2, 4), np.array([-2.0, 0, 2])
    grid = uses.traverse(z, [3, 1], values)
    assert grid.shape == (2, 3, 4)
    for row, dimension in zip(grid, [3, 1], strict=True):
        np.testing.assert_array_equal(row[:, dimension], values)
        np.testing.assert_array_equal(np.delete(row, dimension, 1), np.tile(np.delete(z, dimension), (3, 1)))


def constant_vae(logit):
    """A VAE whose posterior is the prior and whose decoder gives one logit everywhere: its likelihood is known."""
    model = ta.models.VAE(6, 2, (4,), rng=ta.rng(0)).astype("float64")
    for name, p in model.named_parameters():
        if name.startswith(("encoder.2", "decoder.2")):
            p.assign(np.full(p.shape, logit if name == "decoder.2.bias" else 0.0))
    return model


@pytest.mark.parametrize("samples", [1, 7])
def test_the_score_of_a_model_with_a_known_likelihood_is_that_likelihood(samples):
    x, model = (np.random.default_rng(3).random((50, 6)) < 0.3).astype(float), constant_vae(-1.2)
    exact = (np.log1p(np.exp(-1.2)) + 1.2 * x).sum(axis=1)
    np.testing.assert_allclose(uses.anomaly_scores(model, x, samples, ta.rng(1)), exact, rtol=1e-10)


def test_the_score_of_an_autoencoder_is_its_squared_error():
    model, x = ta.models.Autoencoder(6, 2, (4,), rng=ta.rng(0)), vectors(4, 5, 2, 3).astype(np.float32)
    np.testing.assert_allclose(uses.anomaly_scores(model, x), ((model.reconstruct(x) - x) ** 2).sum(axis=(1, 2)), rtol=1e-5)


def test_denoising_reconstructs_as_often_as_asked():
    model, x = ta.models.Autoencoder(6, 2, (4,), rng=ta.rng(0)), vectors(5, 5, 6).astype(np.float32)
    np.testing.assert_array_equal(uses.denoise(model, x, 2), model.reconstruct(model.reconstruct(x)))
    with pytest.raises(ArgumentError, match="passes"):
        uses.denoise(model, x, 0)


def test_codes_are_decoded_as_the_model_shows_them():
    for model in (ta.models.VAE(6, 2, (4,), rng=ta.rng(0)), ta.models.Autoencoder(6, 2, (4,), rng=ta.rng(0))):
        x = (np.random.default_rng(6).random((5, 6)) < 0.5).astype(np.float32)
        z = uses.codes_of(model, x)
        np.testing.assert_allclose(uses.decoded(model, z.reshape(1, 5, -1).astype(np.float64))[0], model.reconstruct(x), rtol=1e-5)
