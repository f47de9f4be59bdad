"""Sentinel-2 products of level 1C and 2A as delivered: ``*.SAFE`` folders and their zip files."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import xarray as xr

from finewave.acquisition import date_attribute, date_in_name, utc
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.band_files import open_bands, read_header
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.cloud_masks import IsCloud, is_scene_class, no_clouds_known
from finewave.io.products.common.known_bands import bands_of_sensor
from finewave.io.products.common.product_files import ProductFiles, is_archive
from finewave.physics.sensors.satellites import nominal_bands
from finewave.warnings import FinewaveWarning

# the second one of products before December 2016
_METADATA = re.compile(r"(?:MTD_MSI|S2[A-Z]_(?:OPER|USER)_MTD_SAF)L(1C|2A)(?:_.*)?\.xml$", re.IGNORECASE)
_ZIP = re.compile(r"S2[A-Z]_MSIL(1C|2A)_.*\.zip$|.*\.safe\.zip$", re.IGNORECASE)
_BAND = re.compile(r"_B(\d\d|8A)(?:_\d\dm)?\.(?:jp2|tiff?)$", re.IGNORECASE)
# tile, time and band in the names of the files
_NAMED = re.compile(r"(?:L2A_)?T\d\d[A-Z]{3}_\d{8}T\d{6}_B(\d\d|8A)(?:_\d\dm)?\.(?:jp2|tiff?)$", re.IGNORECASE)
# band_id in the metadata counts in this order
_BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
NODATA, SATURATED = 0, 65535
"""Default special values of all products, if not in the metadata."""
_QUANTITIES = {"1C": "top-of-atmosphere reflectance", "2A": "surface reflectance"}

_CLASSES = re.compile(r"_SCL_(20|60)m\.(jp2|tiff?)$", re.IGNORECASE)


def matches(path: Path) -> bool:
    """Return whether a path is a product, one of its bands, or a folder of bands with its names."""
    if path.is_file() and _BAND.search(path.name) and "IMG_DATA" in map(str.upper, path.parts):
        return _root(path) is not None
    if path.is_file():
        return bool(_METADATA.match(path.name) or (is_archive(path, (".zip",)) and _ZIP.match(path.name)))
    if not path.is_dir():
        return False
    return _root(path) is not None or any(_NAMED.match(each.name) for each in path.iterdir())


def _root(path: Path) -> Path | None:
    """Return the folder of a path's product, recognised by metadata or name."""
    for each in (path, *path.absolute().parents[:5]):
        if each.suffix.lower() == ".safe" and each.is_dir():
            return each
        if each.is_dir() and any((each / f"MTD_MSIL{level}.xml").is_file() for level in _QUANTITIES):
            return each
        if each == path and each.is_dir() and any(_METADATA.match(file.name) for file in each.iterdir()):
            return each
    return None


