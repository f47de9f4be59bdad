"""What is wrong where: error and spectral angle of each pixel."""

from __future__ import annotations

import numpy as np


def rmse_map(result: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the root mean square error over the bands of each pixel.

    Parameters
    ----------
    result, reference : ndarray (C, H, W)

    Returns
    -------
    ndarray (H, W), float64
        In the images' unit; NaN where either image has no data in a band.
    """
    total = np.zeros(result.shape[1:])
    for ours, theirs in zip(result, reference, strict=True):
        total += np.square(ours.astype(np.float64) - theirs)
    return np.sqrt(total / len(result))


def angle_map(result: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the spectral angle of each pixel, whose mean is `finewave.metrics.sam`.

    Parameters
    ----------
    result, reference : ndarray (C, H, W)

    Returns
    -------
    ndarray (H, W), float64
        Degrees; NaN where either image has no data, or a spectrum of zeros, which has no direction.
    """
    from finewave.metrics.sam import ZERO_NORM  # which loads PyTorch

    product, ours_square, theirs_square = (np.zeros(result.shape[1:]) for _ in range(3))
    for ours, theirs in zip(result, reference, strict=True):
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        product += ours * theirs
        ours_square += ours**2
        theirs_square += theirs**2
    norms = np.sqrt(ours_square), np.sqrt(theirs_square)
    directed = np.minimum(*norms) >= ZERO_NORM
    cosine = np.divide(product, norms[0] * norms[1], out=np.full_like(product, np.nan), where=directed)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
