"""Cameras and standard observers, from published measurements.

Their curves are CSV files in ``curves/``, each with its source in its first lines; the licence beside them applies to
those from colour-science.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from finewave.physics.sensors.csv_response import read_csv_sensor
from finewave.physics.sensors.sensor import Sensor

_CURVES = Path(__file__).with_name("curves")
_DARRODI = (
    "Darrodi et al., Reference data set for camera spectral sensitivity estimation, JOSA A 32(3), 2015, "
    "doi:10.1364/JOSAA.32.000381, as carried by colour-science"
)
# Sensors whose curves are used as in their file: file, description, source.
_MEASURED = {
    "nikon-d5100": ("nikon_d5100.csv", "camera Nikon 5100 (NPL), measured sensitivity", _DARRODI),
    "sigma-sd-merrill": ("sigma_sd_merrill.csv", "camera Sigma SDMerill (NPL), measured sensitivity", _DARRODI),
    "nikon-d700": (
        "nikon_d700.csv",
        "camera Nikon D700, 400 to 700 nm, commonly used in fusion experiments on CAVE",
        "Dong et al., Hyperspectral image super-resolution via non-negative structured sparse representation, IEEE "
        "TIP 25(5), 2016, and its successors: the integers whose quotients are the responses in public code",
    ),
    "cie1931": (
        "cie1931.csv",
        "CIE 1931 2-degree standard observer, colour matching functions",
        "CIE 015:2018, as carried by colour-science",
    ),
}
# IEC 61966-2-1:1999, from CIE XYZ to linear sRGB
XYZ_TO_SRGB = np.array(((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570)))


def camera_names() -> list[str]:
    """Names that `camera` knows."""
    return sorted([*_MEASURED, "srgb"])


def camera(name: str) -> Sensor:
    """Return a camera, the CIE 1931 observer, or linear sRGB.

    Parameters
    ----------
    name : str
        One of `camera_names`.

    Returns
    -------
    Sensor
        Cameras have bands R, G, B, and ``cie1931`` X, Y, Z; both apply to radiance. ``srgb`` has R, G, B and applies to
        reflectance: daylight D65 is part of its response.
    """
    if name == "srgb":
        return _srgb()
    file, description, source = _MEASURED[name]
    return replace(read_csv_sensor(_CURVES / file, name), description=description, source=source)


def _srgb() -> Sensor:
    """Return linear sRGB of a reflectance under daylight D65.

    Response k at wavelength l is ``sum_j M[k, j] cmf[j, l] D65[l]`` with M from XYZ to linear sRGB. Scaling
    each row to sum 1 makes a white reflectance (1, 1, 1), as the white of sRGB is D65.
    """
    observer, daylight = camera("cie1931"), read_csv_sensor(_CURVES / "d65.csv")
    # CIE: D65 is interpolated linearly; beyond its last sample, 780 nm, the observer's response is negligible.
    light = np.interp(observer.wavelengths, daylight.wavelengths, daylight.curves[0])
    return Sensor(
        name="srgb",
        bands=("R", "G", "B"),
        wavelengths=observer.wavelengths,
        curves=XYZ_TO_SRGB @ (observer.curves * light),
        description="linear sRGB of a reflectance seen under D65 by the CIE 1931 2-degree observer",
        source="IEC 61966-2-1:1999 and CIE 015:2018, as carried by colour-science",
    )
