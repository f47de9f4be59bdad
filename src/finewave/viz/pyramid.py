"""An image pyramid whose tiles are read on demand, in memory independent of the scene's size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.inference.tiling.sources import OpenScene

if TYPE_CHECKING:
    import xarray as xr

TILE = 256
"""Side of a tile in pixels: the blocks of most GeoTIFFs."""
_BLOCK = 8  # tiles per side read from the file in one block
CACHE_BYTES = 256 * 2**20
_MANY_PIXELS = 2**22  # reading and averaging them in all bands takes seconds

Image = NDArray[np.float32]


class Pyramid:
    """Windows of a scene at level k, whose pixels are means of 2^k x 2^k pixels of the scene.

    Parameters
    ----------
    scene : xarray.DataArray with dims (band, y, x)
        Full resolution; may be lazy.
    overviews : mapping of int to xarray.DataArray, optional
        Overviews of the file. Other levels are averaged in blocks from the next finer one.
    cache_bytes : int
        Size of the tile cache.

    Attributes
    ----------
    bands, height, width : int
        Of the full resolution.
    top : int
        The coarsest level: the first that is a single tile.
    """

    def __init__(
        self,
        scene: xr.DataArray,
        overviews: Mapping[int, xr.DataArray] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.bands, self.height, self.width = (scene.sizes[dim] for dim in ("band", "y", "x"))
        self.top = 0
        while max(self.size(self.top)) > TILE:
            self.top += 1
        fitting = {
            level: each
            for level, each in (overviews or {}).items()
            if (each.sizes["y"], each.sizes["x"]) == self.size(level)
        }
        self._stored = {0: scene, **fitting}
        self._tiles: OrderedDict[tuple[int, int, int, int], Image] = OrderedDict()
        self._cache_bytes, self._used = cache_bytes, 0
        self._lock = threading.RLock()  # file readers are not thread-safe

    @property
    def stored_levels(self) -> list[int]:
        """The levels that are in the file."""
        return sorted(self._stored)

    def is_slow(self, level: int) -> bool:
        """Return whether a whole level takes long: it is averaged from far more pixels than it has."""
        nearest = max(each for each in self._stored if each <= level)
        height, width = self.size(nearest)
        return level - nearest >= 2 and height * width >= _MANY_PIXELS

    def close(self) -> None:
        """Close the files of all levels and forget the tiles."""
        with self._lock:
            self._tiles.clear()
            self._used = 0
            for scene in self._stored.values():
                scene.close()

    def size(self, level: int) -> tuple[int, int]:
        """Return height and width of a level; a remainder makes one more pixel."""
        step = 1 << level
        return -(-self.height // step), -(-self.width // step)

    def level_for(self, pixels: float) -> int:
        """Return the level for ``pixels`` of the scene per screen pixel and axis."""
        level = int(np.floor(np.log2(max(pixels, 1.0))))
        return min(level, self.top)

    def read(self, level: int, bands: list[int], rows: slice, columns: slice) -> Image:
        """Return a window of a level.

        Parameters
        ----------
        level : int
            0 to `top`.
        bands : list of int
            Indices.
        rows, columns : slice
            In pixels of the level, within its size.

        Returns
        -------
        ndarray of shape (bands, rows, columns)
            float32; NaN where there is no value.
        """
        result = np.empty((len(bands), rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for plane, band in zip(result, bands, strict=True):
            for row, column, tile in self._cover(level, band, rows, columns):
                top, left = row * TILE, column * TILE
                ys = slice(max(top, rows.start), min(top + tile.shape[0], rows.stop))
                xs = slice(max(left, columns.start), min(left + tile.shape[1], columns.stop))
                plane[
                    ys.start - rows.start : ys.stop - rows.start, xs.start - columns.start : xs.stop - columns.start
                ] = tile[ys.start - top : ys.stop - top, xs.start - left : xs.stop - left]
        return result

    def sample(self, level: int, bands: list[int]) -> Image:
        """Return single pixels of the finest level, one for each of a level: quick, where `read` takes means.

        Parameters
        ----------
        level : int
            0 to `top`.
        bands : list of int
            Indices.

        Returns
        -------
        ndarray of shape (bands, rows, columns)
            Of the size of the level, float32; NaN where there is no value.
        """
        step = 1 << level
        # from the middle of each block, or its last pixel at an edge
        planes = [slice(min(step // 2, length - 1), None, step) for length in (self.height, self.width)]
        result = np.full((len(bands), *self.size(level)), np.nan, np.float32)
        for plane, band in zip(result, bands, strict=True):
            with self._lock:
                values = OpenScene(self._stored[0], [band]).read((planes[0], planes[1]))[0]
            plane[: values.shape[0], : values.shape[1]] = np.where(np.isinf(values), np.float32(np.nan), values)
        return result

    def _cover(self, level: int, band: int, rows: slice, columns: slice) -> Iterator[tuple[int, int, Image]]:
        """Yield the tiles of a window block by block, so that few are in memory at once."""
        last_row, last_column = (rows.stop - 1) // TILE, (columns.stop - 1) // TILE
        for top in range(rows.start // TILE, last_row + 1, _BLOCK):
            for left in range(columns.start // TILE, last_column + 1, _BLOCK):
                block = [
                    (row, column)
                    for row in range(top, min(top + _BLOCK, last_row + 1))
                    for column in range(left, min(left + _BLOCK, last_column + 1))
                ]
                with self._lock:
                    tiles = {place: self._kept((level, band, *place)) for place in block}
                    missing = [place for place, tile in tiles.items() if tile is None]
                    if missing:
                        tiles |= self._make(level, band, missing)
                for (row, column), tile in tiles.items():
                    assert tile is not None  # computed above, unless cached
                    yield row, column, tile

    def _make(self, level: int, band: int, missing: list[tuple[int, int]]) -> dict[tuple[int, int], Image]:
        """Read or average tiles of a level and keep them."""
        nearest = max(each for each in self._stored if each <= level)
        made: dict[tuple[int, int], Image] = {}
        # all tiles of a block in one read, unless that needs too much of the source level
        side = max(1, _BLOCK >> (level - nearest))
        groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for row, column in missing:
            groups.setdefault((row // side, column // side), []).append((row, column))
        for places in groups.values():
            height, width = self.size(level)
            top, left = (min(place[axis] for place in places) * TILE for axis in (0, 1))
            bottom = min(height, (max(place[0] for place in places) + 1) * TILE)
            right = min(width, (max(place[1] for place in places) + 1) * TILE)
            area = self._area(level, band, nearest, slice(top, bottom), slice(left, right))
            for row, column in places:
                y, x = row * TILE - top, column * TILE - left
                tile = np.ascontiguousarray(area[y : y + TILE, x : x + TILE])
                self._keep((level, band, row, column), tile)
                made[row, column] = tile
        return made

    def _area(self, level: int, band: int, nearest: int, rows: slice, columns: slice) -> Image:
        """Return a window of a level from the nearest stored one: directly if close, otherwise level by level."""
        steps = level - nearest
        if steps == 0 or ((1 << steps) <= _BLOCK and not self._is_kept(level - 1, band, rows, columns)):
            height, width = self.size(nearest)
            ys = slice(rows.start << steps, min(rows.stop << steps, height))
            xs = slice(columns.start << steps, min(columns.stop << steps, width))
            values = OpenScene(self._stored[nearest], [band]).read((ys, xs))[0]
            values[np.isinf(values)] = np.nan
            for _ in range(steps):
                values = halved(values)
            return values
        height, width = self.size(level - 1)
        ys = slice(rows.start * 2, min(rows.stop * 2, height))
        xs = slice(columns.start * 2, min(columns.stop * 2, width))
        return halved(self.read(level - 1, [band], ys, xs)[0])

    def _is_kept(self, level: int, band: int, rows: slice, columns: slice) -> bool:
        """Return whether the tiles of a level under a window of the next coarser one are in the cache."""
        height, width = self.size(level)
        last_row, last_column = (
            (min(2 * each.stop, length) - 1) // TILE for each, length in ((rows, height), (columns, width))
        )
        return all(
            (level, band, row, column) in self._tiles
            for row in range(2 * rows.start // TILE, last_row + 1)
            for column in range(2 * columns.start // TILE, last_column + 1)
        )

    def _kept(self, key: tuple[int, int, int, int]) -> Image | None:
        tile = self._tiles.get(key)
        if tile is not None:
            self._tiles.move_to_end(key)
        return tile

    def _keep(self, key: tuple[int, int, int, int], tile: Image) -> None:
        self._tiles[key] = tile
        self._used += tile.nbytes
        while self._used > self._cache_bytes and len(self._tiles) > 1:
            self._used -= self._tiles.popitem(last=False)[1].nbytes


def halved(values: Image) -> Image:
    """Return means of 2 x 2 pixels, ignoring NaN; an odd last row or column is averaged separately."""
    height, width = values.shape
    if height % 2 or width % 2:
        values = np.pad(values, ((0, height % 2), (0, width % 2)), constant_values=np.nan)
    corners = [values[y::2, x::2] for y in (0, 1) for x in (0, 1)]
    mean: Image = corners[0] + corners[1]
    mean += corners[2]
    mean += corners[3]
    mean *= np.float32(0.25)
    holes = np.isnan(mean)
    if holes.any():
        stacked = np.stack([corner[holes] for corner in corners])
        there = np.isfinite(stacked)
        count = there.sum(axis=0)
        total = np.where(there, stacked, 0).sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean[holes] = np.where(count > 0, total / count, np.nan)
    return mean
