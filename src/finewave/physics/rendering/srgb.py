"""The sRGB transfer curve (IEC 61966-2-1): encoded photograph values to linear light and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def srgb_to_linear(encoded: NDArray[Any]) -> NDArray[Any]:
    """Decode sRGB values.

    Parameters
    ----------
    encoded : numpy.ndarray
        Any shape, in [0, 1]; NaN stays NaN.

    Returns
    -------
    numpy.ndarray
        Linear light in [0, 1], same shape and dtype.
    """
    steep = ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, steep).astype(encoded.dtype, copy=False)


def linear_to_srgb(linear: NDArray[Any]) -> NDArray[Any]:
    """Encode linear light as sRGB.

    Parameters
    ----------
    linear : numpy.ndarray
        Any shape, in [0, 1]; NaN stays NaN.

    Returns
    -------
    numpy.ndarray
        sRGB values in [0, 1], same shape and dtype.
    """
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curved).astype(linear.dtype, copy=False)
