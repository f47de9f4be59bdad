"""Scenes as they would look: spectra to display colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def spectra_as_srgb(scene: xr.DataArray) -> np.ndarray:
    """Render reflectance under daylight (CIE 1931 observer, D65) in encoded sRGB.

    Parameters
    ----------
    scene : xarray.DataArray with dims (band, y, x)
        Reflectance in [0, 1], with wavelengths in nm over the visible range.

    Returns
    -------
    ndarray of shape (H, W, 3)
        In [0, 1], out-of-gamut colours clipped; missing pixels are mid-grey.
    """
    from finewave.physics.sensors import get_sensor

    response = get_sensor("srgb").response(scene.coords["wavelength"].values)
    return linear_as_srgb(np.einsum("kc,chw->khw", response.astype(np.float32), scene.values))


def linear_as_srgb(linear: np.ndarray) -> np.ndarray:
    """Encode linear (3, H, W) values as sRGB (H, W, 3), clipped to [0, 1]; missing pixels are mid-grey."""
    from finewave.physics.srgb import linear_to_srgb

    encoded = np.clip(linear_to_srgb(np.clip(linear, 0, 1)), 0, 1)
    return np.nan_to_num(encoded, nan=0.5).transpose(1, 2, 0)
