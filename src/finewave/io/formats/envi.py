"""ENVI images (a flat file and a text header), and other flat files read by GDAL."""

from __future__ import annotations

import glob
import json
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from finewave.control_points import as_matrix, control_points, with_control_points
from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.io.file_errors import reading, writing
from finewave.io.formats.envi_header import readable_by_gdal
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.gdal_bands import band_metadata, numbers_in_braces
from finewave.io.formats.gdal.gdal_numbers import one_or_all
from finewave.io.formats.gdal.raster import open_raster, write_raster
from finewave.io.formats.storage import choose_storage
from finewave.io.formats.values.decoding import Number
from finewave.io.open_options import OpenOptions, SaveOptions
from finewave.scene import (
    attribute_from_text,
    attribute_to_text,
    band_values,
    json_attributes,
    scene_crs,
    scene_transform,
    with_georeference,
)
from finewave.warnings import FinewaveWarning

_DATA_SUFFIXES = ("", ".img", ".dat", ".bsq", ".bil", ".bip", ".raw", ".envi", ".bin")

_NOT_DATA = (".hdr", ".xml", ".txt", ".png", ".jpg", ".jpeg", ".tif", ".log", ".ini", ".json", ".csv", ".sta", ".enp")

# Header fields that describe the layout of the file or that the scene keeps elsewhere.
_STRUCTURAL = frozenset(
    [
        "description",
        "samples",
        "lines",
        "bands",
        "header_offset",
        "file_type",
        "data_type",
        "interleave",
        "byte_order",
        "map_info",
        "geo_points",
        "coordinate_system_string",
        "projection_info",
        "band_names",
        "data_ignore_value",
        "data_gain_values",
        "data_offset_values",
        "data_reflectance_gain_values",
        "data_reflectance_offset_values",
        "reflectance_scale_factor",
        "bbl",
        "fwhm",
        "wavelength",
        "wavelength_units",
        "default_bands",
        "default_stretch",
        "finewave_attributes",
        "finewave_transform",
    ]
)
_OUR_ATTRIBUTES = "finewave_attributes"
_OUR_POINTS = "finewave_control_points"
_OUR_TRANSFORM = "finewave_transform"
# GDAL reads header lines of at most this length.
_LONGEST_FIELD = 9000


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open an ENVI image by its header or by its data file.

    Parameters
    ----------
    path : pathlib.Path
        The ``.hdr`` file or the file with the values.

    Returns
    -------
    xarray.DataArray
        The scene, lazy. Gains and offsets, or ``reflectance scale factor``, are applied.
    """
    import rasterio

    data = _data_file(path)
    with reading(data, "ENVI image"):
        source = readable_by_gdal(data)
    with reading(data, "ENVI image"), quiet_gdal(), rasterio.open(source, driver=driver_of(source)) as dataset:
        header = {key.lower(): value for key, value in dataset.tags(ns="ENVI").items()}
        metadata = band_metadata(dataset, wavelengths_given=options.wavelengths is not None, path=data)
        used = metadata.pop("_used")
        attrs = {
            key: attribute_from_text(text)
            for key, text in dataset.tags().items()
            # GDAL repeats the bands' names and wavelengths as Band_1, Band_2, ...
            if key not in used and not key.startswith("Band_") and not header
        }
        if dataset.driver == "ENVI":
            _check_complete(data, header, dataset)
    if header:
        metadata["band_names"] = _band_names(header, path)
        attrs = {k: attribute_from_text(v) for k, v in header.items() if k not in _STRUCTURAL}
        attrs.update(_our_attributes(header))
    scene = open_raster(
        data,
        "ENVI image",
        options,
        stated=_stated(header),
        source=source,
        crs_of_points=_crs(header) if "geo_points" in header else None,
        attrs=attrs,
        **metadata,
    )
    points = scene.attrs.pop(_OUR_POINTS, None)
    if isinstance(points, list) and control_points(scene):
        close = getattr(scene, "_close", None)
        scene = with_control_points(scene, points, scene_crs(scene))
        scene.set_close(close)
    sheared = numbers_in_braces(header.get(_OUR_TRANSFORM)) or []
    if len(sheared) == 6 and "spatial_ref" in scene.coords:
        # the points are those of the corners, for other programs
        crs, close = scene_crs(scene), getattr(scene, "_close", None)
        scene = with_georeference(scene.drop_vars("spatial_ref"), crs, sheared)
        scene.set_close(close)
    return scene


def _crs(header: dict[str, str]) -> Any:
    """Return the CRS of the header, which uses ESRI's names instead of EPSG's."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        crs = CRS.from_wkt(header["coordinate_system_string"].strip("{}"), morph_from_esri_dialect=True)
    except (KeyError, CRSError):
        return None
    code = crs.to_epsg(confidence_threshold=50)
    return crs if code is None else CRS.from_epsg(code)


