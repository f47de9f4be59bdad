"""Planet's Tanager: basic (swath) and ortho (grid) products of radiance and surface reflectance (HDF-EOS5)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.acquisition import date_attribute, date_in_name, stated_date
from finewave.control_points import sampled_points
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.hdf5 import plain_attribute
from finewave.io.formats.values.band_lists import describe_bands, listed_in
from finewave.io.formats.values.lazy import Slices
from finewave.io.formats.values.stated import stated_in
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.hdf5_cubes import Cube, holds, in_order, open_cubes, opened_hdf5

_HOLDERS = ("HDFEOS/GRIDS/HYP", "HDFEOS/SWATHS/HYP")
_IMAGES = ("surface_reflectance", "toa_reflectance", "toa_radiance")
_STRUCTURE = ("HDFEOS INFORMATION/StructMetadata.0", "HDFEOS_INFORMATION/StructMetadata.0")


def matches(path: Path) -> bool:
    """Whether a path is an HDF5 file with Tanager's swath or grid."""
    return holds(path, (".h5", ".hdf5", ".he5"), _HOLDERS)


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the image of a product.

    Parameters
    ----------
    options : OpenOptions
        What the user stated; ``variable`` chooses between reflectance and radiance.

    Returns
    -------
    xarray.DataArray
        Surface reflectance, or radiance in W/(m2 sr um), which ``attrs["quantity"]`` says; lazy. ``nodata_pixels``
        are missing, bands of ``good_wavelengths`` 0 flagged; swaths have control points, grids a transform.
    """
    file = opened_hdf5(path, "Tanager product")
    try:
        with reading(path, "Tanager product"):
            holder = next(each for each in _HOLDERS if each in file)
            fields = file[f"{holder}/Data Fields"]
            name = options.variable or next((each for each in _IMAGES if each in fields), None)
            if name is None or name not in fields:
                raise InputError(f"{path} holds none of {', '.join(_IMAGES)}; it holds {', '.join(fields)}")
            image = fields[name]
            attrs = {key: plain_attribute(value) for key, value in image.attrs.items()}
            cube = Cube(image, (0, 1, 2), range(image.shape[0]))
            stated = stated_in(attrs)
            place = _place(file, holder, cube.size)
            hidden = fields.get("nodata_pixels")
        overridden = options.wavelengths is not None
        lists = describe_bands(listed_in(attrs), image.shape[0], path, wavelengths_given=overridden)
        scene = open_cubes(
            in_order([cube], range(image.shape[0])),
            path,
            "Tanager product",
            replace(options, variable=None),
            stated=(stated.scale_factor, stated.offset),
            nodata=stated.missing[0] if stated.missing else -9999.0,
            mask=None if hidden is None else _mask(hidden),
            attrs={
                "sensor": "tanager-1",
                "product": path.stem,
                "quantity": "radiance in W/(m2 sr um)" if "radiance" in name else "reflectance",
                **date_attribute(stated_date(file.attrs), date_in_name(path.stem)),
            },
            **lists,
            **place,
        )
    except BaseException:
        file.close()
        raise
    scene.set_close(file.close)
    return scene


def _mask(hidden: Any) -> Any:
    def mask(key: Slices) -> NDArray[np.bool_]:
        return np.asarray(hidden[key[1], key[2]] != 0)[None]

    return mask


def _place(file: Any, holder: str, size: tuple[int, int]) -> dict[str, Any]:
    if "SWATHS" in holder:
        fields = file.get(f"{holder}/Geolocation Fields", {})
        if "Latitude" not in fields:
            return {}
        points = sampled_points(fields["Longitude"][()], fields["Latitude"][()])
        return {"crs": "EPSG:4326", "control_points": points}
    text = next((_text(file[each][()]) for each in _STRUCTURE if each in file), "")
    corners = {
        name: tuple(float(each) for each in match[1].split(","))
        for name in ("UpperLeftPointMtrs", "LowerRightMtrs")
        if (match := re.search(rf"{name}=\(([^)]*)\)", text))
    }
    zone = re.search(r"ZoneCode=(-?\d+)", text)
    if len(corners) < 2:
        return {}
    (left, top), (right, bottom) = corners["UpperLeftPointMtrs"], corners["LowerRightMtrs"]
    transform = ((right - left) / size[1], 0.0, left, 0.0, (bottom - top) / size[0], top)
    number = int(zone[1]) if zone else 0
    # HDF-EOS counts zones of the southern hemisphere below zero
    crs = f"EPSG:{(32600 if number > 0 else 32700) + abs(number)}" if number else None
    return {"crs": crs, "transform": transform}


def _text(value: Any) -> str:
    plain = plain_attribute(value)
    return plain if isinstance(plain, str) else str(plain)
