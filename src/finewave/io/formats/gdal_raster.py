"""Rasters read by GDAL without a specific reader: JPEG 2000, VRT, NITF, HDF4 if the driver exists."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import xarray as xr

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.gdal_bands import band_metadata
from finewave.io.formats.gdal.raster import open_raster
from finewave.io.network.location import leads_to_network
from finewave.io.open_options import OpenOptions
from finewave.scene import attribute_from_text


def open_file(path: Path | str, options: OpenOptions, source: Path | str | None = None) -> xr.DataArray:
    """Open a raster.

    Parameters
    ----------
    path : pathlib.Path or str
        The file, or the name of a remote file for messages.
    options : OpenOptions
        What the user stated; ``variable`` chooses among the images of a file that holds several.
    source : pathlib.Path or str, optional
        Path for GDAL, if different.

    Raises
    ------
    InputError
        GDAL cannot read the file, or it holds several images and none is selected.
    """
    if source is None and Path(path).suffix.lower() == ".vrt":
        check_sources(Path(path))
    return _opened(path, source, options)


def _opened(path: Path | str, source: Path | str | None, options: OpenOptions) -> xr.DataArray:
    import rasterio

    image = source or path
    with reading(path, "raster"), quiet_gdal(image), rasterio.open(image, driver=driver_of(image)) as dataset:
        parts = dataset.subdatasets
        if not parts or dataset.count:
            return _open(path, image, dataset, options)
    return _opened(path, _part(path, parts, options.variable), options)


def _open(path: Path | str, source: Path | str, dataset: Any, options: OpenOptions) -> xr.DataArray:
    metadata = band_metadata(dataset, wavelengths_given=options.wavelengths is not None, path=path)
    used = metadata.pop("_used")
    attrs = {
        key: attribute_from_text(text)
        for key, text in dataset.tags().items()
        # NITF describes itself in hundreds of fields
        if key not in used and (key, text) != ("AREA_OR_POINT", "Area") and not key.startswith("NITF_")
    }
    return open_raster(path, f"raster ({dataset.driver})", options, source=source, attrs=attrs, **metadata)


def _part(path: Path | str, parts: list[str], variable: str | None) -> str:
    """Choose one of the images in a file."""
    if len(parts) == 1:
        return parts[0]
    matching = [each for each in parts if variable is not None and (each.endswith(f":{variable}") or each == variable)]
    if variable is not None and not matching:
        # NITF_IM:2:file.ntf has the number in the middle
        matching = [each for each in parts if variable in each.replace('"', "").split(":")[1:-1]]
    if len(matching) == 1:
        return matching[0]
    listed = ", ".join(parts[:10])
    raise InputError(f"{path} holds {len(parts)} images; choose one with variable= (--variable): {listed}")


_SOURCE = re.compile(r"<(SourceFilename|SourceDataset)\b[^>]*>\s*(.*?)\s*</", re.DOTALL)
_DEEPEST = 8


def check_sources(path: Path, depth: int = 0) -> None:
    """Raise an error for a local virtual raster that refers to the network, directly or through its sources.

    Raises
    ------
    InputError
        It does; or virtual rasters lead to one another without end.
    """
    if depth > _DEEPEST:
        raise InputError(f"cannot read {path}: virtual rasters lead from one to the next more than {_DEEPEST} times")
    with reading(path, "raster"):
        text = path.read_bytes()[:_LARGEST_VRT].decode("utf-8", "replace")
    for _, escaped in _SOURCE.findall(text):
        name = unescape(escaped.removeprefix("<![CDATA[").removesuffix("]]>"))
        if leads_to_network(name) or "://" in name or name.startswith("<") or _OF_SERVICES.match(name):
            raise InputError(f"{path} leads to the network ({name[:60]}); name what it leads to, not a file of yours")
        beside = path.parent / name
        if beside.suffix.lower() == ".vrt" and beside.is_file():
            check_sources(beside, depth + 1)


_LARGEST_VRT = 2**26
_OF_SERVICES = re.compile(
    r"(WMS|WCS|WMTS|WFS|STACIT|STACTA|EEDAI?|DAAS|PLMOSAIC|OGCAPI|OAPIF|PG|MVT)\s*:", re.IGNORECASE
)


def is_readable(path: Path) -> bool:
    """Return whether GDAL finds an image in a file of any name."""
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as dataset:
            return bool(dataset.count or dataset.subdatasets)
    except (RasterioError, OSError, ValueError):
        return False