def _stated(header: dict[str, str]) -> tuple[Number | None, Number | None] | None:
    """Return scale factors and offsets to reflectance; None leaves them to GDAL, which knows those to radiance."""
    bands = int(header.get("bands", 0))
    gains, offsets = (_one_a_band(header.get(f"data_reflectance_{each}_values"), bands) for each in ("gain", "offset"))
    if gains is not None or offsets is not None:
        return gains, offsets
    factors = numbers_in_braces(header.get("reflectance_scale_factor")) or []
    if len(factors) not in (1, bands) or min(factors, default=0) <= 0:
        return None
    return one_or_all(tuple(1 / each for each in factors)), None


def _one_a_band(text: str | None, bands: int) -> Number | None:
    numbers = numbers_in_braces(text) or []
    return one_or_all(tuple(numbers)) if len(numbers) in (1, bands) else None


def _data_file(path: Path) -> Path:
    if path.suffix.lower() != ".hdr":
        if path.stat().st_size == 0:
            raise InputError(f"cannot read {path}: the file is empty")
        return path
    stem = path.with_suffix("")
    for suffix in _DATA_SUFFIXES:
        for candidate in (stem.with_name(stem.name + suffix), stem.with_name(stem.name + suffix.upper())):
            if candidate.is_file():
                return candidate
    others = [each for each in path.parent.glob(f"{glob.escape(stem.name)}.*") if each.is_file() and _may_be_data(each)]
    if len(others) == 1:
        return others[0]
    raise InputError(
        f"cannot read {path}: its data file is missing; expected {stem.name} or {stem.name}.img, .dat, .bsq, "
        ".bil, .bip or .raw beside it"
    )


def _may_be_data(path: Path) -> bool:
    """Return whether a file with another extension may be the header's data file: cameras use their own."""
    return path.suffix.lower() not in _NOT_DATA and not path.name.lower().endswith(".aux.xml")


def _check_complete(path: Path, header: dict[str, str], dataset: Any) -> None:
    """Raise an error for a truncated ENVI file, which GDAL would read as zeros."""
    item = np.dtype(dataset.dtypes[0]).itemsize
    needed = int(header.get("header_offset", 0)) + dataset.count * dataset.height * dataset.width * item
    size = path.stat().st_size
    if size < needed:
        raise InputError(
            f"cannot read {path}: the file is truncated ({size} bytes, its header speaks of {needed}); copy it again"
        )


def _band_names(header: dict[str, str], path: Path) -> list[str] | None:
    text = header.get("band_names")
    names = [each.strip() for each in text.strip("{}").split(",")] if text else []
    made_up = all(name == f"Band {i}" for i, name in enumerate(names, start=1))
    if not names or made_up:
        return None
    bands = int(header.get("bands", 0))
    if len(names) != bands:
        warnings.warn(
            f"{path}: its header has {len(names)} band names for {bands} bands; they are not used, "
            "give one for each band",
            FinewaveWarning,
            stacklevel=4,
        )
        return None
    return names


