"""A STAC item of a file: what and where it is, for catalogues. Version 1.1, ``eo``, ``raster``, ``projection``."""

from __future__ import annotations

import json
import math
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xarray as xr

import finewave
from finewave.acquisition import stated_date, utc
from finewave.io.atomic import atomic_output
from finewave.io.geojson_outline import outline_of
from finewave.scene import band_labels, band_values, scene_crs, scene_transform
from finewave.warnings import FinewaveWarning

_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("eo/v2.0.0", "raster/v2.0.0", "projection/v2.0.0", "processing/v1.2.0")
]
_MEDIA = {
    **dict.fromkeys((".tif", ".tiff", ".gtiff"), "image/tiff; application=geotiff; profile=cloud-optimized"),
    **dict.fromkeys((".nc", ".nc4", ".cdf"), "application/x-netcdf"),
    **dict.fromkeys((".h5", ".hdf5", ".hdf", ".he5"), "application/x-hdf5"),
    ".zarr": "application/vnd+zarr",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}


def stac_item(scene: xr.DataArray, path: Path) -> dict[str, Any]:
    """Return the item of a scene in a file.

    Parameters
    ----------
    scene : xarray.DataArray
        As it is opened from the file: its ``encoding`` has scale, offset and nodata.
    path : pathlib.Path
        The file; the item lies beside it.

    Returns
    -------
    dict
        For JSON. ``datetime`` is that of the attributes ``datetime``, ``acquisition_date``, ... of the scene; of a day
        without its time it is null, between ``start_datetime`` and ``end_datetime``.

    Warns
    -----
    FinewaveWarning
        The scene does not say when it was taken; the item then has the time at which it was made.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    geometry, bbox = _on_the_globe(scene)
    properties = {
        **_dates(scene, path, now),
        "created": now,
        "processing:software": {"finewave": finewave.__version__},
        **_place(scene),
    }
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _EXTENSIONS,
        "id": path.stem,
        "geometry": geometry,
        **({} if bbox is None else {"bbox": bbox}),
        "properties": properties,
        "links": [],
        "assets": {"image": _asset(scene, path)},
    }
    return item


def save_stac_item(scene: xr.DataArray, path: Path, target: Path) -> None:
    """Write the item of a file atomically."""
    text = json.dumps(stac_item(scene, path), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_output(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _dates(scene: xr.DataArray, path: Path, now: str) -> dict[str, str | None]:
    """Return ``datetime``, or the begin and end of the day where the time is not known."""
    date = stated_date(scene.attrs) or utc(scene.attrs.get("TIFFTAG_DATETIME"))
    if date is None:
        warnings.warn(
            f"{path}: nothing says when the scene was taken; its STAC item has the time at which it was made: put the "
            "true datetime there",
            FinewaveWarning,
            stacklevel=4,
        )
        return {"datetime": now}
    if "T" in date:
        return {"datetime": date}
    return {"datetime": None, "start_datetime": f"{date}T00:00:00Z", "end_datetime": f"{date}T23:59:59Z"}


def _place(scene: xr.DataArray) -> dict[str, Any]:
    crs, transform = scene_crs(scene), scene_transform(scene)
    properties: dict[str, Any] = {"proj:shape": [scene.sizes["y"], scene.sizes["x"]]}
    if crs is not None:
        code = crs.to_epsg()
        properties |= (
            {"proj:code": f"EPSG:{code}"} if code else {"proj:code": None, "proj:wkt2": crs.to_wkt(version="WKT2")}
        )
    if transform is not None:
        properties["proj:transform"] = [float(each) for each in tuple(transform)[:6]]
        if crs is not None and crs.is_projected:
            properties["gsd"] = float(abs(transform.determinant) ** 0.5) * float(crs.linear_units_factor[1])
    return properties


def _on_the_globe(scene: xr.DataArray) -> tuple[dict[str, Any] | None, list[float] | None]:
    """Return outline and bounds in longitude and latitude; None of a scene without a place."""
    crs, transform = scene_crs(scene), scene_transform(scene)
    if crs is None or transform is None:
        return None, None
    return outline_of(crs, transform, scene.sizes["x"], scene.sizes["y"]) or (None, None)


def _asset(scene: xr.DataArray, path: Path) -> dict[str, Any]:
    wavelengths, widths = band_values(scene, "wavelength"), band_values(scene, "fwhm")
    bands = []
    for index, label in enumerate(band_labels(scene)):
        band: dict[str, Any] = {"name": str(label)}
        if wavelengths is not None:
            band["eo:center_wavelength"] = round(float(wavelengths[index]) / 1000, 7)  # µm
        if widths is not None:
            band["eo:full_width_half_max"] = round(float(widths[index]) / 1000, 7)
        bands.append(band)
    asset: dict[str, Any] = {"href": f"./{path.name}", "roles": ["data"], "bands": bands}
    if media := _MEDIA.get(path.suffix.lower()):
        asset["type"] = media
    encoding = scene.encoding
    if "scale_factor" in encoding or "add_offset" in encoding:
        asset["raster:scale"] = float(encoding.get("scale_factor", 1.0))
        asset["raster:offset"] = float(encoding.get("add_offset", 0.0))
    if (nodata := encoding.get("_FillValue")) is not None:
        asset["nodata"] = float(nodata) if math.isfinite(nodata) else str(float(nodata))  # "nan", "inf", "-inf"
    if "dtype" in encoding:
        asset["data_type"] = str(encoding["dtype"])
    return asset