@dataclass(frozen=True)
class Metadata:
    """Contents of ``MTD_MSIL1C.xml`` or ``MTD_MSIL2A.xml``.

    Attributes
    ----------
    sensor : str or None
        ``"sentinel2a"``, ...; None for an unknown one.
    spacecraft : str
        As it is written.
    quantification : float
        Divides the numbers.
    offsets : dict of str to float
        Are added before, by band.
    special : tuple of float
        Numbers of saturated pixels.
    nodata : float
    bands : dict of str to (float, float)
        Centre and width in nm.
    date : str or None
        Start of the acquisition.
    """

    sensor: str | None
    spacecraft: str
    quantification: float
    offsets: dict[str, float]
    nodata: float
    special: tuple[float, ...]
    bands: dict[str, tuple[float, float]]
    date: str | None


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the bands of a product, or those of them that lie in one of its folders, on one grid.

    Parameters
    ----------
    path : pathlib.Path
        The product (a folder or its zip file), its ``MTD_MSIL1C.xml`` or ``MTD_MSIL2A.xml``, a folder inside it such as
        ``IMG_DATA/R10m``, or one band. The metadata are searched upwards.
    options : OpenOptions
        What the user stated; ``resolution`` chooses the grid.

    Returns
    -------
    xarray.DataArray
        Reflectance, lazy: (number + offset) / quantification value, as the metadata have them; NaN where there is no
        data and where the detector was saturated. Each band is taken from its finest file.

    Raises
    ------
    InputError
        If metadata or bands are missing, or there are bands of several tiles.

    Warns
    -----
    FinewaveWarning
        If the metadata are missing, so that offsets and satellite are unknown.
    """
    root = path if is_archive(path) else _root(path)
    if root is None and options.mask_clouds:
        raise no_clouds_known(path, "scene classification (SCL)")
    if root is None:
        return _open_bare(path, options)
    product = ProductFiles(root)
    documents = [name for name in product.names if _METADATA.match(name.rpartition("/")[2])]
    if not documents:
        raise InputError(f"{root} lacks MTD_MSIL1C.xml or MTD_MSIL2A.xml; is it a whole Sentinel-2 product?")
    level = _METADATA.match(documents[0].rpartition("/")[2])[1].upper()  # type: ignore[index]  # it matched above
    metadata = _read(product.read(documents[0]), product.file(documents[0]))
    whole = is_archive(path) or (path.is_file() and _METADATA.match(path.name) is not None)
    inside = "" if whole else _inside(path, root)
    files = [
        name
        for name in product.names
        if "/IMG_DATA/" in f"/{name}".upper() and band_of(name) is not None and _is_inside(name, inside)
    ]
    if not files:
        raise InputError(f"{path} holds no bands under GRANULE/*/IMG_DATA (B02, B03, ...); was it unpacked wholly?")
    tiles = sorted({_before_images(name) for name in files})
    if len(tiles) > 1:
        raise InputError(
            f"{path} holds {len(tiles)} tiles; open one at a time, by its folder: {', '.join(tiles[:3])}"
            + (", ..." if len(tiles) > 3 else "")
        )
    scale, sensor = metadata.quantification, metadata.sensor
    names, headers = _finest([product.file(name) for name in files])
    if sensor is None:
        _warn(
            f"{path}: the spacecraft {metadata.spacecraft or 'is not named and'!s} is not known here; took the bands "
            "of sentinel2a where its metadata say nothing (state others with wavelengths=)"
        )
    missing = [name for name in names if name not in {**metadata.bands, **nominal_bands(sensor or "sentinel2a")}]
    if missing:
        _warn(
            f"{path}: took the wavelengths of sentinel2a for {', '.join(missing)}; those of {sensor} are not known; "
            f"state them with wavelengths= if they matter"
        )
    others = {**nominal_bands("sentinel2a"), **metadata.bands}
    known = bands_of_sensor(names, sensor, others) if sensor else _described(names, others)
    return open_bands(
        headers,
        path,
        options,
        scale_factor=1 / scale,
        offset=_one_or_all([metadata.offsets.get(name, 0.0) / scale for name in names]),
        nodata=metadata.nodata,
        special=metadata.special,
        clouds=_clouds(product, tiles[0], path) if options.mask_clouds else None,
        attrs={
            "sensor": sensor or metadata.spacecraft,
            "product": re.sub(r"(\.safe)?(\.zip)?$", "", root.name, flags=re.IGNORECASE),
            "quantity": _QUANTITIES[level],
            **date_attribute(metadata.date, _date_in(files[0].rpartition("/")[2])),
        },
        **known,
    )


def _date_in(file: str) -> str | None:
    """Return the start of the acquisition in the name of a band; names before 2016 have the time of processing."""
    return date_in_name(file) if _NAMED.match(file) else None


def _clouds(product: ProductFiles, tile: str, path: Path) -> tuple[Any, IsCloud]:
    """Return the scene classification of a tile, of level 2A, and which classes are clouds or shadows."""
    file = next((name for name in product.names if _CLASSES.search(name) and _is_inside(name, tile)), None)
    if file is None:
        raise no_clouds_known(path, "scene classification (SCL)")
    return read_header(product.file(file)), is_scene_class


def _open_bare(folder: Path, options: OpenOptions) -> xr.DataArray:
    """Open bands that were taken out of their product."""
    files = sorted(each for each in folder.iterdir() if each.is_file() and _NAMED.match(each.name))
    others = sorted(each.name for each in folder.iterdir() if each.is_file() and not _NAMED.match(each.name))
    if others:
        _warn(
            f"{folder}: left out {', '.join(others[:5])}{', ...' if len(others) > 5 else ''}; "
            "give such a file by itself to open it"
        )
    tiles = sorted({each.name.split("_B")[0] for each in files})
    if len(tiles) > 1:
        raise InputError(
            f"{folder} holds bands of {len(tiles)} tiles or times ({', '.join(tiles[:3])}); one is expected"
        )
    _warn(
        f"{folder} lacks MTD_MSIL1C.xml or MTD_MSIL2A.xml, which say the offset (-1000 since January 2022) and the "
        "satellite; none is applied, and wavelengths are those of sentinel2a (put the file beside the bands)"
    )
    names, headers = _finest(files)
    return open_bands(
        headers,
        folder,
        options,
        nodata=NODATA,
        special=(SATURATED,),
        attrs=date_attribute(date_in_name(files[0].name)),
        **bands_of_sensor(names, "sentinel2a"),
    )


def _finest(files: Sequence[Path]) -> tuple[list[str], list[Any]]:
    """Return the bands in their order, and the header of the finest file of each."""
    finest: dict[str, Any] = {}
    for file in files:
        name, header = str(band_of(file.name)), read_header(file)
        if name not in finest or header.pixel_size < finest[name].pixel_size:
            finest[name] = header
    names = [name for name in _BANDS if name in finest]
    return names, [finest[name] for name in names]


def _inside(path: Path, root: Path) -> str:
    return path.absolute().relative_to(root.absolute()).as_posix().removeprefix(".")


def _is_inside(name: str, folder: str) -> bool:
    return not folder or name == folder or name.startswith(f"{folder}/")


def _before_images(name: str) -> str:
    """Return the granule's folder of a file in it."""
    parts = PurePosixPath(name).parts
    return "/".join(parts[: [part.upper() for part in parts].index("IMG_DATA")])


