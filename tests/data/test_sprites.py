"""The generated sprites: their factors, areas, centres and directions, known by definition."""

import numpy as np
import pytest

import tinyae as ta
from tinyae.data.sprites import FACTORS, SHAPES, SIDE
from tinyae.errors import ArgumentError, ShapeError


@pytest.fixture(scope="module")
def sprites():
    """A third of all sprites, 64x64, as shares of white, and their factors."""
    factors = np.concatenate([ta.data.load("shapes", split=split).factors for split in ("train", "test")])[::3]
    return ta.data.draw_sprites(factors, 64).reshape(-1, 64, 64) / 255, factors


def moments(images):
    """Areas (N,), centres of mass (N, 2) and covariances (N, 2, 2), in widths of the image; x first."""
    at = (np.arange(images.shape[1]) + 0.5) / images.shape[1]
    place = np.stack(np.broadcast_arrays(at, at[:, None]), axis=-1)
    mass = images.sum(axis=(1, 2))
    centre = np.einsum("nij,ijk->nk", images, place) / mass[:, None]
    away = place - centre[:, None, None]
    return mass / images[0].size, centre, np.einsum("nij,nijk,nijl->nkl", images, away, away) / mass[:, None, None]


def test_every_combination_of_factors_is_there_once():
    train, test = (ta.data.load("shapes", split=split) for split in ("train", "test"))
    factors = np.concatenate([train.factors, test.factors])
    assert train.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert factors.shape == (3 * 4 * 9 * 8 * 8, 5)
    assert len(np.unique(factors, axis=0)) == len(factors)
    for column, values in zip(factors.T, FACTORS.values(), strict=True):
        found, counts = np.unique(column, return_counts=True)
        np.testing.assert_allclose(found, list(values))
        assert (counts == len(factors) / len(values)).all()
    assert train.classes == SHAPES
    assert (train.labels == train.factors[:, 0]).all()
    assert len(set(map(bytes, np.concatenate([train.pixels, test.pixels])))) == len(factors)  # no two images are alike


def test_both_sizes_show_the_same_sprites():
    small, large = ta.data.load("shapes", split="test"), ta.data.load("shapes-64", split="test")
    assert (small.factors == large.factors).all()
    shrunk = large.pixels.reshape(-1, 16, 4, 16, 4).mean(axis=(2, 4)) / 255
    assert abs(shrunk - small.images.reshape(-1, 16, 16)).mean() < 0.005


def test_the_area_is_that_of_the_formula_for_every_shape(sprites):
    images, factors = sprites
    area = moments(images)[0]
    np.testing.assert_allclose(area, (SIDE * factors[:, 1]) ** 2, rtol=0.01)


def test_the_centre_of_mass_is_x_and_y(sprites):
    images, factors = sprites
    assert abs(moments(images)[1] - factors[:, 3:]).max() < 0.05 / 64


def test_the_ellipse_points_where_its_orientation_says(sprites):
    images, factors = (part[sprites[1][:, 0] == 1] for part in sprites)
    values, vectors = np.linalg.eigh(moments(images)[2])
    direction = np.stack([np.cos(factors[:, 2]), np.sin(factors[:, 2])], axis=1)
    assert abs(np.einsum("nk,nk->n", vectors[:, :, 1], direction)).min() > 0.999
    np.testing.assert_allclose(np.sqrt(values[:, 1] / values[:, 0]), 2, rtol=0.02)  # semi-axes 2 to 1


def test_a_square_and_a_heart_have_their_outlines():
    square, heart = ta.data.draw_sprites([[0, 1, 0, 0.5, 0.5], [2, 1, 0, 0.5, 0.5]], 100).reshape(2, 100, 100)
    assert (square[32:68, 32:68] == 255).all()
    assert square.sum() == 255 * 36**2
    assert (heart == heart[:, ::-1]).all()
    widths = (heart > 127).sum(axis=1)
    rows = np.flatnonzero(widths)
    assert widths[rows[0]] < widths[rows[8]] > widths[rows[-8]] > widths[rows[-1]]  # two lobes above, the tip below
    top = heart[rows[0]] > 127
    assert not top[50]
    assert heart[rows[-1], 49] > 127


def test_a_quarter_turn_turns_the_picture():
    for shape in range(3):
        still, turned = ta.data.draw_sprites([[shape, 1, 0.3, 0.5, 0.5], [shape, 1, 0.3 + np.pi / 2, 0.5, 0.5]], 32).reshape(2, 32, 32).astype(int)
        assert abs(np.rot90(still, -1) - turned).max() <= 1  # from x, rightwards, to y, downwards: clockwise


def test_factors_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"\(N, 5\): shape, scale, orientation, x, y"):
        ta.data.draw_sprites(np.zeros((3, 4)))
    with pytest.raises(ArgumentError, match="0 square, 1 ellipse, 2 heart"):
        ta.data.draw_sprites([[3, 1, 0, 0.5, 0.5]])
    assert ta.data.draw_sprites(np.zeros((0, 5))).shape == (0, 256)
