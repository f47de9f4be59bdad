"""A folder with one image per band, such as the scenes of the CAVE database."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats import photo
from finewave.io.formats.band_files import BandFile, open_bands, read_header
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.gdal_numbers import stated_of
from finewave.io.formats.gdal.raster import is_georeferenced
from finewave.io.formats.geotiff import orientation_of
from finewave.io.formats.values.decoding import Decoding, choose_decoding, is_number
from finewave.io.open_options import OpenOptions
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning
from finewave.wavelengths import wavelength_in_text

_EXTENSIONS = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".tif": "tif", ".tiff": "tif", ".jp2": "jp2"}
_RASTERS = ("tif", "jp2")


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a folder with one image per band: georeferenced ones lazily, others immediately.

    Georeferenced bands may have several resolutions, see `finewave.io.formats.band_files`.

    Parameters
    ----------
    path : pathlib.Path
        The folder. Its images are used in natural order of their names (band_2 before band_10); other files are
        ignored. With several image formats, only the most frequent one is used.

    Returns
    -------
    xarray.DataArray
        The scene. Images are measurements, never linearised; colour images count when their channels agree.
        Wavelengths come from names such as ``reflectance_550nm.png`` when every name has one.

    Raises
    ------
    InputError
        No images, or images that differ in size, type or georeference, or hold several bands.
    """
    files = _band_files(path)
    if _EXTENSIONS[files[0].suffix.lower()] in _RASTERS:
        headers = [read_header(file) for file in files]
        if all(header.located for header in headers):
            return _open_rasters(path, headers, options)
    if options.resolution is not None:
        raise InputError(f"resolution= has no meaning for {path}: its bands have no georeference")
    bands: list[NDArray[Any]] = []
    masks: list[NDArray[np.bool_]] = []
    first: dict[str, Any] = {}
    for file in files:
        band, hidden, place = _read_band(file)
        if bands and band.shape != bands[0].shape:
            raise InputError(
                f"{file} has {band.shape[1]} x {band.shape[0]} pixels, {files[0].name} has "
                f"{bands[0].shape[1]} x {bands[0].shape[0]}; the bands of a scene have one size"
            )
        if bands and band.dtype != bands[0].dtype:
            raise InputError(
                f"{file} holds {band.dtype} values, {files[0].name} {bands[0].dtype}; one type is expected"
            )
        if bands and repr(place) != repr(first):  # as text: NaN differs from itself
            raise InputError(
                f"{file} is at another place than {files[0].name} (another CRS, transform or nodata value)"
            )
        first = first or place
        bands.append(band)
        masks.append(hidden)
    stacked, missing = np.stack(bands), np.stack(masks)
    is_picture = _EXTENSIONS[files[0].suffix.lower()] not in _RASTERS
    nodata = first.pop("nodata", None)
    if is_picture and options.scale is None:
        decoding = Decoding(stacked.dtype, 1.0 / np.iinfo(stacked.dtype).max)
    else:
        decoding = choose_decoding(
            stacked.dtype,
            path=path,
            scale=options.scale,
            scale_factor=first.pop("scale_factor", None),
            offset=first.pop("offset", None),
            nodata=nodata,
            special=first.pop("special", ()),
            valid_range=first.pop("valid_range", None),
            percent=first.pop("percent", False),
            bits=first.pop("bits", None),
            sample=lambda: stacked[~missing if nodata is None else ~(missing | is_number(stacked, nodata))],
        )
    values = decoding.apply(stacked)
    values[missing] = np.nan
    wavelengths = [wavelength_in_text(file.stem) for file in files]
    return make_scene(
        values,
        None if None in wavelengths else wavelengths,
        band_names=[file.stem for file in files],
        crs=first.get("crs"),
        transform=first.get("transform"),
        encoding={} if is_picture else decoding.encoding,
    )


