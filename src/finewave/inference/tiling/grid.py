"""Images on one grid: the requested part of a scene, and guides on another grid."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.inference.tiling.tiles import Window
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr
    from affine import Affine

SAME_PLACE = 0.1
"""Tolerance in pixels within which georeferences are equal, about their accuracy."""


@dataclass(frozen=True)
class Grid:
    """Pixels on the ground.

    Attributes
    ----------
    crs : str or None
        As WKT.
    transform : tuple of six floats
        From (column, row) to map coordinates, in the order of ``affine.Affine``.
    height, width : int
    """

    crs: str | None
    transform: tuple[float, ...]
    height: int
    width: int

    @property
    def affine(self) -> Affine:
        """The transform."""
        from affine import Affine

        return Affine(*self.transform)


def grid_of(scene: xr.DataArray, finer: int = 1) -> Grid | None:
    """Return the grid of a scene, with ``finer`` times as many rows and columns; None without a georeference."""
    from finewave.scene import scene_crs, scene_transform

    transform, crs = scene_transform(scene), scene_crs(scene)
    if transform is None:
        return None
    transform = transform * transform.scale(1 / finer)
    wkt = None if crs is None else crs.to_wkt()
    return Grid(wkt, tuple(transform)[:6], scene.sizes["y"] * finer, scene.sizes["x"] * finer)


def aligned_guide(guide: xr.DataArray, scene: xr.DataArray, finer: int) -> tuple[xr.DataArray, Grid | None]:
    """Return a guide on the grid of its scene, ``finer`` times as many rows and columns, and that grid if it was moved.

    The guide is returned unchanged without georeferences, or if they agree up to `SAME_PLACE`.

    Warns
    -----
    FinewaveWarning
        The guide was moved, covers a part of the scene, or only one of the two has a georeference.

    Raises
    ------
    InputError
        The two show different places, or by their control points do not lie on each other.
    """
    target_grid, guide_grid = grid_of(scene, finer), grid_of(guide)
    _refuse_other_control_points(guide, scene, finer)
    if target_grid is None or guide_grid is None:
        unplaced = _place_of(scene, finer) is None or _place_of(guide) is None
        if unplaced and target_grid is not guide_grid and guide.sizes["y"] == scene.sizes["y"] * finer:
            which = "scene" if target_grid is None else "guide"
            _warn(f"the {which} has no georeference: taken as aligned, corner on corner; give it one if that is wrong")
        return guide, None
    why = _difference(guide_grid, target_grid)
    if why is None:
        return guide, None
    covered = _covered(guide_grid, target_grid)
    if covered == 0:
        raise InputError(f"scene and guide show different places: {why}, and they do not overlap; give other files")
    if covered < 1:
        why += f"; the guide covers {100 * covered:.0f} % of the scene, the rest has no values"
    _warn(
        f"scene and guide are not on one grid: {why}. The guide is resampled to the scene's grid; "
        f"give one on that grid to have it used as it is"
    )
    return on_grid(guide, target_grid), target_grid


def _place_of(scene: xr.DataArray, finer: int = 1) -> Grid | None:
    """Return the grid of a scene, or the one that fits its control points best; None without either."""
    from rasterio.transform import from_gcps

    from finewave.control_points import control_points
    from finewave.scene import scene_crs

    grid, points = grid_of(scene, finer), control_points(scene)
    if grid is not None or len(points) < 3:
        return grid
    transform = from_gcps(points)
    if not np.isfinite(transform.determinant) or transform.determinant == 0:  # all on one line
        return None
    crs = scene_crs(scene)
    finest = tuple(transform * transform.scale(1 / finer))[:6]
    return Grid(None if crs is None else crs.to_wkt(), finest, scene.sizes["y"] * finer, scene.sizes["x"] * finer)


def _refuse_other_control_points(guide: xr.DataArray, scene: xr.DataArray, finer: int) -> None:
    """Raise an error if scene or guide have control points that put the guide elsewhere, since they are not resampled.

    One pixel of the guide is left, and the bends of a swath or of degrees, which a fitted plane lacks.
    """
    if grid_of(scene) is not None and grid_of(guide) is not None:
        return
    target, own = _place_of(scene, finer), _place_of(guide)
    if target is None or own is None:
        return
    ends = np.array([(x, y) for x in (0, target.width) for y in (0, target.height)], float)
    across, down = _places(ends[:, 0], ends[:, 1], target, own)
    stretch = own.width / target.width, own.height / target.height  # a size that does not fit is refused by itself
    apart = np.maximum(np.abs(across - ends[:, 0] * stretch[0]), np.abs(down - ends[:, 1] * stretch[1]))
    if not np.isfinite(apart).all() or apart.max() > 1 + _bend(scene, target) + _bend(guide, own):
        raise InputError(
            "scene and guide do not lie on each other by their control points"
            + (f": {apart.max():.1f} pixels of the guide" if np.isfinite(apart).all() else "")
            + "; bring both to one map first, with gdalwarp or --orthorectify"
        )


def _bend(scene: xr.DataArray, place: Grid) -> float:
    """Return how many pixels of a place that `_place_of` fitted the control points of a scene are off it at most."""
    from finewave.control_points import control_points

    if grid_of(scene) is not None:
        return 0.0
    finer = place.width / scene.sizes["x"]
    given = np.array([(each.col * finer, each.row * finer, each.x, each.y) for each in control_points(scene)]).T
    across, down = ~place.affine * (given[2], given[3])
    return float(np.hypot(across - given[0], down - given[1]).max())


def on_grid(scene: xr.DataArray, grid: Grid) -> xr.DataArray:
    """Return a scene on another grid, resampled lazily window by window.

    Bilinear where the pixels of the two are about as large, the mean where those of the grid are larger.
    """
    import xarray as xr
    from xarray.core import indexing

    from finewave.scene import with_georeference

    values = xr.Variable(("band", "y", "x"), indexing.LazilyIndexedArray(_resampled(scene, grid)))
    along_band = {name: c.variable for name, c in scene.coords.items() if c.dims == ("band",)}
    result = xr.DataArray(values, coords=along_band, name=scene.name)
    result = with_georeference(result, grid.crs, grid.affine)
    kept = {key: value for key, value in scene.attrs.items() if key not in ("_FillValue", "grid_mapping", "rpcs")}
    return result.assign_attrs(kept)


def cropped(scene: xr.DataArray, window: Window) -> xr.DataArray:
    """Return a part of a scene, lazily read, with adapted transform and control points."""
    from finewave.scene import with_followed_place, with_place_of_its_pixels

    rows, columns = window
    encoding = {key: value for key, value in scene.encoding.items() if key != "preferred_chunks"}
    part = with_followed_place(scene).isel(y=rows, x=columns)
    part.encoding = encoding
    return with_place_of_its_pixels(part)


def window_asked_for(scene: xr.DataArray, window: Sequence[int] | None, bbox: Sequence[float] | None) -> Window | None:
    """Return rows and columns of the requested part of a scene; None for all of it.

    Raises
    ------
    InputError
        It lies outside, or map coordinates are given for a scene without a transform.
    """
    height, width = scene.sizes["y"], scene.sizes["x"]
    if window is not None:
        left, top, right, bottom = window
        if right > width or bottom > height:
            raise InputError(
                f"window={tuple(window)} (--window) reaches beyond the scene of {width} columns and {height} rows"
            )
        return slice(top, bottom), slice(left, right)
    if bbox is None:
        return None
    grid = grid_of(scene)
    if grid is None:
        raise InputError("bbox= (--bbox) needs a scene with a georeference; give pixels with window= (--window)")
    ends = [~grid.affine * (x, y) for x in (bbox[0], bbox[2]) for y in (bbox[1], bbox[3])]
    columns, rows = ([each[axis] for each in ends] for axis in (0, 1))
    slack = 1e-6  # in pixels: precision of stored pixel corners
    left, top = max(0, math.floor(min(columns) + slack)), max(0, math.floor(min(rows) + slack))
    right, bottom = min(width, math.ceil(max(columns) - slack)), min(height, math.ceil(max(rows) - slack))
    if left >= right or top >= bottom:
        corners = [grid.affine * (x, y) for x in (0, width) for y in (0, height)]
        xs, ys = zip(*corners, strict=True)
        raise InputError(
            f"bbox={tuple(bbox)} (--bbox) lies outside of the scene, which reaches from {min(xs):.10g}, {min(ys):.10g} "
            f"to {max(xs):.10g}, {max(ys):.10g} in its CRS"
        )
    return slice(top, bottom), slice(left, right)


def pixel_ratio(scene: xr.DataArray, guide: xr.DataArray) -> tuple[float, float] | None:
    """Return the width and height of a scene pixel in guide pixels; None if unknown."""
    start, end = grid_of(scene), grid_of(guide)
    if start is None or end is None:
        return None
    column, row = start.width / 2, start.height / 2
    ends = np.array([column, column + 1, column]), np.array([row, row, row + 1])
    across, down = _places(*ends, start, end)
    if not (np.isfinite(across).all() and np.isfinite(down).all()):
        return None
    sides = [float(np.hypot(across[i] - across[0], down[i] - down[0])) for i in (1, 2)]
    return sides[0], sides[1]


def _difference(guide_grid: Grid, target_grid: Grid) -> str | None:
    """Return how two grids differ, None where they are the same up to `SAME_PLACE`."""
    from rasterio.crs import CRS

    if (
        guide_grid.crs is not None
        and target_grid.crs is not None
        and CRS.from_wkt(guide_grid.crs) != CRS.from_wkt(target_grid.crs)
    ):
        names = [CRS.from_wkt(each.crs) for each in (target_grid, guide_grid)]
        return f"the scene is in {names[0].to_string()}, the guide in {names[1].to_string()}"
    ends = [(x, y) for x in (0, target_grid.width) for y in (0, target_grid.height)]
    apart = [
        max(abs(a - b) for a, b in zip(~guide_grid.affine * (target_grid.affine * end), end, strict=True))
        for end in ends
    ]
    if max(apart) > SAME_PLACE:
        return f"their georeferences put them {max(apart):.1f} pixels of the guide apart"
    if (guide_grid.height, guide_grid.width) != (target_grid.height, target_grid.width):
        return (
            f"the guide has {guide_grid.height} x {guide_grid.width} pixels, the scene needs "
            f"{target_grid.height} x {target_grid.width}"
        )
    return None


def _covered(guide_grid: Grid, target_grid: Grid) -> float:
    """Return which part of a grid another one covers, by 64 x 64 points."""
    rows, columns = ((np.arange(64) + 0.5) / 64 * length for length in (target_grid.height, target_grid.width))
    x, y = (each.ravel() for each in np.meshgrid(columns, rows))
    across, down = _places(x, y, target_grid, guide_grid)
    inside = (across >= 0) & (across <= guide_grid.width) & (down >= 0) & (down <= guide_grid.height)
    return float(inside.mean())


def _places(columns: Any, rows: Any, start: Grid, end: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where pixels of one grid lie in another one; NaN where the other CRS does not reach."""
    xs: Any
    ys: Any
    xs, ys = start.affine * (columns, rows)
    if start.crs is not None and end.crs is not None and start.crs != end.crs:
        from rasterio.warp import transform

        try:
            xs, ys = (np.asarray(each, float) for each in transform(start.crs, end.crs, xs, ys))
        except Exception:  # there is no way from one to the other; errors of GDAL have no public class
            xs = ys = np.full(np.shape(xs), np.nan)
    finite = np.isfinite(xs) & np.isfinite(ys)
    across, down = ~end.affine * (np.where(finite, xs, np.nan), np.where(finite, ys, np.nan))
    return np.asarray(across, float), np.asarray(down, float)


