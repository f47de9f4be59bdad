"""EMIT on the International Space Station: level 2A reflectance and level 1B radiance (NetCDF with groups)."""

from __future__ import annotations

import re
from pathlib import Path

import xarray as xr

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.hdf5_cubes import opened_hdf5
from finewave.io.products.common.lookup_table import orthorectified
from finewave.io.products.common.swaths import open_swath

_TABLES = ("location/glt_x", "location/glt_y")
_NAME = re.compile(r"EMIT_L(1B_RAD|2A_RFL)(?!UNCERT).*\.nc$", re.IGNORECASE)


def matches(path: Path) -> bool:
    """Whether a path is a file of EMIT's reflectance or radiance, by its name."""
    return path.is_file() and _NAME.match(path.name) is not None


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the image in the geometry of the sensor, with control points from the group ``location``, or on its map.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : OpenOptions
        What the user stated; ``orthorectify`` brings it on the map of ``location/glt_x`` and ``glt_y``.

    Returns
    -------
    xarray.DataArray
        Reflectance, or radiance in uW/(cm2 sr nm), which ``attrs["quantity"]`` says; lazy; bands of
        ``good_wavelengths`` 0 are flagged.
    """
    scene = open_swath(
        path,
        "EMIT product",
        options,
        variables=("reflectance", "radiance"),
        places=(("location/lon", "location/lat"),),
        attrs={"sensor": "emit"},
    )
    return _on_map(scene, path) if options.orthorectify else scene


def _on_map(scene: xr.DataArray, path: Path) -> xr.DataArray:
    with opened_hdf5(path, "EMIT product") as file, reading(path, "EMIT product"):
        if not {"location/glt_x", "location/glt_y"} <= {name for name in _TABLES if name in file}:
            raise InputError(f"{path} has no lookup table (location/glt_x, glt_y); leave out --orthorectify")
        tables = [file[name][()] for name in _TABLES]
        crs, place = file.attrs.get("spatial_ref", "EPSG:4326"), file.attrs.get("geotransform")
        crs = crs.decode() if isinstance(crs, bytes) else crs
        return orthorectified(scene, tables[0], tables[1], crs, place, path)
