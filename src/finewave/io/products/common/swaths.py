"""Images of swaths: latitude and longitude of every pixel become control points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from finewave.acquisition import date_attribute, date_in_name, stated_date
from finewave.control_points import sampled_points, with_control_points
from finewave.io.file_errors import reading
from finewave.io.formats import netcdf
from finewave.io.open_options import OpenOptions


def radiance_or_reflectance(name: str) -> str:
    """Return the quantity of an array of EMIT or AVIRIS."""
    return "radiance in uW/(cm2 sr nm)" if "radiance" in name else "reflectance"


def open_swath(
    path: Path,
    kind: str,
    options: OpenOptions,
    *,
    variables: tuple[str, ...],
    places: tuple[tuple[str, str], ...],
    attrs: dict[str, Any],
    quantity_of: Callable[[str], str] = radiance_or_reflectance,
) -> xr.DataArray:
    """Open an image of a NetCDF file with groups.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    kind : str
        Name of the product, for messages.
    options : OpenOptions
        What the user stated.
    variables : tuple of str
        Paths of arrays that are images of the product, the preferred one first.
    places : tuple of (str, str)
        Paths of longitude and latitude; the first existing ones are used.
    attrs : dict
        Of the scene.
    quantity_of : callable
        Quantity of each array, by name.

    Returns
    -------
    xarray.DataArray
        The scene, lazy. Without a map grid it has control points.
    """
    from dataclasses import replace

    import h5py

    points: Any = None
    with reading(path, kind), h5py.File(path) as file:
        date = stated_date(file.attrs)
        image = options.variable or next((each for each in variables if each in file), None)
        for longitude, latitude in places:
            if longitude in file and latitude in file and points is None:
                points = sampled_points(file[longitude][()], file[latitude][()])
    scene = netcdf.open_file(path, replace(options, variable=image))
    if "x" not in scene.coords and points is not None and len(points) >= 4:
        close = getattr(scene, "_close", None)
        scene = with_control_points(scene, points, "EPSG:4326")
        scene.set_close(close)
    scene.attrs |= {**date_attribute(date_in_name(path.stem)), **attrs, "product": path.stem, **date_attribute(date)}
    if image is not None:
        scene.attrs["quantity"] = quantity_of(image)
    return scene
