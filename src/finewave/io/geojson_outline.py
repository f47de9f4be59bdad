"""Outline of a raster in longitude and latitude by RFC 7946: cut at the antimeridian, led around poles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

Points = NDArray[np.float64]
_PARTS = 16
_DIGITS = 7


def outline_of(crs: Any, transform: Affine, width: int, height: int) -> tuple[dict[str, Any], list[float]] | None:
    """Return geometry and bounds of a raster.

    Parameters
    ----------
    crs : rasterio.crs.CRS
    transform : affine.Affine
        From (column, row) to its coordinates.
    width, height : int
        In pixels.

    Returns
    -------
    dict, list of float
        ``Polygon``, or ``MultiPolygon`` of two where it crosses the antimeridian (RFC 7946, section 3.1.9); its bounds
        west, south, east, north, where west is then larger than east (section 5.2). Sides have 16 parts, since those of
        a projection are curves here. None if it cannot be projected.
    """
    ring = _projected(crs, transform, width, height)
    if ring is None:
        return None
    lons = np.unwrap(ring[:, 0], period=360).round(_DIGITS + 2)  # 180 and a rounding error is 180
    turns = round((lons[-1] + (ring[0, 0] - lons[-1] + 180) % 360 - 180 - lons[0]) / 360)
    south, north = float(ring[:, 1].min()), float(ring[:, 1].max())
    if turns:
        pole = 90.0 if ring[:, 1].mean() > 0 else -90.0
        return _polygons(_around(ring, pole)), _rounded([-180.0, min(south, pole), 180.0, max(north, pole)])
    lons -= 360 * np.floor((lons.min() + 180) / 360)  # the most western one from -180 on
    west, east = float(lons.min()), float(lons.max())
    unwrapped = np.column_stack([lons, ring[:, 1]])
    if east <= 180:
        return _polygons(unwrapped), _rounded([west, south, east, north])
    parts = [_clipped(unwrapped, lambda x: x <= 180), _clipped(unwrapped, lambda x: x >= 180) - [360, 0]]
    bounds = [-180.0, south, 180.0, north] if east - west >= 360 else [west, south, east - 360, north]
    return _polygons(*parts), _rounded(bounds)


def _projected(crs: Any, transform: Affine, width: int, height: int) -> Points | None:
    """Return the ring (points, 2), not closed, as longitude and latitude."""
    from rasterio.warp import transform as project

    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)], float)
    steps = np.arange(_PARTS)[:, None] / _PARTS
    pixels = np.concatenate([a + (b - a) * steps for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)])
    xs, ys = zip(*(transform * (x, y) for x, y in pixels), strict=True)
    try:
        lons, lats = project(crs, "EPSG:4326", xs, ys)[:2]
    except Exception:  # errors of GDAL have no public class
        return None
    ring = np.column_stack([lons, lats])
    return ring if np.isfinite(ring).all() else None


def _around(ring: Points, pole: float) -> Points:
    """Return the ring of an outline that holds a pole, in the plane of longitude and latitude."""
    lons = (ring[:, 0] + 180) % 360 - 180
    order = np.argsort(lons, kind="stable")
    lons, lats = lons[order], ring[order, 1]
    edge = float(np.interp(180, [lons[-1], lons[0] + 360], [lats[-1], lats[0]]))
    ends = [(180, edge), (180, pole), (-180, pole), (-180, edge)]
    return np.concatenate([np.column_stack([lons, lats]), np.array(ends, float)])


def _clipped(ring: Points, is_inside: Callable[[float], bool]) -> Points:
    """Return the part of a ring on one side of longitude 180 (Sutherland and Hodgman, 1974)."""
    kept: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, 0), strict=True):
        if is_inside(x0):
            kept.append((x0, y0))
        if x0 != 180 and x1 != 180 and is_inside(x0) != is_inside(x1):
            kept.append((180.0, y0 + (y1 - y0) * (180 - x0) / (x1 - x0)))
    return np.array(kept)


def _polygons(*rings: Points) -> dict[str, Any]:
    closed = [[_closed(ring)] for ring in rings]
    if len(closed) == 1:
        return {"type": "Polygon", "coordinates": closed[0]}
    return {"type": "MultiPolygon", "coordinates": closed}


def _closed(ring: Points) -> list[list[float]]:
    """Return a ring counterclockwise and closed."""
    x, y = ring.T
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
        ring = ring[::-1]
    points = [_rounded(point) for point in ring.tolist()]
    return [*points, points[0]]


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, _DIGITS) for number in numbers]
