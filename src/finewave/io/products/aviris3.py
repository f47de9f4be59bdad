"""AVIRIS-3 and AVIRIS-NG as ORNL DAAC delivers them: NetCDF with a group ``reflectance`` or ``radiance``."""

from __future__ import annotations

import re
from pathlib import Path

import xarray as xr

from finewave.acquisition import date_attribute, date_in_name
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.swaths import open_swath

_NAME = re.compile(r"(AV3|ang|AVNG)\d{8}t\d{6}.*_(RFL|RDN)(?!.*UNC).*\.nc$", re.IGNORECASE)


def matches(path: Path) -> bool:
    """Whether a path is a flight line's reflectance or radiance, by its name."""
    return path.is_file() and _NAME.match(path.name) is not None


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the image of a flight line.

    Parameters
    ----------
    path : pathlib.Path
        The file, orthorectified (``_ORT``) or in the geometry of the sensor.

    Returns
    -------
    xarray.DataArray
        Reflectance, or radiance in uW/(cm2 sr nm), which ``attrs["quantity"]`` says; lazy.
    """
    sensor = "aviris-3" if path.name.lower().startswith("av3") else "aviris-ng"
    return open_swath(
        path,
        "AVIRIS product",
        options,
        variables=("reflectance/reflectance", "radiance/radiance", "reflectance", "radiance"),
        places=(("lon", "lat"), ("longitude", "latitude"), ("location/lon", "location/lat")),
        attrs={"sensor": sensor, **date_attribute(date_in_name(re.sub("^AV3", "", path.stem, flags=re.IGNORECASE)))},
    )
