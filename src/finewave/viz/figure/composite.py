"""Three bands, chosen by wavelength, as the red, green and blue of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from finewave.errors import InputError
from finewave.scene import band_values
from finewave.viz.rendering import linear_as_srgb

if TYPE_CHECKING:
    import xarray as xr

TRUE_COLOURS = (650.0, 550.0, 450.0)
FALSE_COLOURS = (860.0, 650.0, 550.0)
"""Near infrared, red, green: vegetation is red."""
NEAR_NM = 25.0
"""How far the nearest band of a hyperspectral image may be from a wavelength asked for."""
NEAR_BROAD_NM = 90.0
"""The same for an image of few bands, which are broad."""
FEW_BANDS = 16


def nearest_bands(scene: xr.DataArray, wanted: Sequence[float]) -> list[int] | None:
    """Return the index of the band nearest to each wavelength, None if one is too far or the scene has none.

    Parameters
    ----------
    scene : xarray.DataArray (band, y, x)
    wanted : sequence of float
        nm.
    """
    given = band_values(scene, "wavelength")
    if given is None or not np.isfinite(given).all():
        return None
    distance = np.abs(np.asarray(given, float)[None] - np.asarray(wanted, float)[:, None])
    limit = NEAR_BROAD_NM if len(given) < FEW_BANDS else NEAR_NM
    return [int(i) for i in distance.argmin(1)] if (distance.min(1) <= limit).all() else None


def choose_rgb(scene: xr.DataArray, asked: Sequence[float] | None = None) -> tuple[float, ...] | None:
    """Return the wavelengths of red, green and blue for a scene.

    Parameters
    ----------
    scene : xarray.DataArray (band, y, x)
    asked : sequence of three float, optional
        nm; without, 650, 550 and 450 where the scene has them, else three that divide its range in four.

    Returns
    -------
    tuple of float or None
        None where the scene has no wavelengths: then the bands' order decides.

    Raises
    ------
    InputError
        If the scene does not have what was asked for.
    """
    given = band_values(scene, "wavelength")
    if asked is not None:
        if given is None:
            raise InputError(f"the scene has no wavelengths, so no bands near {_nm(asked)}; leave out --rgb")
        if nearest_bands(scene, asked) is None:
            raise InputError(f"the scene's bands ({_range(given)}) have none near each of {_nm(asked)}; see --rgb")
        return tuple(float(each) for each in asked)
    if given is None:
        return None
    if nearest_bands(scene, TRUE_COLOURS) is not None:
        return TRUE_COLOURS
    ordered = np.sort(given)
    return tuple(float(ordered[int(part * (len(ordered) - 1))]) for part in (0.75, 0.5, 0.25))


def bands_of_rgb(scene: xr.DataArray, rgb: Sequence[float] | None) -> list[int]:
    """Return the indices of a scene's bands to show as red, green and blue.

    A scene without wavelengths, or with none near enough, gives its first, middle and last of three bands, else (a
    photograph, an image of few bands) the first three.
    """
    found = None if rgb is None else nearest_bands(scene, rgb)
    if found is not None:
        return found
    count = scene.sizes["band"]
    if count <= FEW_BANDS:
        return [0, min(1, count - 1), min(2, count - 1)] if count >= 3 else [0, 0, 0]
    return [int(part * (count - 1)) for part in (0.75, 0.5, 0.25)]


def display_limit(values: np.ndarray) -> float:
    """Return the value that is shown as white: 99.5 % of the finite ones lie below."""
    finite = values[np.isfinite(values)]
    return max(float(np.quantile(finite, 0.995)), 1e-6) if finite.size else 1.0


def composite(values: np.ndarray, limit: float) -> np.ndarray:
    """Return three bands (3, H, W) as sRGB (H, W, 3): 0 is black, ``limit`` is white, missing pixels are mid-grey."""
    return linear_as_srgb(np.asarray(values, np.float32) / np.float32(limit))


def composite_in_words(scene: xr.DataArray, rgb: Sequence[float] | None) -> str:
    """Return what a composite shows: ``"650, 550, 450 nm"``, or the numbers of the bands."""
    if rgb is not None:
        return _nm(rgb)
    return "bands " + ", ".join(str(band + 1) for band in bands_of_rgb(scene, None))


def _nm(wavelengths: Sequence[float]) -> str:
    return ", ".join(f"{each:.4g}" for each in wavelengths) + " nm"


def _range(given: np.ndarray) -> str:
    return f"{np.min(given):.4g} to {np.max(given):.4g} nm"
