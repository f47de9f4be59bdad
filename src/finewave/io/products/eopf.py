"""Sentinel-2 as Zarr in the layout of ESA's EOPF: ``measurements/reflectance/r10m/b02`` and so on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.acquisition import date_attribute, date_in_name, stated_date
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.dataset_image import Groups
from finewave.io.formats.decoding import Decoding
from finewave.io.formats.lazy import LazyValues, Slices
from finewave.io.formats.zarr_store import groups_of
from finewave.io.open_options import OpenOptions
from finewave.io.products.known_bands import bands_of_sensor
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning

GROUP = "measurements/reflectance"
"""Key that identifies such a store."""
_BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")


def matches(path: Path) -> bool:
    """Whether a path is a store with the group ``measurements/reflectance``."""
    return path.is_dir() and (path / GROUP).is_dir()


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the bands of a product.

    Parameters
    ----------
    options : OpenOptions
        What the user stated; ``resolution`` (10, 20 or 60) chooses the group, by default the finest.

    Returns
    -------
    xarray.DataArray
        Reflectance, lazy: the bands that the store has at that resolution.

    Warns
    -----
    FinewaveWarning
        Bands that only coarser groups have were left out.
    """
    return open_groups_of(lambda: groups_of(path), path, options)


def open_groups_of(open_them: Callable[[], Groups], path: PurePath, options: OpenOptions) -> xr.DataArray:
    """Open the bands of a product whose groups are opened by a function; see `open_file`."""
    with reading(str(path), "Zarr store"):
        groups = open_them()

    def close() -> None:
        for each in groups.values():
            each.close()

    try:
        scene = _open(path, groups, options)
    except BaseException:
        close()
        raise
    scene.set_close(close)
    return scene


def _open(path: PurePath, groups: Any, options: OpenOptions) -> xr.DataArray:
    by_resolution: dict[float, dict[str, xr.DataArray]] = {}
    for group, dataset in groups.items():
        matched = re.fullmatch(rf"/{GROUP}(?:/r(\d+)m)?", group)
        if matched is None:
            continue
        bands = {name: each for name, each in dataset.data_vars.items() if _band_of(str(name)) is not None}
        if bands:
            by_resolution[float(matched[1] or 10)] = {str(_band_of(str(name))): each for name, each in bands.items()}
    if not by_resolution:
        raise InputError(f"{path} holds no bands (b02, b03, ...) under {GROUP}; is it whole?")
    resolution = min(by_resolution) if options.resolution is None else options.resolution
    if resolution not in by_resolution:
        known = ", ".join(f"{each:g}" for each in sorted(by_resolution))
        raise InputError(f"no band of {path} has pixels of {resolution:g}; there are pixels of {known}")
    selected = by_resolution[resolution]
    names = [name for name in _BANDS if name in selected]
    coarser = sorted({name for bands in by_resolution.values() for name in bands} - set(names), key=_BANDS.index)
    if coarser and options.resolution is None:
        warnings.warn(
            f"{path}: {', '.join(coarser)} have larger pixels than {resolution:g} m and are left out; "
            f"resolution={max(by_resolution):g} takes them",
            FinewaveWarning,
            stacklevel=4,
        )
    arrays = [selected[name] for name in names]
    first = arrays[0]
    if options.scale is not None:
        raise InputError(f"{path} states its own scale; leave out full_scale")

    def read(key: Slices) -> NDArray[Any]:
        return np.stack([each.variable[key[1:]].values for each in arrays[key[0]]])

    shape = (len(arrays), *first.shape)
    values = LazyValues(read, shape, (0, 1, 2), Decoding(first.dtype), path, "Zarr store")
    sensor = _sensor(path, groups)
    return make_scene(
        values.as_variable(),
        crs=_crs(first, groups),
        transform=_transform(first, groups, resolution),
        encoding={"dtype": "float32"},
        attrs={
            "sensor": sensor,
            "product": path.stem,
            "quantity": "reflectance",
            **date_attribute(stated_date(_properties(groups)), date_in_name(path.name)),
        },
        **bands_of_sensor(names, sensor),
    )


def _band_of(name: str) -> str | None:
    matched = re.fullmatch(r"b(\d\d|8a)", name, re.IGNORECASE)
    band = f"B{matched[1].upper().lstrip('0')}" if matched else None
    return band if band in _BANDS else None


def _properties(groups: Any) -> dict[str, Any]:
    """Return the properties of the STAC item in the store's attributes."""
    discovery = groups["/"].attrs.get("stac_discovery", {})
    properties = discovery.get("properties", {}) if isinstance(discovery, dict) else {}
    return properties if isinstance(properties, dict) else {}


def _sensor(path: PurePath, groups: Any) -> str:
    properties = _properties(groups)
    text = f"{properties.get('platform', '')} {path.name}".lower()
    matched = re.search(r"sentinel-?2([abc])|s2([abc])_", text)
    return f"sentinel2{matched[1] or matched[2]}" if matched else "sentinel2a"


def _described(array: xr.DataArray, groups: Any) -> list[dict[str, Any]]:
    """Return the possible locations of the STAC projection extension."""
    discovery = groups["/"].attrs.get("stac_discovery", {})
    places = [array.attrs, array.attrs.get("_eopf_attrs"), groups["/"].attrs.get("other_metadata")]
    if isinstance(discovery, dict):
        places.append(discovery.get("properties"))
    return [each for each in places if isinstance(each, dict)]


def _crs(array: xr.DataArray, groups: Any) -> Any:
    for place in _described(array, groups):
        for key in ("proj:epsg", "proj:code", "horizontal_CRS_code"):
            if place.get(key):
                text = str(place[key])
                return text if ":" in text else f"EPSG:{text}"
    return None


def _transform(array: xr.DataArray, groups: Any, resolution: float) -> Any:
    if "x" in array.coords and "y" in array.coords and min(array.shape) > 1:
        x, y = (np.asarray(array.coords[name].values, np.float64) for name in ("x", "y"))
        width, height = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
        return (width, 0.0, x[0] - width / 2, 0.0, height, y[0] - height / 2)
    for place in _described(array, groups)[:2]:
        if "proj:transform" in place:
            return tuple(float(each) for each in place["proj:transform"][:6])
    return None