def _resampled(scene: xr.DataArray, grid: Grid) -> Any:
    """Return an array for xarray's lazy indexing, resampled block by block when read."""
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Resampled(BackendArray):
        shape = (scene.sizes["band"], grid.height, grid.width)
        dtype = np.dtype(np.float32)

        def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
            return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._block)

        def _block(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
            parts = [
                range(each, each + 1) if isinstance(each, (int, np.integer)) else range(*each.indices(length))
                for each, length in zip(key, self.shape, strict=True)
            ]
            spans = [slice(min(each), max(each) + 1) if len(each) else slice(0, 0) for each in parts]
            values = _resample(scene, grid, spans)
            steps = tuple(
                each.start - span.start if isinstance(whole, (int, np.integer)) else slice(None, None, each.step)
                for each, span, whole in zip(parts, spans, key, strict=True)
            )
            return values[steps]

    return Resampled()


def _resample(scene: xr.DataArray, grid: Grid, spans: Sequence[slice]) -> NDArray[np.float32]:
    """Return bands, rows and columns of a scene on a grid, NaN outside of it."""
    from rasterio.warp import Resampling, reproject

    bands, rows, columns = spans
    values = np.full([each.stop - each.start for each in spans], np.nan, np.float32)
    own = grid_of(scene)
    assert own is not None
    part = Grid(
        grid.crs,
        tuple(grid.affine * grid.affine.translation(columns.start, rows.start))[:6],
        rows.stop - rows.start,
        columns.stop - columns.start,
    )
    if not values.size:
        return values
    # the border of the part, closely: it may be curved in the scene's pixels
    x, y = (np.linspace(0, length, min(length, 64) + 1) for length in (part.width, part.height))
    edge = np.concatenate([np.column_stack([x, 0 * x + end]) for end in (0, part.height)])
    side = np.concatenate([np.column_stack([0 * y + end, y]) for end in (0, part.width)])
    border = np.concatenate([edge, side])
    across, down = _places(border[:, 0], border[:, 1], part, own)
    if not np.isfinite(across).any():
        return values
    ratio = max(np.nanmax(across) - np.nanmin(across), 1) / part.width
    margin = 2 + math.ceil(2 * ratio)
    cut = [
        slice(max(0, math.floor(np.nanmin(each)) - margin), min(length, math.ceil(np.nanmax(each)) + margin))
        for each, length in ((down, own.height), (across, own.width))
    ]
    if any(each.start >= each.stop for each in cut):
        return values
    source = np.asarray(scene.variable[bands, cut[0], cut[1]].values, np.float32)
    nodata = scene.attrs.get("_FillValue")
    if nodata is not None and np.isfinite(nodata):
        source = np.where(source == np.float32(nodata), np.float32(np.nan), source)
    reproject(
        source,
        values,
        src_transform=own.affine * own.affine.translation(cut[1].start, cut[0].start),
        src_crs=own.crs or grid.crs or _NO_CRS,
        src_nodata=np.nan,
        dst_transform=part.affine,
        dst_crs=grid.crs or own.crs or _NO_CRS,
        dst_nodata=np.nan,
        resampling=Resampling.average if ratio > 1.5 else Resampling.bilinear,
        tolerance=0,
        num_threads=1,
    )
    return values


_NO_CRS = "EPSG:3857"
"""For two images without a CRS: any plane with coordinates in one unit."""


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=5)
