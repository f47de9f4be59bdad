"""Sentinel-2 products of level 1C and 2A as they are delivered, folders named ``*.SAFE``."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import xarray as xr

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.band_files import open_bands, read_header
from finewave.io.open_options import OpenOptions

_BAND = re.compile(r"_B(\d\d|8A)(?:_\d\dm)?\.(?:jp2|tiff?)$", re.IGNORECASE)
# band_id in the metadata counts in this order
_BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
NODATA = 0


def matches(path: Path) -> bool:
    """Whether a path is a product's folder ``*.SAFE``."""
    return path.suffix.lower() == ".safe" and path.is_dir()


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the bands of a product on one grid.

    Parameters
    ----------
    path : pathlib.Path
        The folder, with ``MTD_MSIL1C.xml`` or ``MTD_MSIL2A.xml`` and one granule.
    options : OpenOptions
        What the user stated; ``resolution`` chooses the grid.

    Returns
    -------
    xarray.DataArray
        Reflectance, lazy: (number + offset) / quantification value, as the metadata has them. Each band is taken from
        its finest file.

    Raises
    ------
    InputError
        If metadata or bands are missing.
    """
    metadata = _metadata(path)
    finest: dict[str, Any] = {}
    for file in sorted((path / "GRANULE").glob("*/IMG_DATA/**/*")):
        name = band_of(file.name)
        if name is None:
            continue
        header = read_header(file)
        if name not in finest or header.pixel_size < finest[name].pixel_size:
            finest[name] = header
    granules = {file.path.relative_to(path).parts[1] for file in finest.values()}
    if len(granules) > 1:
        raise InputError(f"{path} holds {len(granules)} tiles; open one at a time, by its folder IMG_DATA")
    if not finest:
        raise InputError(f"{path} holds no bands under GRANULE/*/IMG_DATA (B02, B03, ...); was it unpacked wholly?")
    names = [name for name in _BANDS if name in finest]
    sensor = _sensor(metadata)
    quantification = _number(metadata, ("BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE"), 10000.0, path)
    offsets = {
        _BANDS[int(each.get("band_id", "-1"))]: float(each.text or 0)
        for each in metadata.iter()
        if _tag(each) in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
    }
    return open_bands(
        [finest[name] for name in names],
        path,
        options,
        scale_factor=1 / quantification,
        offset=_one_or_all([offsets.get(name, 0.0) / quantification for name in names]),
        nodata=NODATA,
        attrs={"sensor": sensor, "product": path.stem},
        **wavelengths_of(names, sensor),
    )


def band_of(file: str) -> str | None:
    """Return the band's name that a file name of a Sentinel-2 product has: ``B2``, ``B8A``, ...; None if none."""
    found = _BAND.search(file)
    if found is None:
        return None
    name = f"B{found[1].upper().lstrip('0')}"
    return name if name in _BANDS else None


def wavelengths_of(names: list[str], sensor: str) -> dict[str, Any]:
    """Return wavelengths and names of bands, as keywords of `make_scene`."""
    from finewave.physics.sensors import get_sensor

    known = get_sensor(sensor)
    centres = {name: round(float(centre), 1) for name, centre in zip(known.bands, known.centres, strict=True)}
    return {"wavelengths": [centres[name] for name in names], "band_names": names}


def _metadata(path: Path) -> Any:
    files = sorted(path.glob("MTD_MSIL*.xml"))
    if not files:
        raise InputError(f"{path} lacks MTD_MSIL1C.xml or MTD_MSIL2A.xml; is it a whole Sentinel-2 product?")
    with reading(files[0], "metadata of Sentinel-2"):
        return ET.parse(files[0]).getroot()


def _sensor(metadata: Any) -> str:
    spacecraft = next((each.text or "" for each in metadata.iter() if _tag(each) == "SPACECRAFT_NAME"), "")
    return "sentinel2b" if spacecraft.strip().upper().endswith("2B") else "sentinel2a"


def _number(metadata: Any, tags: tuple[str, ...], default: float, path: Path) -> float:
    for each in metadata.iter():
        if _tag(each) in tags:
            with reading(path, "metadata of Sentinel-2"):
                return float(each.text)
    return default


def _one_or_all(values: list[float]) -> float | tuple[float, ...]:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
