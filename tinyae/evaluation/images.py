"""How near images are to their reconstructions: squared error, peak signal-to-noise ratio, structural similarity, an image at a time."""

import numpy as np

from tinyae.errors import ArgumentError
from tinyae.evaluation.inputs import check_array, check_count


def check_both(operation, x, y, peak=1.0):
    """Two sets of images of one shape (N, ...), float64, and a peak above 0.  Raises ArgumentError."""
    x, y = check_array(operation, "x", x, "(N, ...)"), check_array(operation, "y", y, "(N, ...)")
    if x.shape != y.shape or x.ndim < 2:
        raise ArgumentError(f"{operation}: images and reconstructions have one shape, (N, ...).", expected=x.shape, got=y.shape)
    if not 0 < peak < np.inf:
        raise ArgumentError(f"{operation}: the peak is the range of the pixels.", expected="above 0", got=peak)
    return x, y


def mse(x, y):
    """Mean squared error per feature of each image: 1/D sum_d (x_d - y_d)^2.

    x, y: (N, ...), D features each, in squared units of x.  Returns (N,).  Raises ArgumentError.
    """
    x, y = check_both("mse", x, y)
    return np.square(x - y).reshape(len(x), -1).mean(axis=1)


def psnr(x, y, peak=1.0):
    """Peak signal-to-noise ratio of each image, in decibels: 10 log10(peak^2 / mse); infinite where both are equal.

    x, y: (N, ...).  peak: the range of the pixels, 1 for [0, 1], 255 for bytes.  Returns (N,).  Raises ArgumentError.
    The mean over images is not the PSNR of the mean error: it is larger (Jensen).
    """
    check_both("psnr", x, y, peak)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(peak**2 / mse(x, y))


def gaussian_rows(size, window, sigma):
    """Each place of a Gaussian window within a line of pixels, as rows that sum to 1: (size - window + 1, size)."""
    weights = np.exp(-np.square((np.arange(window) - (window - 1) / 2) / sigma) / 2)
    rows = np.zeros((size - window + 1, size))
    for i, row in enumerate(rows):
        row[i : i + window] = weights / weights.sum()
    return rows


def ssim(x, y, peak=1.0, window=11, sigma=1.5):
    """Structural similarity of each image, -1 to 1, 1 only for equal images: the mean over windows (and channels) of

    (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2)),   c1 = (0.01 peak)^2,   c2 = (0.03 peak)^2,

    m: mean, s^2: variance, s_xy: covariance, all weighted by a round Gaussian of 11 by 11 pixels and standard deviation 1.5 that sums to 1.
    Only windows that lie inside the image; no downsampling; colours one channel at a time.

    x, y: (N, H, W) or (N, C, H, W), H and W at least `window`.  peak: the range of the pixels.  Returns (N,).  Raises ArgumentError: for
    smaller images (digits are 8 by 8) choose a smaller window, and say so.  Wang, Bovik, Sheikh & Simoncelli 2004, equation 13.
    """
    x, y = check_both("ssim", x, y, peak)
    check_count("ssim", "window", window, 1)
    if x.ndim not in (3, 4) or window > min(x.shape[-2:]) or not 0 < sigma < np.inf:
        expected = f"(N, H, W) or (N, C, H, W), at least {window} by {window} pixels; sigma > 0"
        raise ArgumentError("ssim: the window must fit into the images.", expected=expected, got=f"{x.shape}, window {window}, sigma {sigma}")
    down, across = (gaussian_rows(size, window, sigma) for size in x.shape[-2:])

    def mean(a):
        return down @ a @ across.T

    m_x, m_y, c1, c2 = mean(x), mean(y), (0.01 * peak) ** 2, (0.03 * peak) ** 2
    v_x, v_y, v_xy = mean(x * x) - m_x**2, mean(y * y) - m_y**2, mean(x * y) - m_x * m_y
    similarity = (2 * m_x * m_y + c1) * (2 * v_xy + c2) / ((m_x**2 + m_y**2 + c1) * (v_x + v_y + c2))
    return similarity.reshape(len(x), -1).mean(axis=1)