def _our_attributes(header: dict[str, str]) -> dict[str, Any]:
    text = header.get(_OUR_ATTRIBUTES, "{}")
    if parts := sorted(key for key in header if key.startswith(_OUR_ATTRIBUTES + "_")):
        text = "".join(json.loads(header[key]) for key in parts)
    attrs = attribute_from_text(text)
    return attrs if isinstance(attrs, dict) else {}


def save_file(scene: xr.DataArray, path: Path, options: SaveOptions) -> None:
    """Write an ENVI image: the values in band-sequential order and a header beside them.

    Parameters
    ----------
    path : pathlib.Path
        The data file, or the header (then the values go to the same name with ``.img``).
    options : SaveOptions
        ``format_options``: ``interleave`` (``"bsq"`` or ``"band"``, ``"bil"``, ``"bip"`` or ``"pixel"``).
    """
    requested = str((options.format_options or {}).get("interleave") or "bsq").lower()
    interleave = {"band": "bsq", "pixel": "bip"}.get(requested, requested)
    if interleave not in ("bsq", "bil", "bip"):
        raise InputError(f"unknown interleave {interleave!r}; ENVI knows bsq (band), bil and bip (pixel)")
    storage = choose_storage(scene, options)
    if storage.nodata is not None and np.isnan(storage.nodata):
        storage.nodata = None  # NaN is missing by itself, a header does not say so
    if storage.dtype == np.int8:
        raise InputError("ENVI has no signed 8-bit values; choose dtype='int16' or 'float32'")
    sheared = tuple(scene_transform(scene) or ())[:6] if _is_sheared(scene) else None
    if sheared:
        scene = _with_corners(scene)
    scene = _with_four_points(scene)
    data = path.with_suffix(".img") if path.suffix.lower() == ".hdr" else path
    size = int(np.prod(scene.shape)) * storage.dtype.itemsize
    import rasterio

    with atomic_output(data, needed_bytes=size) as temporary:
        # Without the .aux.xml file, in which GDAL would repeat the header and later prefer it.
        with rasterio.Env(GDAL_PAM_ENABLED="NO"):
            write_raster(
                temporary,
                scene,
                storage,
                step=64,
                describe=partial(_describe, scene=scene),
                driver="ENVI",
                interleave=interleave,
            )
        with writing(data):
            # GDAL does not notice a full disk here.
            if temporary.stat().st_size != size:
                raise OSError("the values could not be written completely; is the disk full?")
            header = temporary.with_suffix(".hdr")
            text = header.read_text(encoding="utf-8")
            # GDAL describes the image by the path it was written to, which is a temporary one.
            text = text.replace(str(temporary), data.name)
            crs = scene_crs(scene)
            if crs is not None and control_points(scene):
                # GDAL writes the points without it
                text = f"{text.rstrip()}\ncoordinate system string = {{{crs.to_wkt(version='WKT1_ESRI')}}}\n"
            if sheared:
                text = f"{text.rstrip()}\n{_OUR_TRANSFORM} = {_braces(sheared)}\n"
            header.write_text(text, encoding="utf-8")
    storage.warn(path)


def _is_sheared(scene: xr.DataArray) -> bool:
    """Return whether a transform cannot be stored in an ENVI header, which has pixel sizes and one rotation."""
    transform = scene_transform(scene)
    if transform is None or control_points(scene) or (transform.b == 0 and transform.d == 0 < transform.a):
        return False
    import rasterio

    with tempfile.TemporaryDirectory() as folder, quiet_gdal():
        trial = Path(folder, "trial.img")
        profile: dict[str, Any] = {"count": 1, "height": 1, "width": 1, "dtype": "uint8", "crs": scene_crs(scene)}
        with rasterio.open(trial, "w", driver="ENVI", transform=transform, **profile):
            pass
        with rasterio.open(trial, driver="ENVI") as dataset:
            held = dataset.transform
    size = abs(transform.determinant) ** 0.5
    corner = (scene.sizes["x"], scene.sizes["y"])
    return not np.allclose(held * corner, transform * corner, rtol=0, atol=0.01 * size)


