"""Maxar's WorldView, GeoEye and QuickBird: images (TIF, NTF or tiles in a TIL) and their metadata (IMD, RPB)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import xarray as xr

from finewave.acquisition import date_attribute, utc
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.raster import open_raster
from finewave.io.open_options import OpenOptions
from finewave.physics.sensors.satellites import nominal_bands
from finewave.text.plain_text import one_line
from finewave.text.stated_numbers import number_in

_SENSORS = {"WV02": "worldview2", "WV03": "worldview3", "QB02": "quickbird", "GE01": "geoeye1", "WV04": "worldview4"}
_BANDS = {
    "C": "coastal", "B": "blue", "G": "green", "Y": "yellow", "R": "red", "RE": "red_edge",
    "N": "nir1", "N2": "nir2", "P": "pan", **{f"S{i}": f"swir{i}" for i in range(1, 9)},
}  # fmt: skip
# Edges in nm: Maxar, GeoEye-1 and WorldView-4 data sheets.
_FOUR_BANDS = {
    "geoeye1": {"blue": (450, 510), "green": (510, 580), "red": (655, 690), "nir": (780, 920)},
    "worldview4": {"blue": (450, 510), "green": (510, 580), "red": (655, 690), "nir": (780, 920)},
}
_DATES = ("firstLineTime", "earliestAcqTime")
_IMAGES = (".til", ".tif", ".tiff", ".ntf")


def matches(path: Path) -> bool:
    """Return whether a path is an image with an IMD beside it, an IMD, or a folder with one."""
    return _pair(path) is not None


def _pair(path: Path) -> tuple[Path, Path] | None:
    """Return image and IMD."""
    if path.is_dir():
        metadata_files = [each for each in sorted(path.iterdir()) if each.suffix.lower() == ".imd"]
        return _pair(metadata_files[0]) if len(metadata_files) == 1 else None
    if not path.is_file():
        return None
    beside = {each.suffix.lower(): each for each in path.parent.glob(f"{_escaped(path.stem)}.*")}
    imd = beside.get(".imd")
    if imd is None:
        return None
    image = path if path.suffix.lower() in _IMAGES else next((beside[e] for e in _IMAGES if e in beside), None)
    return None if image is None else (image, imd)


def _escaped(stem: str) -> str:
    import glob

    return glob.escape(stem)


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open an image.

    Parameters
    ----------
    path : pathlib.Path
        The image, its IMD, or a folder with one of them.

    Returns
    -------
    xarray.DataArray
        Radiance in W/(m2 sr um), numbers x absCalFactor / effectiveBandwidth, which ``attrs["quantity"]`` says; lazy.
        RPCs are in ``attrs["rpcs"]``; 0 is missing.

    Raises
    ------
    InputError
        Image and metadata do not have the same bands.
    """
    import rasterio

    pair = _pair(path)
    if pair is None:
        raise InputError(f"{path} has no image with an IMD file of the same name")
    image, imd = pair
    _check_tiles(image)
    groups = read_imd(imd)
    bands = [name.removeprefix("BAND_") for name in groups if name.startswith("BAND_")]
    with reading(image, "WorldView image"), quiet_gdal(), rasterio.open(image, driver=driver_of(image)) as dataset:
        count = dataset.count
    if count != len(bands):
        raise InputError(f"{image} has {count} bands, {imd.name} speaks of {len(bands)}; are they of one product?")
    factors = tuple(_factor(groups[f"BAND_{band}"], f"{imd}: band {band}") for band in bands)
    satellite = next((each["satId"] for each in groups.values() if "satId" in each), "")
    sensor = _SENSORS.get(satellite, satellite.lower() or "maxar")
    names = [_BANDS.get(band, band.lower()) for band in bands]
    return open_raster(
        image,
        "WorldView image",
        options,
        stated=(factors, None),
        special=(0.0,),
        **_spectral(names, sensor),
        attrs={
            "sensor": sensor,
            "product": image.stem,
            "quantity": "radiance in W/(m2 sr um)",
            **date_attribute(*(utc(group.get(name)) for name in _DATES for group in groups.values())),
        },
    )


def _check_tiles(image: Path) -> None:
    """Refuse a list of tiles (TIL) some of which are not there."""
    if image.suffix.lower() != ".til":
        return
    with reading(image, "list of tiles (TIL)"):
        names = re.findall(r'filename\s*=\s*"([^"/\\\n]+)"', image.read_text(encoding="utf-8", errors="replace"))
    missing = [name for name in names if not (image.parent / name).exists()]
    if missing:
        names_of_some = one_line(", ".join(missing[:3]))
        raise InputError(f"{image} lists tiles that are not in its folder: {names_of_some}; copy them there")


def _factor(fields: dict[str, str], what: str) -> float:
    """Return what a number is multiplied by to be radiance."""
    for name in ("absCalFactor", "effectiveBandwidth"):
        if name not in fields:
            raise InputError(f"{what} lacks {name}, by which its numbers become radiance; copy the file again")
    factor, width = (number_in(fields[name], f"{what}: {name}") for name in ("absCalFactor", "effectiveBandwidth"))
    if not (factor > 0 and width > 0):
        raise InputError(f"{what} has an absCalFactor or effectiveBandwidth that is not positive")
    return factor / width


def read_imd(path: Path) -> dict[str, dict[str, str]]:
    """Return the groups of an IMD with their fields; those outside of any group under an empty name."""
    groups: dict[str, dict[str, str]] = {"": {}}
    inside = ""
    with reading(path, "metadata (IMD)"):
        text = path.read_text(encoding="utf-8", errors="replace")
    for key, value in re.findall(r"^\s*(\w+)\s*=\s*([^;\n(]*(?:\([^)]*\))?)", text, re.MULTILINE):
        if key == "BEGIN_GROUP":
            inside = value.strip()
            groups[inside] = {}
        elif key == "END_GROUP":
            inside = ""
        else:
            groups[inside][key] = value.strip().strip('"')
    return groups


def _spectral(names: list[str], sensor: str) -> dict[str, Any]:
    if sensor in _FOUR_BANDS:
        known = {name: ((low + high) / 2, float(high - low)) for name, (low, high) in _FOUR_BANDS[sensor].items()}
    elif sensor in ("worldview2", "worldview3", "quickbird"):
        known = nominal_bands(sensor)
    else:
        return {"band_names": names}
    if "nir1" not in known and "nir" in known:
        known = {**known, "nir1": known["nir"]}
    if any(name not in known for name in names):
        return {"band_names": names}
    return {
        "wavelengths": [float(known[name][0]) for name in names],
        "fwhm": [float(known[name][1]) for name in names],
        "band_names": names,
    }
