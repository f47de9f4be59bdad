"""NEON airborne observation platform: reflectance and radiance (HDF5), one site a file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from finewave.acquisition import date_attribute, date_in_name
from finewave.io.file_errors import reading
from finewave.io.formats import hdf5
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.hdf5_cubes import opened_hdf5
from finewave.scene import with_georeference

_IMAGES = ("Reflectance/Reflectance_Data", "Radiance/Radiance_Data", "Radiance/RadianceDecimalPart")


def matches(path: Path) -> bool:
    """Whether a path is an HDF5 file of a site with reflectance or radiance."""
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return False
    try:
        with h5py.File(path) as file:
            return _image(file) is not None
    except OSError:
        return False


def _image(file: Any) -> str | None:
    for site in file:
        if isinstance(file.get(site), h5py.Group):
            for image in _IMAGES[:2]:
                if isinstance(file.get(f"{site}/{image}"), h5py.Dataset):
                    return f"{site}/{image}"
    return None


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the image of a site.

    Parameters
    ----------
    options : OpenOptions
        What the user stated; the image is found without ``variable``.

    Returns
    -------
    xarray.DataArray
        Reflectance (or radiance, which ``attrs["quantity"]`` says), lazy; -9999 is missing. Bands in the file's
        windows of bad bands (water vapour) are flagged.
    """
    with opened_hdf5(path, "NEON product") as file, reading(path, "NEON product"):
        image = options.variable or str(_image(file))
        place = _place(file, image)
        windows = _bad_windows(file, image)
    scene = hdf5.open_file(path, replace(options, variable=image))
    close = getattr(scene, "_close", None)
    scene = with_georeference(scene, *place)
    encoding = dict(scene.encoding)
    if windows and "wavelength" in scene.coords:
        nm = scene.wavelength.values
        good = ~np.any([(nm >= low) & (nm <= high) for low, high in windows], axis=0)
        scene = scene.assign_coords(good_band=("band", good))
    scene.encoding = encoding
    scene.attrs |= {
        "sensor": "neon-ais",
        "product": path.stem,
        "quantity": "reflectance" if "Reflectance" in image else "radiance",
        # the zone of the time in the name is not documented
        **date_attribute(date_in_name(path.stem, time=False)),
    }
    scene.set_close(close)
    return scene


def _text(value: Any) -> str:
    plain = hdf5.plain_attribute(value)
    return plain if isinstance(plain, str) else str(plain)


def _place(file: Any, image: str) -> tuple[Any, Any]:
    """CRS and transform: Map_Info is that of an ENVI header."""
    system = f"{'/'.join(image.split('/')[:-1])}/Metadata/Coordinate_System"
    crs = transform = None
    if f"{system}/EPSG Code" in file:
        crs = f"EPSG:{int(float(_text(file[f'{system}/EPSG Code'][()])))}"
    if f"{system}/Map_Info" in file:
        parts = [each.strip() for each in _text(file[f"{system}/Map_Info"][()]).split(",")]
        column, row, x, y, width, height = (float(each) for each in parts[1:7])
        # the tie point is a pixel counted from 1, by its upper left corner
        transform = (width, 0.0, x - (column - 1) * width, 0.0, -height, y + (row - 1) * height)
    return crs, transform


def _bad_windows(file: Any, image: str) -> list[tuple[float, float]]:
    """Windows in nm that are not to be used: attributes of the image or its group."""
    windows = []
    for holder in (file[image], file[image].parent):
        for name, value in holder.attrs.items():
            if re.match(r"(Bad_?Band_?Window|Band_Window)_?\d*", str(name), re.IGNORECASE):
                ends = np.ravel(np.asarray(value, np.float64))
                windows += [(float(ends[i]), float(ends[i + 1])) for i in range(0, len(ends) - 1, 2)]
    return windows
