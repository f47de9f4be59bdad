"""EMIT on the International Space Station: level 2A reflectance and level 1B radiance (NetCDF with groups)."""

from __future__ import annotations

import re
from pathlib import Path

import xarray as xr

from finewave.io.open_options import OpenOptions
from finewave.io.products.swaths import open_swath

_NAME = re.compile(r"EMIT_L(1B_RAD|2A_RFL)(?!UNCERT).*\.nc$", re.IGNORECASE)


def matches(path: Path) -> bool:
    """Whether a path is a file of EMIT's reflectance or radiance, by its name."""
    return path.is_file() and _NAME.match(path.name) is not None


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the image in the geometry of the sensor, with control points from the group ``location``.

    Returns
    -------
    xarray.DataArray
        Reflectance, or radiance in uW/(cm2 sr nm), which ``attrs["quantity"]`` says; lazy; bands of
        ``good_wavelengths`` 0 are flagged.
    """
    return open_swath(
        path,
        "EMIT product",
        options,
        variables=("reflectance", "radiance"),
        places=(("location/lon", "location/lat"),),
        attrs={"sensor": "emit"},
        quantity_of=lambda name: "radiance in uW/(cm2 sr nm)" if "radiance" in name else "reflectance",
    )
