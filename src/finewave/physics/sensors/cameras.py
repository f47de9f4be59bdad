"""Cameras and standard observers, measured by others and carried by the package colour-science.

The package is imported when the first of them is asked for.
"""

from __future__ import annotations

import re

import numpy as np

from finewave.physics.sensors.resampling import FloatArray
from finewave.physics.sensors.sensor import Sensor

# Short names of those that are used most; the others go by their own name in lower case with dashes.
_CAMERA_NAMES = {"nikon-d5100": "Nikon 5100 (NPL)", "sigma-sd-merrill": "Sigma SDMerill (NPL)"}
SHORT_NAMES = (*_CAMERA_NAMES, "cie1931", "srgb")
_CAMERA_SOURCE = (
    "Darrodi et al., Reference data set for camera spectral sensitivity estimation, JOSA A 32(3), 2015, "
    "doi:10.1364/JOSAA.32.000381, as carried by colour-science"
)
_OBSERVER = "CIE 1931 2 Degree Standard Observer"


def _slug(name: str) -> str:
    """Lower case, words joined by dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _cameras() -> dict[str, str]:
    """Our names and colour's."""
    import colour

    others = {_slug(name): name for name in colour.MSDS_CAMERA_SENSITIVITIES if name not in _CAMERA_NAMES.values()}
    return _CAMERA_NAMES | others


def camera_names() -> list[str]:
    """Names that `camera` knows."""
    return sorted([*_cameras(), "cie1931", "srgb"])


def camera(name: str) -> Sensor:
    """Return a camera, the CIE 1931 observer, or linear sRGB.

    Parameters
    ----------
    name : str
        One of `camera_names`.

    Returns
    -------
    Sensor
        Cameras have bands R, G, B, and ``cie1931`` X, Y, Z; both see the light that arrives (radiance).
        ``srgb`` has R, G, B and sees reflectance: daylight D65 is part of its response.
    """
    if name == "cie1931":
        return _cie1931()
    if name == "srgb":
        return _srgb()
    return _measured(name)


def _measured(name: str) -> Sensor:
    """Return a camera whose sensitivities colour carries."""
    import colour

    theirs = _cameras()[name]
    table = colour.MSDS_CAMERA_SENSITIVITIES[theirs]
    return Sensor(
        name=name,
        bands=("R", "G", "B"),
        wavelengths=np.asarray(table.wavelengths, dtype=np.float64),
        curves=np.asarray(table.values, dtype=np.float64).T,
        description=f"camera {theirs}, measured sensitivity",
        source=_CAMERA_SOURCE,
    )


def _colour_matching() -> tuple[FloatArray, FloatArray]:
    """Wavelengths (471,) and the colour matching functions x, y, z (3, 471), 360-830 nm in steps of 1."""
    import colour

    table = colour.MSDS_CMFS[_OBSERVER]
    return np.asarray(table.wavelengths, dtype=np.float64), np.asarray(table.values, dtype=np.float64).T


def _cie1931() -> Sensor:
    """Return the CIE 1931 2-degree standard observer."""
    wavelengths, matching = _colour_matching()
    return Sensor(
        name="cie1931",
        bands=("X", "Y", "Z"),
        wavelengths=wavelengths,
        curves=matching,
        description="CIE 1931 2-degree standard observer, colour matching functions",
        source="CIE 015:2018, as carried by colour-science",
    )


def _srgb() -> Sensor:
    """Return linear sRGB of a reflectance under daylight D65.

    Response k at wavelength l is ``sum_j M[k, j] cmf[j, l] D65[l]`` with M from XYZ to linear sRGB. Scaling
    each row to sum 1 makes a white reflectance (1, 1, 1), as the white of sRGB is D65.
    """
    import colour

    wavelengths, matching = _colour_matching()
    daylight = colour.SDS_ILLUMINANTS["D65"]
    # CIE: D65 is interpolated linearly; beyond its 780 nm the observer sees next to nothing.
    light = np.interp(wavelengths, daylight.wavelengths, daylight.values)
    to_srgb = np.asarray(colour.RGB_COLOURSPACES["sRGB"].matrix_XYZ_to_RGB, dtype=np.float64)
    return Sensor(
        name="srgb",
        bands=("R", "G", "B"),
        wavelengths=wavelengths,
        curves=to_srgb @ (matching * light),
        description="linear sRGB of a reflectance seen under D65 by the CIE 1931 2-degree observer",
        source="IEC 61966-2-1:1999 and CIE 015:2018, as carried by colour-science",
    )