def _open_rasters(path: Path, headers: list[BandFile], options: OpenOptions) -> xr.DataArray:
    """Open georeferenced bands. Their names do not identify a sensor: many have a B10."""
    stems = [Path(header.name).stem for header in headers]
    wavelengths = [wavelength_in_text(stem) for stem in stems]
    known: dict[str, Any] = {} if None in wavelengths else {"wavelengths": wavelengths}
    return open_bands(headers, path, options, band_names=stems, **known)


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Key for sorting names as people do: numbers by their value.

    Parameters
    ----------
    name : str
        A file name.

    Returns
    -------
    list of tuple
        Comparable with the keys of other names.
    """
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _band_files(folder: Path) -> list[Path]:
    images = [
        each
        for each in folder.iterdir()
        if each.is_file() and each.suffix.lower() in _EXTENSIONS and not each.name.startswith(".")
    ]
    if not images:
        examples = ", ".join(sorted(each.name for each in folder.iterdir())[:5]) or "nothing"
        raise InputError(f"the folder {folder} holds no images (PNG, JPEG or TIFF), one per band; it holds: {examples}")
    kinds = Counter(_EXTENSIONS[each.suffix.lower()] for each in images)
    kind = kinds.most_common(1)[0][0]
    others = sorted(each.name for each in images if _EXTENSIONS[each.suffix.lower()] != kind)
    if others:
        _warn(
            f"{folder}: took the {kinds[kind]} {kind} images as bands and left out {', '.join(others)}; put "
            "those that are bands into a folder of their own"
        )
    files = sorted((e for e in images if _EXTENSIONS[e.suffix.lower()] == kind), key=lambda e: natural_order(e.name))
    _warn_about_gaps(folder, files)
    return files


def _warn_about_gaps(folder: Path, files: list[Path]) -> None:
    """Warn if numbered bands have gaps; wavelengths in file names are not band numbers."""
    if any(wavelength_in_text(file.stem) is not None for file in files):
        return
    split = [re.fullmatch(r"(.*?)(\d+)", file.stem) for file in files]
    if len(files) < 3 or None in split or len({each[1] for each in split if each}) > 1:
        return
    numbers = [int(each[2]) for each in split if each]
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        shown = ", ".join(str(each) for each in missing[:10]) + (", ..." if len(missing) > 10 else "")
        _warn(
            f"{folder}: the bands are numbered {numbers[0]} to {numbers[-1]}, but {shown} is missing; put it there, or "
            "state what there is with wavelengths="
        )


def _read_band(file: Path) -> tuple[NDArray[Any], NDArray[np.bool_], dict[str, Any]]:
    """Return the numbers of a band, its missing pixels, and further facts of the file."""
    if _EXTENSIONS[file.suffix.lower()] in _RASTERS:
        return _read_tiff(file)
    channels, alpha = photo.read_channels(file, by_profile=False)
    # A grey image may be stored as colour with the same value in each channel.
    if np.any(channels != channels[:1]):
        raise InputError(f"{file} is a colour image; a folder of bands holds one grey image per band")
    return channels[0], np.zeros(channels[0].shape, bool) if alpha is None else alpha == 0, {}


def _read_tiff(file: Path) -> tuple[NDArray[Any], NDArray[np.bool_], dict[str, Any]]:
    import rasterio

    with reading(file, "TIFF"), quiet_gdal(), rasterio.open(file, driver=driver_of(file)) as dataset:
        place: dict[str, Any] = {"nodata": dataset.nodata}
        if is_georeferenced(dataset):
            place.update(crs=dataset.crs, transform=dataset.transform)
        facts = stated_of(dataset)
        stated = {
            **{"scale_factor": facts.factors[0], "offset": facts.offsets[0], "bits": facts.bits},
            **{"special": facts.missing[0], "valid_range": facts.valid_ranges[0], "percent": facts.percent},
        }
        place |= {name: value for name, value in stated.items() if value}
        if facts.white_is_zero:
            raise InputError(f"in {file} 0 is white; turn its numbers around, so that 0 is black")
        band, hidden = dataset.read(1), dataset.read_masks(1) == 0
        held = 1 if is_georeferenced(dataset) or dataset.driver != "GTiff" else orientation_of(file)
        return photo.turned(band[None], held)[0], photo.turned(hidden[None], held)[0], place


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=5)
