"""Wavelengths and widths of a product's bands, from the built-in sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finewave.errors import InputError
from finewave.physics.sensors.satellites import nominal_bands


def bands_of_sensor(
    names: Sequence[str], sensor: str, others: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, Any]:
    """Return wavelengths, widths and names of bands, as keywords of `finewave.scene.make_scene`.

    Parameters
    ----------
    names : sequence of str
        Bands, as the sensor calls them.
    sensor : str
        A satellite of `finewave.get_sensor`.
    others : mapping of str to (float, float), optional
        Centre and width in nm of bands that the sensor's entry lacks.

    Returns
    -------
    dict
        ``wavelengths``, ``fwhm``, ``band_names``.

    Raises
    ------
    InputError
        A band is unknown.
    """
    known = {**(others or {}), **nominal_bands(sensor)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"{sensor} has no band {unknown[0]!r}; known are {', '.join(known)}")
    return {
        "wavelengths": [round(known[name][0], 1) for name in names],
        "fwhm": [round(known[name][1], 1) for name in names],
        "band_names": list(names),
    }
