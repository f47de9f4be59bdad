"""Spectra of a pixel or a region: mean and standard deviation, for all images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.inference.tiling.sources import OpenScene
from finewave.scene import band_values

if TYPE_CHECKING:
    from finewave.viz.scene_pair import SceneLayer

_STRIP = 2**22  # pixels of one band read at a time


class Superseded(Exception):  # noqa: N818 - no error: the user has clicked elsewhere
    """A newer spectrum was requested."""


@dataclass(frozen=True)
class RegionOfInterest:
    """Pixels [x0, x1) x [y0, y1) of the result."""

    x0: int
    x1: int
    y0: int
    y1: int

    def within(self, width: int, height: int) -> RegionOfInterest | None:
        """Return the part inside an image, None if there is none."""
        x0, x1 = max(self.x0, 0), min(self.x1, width)
        y0, y1 = max(self.y0, 0), min(self.y1, height)
        return RegionOfInterest(x0, x1, y0, y1) if x0 < x1 and y0 < y1 else None


@dataclass(frozen=True)
class RegionSpectrum:
    """Mean and standard deviation of each band over the valid pixels of a region, in axis order.

    Attributes
    ----------
    axis : ndarray of shape (C,)
        Wavelengths in nm, or band numbers.
    mean, spread : ndarray of shape (C,)
        NaN where no pixel has a value, and in bands that are flagged bad.
    pixels : int
        Of the image that meet the region.
    """

    axis: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    pixels: int


def spectrum(
    layer: SceneLayer, region: RegionOfInterest, superseded: Callable[[], bool] = lambda: False
) -> RegionSpectrum | None:
    """Return the exact spectrum of an image in a region of the result's grid, in bounded memory.

    Parameters
    ----------
    layer : SceneLayer
    region : RegionOfInterest
        All pixels of the image that overlap it are used.
    superseded : callable
        Polled for a newer request.

    Returns
    -------
    RegionSpectrum or None
        None if the image has no pixel in the region.

    Raises
    ------
    Superseded
        When it is not.
    """
    covered = layer.pixels(region.x0, region.x1, region.y0, region.y1)
    if covered is None:
        return None
    rows, columns = covered
    bands = layer.pyramid.bands
    count, total, squares = np.zeros(bands), np.zeros(bands), np.zeros(bands)
    wide = columns.stop - columns.start
    small = (rows.stop - rows.start) * wide * bands <= _STRIP
    for group in [list(range(bands))] if small else [[band] for band in range(bands)]:
        step = max(1, _STRIP // (wide * len(group)))
        for top in range(rows.start, rows.stop, step):
            if superseded():
                raise Superseded
            window = slice(top, min(top + step, rows.stop)), columns
            values = OpenScene(layer.scene, group).read(window).reshape(len(group), -1).astype(np.float64)
            known = np.isfinite(values)
            values = np.where(known, values, 0)
            count[group] += known.sum(axis=1)
            total[group] += values.sum(axis=1)
            squares[group] += np.square(values).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        spread = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
    flags = band_values(layer.scene, "good_band")
    if flags is not None and flags.any():
        mean[~flags.astype(bool)] = spread[~flags.astype(bool)] = np.nan
    order = np.argsort(layer.axis, kind="stable")
    return RegionSpectrum(layer.axis[order], mean[order], spread[order], (rows.stop - rows.start) * wide)
