"""Georeference without a transform: ground control points and rational polynomial coefficients (RPCs)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.grid_mapping import attributes_of, with_attributes, with_crs
from finewave.pixel_positions import part_of_image, with_pixel_positions

if TYPE_CHECKING:
    import xarray as xr

#: Attribute of a scene that holds its RPCs, in the names of ``rasterio.rpc.RPC``.
RPCS = "rpcs"


def with_control_points(scene: xr.DataArray, points: Any, crs: Any) -> xr.DataArray:
    """Return the scene with ground control points.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims ``(band, y, x)``.
    points : sequence of rasterio.control.GroundControlPoint, or array of shape (n, 4 or 5)
        Row, column (0 at the upper left corner of the image, centres of pixels at .5), x, y and perhaps z.
    crs : optional
        Of x and y, in any form that rasterio takes.

    Returns
    -------
    xarray.DataArray
        The points are stored in ``spatial_ref``, where rioxarray's ``rio.get_gcps`` reads them.
    """
    from rasterio.control import GroundControlPoint

    rows = [each if isinstance(each, GroundControlPoint) else GroundControlPoint(*map(float, each)) for each in points]
    features = [
        {
            "type": "Feature",
            "properties": {"id": p.id, "info": p.info, "row": p.row, "col": p.col},
            "geometry": {"type": "Point", "coordinates": [p.x, p.y] if p.z is None else [p.x, p.y, p.z]},
        }
        for p in rows
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    scene = scene if crs is None else with_crs(scene, crs)
    return with_pixel_positions(with_attributes(scene, {**attributes_of(scene), "gcps": text}))


def control_points(scene: xr.DataArray) -> list[Any]:
    """Return the scene's ground control points, as ``rasterio.control.GroundControlPoint``; empty without any.

    Of a part of an image they are in pixels of the part.
    """
    text = attributes_of(scene).get("gcps")
    if text is None:
        return []
    from rasterio.control import GroundControlPoint

    part = part_of_image(scene)
    if part is None:
        return []
    (row, down), (column, across) = part
    return [
        GroundControlPoint(
            row=_position_in_part(each["properties"]["row"], row, down),
            col=_position_in_part(each["properties"]["col"], column, across),
            **{key: each["properties"][key] for key in ("id", "info")},
            **dict(zip("xyz", each["geometry"]["coordinates"], strict=False)),
        )
        for each in json.loads(text)["features"]
    ]


def _position_in_part(position: float, first: float, step: float) -> float:
    whole = (first, step) == (0.5, 1.0)
    return position if whole else (position - first) / step + 0.5


def scene_rpcs(scene: xr.DataArray) -> dict[str, Any] | None:
    """Return the scene's RPCs, in the names of ``rasterio.rpc.RPC`` and in its pixels; None without any."""
    rpcs = scene.attrs.get(RPCS)
    part = part_of_image(scene) if isinstance(rpcs, Mapping) else None
    if not isinstance(rpcs, Mapping) or part is None:
        return None
    moved = dict(rpcs)
    for axis, (first, step) in zip(("line", "samp"), part, strict=True):
        if (first, step) != (0.5, 1.0):
            moved[f"{axis}_off"] = (float(rpcs[f"{axis}_off"]) + 0.5 - first) / step
            moved[f"{axis}_scale"] = float(rpcs[f"{axis}_scale"]) / step
    return moved


def with_rpcs(scene: xr.DataArray, rpcs: Mapping[str, Any]) -> xr.DataArray:
    """Return the scene with RPCs, in the names of ``rasterio.rpc.RPC``, of its pixels as they are now."""
    attrs = {**scene.attrs, RPCS: dict(rpcs)}
    scene = with_pixel_positions(scene)
    scene.attrs = attrs
    return scene


def as_matrix(points: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return control points as numbers, shape (n, 5): row, column, x, y, z (0 where it is not known)."""
    return np.asarray([[each.row, each.col, each.x, each.y, each.z or 0.0] for each in points], np.float64)


def on_finer_pixels(points: Sequence[Any], factor: float) -> list[Any]:
    """Return control points for an image of the same area with ``factor`` times as many rows and columns."""
    from rasterio.control import GroundControlPoint

    return [GroundControlPoint(p.row * factor, p.col * factor, p.x, p.y, p.z, p.id, p.info) for p in points]


def rpcs_on_finer_pixels(rpcs: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return RPCs for an image of the same area with ``factor`` times as many rows and columns.

    RPCs count from the centre of the first pixel, so offsets move by half the difference of the pixel sizes.
    """
    scaled = dict(rpcs)
    for axis in ("line", "samp"):
        scaled[f"{axis}_off"] = (float(rpcs[f"{axis}_off"]) + 0.5) * factor - 0.5
        scaled[f"{axis}_scale"] = float(rpcs[f"{axis}_scale"]) * factor
    return scaled


def sampled_points(longitude: Any, latitude: Any, most: int = 11) -> np.ndarray[Any, Any]:
    """Select control points from the coordinates of all pixels.

    Parameters
    ----------
    longitude, latitude : array_like of shape (y, x)
        Of the centres of the pixels, in degrees (or x and y in another CRS); NaN where they are not known.
    most : int
        Maximum number of rows and columns of points, corners included.

    Returns
    -------
    numpy.ndarray
        Shape (n, 4): row, column, x, y.
    """
    longitude, latitude = np.asarray(longitude), np.asarray(latitude)
    rows, columns = (
        np.unique(np.linspace(0, length - 1, min(most, length)).round().astype(int)) for length in longitude.shape
    )
    y, x = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
    points = np.column_stack([y + 0.5, x + 0.5, longitude[y, x], latitude[y, x]]).astype(np.float64)
    return points[np.isfinite(points).all(axis=1) & (np.abs(points[:, 2:]) < 1e7).all(axis=1)]