def band_of(file: str) -> str | None:
    """Return the band in a file name of a Sentinel-2 product: ``B2``, ``B8A``, ...; None if none."""
    match = _BAND.search(file)
    if match is None:
        return None
    name = f"B{match[1].upper().lstrip('0')}"
    return name if name in _BANDS else None


def _described(names: Sequence[str], bands: dict[str, tuple[float, float]]) -> dict[str, Any]:
    centres, widths = ([round(bands[name][i], 1) for name in names] for i in (0, 1))
    return {"wavelengths": centres, "fwhm": widths, "band_names": list(names)}


def _read(document: bytes, path: Path) -> Metadata:
    with reading(path, "metadata of Sentinel-2"):
        root = ET.fromstring(document)
    elements = list(root.iter())

    def text(*tags: str) -> str | None:
        return next((each.text for each in elements if _tag(each) in tags and each.text), None)

    spacecraft = (text("SPACECRAFT_NAME") or "").strip()
    sensor = spacecraft.lower().replace("-", "").replace(" ", "")
    quantification = _number(text("BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE") or "10000", path)
    if not quantification > 0:
        raise InputError(f"{path}: the quantification value is {quantification:g}; a positive one is expected")
    special = _special_values(elements, path)
    bands = {name: each for element in elements if (each := _spectrum(element)) and (name := _physical(element))}
    return Metadata(
        sensor if re.fullmatch(r"sentinel2[abc]", sensor) else None,
        spacecraft,
        quantification,
        dict(_offset(each, path) for each in elements if _tag(each) in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")),
        special.get("NODATA", float(NODATA)),
        (special.get("SATURATED", float(SATURATED)),),
        bands,
        utc(text("PRODUCT_START_TIME") or text("DATATAKE_SENSING_START")),
    )


def _offset(element: Any, path: Path) -> tuple[str, float]:
    band_id = str(element.get("band_id", ""))
    if not band_id.isdigit() or int(band_id) >= len(_BANDS):
        raise InputError(f"{path}: an offset of band_id {band_id!r}; 0 to {len(_BANDS) - 1} are expected")
    return _BANDS[int(band_id)], _number(element.text or "0", path)


def _special_values(elements: Sequence[Any], path: Path) -> dict[str, float]:
    """Return the numbers that mark missing values, by name: ``NODATA`` and ``SATURATED``."""
    values = {}
    for element in elements:
        if _tag(element) == "Special_Values":
            inside = {_tag(each): (each.text or "").strip() for each in element}
            if inside.get("SPECIAL_VALUE_INDEX"):
                number = _number(inside["SPECIAL_VALUE_INDEX"], path)
                values[inside.get("SPECIAL_VALUE_TEXT", "").upper()] = number
    return values


def _spectrum(element: Any) -> tuple[float, float] | None:
    """Return centre and width of ``Spectral_Information``; None for other elements, or if not stated."""
    if _tag(element) != "Spectral_Information":
        return None
    texts = {_tag(each): each.text for each in element.iter()}
    try:
        low, high, centre = (float(texts[tag]) for tag in ("MIN", "MAX", "CENTRAL"))
    except (KeyError, TypeError, ValueError):
        return None
    return (centre, high - low) if 0 < low < centre < high else None


def _physical(element: Any) -> str | None:
    name = str(element.get("physicalBand", "")).upper()
    return name if name in _BANDS else None


def _number(text: str, path: Path) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if abs(number) < float("inf"):
        return number
    raise InputError(f"{path}: {text.strip()!r} is not a number, where the metadata of Sentinel-2 have one")


def _one_or_all(values: list[float]) -> float | tuple[float, ...]:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=4)
