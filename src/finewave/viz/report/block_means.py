"""A scene at a lower resolution, read strip by strip."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

STRIP_SAMPLES = 2**22
"""Values that are read at a time, roughly."""


class BlockMeans:
    """Means over square blocks of pixels; blocks at the right and lower border may be cut.

    Parameters
    ----------
    channels, rows, columns : int
        Of the image.
    step : int
        Side of a block in pixels.
    """

    def __init__(self, channels: int, rows: int, columns: int, step: int) -> None:
        self.step = step
        shape = channels, -(-rows // step), -(-columns // step)
        self._sums, self._counts = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def add(self, top: int, strip: np.ndarray) -> None:
        """Add rows (channels, r, columns) from row ``top``, a multiple of the step; NaN is ignored."""
        first = top // self.step
        there = np.isfinite(strip)
        sums = _block_sums(np.where(there, strip, 0), self.step)
        self._sums[:, first : first + sums.shape[1]] += sums
        self._counts[:, first : first + sums.shape[1]] += _block_sums(there, self.step)

    def coarser(self, times: int) -> BlockMeans:
        """Return the means over blocks ``times`` as large along each side."""
        channels, rows, columns = self._sums.shape
        other = BlockMeans(channels, rows, columns, times)
        other.step = self.step * times
        other._sums, other._counts = _block_sums(self._sums, times), _block_sums(self._counts, times)
        return other

    @property
    def values(self) -> np.ndarray:
        """(channels, h, w) float32; NaN where a block has no pixel with data."""
        with np.errstate(invalid="ignore"):
            return self._sums / np.where(self._counts == 0, np.nan, self._counts).astype(np.float32)


def strips(scene: xr.DataArray, multiple: int) -> Iterator[tuple[int, int]]:
    """Yield first and last row (exclusive) of strips of a scene whose heights are multiples of a number."""
    rows, across = scene.sizes["y"], scene.sizes["band"] * scene.sizes["x"]
    height = multiple * max(1, STRIP_SAMPLES // (across * multiple))
    for top in range(0, rows, height):
        yield top, min(top + height, rows)


def read_rows(scene: xr.DataArray, top: int, bottom: int) -> np.ndarray:
    """Return rows of a scene (C, bottom - top, W) in float32; infinite values are NaN."""
    values = np.asarray(scene.variable[:, top:bottom].values, np.float32)
    return np.where(np.isfinite(values), values, np.float32(np.nan))


def step_for(rows: int, columns: int, channels: int, side: int, samples: int) -> int:
    """Return the smallest block side that gives at most ``side`` blocks per axis and ``samples`` values in total."""
    step = max(1, math.ceil(max(rows, columns) / side))
    while channels * math.ceil(rows / step) * math.ceil(columns / step) > samples and step < max(rows, columns):
        step += 1
    return step


def _block_sums(values: np.ndarray, step: int) -> np.ndarray:
    """Return sums over blocks (channels, h, w); blocks are cut at the border."""
    if step == 1:
        return values.astype(np.float32)
    channels, rows, columns = values.shape
    below, right = -rows % step, -columns % step
    padded = np.pad(values, ((0, 0), (0, below), (0, right)))
    blocks = padded.reshape(channels, (rows + below) // step, step, (columns + right) // step, step)
    return blocks.sum((2, 4), dtype=np.float32)
