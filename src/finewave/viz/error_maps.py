"""Maps of error and spectral angle."""

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
    for result_band, reference_band in zip(result, reference, strict=True):
        total += np.square(result_band.astype(np.float64) - reference_band)
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

    product, result_energy, reference_energy = (np.zeros(result.shape[1:]) for _ in range(3))
    for result_band, reference_band in zip(result, reference, strict=True):
        result_band, reference_band = result_band.astype(np.float64), reference_band.astype(np.float64)
        product += result_band * reference_band
        result_energy += result_band**2
        reference_energy += reference_band**2
    norms = np.sqrt(result_energy), np.sqrt(reference_energy)
    directed = np.minimum(*norms) >= ZERO_NORM
    cosine = np.divide(product, norms[0] * norms[1], out=np.full_like(product, np.nan), where=directed)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
