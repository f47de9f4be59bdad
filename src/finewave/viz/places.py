"""Regions of interest of a scene: the part with the highest contrast, points with different spectra."""

from __future__ import annotations

import numpy as np

POINTS = 4
"""Default number of points."""


def highest_contrast_window(values: np.ndarray, side: int | None = None) -> tuple[int, int, int]:
    """Return (top, left, side) of the square of an image (C, H, W) with the highest contrast between neighbours.

    The default side is a fifth of the image, at least 24 pixels; at most the image.

    Pixels without data (NaN) have no contrast.
    """
    from scipy.ndimage import uniform_filter

    grey = values.mean(0)
    side = min(side or max(24, min(grey.shape) // 5), *grey.shape)
    contrast = np.nan_to_num(_contrast(grey))
    # the mean over a window is stored at its centre
    rows, columns = (n - side + 1 for n in grey.shape)
    inside = uniform_filter(contrast, side, mode="constant")[side // 2 :, side // 2 :][:rows, :columns]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(top), int(left), side


def representative_points(values: np.ndarray, count: int = POINTS) -> list[tuple[int, int]]:
    """Return (y, x) of pixels in uniform areas whose spectra differ most, brightest first.

    Pixels without data (NaN) are skipped; there may be fewer than ``count`` points, but at least one.
    """
    from scipy.ndimage import uniform_filter

    there = np.isfinite(values).all(0)
    values = np.where(there, values, 0.0)
    mean = np.stack([uniform_filter(band, 5) for band in values])
    level = (mean**2).mean(0)
    spread = np.mean([uniform_filter(band**2, 5) for band in values], axis=0) - level
    # relative to brightness, else only shadows are even; not below a tenth of the usual, where noise is relatively high
    spread /= np.maximum(level, 0.1 * (level[there].mean() if there.any() else 0.0)) + np.finfo(np.float32).tiny
    margin = min(8, min(spread.shape) // 4)
    inside = np.zeros_like(there)
    inside[margin : spread.shape[0] - margin, margin : spread.shape[1] - margin] = True
    even = inside & there & (spread <= np.quantile(spread[there], 0.3) if there.any() else False)
    if not even.any():
        even[spread.shape[0] // 2, spread.shape[1] // 2] = True
    rows, columns = np.nonzero(even)
    spectra = np.sqrt(np.maximum(mean[:, rows, columns].T, 0))  # steps of equal visibility, roughly
    points = [int(spectra.sum(1).argmax())]
    while len(points) < min(count, len(rows)):
        distance = np.min([np.linalg.norm(spectra - spectra[i], axis=1) for i in points], axis=0)
        points.append(int(distance.argmax()))
    return [(int(rows[i]), int(columns[i])) for i in points]


def _contrast(grey: np.ndarray) -> np.ndarray:
    """Return the magnitude of the gradient, zero along axes of one pixel."""
    slopes = [np.gradient(grey, axis=axis) for axis in (0, 1) if grey.shape[axis] > 1]
    return np.hypot(*slopes) if len(slopes) == 2 else np.abs(slopes[0]) if slopes else np.zeros_like(grey)
