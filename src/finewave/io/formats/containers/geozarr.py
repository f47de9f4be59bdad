"""Where a Zarr array lies, by the conventions ``spatial:`` and ``proj:``, which GDAL, rioxarray and GeoZarr tools read.

Facts after github.com/zarr-conventions/spatial and github.com/zarr-experimental/geo-proj, version 1.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from finewave.crs_text import crs_definition
from finewave.io.formats.gdal.gdal_access import quiet_gdal
from finewave.scene import scene_crs, scene_transform
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from rasterio.crs import CRS

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


def place_in(attrs: Mapping[Any, Any], size: tuple[int, int], path: Path | str) -> tuple[Any, Any]:
    """Return CRS and transform (six numbers) that attributes state, None for what they do not.

    Parameters
    ----------
    attrs : mapping
        Of the array and its groups.
    size : (int, int)
        Rows and columns, by which ``spatial:bbox`` becomes a transform where there is no other.
    path : pathlib.Path
        For messages.

    Warns
    -----
    FinewaveWarning
        CRS or transform are stated and cannot be used.
    """
    transform = _transform(attrs, size)
    stated = attrs.get("spatial:transform") is not None or attrs.get("spatial:bbox") is not None
    if stated and transform is None:
        _warn(
            f"{path}: its spatial:transform or spatial:bbox cannot be used; the scene has no place on a map; "
            "give six numbers, or four and the shape"
        )
    for key in ("proj:code", "proj:wkt2", "proj:projjson"):
        if attrs.get(key):
            crs = _crs(attrs[key])
            if crs is not None:
                return crs, transform
            _warn(f"{path}: its {key} is not a known CRS, none is used; give a code such as EPSG:32632")
    return None, transform


def _transform(attrs: Mapping[Any, Any], size: tuple[int, int]) -> list[float] | None:
    numbers = _numbers(attrs.get("spatial:transform"), 6)
    if numbers is not None and attrs.get("spatial:transform_type", "affine") == "affine":
        if attrs.get("spatial:registration", "pixel") == "node":
            a, b, c, d, e, f = numbers  # of the centres of pixels
            numbers = [a, b, c - (a + b) / 2, d, e, f - (d + e) / 2]
        return None if numbers[0] * numbers[4] == numbers[1] * numbers[3] else numbers
    box = _numbers(attrs.get("spatial:bbox"), 4)
    if box is None or attrs.get("spatial:transform") is not None or not (box[0] < box[2] and box[1] < box[3]):
        return None
    return [(box[2] - box[0]) / size[1], 0.0, box[0], 0.0, (box[1] - box[3]) / size[0], box[3]]


def _numbers(value: Any, count: int) -> list[float] | None:
    """Return the first numbers of a list, None of anything else and if one is infinite or NaN."""
    listed = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(listed, list | tuple) or len(listed) < count:
        return None
    numbers = [float(each) for each in listed[:count] if isinstance(each, int | float)]
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _crs(value: Any) -> CRS | None:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        with quiet_gdal():
            return CRS.from_user_input(crs_definition(value))
    except (CRSError, TypeError, ValueError):
        return None


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=5)
