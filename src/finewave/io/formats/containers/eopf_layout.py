"""Scenes as Zarr in the layout of ESA's EOPF: one array a band under ``measurements/reflectance/r10m``.

The layout of Sentinel-2 samples (zarr.eopf.copernicus.eu): a STAC item and further metadata in the attributes of the
root, groups by resolution, bands as variables. EOPF has no names for bands of other sensors; they are ``b001``,
``b002``, ..., each with its wavelength and width.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from finewave.control_points import control_points
from finewave.io.formats.storage import Storage
from finewave.io.stac_item import stac_item
from finewave.scene import band_values, json_attributes, scene_crs, scene_transform
from finewave.warnings import FinewaveWarning

GROUP = "measurements/reflectance"
SENTINEL_2 = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
"""Bands that have names in EOPF: ``b01``, ..., ``b8a``."""
ATTRIBUTES = "finewave_attributes"
"""Key of a scene's attributes in ``other_metadata``."""


def array_name(band: str) -> str:
    """Return how EOPF names the array of a band of Sentinel-2: ``B2`` is ``b02``, ``B8A`` is ``b8a``."""
    return f"b{band[1:].lower():0>2}"


def write_eopf(scene: xr.DataArray, path: Path, storage: Storage, version: int, side: int, *, final_name: Path) -> None:
    """Write a scene; a lazy one block by block.

    Parameters
    ----------
    scene : xarray.DataArray
        Canonical dims.
    path : pathlib.Path
        The folder, not there yet.
    storage : Storage
        How values become stored numbers.
    version : int
        Of Zarr, 2 or 3.
    side : int
        Of a chunk, in pixels.
    final_name : pathlib.Path
        Of the store, for its STAC item.

    Warns
    -----
    FinewaveWarning
        The scene has control points, for which EOPF has no place.
    """
    if control_points(scene):
        warnings.warn(
            f"{final_name}: EOPF has no place for ground control points, they are left out; "
            "save a GeoTIFF to keep them",
            FinewaveWarning,
            stacklevel=4,
        )
    if scene.chunks is None:
        numbers: Any = storage.encode(scene.values)
    else:
        numbers = scene.data.map_blocks(storage.encode, dtype=storage.dtype, meta=np.empty((0, 0, 0), storage.dtype))
        numbers = numbers.rechunk((1, side, side))
    common = {**_place(scene), **_stored(storage)}
    arrays = {
        name: (("y", "x"), numbers[index], {**_band(scene, index), **common})
        for index, name in enumerate(_names(scene))
    }
    coords = {axis: scene.coords[axis].values for axis in ("x", "y") if axis in scene.coords}
    resolution = _resolution(scene)
    group = GROUP if resolution is None else f"{GROUP}/r{resolution:.10g}m"
    chunks = tuple(min(size, side) for size in scene.shape[1:])
    encoding = {
        name: {"chunks": chunks, **({} if storage.nodata is not None else {"_FillValue": None})} for name in arrays
    }
    root = xr.Dataset(attrs={"stac_discovery": _item(scene, final_name), "other_metadata": _others(scene)})
    options: dict[str, Any] = {"zarr_format": version, "consolidated": False}
    root.to_zarr(path, mode="w", **options)
    xr.Dataset(arrays, coords).to_zarr(path, group=group, mode="a", encoding=encoding, **options)
    _consolidate(path, version)


def _consolidate(path: Path, version: int) -> None:
    import zarr

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path, zarr_format=version)  # type: ignore[arg-type]  # 2 or 3


def _names(scene: xr.DataArray) -> list[str]:
    names = band_values(scene, "band_name")
    if names is not None and len(set(names)) == len(names) and set(names) <= set(SENTINEL_2):
        return [array_name(str(name)) for name in names]
    return [f"b{number:03d}" for number in range(1, scene.sizes["band"] + 1)]


def _resolution(scene: xr.DataArray) -> float | None:
    """Return the side of a pixel in metres, None if it is not known."""
    crs, transform = scene_crs(scene), scene_transform(scene)
    if crs is None or transform is None or not crs.is_projected:
        return None
    return round(float(abs(transform.determinant) ** 0.5) * float(crs.linear_units_factor[1]), 6)


def _stored(storage: Storage) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    if storage.scaled:
        attrs |= {"scale_factor": storage.scale_factor, "add_offset": storage.offset}
    if storage.nodata is not None:
        attrs["_FillValue"] = storage.dtype.type(storage.nodata)
    elif storage.dtype.kind == "f":
        attrs["_FillValue"] = storage.dtype.type(np.nan)
    return attrs


def _place(scene: xr.DataArray) -> dict[str, Any]:
    crs, transform = scene_crs(scene), scene_transform(scene)
    attrs: dict[str, Any] = {"proj:shape": [scene.sizes["y"], scene.sizes["x"]]}
    if crs is not None:
        code = crs.to_epsg()
        attrs |= {"proj:epsg": code} if code else {"proj:wkt2": crs.to_wkt(version="WKT2")}
    if transform is not None:
        attrs["proj:transform"] = [float(each) for each in tuple(transform)[:6]]
    return attrs


def _band(scene: xr.DataArray, index: int) -> dict[str, Any]:
    quantity = str(scene.attrs.get("quantity", "reflectance"))
    unit = quantity.partition(" in ")[2] if quantity.startswith("radiance") else "1"
    attrs: dict[str, Any] = {"units": unit} if unit else {}
    nm, width = band_values(scene, "wavelength"), band_values(scene, "fwhm")
    good, names = band_values(scene, "good_band"), band_values(scene, "band_name")
    if nm is not None:
        attrs |= {"wavelength": float(nm[index]), "wavelength_units": "nm"}
    if width is not None:
        attrs["fwhm"] = float(width[index])
    if good is not None:
        attrs["good_band"] = int(good[index])
    label = str(names[index]) if names is not None else f"band {index + 1}"
    if names is not None:
        attrs["band_name"] = label
    attrs["long_name"] = f"{quantity} of {label}" + ("" if nm is None else f", {float(nm[index]):g} nm")
    return attrs


def _item(scene: xr.DataArray, path: Path) -> dict[str, Any]:
    """Return the STAC item that the store has of itself; its bands are among the properties, as in EOPF."""
    item = stac_item(scene, path)
    bands = [
        {key.removeprefix("eo:"): value for key, value in each.items()} for each in item.pop("assets")["image"]["bands"]
    ]
    for band, name in zip(bands, _names(scene), strict=True):
        band["name"] = name[1:]
    sensor = scene.attrs.get("sensor")
    item["properties"] |= {"bands": bands, **({} if sensor is None else {"platform": str(sensor)})}
    return {**item, "assets": {}}


def _others(scene: xr.DataArray) -> dict[str, Any]:
    return {ATTRIBUTES: json_attributes(scene.attrs)}
