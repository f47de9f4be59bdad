"""CRS and transform of a scene in its coordinate ``spatial_ref``, by the conventions of CF, GDAL and rioxarray."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.crs_text import parse_crs
from finewave.pixel_positions import counted_for, is_even, part_of_image, step_of, warn_uneven

if TYPE_CHECKING:
    import xarray as xr
    from affine import Affine
    from rasterio.crs import CRS

NAME = "spatial_ref"


def name_of(scene: xr.DataArray) -> str:
    """Return the name of the coordinate with the CRS and the transform."""
    return str(scene.encoding.get("grid_mapping") or scene.attrs.get("grid_mapping") or NAME)


def attributes_of(scene: xr.DataArray) -> dict[Any, Any]:
    """Return the attributes of that coordinate; empty without it."""
    name = name_of(scene)
    return dict(scene.coords[name].attrs) if name in scene.coords else {}


def with_attributes(scene: xr.DataArray, attributes: Mapping[Any, Any]) -> xr.DataArray:
    """Return the scene with a grid mapping of these attributes; values and encoding of the scene are kept."""
    with suppress(ImportError):  # finewave-run has no rioxarray
        import rioxarray  # noqa: F401 - registers the .rio accessor, for those who use the scene

    encoding, name = dict(scene.encoding), name_of(scene)
    scene = scene.assign_coords({name: ((), 0, dict(attributes))})
    scene.attrs = {key: value for key, value in scene.attrs.items() if key != "grid_mapping"}
    scene.encoding = {**encoding, "grid_mapping": name}
    return scene


def with_crs(scene: xr.DataArray, crs: Any) -> xr.DataArray:
    """Return the scene with a CRS, in any form that `finewave.crs_text.parse_crs` takes.

    Raises
    ------
    rasterio.errors.CRSError
        It is not a CRS.
    """
    crs = parse_crs(crs)
    wkt = crs.to_wkt()
    before = attributes_of(scene)
    kept = {key: before[key] for key in ("GeoTransform",) if key in before}
    scene = with_attributes(scene, {**_cf_attributes(wkt), NAME: wkt, "crs_wkt": wkt, **kept})
    scene.attrs.pop("crs", None)
    return scene


def _cf_attributes(wkt: str) -> dict[str, Any]:
    """Return the name and parameters of a projection by CF; only NetCDF and Zarr need them, which bring pyproj."""
    try:
        import pyproj
    except ImportError:
        return {}
    return pyproj.CRS.from_wkt(wkt).to_cf()


def with_transform(scene: xr.DataArray, transform: Affine) -> xr.DataArray:
    """Return the scene with a transform from (column, row) to map coordinates; its ``x`` and ``y`` stay as they are."""
    numbers = " ".join(map(str, transform.to_gdal()))
    scene = with_attributes(scene, {**attributes_of(scene), "GeoTransform": numbers})
    scene.attrs.pop("transform", None)
    return scene


def scene_crs(scene: xr.DataArray) -> CRS | None:
    """Return the scene's coordinate reference system, None when it has none.

    That of the grid mapping, or else the attribute ``crs``.

    Raises
    ------
    rasterio.errors.CRSError
        What is stated is not a CRS.
    """
    if not _has_georeference(scene):
        return None
    attributes = attributes_of(scene)
    for key in (NAME, "crs_wkt"):
        if key in attributes:
            return parse_crs(attributes[key])
    stated = _from_cf(attributes) if "grid_mapping_name" in attributes else None
    if stated is None:
        stated = scene.attrs.get("crs")
    return None if stated is None else parse_crs(stated)


def _from_cf(attributes: dict[Any, Any]) -> str | None:
    """Return the WKT of a projection by CF; None if it has none, or if there is no pyproj to tell."""
    try:
        import pyproj
    except ImportError:
        return None
    try:
        return str(pyproj.CRS.from_cf(attributes).to_wkt())
    except (KeyError, pyproj.exceptions.CRSError):
        return None


def scene_transform(scene: xr.DataArray) -> Affine | None:
    """Return the transform from (column, row) to map coordinates, None when the scene has none.

    The coordinates ``x`` and ``y`` decide, because cropping updates them, and ``row`` and ``column`` of a rotated grid.
    If the stored transform agrees with them, it is returned instead, because it is exact.

    Warns
    -----
    FinewaveWarning
        The pixels are a selection that is not evenly spaced: there is no transform.
    """
    if not _has_georeference(scene):
        return None
    stated = stated_transform(scene)
    if stated is not None and is_sheared(stated):
        return _of_part(scene, stated)
    derived = derived_transform(scene, stated)
    if derived is not None and np.isfinite(derived[:6]).all() and derived.determinant != 0:
        uneven = [axis for axis in ("x", "y") if not is_even(scene.coords[axis].values)]
        if uneven:
            warn_uneven(uneven)
            return None
    if derived is None or (stated is not None and _agree(stated, derived)):
        derived = stated
    return None if derived is None or derived.is_identity else derived


def _of_part(scene: xr.DataArray, stated: Affine) -> Affine | None:
    """Return the transform of a part of the image that a transform was stated for."""
    from affine import Affine

    if not counted_for(scene, stated):
        return stated
    part = part_of_image(scene)
    if part is None or part == ((0.5, 1.0), (0.5, 1.0)):
        return None if part is None else stated
    (row, down), (column, across) = part
    return stated * Affine(across, 0, column - across / 2, 0, down, row - down / 2)


def _agree(stated: Affine, derived: Affine) -> bool:
    """Whether two transforms differ by less than a millionth of a pixel, as by the rounding of coordinates."""
    pixel = max(abs(derived.a), abs(derived.e))
    return bool(np.isfinite(pixel)) and np.allclose(stated[:6], derived[:6], rtol=0, atol=1e-6 * pixel)


def _has_georeference(scene: xr.DataArray) -> bool:
    return name_of(scene) in scene.coords or ("x" in scene.coords and "y" in scene.coords)


def stated_transform(scene: xr.DataArray) -> Affine | None:
    """Return the transform that the grid mapping states, or else the attribute ``transform`` of the scene."""
    from affine import Affine

    text = attributes_of(scene).get("GeoTransform")
    if text is not None:
        numbers = _six_numbers(str(text).split())
        return None if numbers is None else Affine.from_gdal(*numbers)
    numbers = _six_numbers(scene.attrs.get("transform"))
    return None if numbers is None else Affine(*numbers)


def _six_numbers(values: Any) -> list[float] | None:
    try:
        numbers = [float(each) for each in values][:6]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 6 else None


def derived_transform(scene: xr.DataArray, stated: Affine | None) -> Affine | None:
    """Return the transform of the coordinates ``x`` and ``y``, which are those of the pixels' centres.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims ``(band, y, x)``.
    stated : affine.Affine, optional
        It has the size of a pixel along an axis with only one.

    Returns
    -------
    affine.Affine or None
        None without coordinates or pixels, or if the size of a pixel is not known.
    """
    from affine import Affine

    if "x" not in scene.coords or "y" not in scene.coords or 0 in (scene.sizes["x"], scene.sizes["y"]):
        return None
    x, y = np.atleast_1d(scene.coords["x"].values), np.atleast_1d(scene.coords["y"].values)
    a, e = step_of(x), step_of(y)
    if stated is not None:
        a, e = stated.a if a is None else a, stated.e if e is None else e
    if a is None or e is None:
        return None
    return Affine(a, 0.0, float(x[0]) - a / 2, 0.0, e, float(y[0]) - e / 2)


def is_sheared(transform: Affine | None) -> bool:
    """Return whether a transform is rotated or sheared, so that coordinates along ``x`` and ``y`` cannot express it."""
    return transform is not None and (transform.b != 0 or transform.d != 0)
