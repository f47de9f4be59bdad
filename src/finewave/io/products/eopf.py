"""Sentinel-2 and results as Zarr in the layout of ESA's EOPF: ``measurements/reflectance/r10m/b02`` and so on."""

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
from finewave.io.formats.containers.dataset_image import Groups
from finewave.io.formats.containers.eopf_layout import ATTRIBUTES, GROUP, SENTINEL_2
from finewave.io.formats.values.decoding import Decoding
from finewave.io.formats.values.lazy import LazyValues, Slices
from finewave.io.formats.zarr_store import groups_of
from finewave.io.open_options import BANDS_BY_RESOLUTION, OpenOptions
from finewave.io.products.common.known_bands import bands_of_sensor
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning


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
        Reflectance, lazy: the bands that the store has at that resolution. ``encoding`` lists those of all
        resolutions.

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
        matched = re.fullmatch(rf"/{GROUP}(?:/r(\d+(?:\.\d+)?)m)?", group)
        if matched is None:
            continue
        bands = {band: each for name, each in dataset.data_vars.items() if (band := _band_of(str(name))) is not None}
        if bands:
            by_resolution[float(matched[1] or 10)] = bands
    if not by_resolution:
        raise InputError(f"{path} holds no bands (b02, b03, ...) under {GROUP}; is it whole?")
    resolution = min(by_resolution) if options.resolution is None else options.resolution
    if resolution not in by_resolution:
        known = ", ".join(f"{each:g}" for each in sorted(by_resolution))
        raise InputError(f"no band of {path} has pixels of {resolution:g}; there are pixels of {known}")
    selected = by_resolution[resolution]
    names = sorted(selected, key=_order)
    coarser = sorted({name for bands in by_resolution.values() for name in bands} - set(names), key=_order)
    if coarser and options.resolution is None:
        warnings.warn(
            f"{path}: {', '.join(coarser)} have larger pixels than {resolution:g} m and are left out; "
            f"resolution={max(by_resolution):g} takes them",
            FinewaveWarning,
            stacklevel=4,
        )
    arrays = [selected[name] for name in names]
    first = arrays[0]
    if any(each.dims != first.dims or each.shape != first.shape for each in arrays):
        raise InputError(f"the bands of {path} with pixels of {resolution:g} differ in size; is it whole?")
    if options.scale is not None:
        raise InputError(f"{path} states its own scale; leave out full_scale")

    def read(key: Slices) -> NDArray[Any]:
        return np.stack([each.variable[key[1:]].values for each in arrays[key[0]]])

    shape = (len(arrays), *first.shape)
    values = LazyValues(read, shape, (0, 1, 2), Decoding(first.dtype), path, "Zarr store")
    return make_scene(
        values.as_variable(),
        crs=_crs(first, groups),
        transform=_transform(first, groups),
        encoding=_encoding(arrays)
        | {BANDS_BY_RESOLUTION: {size: list(bands) for size, bands in sorted(by_resolution.items())}},
        **_described(names, arrays, path, groups),
    )


def _encoding(arrays: list[xr.DataArray]) -> dict[str, Any]:
    """Return how the numbers are stored, of bands that do not differ in it."""
    keys = ("dtype", "scale_factor", "add_offset", "_FillValue")
    stored = [{key: each.encoding[key] for key in keys if key in each.encoding} for each in arrays]
    if any(repr(each) != repr(stored[0]) for each in stored):
        return {"dtype": "float32"}
    return {key: str(value) if key == "dtype" else float(value) for key, value in stored[0].items()}


def _described(names: list[str], arrays: list[xr.DataArray], path: PurePath, groups: Any) -> dict[str, Any]:
    """Return bands and attributes, as keywords of `finewave.scene.make_scene`."""
    others = groups["/"].attrs.get("other_metadata")
    own = others.get(ATTRIBUTES) if isinstance(others, dict) else None
    attrs = {"product": path.stem, "quantity": "reflectance"}
    attrs |= date_attribute(stated_date(_properties(groups)), date_in_name(path.name))
    if isinstance(own, dict):  # all that the scene had
        attrs = dict(own)
    if set(names) <= set(SENTINEL_2):
        sensor = _sensor(path, groups)
        return {"attrs": {"sensor": sensor, **attrs}, **bands_of_sensor(names, sensor)}
    lists = {key: [each.attrs.get(key) for each in arrays] for key in ("wavelength", "fwhm", "good_band", "band_name")}
    known = {key: each for key, each in lists.items() if None not in each}
    return {
        "attrs": attrs,
        "wavelengths": known.get("wavelength"),
        "fwhm": known.get("fwhm"),
        "good_bands": known.get("good_band"),
        "band_names": known.get("band_name"),
    }


def _band_of(name: str) -> str | None:
    """Return the band of an array: ``B2`` of Sentinel-2, otherwise ``b001``; None of another array."""
    matched = re.fullmatch(r"b(\d\d|8a)", name, re.IGNORECASE)
    band = f"B{matched[1].upper().lstrip('0')}" if matched else None
    return band if band in SENTINEL_2 else name if re.fullmatch(r"b\d{3,}", name) else None


def _order(band: str) -> int:
    return SENTINEL_2.index(band) if band in SENTINEL_2 else int(band[1:])


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


def _places(array: xr.DataArray, groups: Any) -> list[dict[str, Any]]:
    """Return the possible locations of the STAC projection extension."""
    discovery = groups["/"].attrs.get("stac_discovery", {})
    places = [array.attrs, array.attrs.get("_eopf_attrs"), groups["/"].attrs.get("other_metadata")]
    if isinstance(discovery, dict):
        places.append(discovery.get("properties"))
    return [each for each in places if isinstance(each, dict)]


def _crs(array: xr.DataArray, groups: Any) -> Any:
    for place in _places(array, groups):
        for key in ("proj:epsg", "proj:code", "horizontal_CRS_code", "proj:wkt2"):
            if place.get(key):
                text = str(place[key])
                return f"EPSG:{text}" if text.isdecimal() else text
    return None


def _transform(array: xr.DataArray, groups: Any) -> Any:
    stated = next((each["proj:transform"] for each in _places(array, groups)[:2] if "proj:transform" in each), None)
    exact = None if stated is None else tuple(float(each) for each in stated[:6])
    if "x" in array.coords and "y" in array.coords and min(array.shape) > 1:
        x, y = (np.asarray(array.coords[name].values, np.float64) for name in ("x", "y"))
        width, height = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
        derived = (width, 0.0, x[0] - width / 2, 0.0, height, y[0] - height / 2)
        # coordinates decide, since cropping updates them; the stated numbers are exact
        is_same = exact is not None and np.allclose(exact, derived, rtol=0, atol=1e-6 * abs(width))
        return exact if is_same else derived
    return exact
