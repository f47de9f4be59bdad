"""Landsat 4 to 9 products of levels 1 and 2, Collections 1 and 2: one file per band, and ``*_MTL.txt``."""

from __future__ import annotations

import json
import math
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from finewave.acquisition import date_attribute, date_in_name, stated_date
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.band_files import BandFile, open_bands, read_header
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.cloud_masks import IsCloud, is_flagged, no_clouds_known
from finewave.io.products.common.product_files import ProductFiles, is_archive
from finewave.physics.sensors.satellites import nominal_bands
from finewave.warnings import FinewaveWarning

# sensor, satellite, level, path and row, two dates, collection, tier, content: unique to Landsat
_NAME = re.compile(
    r"(?P<product>L(?P<sensor>[COTEM])0(?P<satellite>[1-9])_(?P<level>[A-Z0-9]{2,4})_\d{6}_\d{8}_\d{8}_0\d"
    r"(?:_(?:T1|T2|RT|A1|A2))?)_(?P<what>[A-Z0-9_]+)\.(?P<kind>tif|txt|xml|json)$",
    re.IGNORECASE,
)
_BAND = re.compile(r"(?:SR_)?(B\d{1,2})$", re.IGNORECASE)
_NOT_REFLECTANCE = re.compile(r"(?:ST_)?B(?:6|10|11)(?:_VCID_\d)?$", re.IGNORECASE)
_METADATA = ("txt", "json", "xml")
_PANCHROMATIC = "B8"
NODATA = 0
_SCANNER = ((500.0, 600.0), (600.0, 700.0), (700.0, 800.0), (800.0, 1100.0))
"""Band edges in nm of the Multispectral Scanner (USGS, What are the band designations for the Landsat satellites?)."""
SURFACE_SCALE, SURFACE_OFFSET = 2.75e-5, -0.2
"""Of all surface reflectances of Collection 2 (USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide)."""


def matches(path: Path) -> bool:
    """Whether a path is a product's folder or tar file, its metadata, or one of its reflective bands."""
    if path.is_dir():
        return any((match := _NAME.match(each.name)) and _is_ours(match) for each in path.iterdir())
    if is_archive(path, (".tar",)):
        return re.match(r"L[COTEM]0[1-9]_", path.name, re.IGNORECASE) is not None
    match = _NAME.match(path.name)
    if match is None or not _is_ours(match):
        return False
    band = _BAND.match(match["what"])
    return band is None or band[1].upper() in _known_bands(match)


def _known_bands(match: re.Match[str]) -> Mapping[str, tuple[float, float]]:
    """Return centre and width of the reflective bands of a product's sensor."""
    satellite = int(match["satellite"])
    if match["sensor"].upper() != "M":
        return nominal_bands(f"landsat{satellite}") if satellite >= 4 else {}
    first = 4 if satellite <= 3 else 1
    return {f"B{first + i}": ((low + high) / 2, high - low) for i, (low, high) in enumerate(_SCANNER)}


