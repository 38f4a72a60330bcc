"""Squared error, signal-to-noise ratio and structural similarity, against plain loops and exact values."""

import math

import numpy as np
import pytest

from tinyae.errors import ArgumentError
from tinyae.evaluation.images import mse, psnr, ssim


def slow_ssim(x, y, peak, window, sigma):
    """The similarity of two images (H, W), by loops: means, then deviations from them."""
    half = (window - 1) / 2
    weight = [[math.exp(-((i - half) ** 2 + (j - half) ** 2) / (2 * sigma**2)) for j in range(window)] for i in range(window)]
    total, found, c1, c2 = sum(map(sum, weight)), [], (0.01 * peak) ** 2, (0.03 * peak) ** 2
    for top in range(len(x) - window + 1):
        for left in range(len(x[0]) - window + 1):
            points = [(weight[i][j] / total, x[top + i][left + j], y[top + i][left + j]) for i in range(window) for j in range(window)]
            a, b = sum(w * p for w, p, _ in points), sum(w * q for w, _, q in points)
            s_a, s_b = sum(w * (p - a) ** 2 for w, p, _ in points), sum(w * (q - b) ** 2 for w, _, q in points)
            s_ab = sum(w * (p - a) * (q - b) for w, p, q in points)
            found.append((2 * a * b + c1) * (2 * s_ab + c2) / ((a * a + b * b + c1) * (s_a + s_b + c2)))
    return sum(found) / len(found)


@pytest.fixture
def pair(rng):
    """Images and noisy copies, (3, 2, 14, 12)."""
    x = rng.uniform(size=(3, 2, 14, 12))
    return x, x + 0.2 * rng.normal(size=x.shape)


@pytest.mark.parametrize("settings", [(1.0, 11, 1.5), (255.0, 11, 1.5), (1.0, 7, 0.8), (1.0, 4, 1.5)])
def test_similarity_is_that_of_plain_loops(pair, settings):
    x, y = pair
    expected = [[slow_ssim(a.tolist(), b.tolist(), *settings) for a, b in zip(*images, strict=True)] for images in zip(x, y, strict=True)]
    found = ssim(x, y, **dict(zip(("peak", "window", "sigma"), settings, strict=True)))
    np.testing.assert_allclose(found, np.mean(expected, axis=1), rtol=1e-10)
    np.testing.assert_allclose(ssim(x[:, 1], y[:, 1], *settings), np.array(expected)[:, 1], rtol=1e-10)


def test_the_window_of_the_paper_is_the_default(pair):
    assert (ssim(*pair) == ssim(*pair, peak=1, window=11, sigma=1.5)).all()


def test_equal_images_have_similarity_one_and_no_error(pair):
    x, y = pair
    assert ssim(x, x) == pytest.approx(1, abs=1e-12)
    assert (mse(x, x) == 0).all()
    assert (psnr(x, x) == np.inf).all()
    assert (ssim(x, y) < 0.99).all()


def test_flat_images_differ_by_their_level_alone():
    a, b = np.full((1, 11, 11), 0.2), np.full((1, 11, 11), 0.5)
    assert ssim(a, b) == pytest.approx((2 * 0.1 + 1e-4) / (0.04 + 0.25 + 1e-4), abs=1e-12)


def test_a_negative_has_a_similarity_below_zero(rng):
    x = rng.integers(2, size=(1, 20, 20)).astype(float)
    assert ssim(x, 1 - x) < -0.8


def test_similarity_is_symmetric_and_sees_no_flip_no_order_and_no_unit(pair):
    x, y = pair
    found = ssim(x, y)
    for a, b in ((y, x), (x[..., ::-1], y[..., ::-1]), (x.swapaxes(2, 3), y.swapaxes(2, 3)), (x[:, ::-1], y[:, ::-1])):
        np.testing.assert_allclose(ssim(a, b), found, rtol=1e-10)
    np.testing.assert_allclose(ssim(x[::-1], y[::-1]), found[::-1], rtol=1e-12)
    np.testing.assert_allclose(ssim(255 * x, 255 * y, peak=255), found, rtol=1e-10)
    assert not np.allclose(ssim(255 * x, 255 * y, peak=1), found, rtol=1e-4), "the peak matters"


def test_bytes_do_not_wrap_around():
    x, y = np.zeros((1, 11, 11), np.uint8), np.full((1, 11, 11), 200, np.uint8)
    assert mse(x, y) == 40_000
    assert ssim(x, y, peak=255) == pytest.approx(6.5025 / 40_006.5025)


def test_errors_of_known_size():
    x = np.zeros((2, 4, 5))
    y = np.stack([np.full((4, 5), 0.1), np.full((4, 5), 2.0)])
    np.testing.assert_allclose(mse(x, y), [0.01, 4])
    np.testing.assert_allclose(psnr(x, y), [20, -20 * math.log10(2)])
    np.testing.assert_allclose(psnr(255 * x, 255 * y, peak=255), psnr(x, y))
    np.testing.assert_allclose(psnr(x.reshape(2, 20), y.reshape(2, 20)), psnr(x, y))


def test_the_error_is_the_mean_over_features_and_not_over_images(pair):
    x, y = pair
    np.testing.assert_allclose(mse(x, y), [((a - b) ** 2).sum() / 336 for a, b in zip(x, y, strict=True)])
    assert psnr(x, y).mean() > -10 * math.log10(mse(x, y).mean())


@pytest.mark.parametrize(("call", "message"), [
    (lambda: mse(np.zeros((2, 3)), np.zeros((2, 1))), r"mse: (.|\n)*one shape(.|\n)*expected  \(2, 3\)(.|\n)*got +\(2, 1\)"),
    (lambda: mse(np.zeros(3), np.zeros(3)), r"one shape, \(N, \.\.\.\)"),
    (lambda: psnr(np.zeros((2, 3)), np.ones((2, 3)), peak=0), r"psnr: the peak(.|\n)*above 0(.|\n)*got +0"),
    (lambda: psnr(np.zeros((2, 3)), np.full((2, 3), np.nan)), r"psnr: y has entries that say nothing(.|\n)*got +6 others of 6"),
    (lambda: ssim(np.zeros((2, 8, 8)), np.zeros((2, 8, 8))), r"ssim: the window must fit(.|\n)*at least 11 by 11(.|\n)*got +\(2, 8, 8\), window 11"),
    (lambda: ssim(np.zeros((2, 12, 9)), np.zeros((2, 12, 9))), r"ssim: the window must fit(.|\n)*got +\(2, 12, 9\), window 11"),
    (lambda: ssim(np.zeros((2, 64)), np.zeros((2, 64)), window=3), r"ssim: the window must fit(.|\n)*\(N, H, W\)(.|\n)*got +\(2, 64\)"),
    (lambda: ssim(np.zeros((2, 8, 8)), np.zeros((2, 8, 8)), window=3.5), r"window is out of range(.|\n)*got +3\.5"),
    (lambda: ssim(np.zeros((2, 8, 8)), np.zeros((2, 8, 8)), window=3, sigma=0), r"sigma > 0(.|\n)*sigma 0"),
])  # fmt: skip
def test_bad_input_is_refused_with_expected_and_got(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
