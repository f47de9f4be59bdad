"""Where a Zarr array lies, by the conventions ``spatial:`` and ``proj:``, which GDAL, rioxarray and GeoZarr tools read.

Facts after github.com/zarr-conventions/spatial and github.com/zarr-experimental/geo-proj, version 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from finewave.scene import scene_crs, scene_transform

_CONVENTIONS = "zarr_conventions"
_SPATIAL = {
    "uuid": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
    "name": "spatial:",
    "description": "Spatial coordinate information",
    "schema_url": "https://raw.githubusercontent.com/zarr-conventions/spatial/refs/tags/v1/schema.json",
    "spec_url": "https://github.com/zarr-conventions/spatial/blob/v1/README.md",
}
_PROJ = {
    "uuid": "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "name": "proj:",
    "description": "Coordinate reference system information for geospatial data",
    "schema_url": "https://raw.githubusercontent.com/zarr-experimental/geo-proj/refs/tags/v1/schema.json",
    "spec_url": "https://github.com/zarr-experimental/geo-proj/blob/v1/README.md",
}


def attributes_of(scene: xr.DataArray) -> dict[str, Any]:
    """Return the attributes that say where a scene lies; none of one without a transform."""
    crs, transform = scene_crs(scene), scene_transform(scene)
    if transform is None:
        return {}
    height, width = scene.sizes["y"], scene.sizes["x"]
    xs, ys = zip(*(transform * (x, y) for x in (0, width) for y in (0, height)), strict=True)
    attributes: dict[str, Any] = {
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": [float(each) for each in tuple(transform)[:6]],
        "spatial:shape": [height, width],
        "spatial:bbox": [min(xs), min(ys), max(xs), max(ys)],
        "spatial:registration": "pixel",
        _CONVENTIONS: [_SPATIAL],
    }
    if crs is not None:
        code = crs.to_epsg()
        attributes |= {"proj:code": f"EPSG:{code}"} if code else {"proj:wkt2": crs.to_wkt(version="WKT2")}
        attributes[_CONVENTIONS] = [_SPATIAL, _PROJ]
    return attributes


def is_of_place(name: object) -> bool:
    """Whether an attribute belongs to one of the conventions."""
    return name == _CONVENTIONS or str(name).startswith(("spatial:", "proj:"))


def place_in(attrs: Mapping[Any, Any]) -> tuple[Any, Any]:
    """Return CRS and transform (six numbers) that attributes state, None for what they do not."""
    numbers = attrs.get("spatial:transform")
    listed = isinstance(numbers, (list, tuple)) or hasattr(numbers, "tolist")
    transform = [float(each) for each in list(numbers)[:6]] if listed and numbers is not None else None
    if transform is not None and (len(transform) < 6 or attrs.get("spatial:transform_type", "affine") != "affine"):
        transform = None
    if transform is not None and attrs.get("spatial:registration", "pixel") == "node":
        a, b, c, d, e, f = transform  # of the centres of pixels
        transform = [a, b, c - (a + b) / 2, d, e, f - (d + e) / 2]
    crs = next((attrs[key] for key in ("proj:code", "proj:wkt2", "proj:projjson") if attrs.get(key)), None)
    return crs, transform
