"""PACE's Ocean Color Instrument: level 2 and 3 reflectances (NetCDF with groups)."""

from __future__ import annotations

import re
from pathlib import Path

import xarray as xr

from finewave.io.open_options import OpenOptions
from finewave.io.products.swaths import open_swath

_NAME = re.compile(r"PACE_OCI\..*\.nc$", re.IGNORECASE)


def matches(path: Path) -> bool:
    """Whether a path is a file of the Ocean Color Instrument, by its name."""
    return path.is_file() and _NAME.match(path.name) is not None


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the spectral image of a file.

    Parameters
    ----------
    options : OpenOptions
        What the user stated; of level 1B ``variable`` chooses one of ``rhot_blue``, ``rhot_red``, ``rhot_SWIR``.

    Returns
    -------
    xarray.DataArray
        Remote sensing or surface reflectance, lazy, which ``attrs["quantity"]`` says; of a swath with control points.
    """
    names = ("rhos", "Rrs", "rho_s", "reflectance")
    return open_swath(
        path,
        "PACE product",
        options,
        variables=tuple(f"{group}{name}" for name in names for group in ("geophysical_data/", "")),
        places=(
            ("navigation_data/longitude", "navigation_data/latitude"),
            ("geolocation_data/longitude", "geolocation_data/latitude"),
        ),
        attrs={"sensor": "pace-oci"},
        quantity_of=lambda name: "remote sensing reflectance in 1/sr" if name.endswith("Rrs") else "reflectance",
    )