def _is_ours(match: re.Match[str]) -> bool:
    return _BAND.match(match["what"]) is not None or match["what"].upper() == "MTL"


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the reflective bands of a product.

    Parameters
    ----------
    path : pathlib.Path
        The folder, the tar file, the MTL file, or one band with its metadata beside it.
    options : OpenOptions
        What the user stated. Without ``resolution`` the grid is that of the multispectral bands (30 m).

    Returns
    -------
    xarray.DataArray
        Level 2: surface reflectance. Level 1: top-of-atmosphere reflectance, divided by the sine of the sun's elevation
        (USGS, Landsat 8 Data Users Handbook, section 5.2). NaN where there is no data and where the detector was
        saturated, as ``QA_RADSAT`` says. Thermal bands do not hold reflectance and are left out.

    Raises
    ------
    InputError
        If there are no bands, or bands of several products.

    Warns
    -----
    FinewaveWarning
        If bands are left out, or the metadata are not there.
    """
    root = path if path.is_dir() or is_archive(path) else path.parent
    product = ProductFiles(root)
    listed = {name: match for name in product.names if (match := _NAME.match(name.rpartition("/")[2]))}
    requested = _NAME.match(path.name)
    if requested is not None:
        listed = {name: each for name, each in listed.items() if each["product"] == requested["product"]}
    products = sorted({each["product"].upper() for each in listed.values() if _is_ours(each)})
    if len(products) != 1:
        raise InputError(
            f"{path} holds the bands of {len(products)} products ({', '.join(products[:3])}); one is expected"
        )
    first = next(iter(listed.values()))
    sensor, known = f"landsat{first['satellite']}", _known_bands(first)
    bands = _reflective(listed, known, path, requested)
    headers = {name: read_header(product.file(file)) for name, file in bands.items()}
    level_2 = any(name.rpartition("/")[2].upper().find("_SR_B") > 0 for name in bands.values())
    metadata = _metadata(product, listed)
    scales = _scales(metadata, list(bands), level_2=level_2, path=path)
    stated = {} if metadata is None else {key: text for group in metadata[1].values() for key, text in group.items()}
    return open_bands(
        list(headers.values()),
        path,
        replace(options, resolution=_resolution(headers, options)),
        **scales,
        nodata=NODATA,
        flags=_saturation(product, listed, list(bands)),
        clouds=_clouds(product, listed, path) if options.mask_clouds else None,
        attrs={
            "sensor": f"{sensor}-mss" if first["sensor"].upper() == "M" else sensor,
            "product": first["product"],
            "quantity": "surface reflectance" if level_2 else "top-of-atmosphere reflectance",
            **date_attribute(stated_date(stated), date_in_name(first["product"], time=False)),
        },
        wavelengths=[round(known[name][0], 1) for name in bands],
        fwhm=[round(known[name][1], 1) for name in bands],
        band_names=list(bands),
    )


def _reflective(
    listed: Mapping[str, re.Match[str]],
    known: Mapping[str, tuple[float, float]],
    path: Path,
    requested: re.Match[str] | None,
) -> dict[str, str]:
    """Return the file of each reflective band, in the order of the bands."""
    tiffs = {name: each["what"].upper() for name, each in listed.items() if each["kind"].lower() == "tif"}
    surface = {name: kind for name, kind in tiffs.items() if kind.startswith("SR_B")}
    files = {
        match[1].upper(): name for name, kind in (surface or tiffs).items() if (match := _BAND.match(kind)) is not None
    }
    left_out = sorted({kind for kind in tiffs.values() if _NOT_REFLECTANCE.match(kind) and _bare(kind) not in known})
    if requested is not None and requested["what"].upper() != "MTL":
        band = _BAND.match(requested["what"])
        files, left_out = ({band[1].upper(): path.name} if band else {}), []
    files = {name: files[name] for name in known if name in files}
    if not files:
        raise InputError(
            f"{path} holds no reflective band of Landsat (SR_B1, ..., or B1, ...); was it unpacked wholly?"
        )
    if left_out:
        _warn(
            f"{path}: left out {', '.join(left_out)}, which are thermal and no reflectance; "
            f"give such a file by itself to open it"
        )
    return files


def _bare(kind: str) -> str:
    return kind.rpartition("_")[2] if kind.startswith(("ST_", "SR_")) else kind


def _resolution(headers: Mapping[str, BandFile], options: OpenOptions) -> float | None:
    if options.resolution is not None:
        return options.resolution
    return min((each.pixel_size for name, each in headers.items() if name != _PANCHROMATIC), default=None)


def _metadata(
    product: ProductFiles, listed: Mapping[str, re.Match[str]]
) -> tuple[Path, dict[str, dict[str, str]]] | None:
    """Return the MTL file and its values by group and name; None without one."""
    files = {each["kind"].lower(): name for name, each in listed.items() if each["what"].upper() == "MTL"}
    kind = next((each for each in _METADATA if each in files), None)
    if kind is None:
        return None
    where = product.file(files[kind])
    return where, _groups(product.read(files[kind]), kind, where)


def _scales(
    metadata: tuple[Path, dict[str, dict[str, str]]] | None, bands: list[str], *, level_2: bool, path: Path
) -> dict[str, Any]:
    """Return scale factors and offsets to reflectance, as keywords of `open_bands`."""
    if metadata is None:
        if level_2:
            _warn(
                f"{path} lacks its MTL file; took the scale and offset of all surface reflectances of Collection 2; "
                "put it beside the bands"
            )
            return {"scale_factor": SURFACE_SCALE, "offset": SURFACE_OFFSET}
        _warn(f"{path} lacks its MTL file, which says how numbers become reflectance; put it beside the bands")
        return {}
    where, groups = metadata
    names = (
        ("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS",)
        if level_2
        else (
            "LEVEL1_RADIOMETRIC_RESCALING",
            "RADIOMETRIC_RESCALING",
        )
    )
    values = next((groups[name] for name in names if name in groups), {})
    try:
        factors, offsets = (
            [float(values[f"REFLECTANCE_{key}_BAND_{name[1:]}"]) for name in bands] for key in ("MULT", "ADD")
        )
        sine = 1.0 if level_2 else math.sin(math.radians(float(_anywhere(groups, "SUN_ELEVATION"))))
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{where} does not say the reflectance of all bands ({_subject(error)} is missing or no number); "
            "copy the file again"
        ) from error
    if not (sine > 0 and all(map(math.isfinite, (*factors, *offsets)))):
        raise InputError(f"{where} states a sun below the horizon or rescaling that is not finite")
    return {
        "scale_factor": _one_or_all([each / sine for each in factors]),
        "offset": _one_or_all([each / sine for each in offsets]),
    }


def _subject(error: BaseException) -> str:
    """Return the key or text that an error is about."""
    return str(error.args[0]) if error.args else type(error).__name__


def _saturation(
    product: ProductFiles, listed: Mapping[str, re.Match[str]], bands: list[str]
) -> tuple[BandFile, list[int]] | None:
    """Return the raster of saturated detectors and the bit of each band in it."""
    file = next((name for name, each in listed.items() if each["what"].upper() == "QA_RADSAT"), None)
    if file is None:
        return None
    return read_header(product.file(file)), [1 << (int(name[1:]) - 1) for name in bands]


def _clouds(product: ProductFiles, listed: Mapping[str, re.Match[str]], path: Path) -> tuple[BandFile, IsCloud]:
    """Return the raster that says where clouds are, and how."""
    file = next((name for name, each in listed.items() if each["what"].upper() == "QA_PIXEL"), None)
    if file is None:
        raise no_clouds_known(path, "QA_PIXEL")
    return read_header(product.file(file)), is_flagged


def _groups(document: bytes, kind: str, path: Path) -> dict[str, dict[str, str]]:
    """Return the values of a metadata file by group and name."""
    with reading(path, "metadata of Landsat"):
        if kind == "json":
            content = json.loads(document)
            tree = next(iter(content.values()))
            return {str(k): {str(a): str(b) for a, b in v.items()} for k, v in tree.items() if isinstance(v, dict)}
        if kind == "xml":
            return {each.tag: {child.tag: child.text or "" for child in each} for each in ET.fromstring(document)}
        groups: dict[str, dict[str, str]] = {}
        current: dict[str, str] = {}
        for line in document.decode("utf-8", errors="replace").splitlines():
            name, _, value = (part.strip() for part in line.partition("="))
            if name == "GROUP":
                current = groups.setdefault(value, {})
            elif value and name != "END_GROUP":
                current[name] = value.strip('"')
        return groups


def _anywhere(groups: Mapping[str, Mapping[str, str]], name: str) -> str:
    value = next((group[name] for group in groups.values() if name in group), None)
    if value is None:
        raise KeyError(name)
    return value


def _one_or_all(values: list[float]) -> float | tuple[float, ...]:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=5)