def _with_corners(scene: xr.DataArray) -> xr.DataArray:
    """Return a scene with control points at its corners instead of its transform."""
    transform = scene_transform(scene)
    assert transform is not None  # it is sheared
    corners = [(row, column) for row in (0, scene.sizes["y"]) for column in (0, scene.sizes["x"])]
    points = [(row, column, *(transform * (column, row))) for row, column in corners]
    return with_control_points(scene.drop_vars("spatial_ref"), points, scene_crs(scene))


def _with_four_points(scene: xr.DataArray) -> xr.DataArray:
    """Return a scene with four control points, the maximum of an ENVI header, and all of them as attribute."""
    points = control_points(scene)
    if len(points) <= 4:
        return scene
    corners = [(row, column) for row in (0, scene.sizes["y"]) for column in (0, scene.sizes["x"])]
    outer = [min(points, key=lambda p: (p.row - row) ** 2 + (p.col - column) ** 2) for row, column in corners]
    attrs = {**scene.attrs, _OUR_POINTS: as_matrix(points).tolist()}
    scene = with_control_points(scene, outer, scene_crs(scene))
    scene.attrs = attrs
    return scene


def _describe(dataset: Any, scene: xr.DataArray) -> None:
    header: dict[str, str] = {}
    wavelengths, widths = band_values(scene, "wavelength"), band_values(scene, "fwhm")
    good, names = band_values(scene, "good_band"), band_values(scene, "band_name")
    if wavelengths is not None:
        header["wavelength"] = _braces(wavelengths)
    if wavelengths is not None or widths is not None:
        header["wavelength_units"] = "Nanometers"
    if widths is not None:
        header["fwhm"] = _braces(widths)
    if good is not None:
        header["bbl"] = _braces(np.asarray(good, int))
    if names is not None:
        for index, name in zip(dataset.indexes, names, strict=True):
            # Commas separate the names in the header.
            dataset.set_band_description(index, str(name).replace(",", ";"))
    header.update(_attribute_fields(scene.attrs))
    dataset.update_tags(ns="ENVI", **header)


def _attribute_fields(attrs: dict[Any, Any]) -> dict[str, str]:
    """Write plain attributes as header fields, visible to other programs, and the rest as JSON."""
    fields: dict[str, str] = {}
    others: dict[str, Any] = {}
    for key, value in json_attributes(attrs).items():
        plain_key = key.isidentifier() and key.isascii() and key == key.lower() and key not in _STRUCTURAL
        if plain_key and isinstance(value, str) and _is_plain(value) and len(value) <= _LONGEST_FIELD:
            fields[key] = attribute_to_text(value) or value
        else:
            others[key] = value
    # GDAL drops a field whose text contains "=", which JSON can spell otherwise.
    combined = json.dumps(others).replace("=", "\\u003d")
    if len(combined) <= _LONGEST_FIELD:
        fields |= {_OUR_ATTRIBUTES: combined} if others else {}
        return fields
    # Too long for a line: split into JSON strings with balanced braces.
    size = _LONGEST_FIELD // 6  # of characters that may each become an escape of six
    for i, start in enumerate(range(0, len(combined), size)):
        piece = json.dumps(combined[start : start + size])
        fields[f"{_OUR_ATTRIBUTES}_{i:03d}"] = piece.replace("{", "\\u007b").replace("}", "\\u007d")
    return fields


def _is_plain(text: str) -> bool:
    return bool(text) and text.isprintable() and not set(text) & set("{}=")


def _braces(values: Any) -> str:
    return "{" + ", ".join(repr(each) for each in np.asarray(values).tolist()) + "}"
