"""PACE's Ocean Color Instrument: reflectances of level 1B, 2 and 3 (NetCDF with groups)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.acquisition import date_attribute, date_in_name, stated_date
from finewave.control_points import sampled_points
from finewave.io.file_errors import reading
from finewave.io.open_options import OpenOptions
from finewave.io.products.common.hdf5_cubes import Cube, in_order, open_cubes, opened_hdf5
from finewave.io.products.common.swaths import open_swath

_NAME = re.compile(r"PACE_OCI\..*\.nc$", re.IGNORECASE)


def matches(path: Path) -> bool:
    """Whether a path is a file of the Ocean Color Instrument, by its name."""
    return path.is_file() and _NAME.match(path.name) is not None


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the spectral image of a file.

    Parameters
    ----------
    options : OpenOptions
        What the user stated; of level 1B ``variable`` chooses one detector, ``rhot_blue``, ``rhot_red``, ``rhot_SWIR``;
        without, all three are one scene, in the order of their wavelengths.

    Returns
    -------
    xarray.DataArray
        Remote sensing or surface reflectance, lazy, which ``attrs["quantity"]`` says; of a swath with control points.
    """
    if options.variable is None and (scene := _level_1b(path, options)) is not None:
        return scene
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


def _level_1b(path: Path, options: OpenOptions) -> xr.DataArray | None:
    """Open the three detectors of level 1B as one scene; None of another level."""
    file = opened_hdf5(path, "PACE product")
    try:
        with reading(path, "PACE product"):
            found = _detectors(file)
            if not found:
                file.close()
                return None
            cubes, centres = [cube for cube, _ in found], np.concatenate([each for _, each in found])
            fill = cubes[0].dataset.attrs.get("_FillValue")
            place = file.get("geolocation_data", {})
            points: Any = (
                sampled_points(place["longitude"][()], place["latitude"][()])
                if {"longitude", "latitude"} <= set(place)
                else []
            )
        placed: dict[str, Any] = {"crs": "EPSG:4326", "control_points": points} if len(points) >= 4 else {}
        order = np.argsort(centres, kind="stable").tolist()
        scene = open_cubes(
            in_order(cubes, order),
            path,
            "PACE product",
            options,
            nodata=None if fill is None else float(np.ravel(fill)[0]),
            wavelengths=centres[order].tolist(),
            attrs={
                "sensor": "pace-oci",
                "product": path.stem,
                "quantity": "reflectance at the top of the atmosphere",
                **date_attribute(stated_date(file.attrs), date_in_name(path.stem)),
            },
            **placed,
        )
    except BaseException:
        file.close()
        raise
    scene.set_close(file.close)
    return scene


def _detectors(file: Any) -> list[tuple[Cube, NDArray[np.float64]]]:
    """Return the cubes (band, line, pixel) of the detectors that the file has, each with its wavelengths."""
    data, bands = file.get("observation_data", {}), file.get("sensor_band_parameters", {})
    found = []
    for detector in ("blue", "red", "SWIR"):
        cube, listed = data.get(f"rhot_{detector}"), bands.get(f"{detector}_wavelength")
        if cube is not None and listed is not None and cube.ndim == 3 and cube.shape[0] == listed.shape[0]:
            centres = np.asarray(listed[()], np.float64)
            used = np.flatnonzero(np.isfinite(centres) & (centres > 0)).tolist()
            if used:
                found.append((Cube(cube, (0, 1, 2), used), centres[used]))
    return found
