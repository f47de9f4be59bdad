"""Spots on the pixels of a result: map coordinates and polygons become masks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.crs_text import crs_definition
from finewave.errors import InputError
from finewave.inference.tiling.tiles import Window
from finewave.io.ground.spectral_library import Spectrum
from finewave.io.ground.spots import PIXELS, Spot
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

_LEAST_RADIUS = 1.5  # pixels of the result


@dataclass(frozen=True)
class PlacedSpot:
    """A spot on the pixels of a result.

    Attributes
    ----------
    spot : Spot
    window : Window
        Rows and columns that it touches.
    mask : bool ndarray
        Mask of its pixels in the window; at least one.
    """

    spot: Spot
    window: Window
    mask: NDArray[np.bool_]

    @property
    def is_panel(self) -> bool:
        """Whether it is a target of known reflectance."""
        return not isinstance(self.spot.spectrum, Spectrum)

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column of its middle."""
        rows, columns = np.nonzero(self.mask)
        return self.window[0].start + float(rows.mean()) + 0.5, self.window[1].start + float(columns.mean()) + 0.5

    def sum_in(self, values: NDArray[np.float32], corner: tuple[int, int]) -> tuple[NDArray[np.float64], int]:
        """Return the sum (C,) over its pixels in a part of the result (C, H, W), and their number; without NaN.

        The part's first pixel is at ``corner``, row and column.
        """
        rows, columns = np.nonzero(self.mask)
        rows, columns = rows + self.window[0].start - corner[0], columns + self.window[1].start - corner[1]
        inside = (rows >= 0) & (columns >= 0) & (rows < values.shape[1]) & (columns < values.shape[2])
        found = values[:, rows[inside], columns[inside]].astype(np.float64)
        found = found[:, np.isfinite(found).all(0)]
        return found.sum(1), found.shape[1]


def placed(spots: Sequence[Spot], scene: xr.DataArray, finer: int) -> list[PlacedSpot]:
    """Return the spots that lie in a scene, on its pixels of ``finer`` times the number.

    Warns
    -----
    FinewaveWarning
        Some lie outside; they are left out.

    Raises
    ------
    InputError
        All lie outside, or map coordinates are given for a scene without a georeference.
    """
    height, width = scene.sizes["y"] * finer, scene.sizes["x"] * finer
    inside, outside = [], []
    for spot in spots:
        (points, *holes), radius = _in_pixels(spot, scene, finer)
        found = _mask(points, radius, height, width, holes)
        if found is None:
            outside.append(spot.name)
        else:
            inside.append(PlacedSpot(spot, *found))
    if not inside:
        raise InputError(
            f"all spots lie outside the image of {height} x {width} pixels ({', '.join(outside[:5])}); check their "
            "coordinates and CRS"
        )
    if outside:
        warnings.warn(
            f"spots outside the image are left out; check their coordinates: {', '.join(outside)}",
            FinewaveWarning,
            stacklevel=4,
        )
    return inside


def _in_pixels(spot: Spot, scene: xr.DataArray, finer: int) -> tuple[list[NDArray[np.float64]], float]:
    """Return the points, then those of holes, as columns and rows; and the radius in pixels."""
    from finewave.scene import scene_crs, scene_transform

    default = max(_LEAST_RADIUS, finer / 2)
    if spot.crs == PIXELS:
        return [spot.points, *spot.holes], spot.radius or default
    transform = scene_transform(scene)
    if transform is None:
        raise InputError(
            f"{spot.name} is given in map coordinates, but the scene has no georeference: give columns and rows"
        )
    crs = scene_crs(scene)
    if spot.crs is not None and crs is None:
        raise InputError(f"{spot.name} is given in {spot.crs}, but the scene has no CRS: give columns and rows")
    inverse = ~(transform * transform.scale(1 / finer))

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        if spot.crs is not None:
            points = _reprojected(points, spot.crs, crs, spot.name)
        columns = inverse.a * points[:, 0] + inverse.b * points[:, 1] + inverse.c
        rows = inverse.d * points[:, 0] + inverse.e * points[:, 1] + inverse.f
        return np.column_stack([columns, rows])

    pixels = [to_pixels(each) for each in (spot.points, *spot.holes)]
    if spot.radius is None or len(spot.points) > 1:
        return pixels, default
    # in the unit of the spot's own CRS, such as degrees, which need not be that of the scene
    ends = to_pixels(spot.points + spot.radius * np.array([[-1.0, 0], [1, 0], [0, -1], [0, 1]]))
    (ax, ay), (bx, by) = ends[1] - ends[0], ends[3] - ends[2]
    radius = float(abs(ax * by - ay * bx)) ** 0.5 / 2
    return pixels, radius if radius > 0 and np.isfinite(radius) else default


def _reprojected(points: NDArray[np.float64], source_crs: str, target_crs: object, name: str) -> NDArray[np.float64]:
    from rasterio import Env
    from rasterio.crs import CRS
    from rasterio.errors import CRSError
    from rasterio.warp import transform

    try:
        with Env():  # GDAL's own line of an error goes to its log
            source = CRS.from_user_input(crs_definition(source_crs))
            x, y = transform(source, target_crs, points[:, 0].tolist(), points[:, 1].tolist())
    except CRSError as error:
        raise InputError(f"{name}: {source_crs!r} does not name a CRS") from error
    except Exception as error:  # errors of GDAL have no public class
        raise InputError(
            f"{name}: there is no way from {source_crs} to the scene's CRS; give places in that, or column and row"
        ) from error
    return np.column_stack([x, y])


def _mask(
    points: NDArray[np.float64], radius: float, height: int, width: int, holes: Sequence[NDArray[np.float64]] = ()
) -> tuple[Window, NDArray[np.bool_]] | None:
    """Return the window and mask of a disc or polygon (column, row); None outside the image."""
    if not np.isfinite(points).all():
        return None
    reach = radius if len(points) == 1 else 0.0
    size = np.array([width, height])
    low = np.clip(np.floor(points.min(0) - reach), 0, size).astype(int)
    high = np.minimum(np.maximum(np.clip(np.ceil(points.max(0) + reach), 0, size).astype(int), low + 1), size)
    is_inside = bool(((points.mean(0) >= 0) & (points.mean(0) <= size)).all())
    if (low >= high).any() or (len(points) == 1 and not is_inside):
        return None
    window = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
    rows, columns = np.mgrid[window[0], window[1]] + 0.5
    if len(points) == 1:
        column, row = points[0]
        mask = np.hypot(rows - row, columns - column) <= radius
        nearest = np.hypot(rows - row, columns - column)
    else:
        mask = _inside([points, *holes], columns, rows)
        nearest = np.hypot(rows - points[:, 1].mean(), columns - points[:, 0].mean())
    if not mask.any():  # smaller than a pixel: use the pixel that contains it
        if not is_inside:
            return None
        mask[np.unravel_index(nearest.argmin(), mask.shape)] = True
    return window, mask


def _inside(rings: Sequence[NDArray[np.float64]], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points lie in a polygon: those from which a ray crosses its sides an odd number of times."""
    inside = np.zeros(x.shape, bool)
    for corners in rings:
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
