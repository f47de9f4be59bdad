"""Spectral responses: cameras, standard observers, satellites, and the user's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from finewave.errors import unknown_name
from finewave.imaging.sensors.cameras import camera, camera_names
from finewave.imaging.sensors.sensor import Sensor

__all__ = ["Sensor", "get_sensor", "list_sensors"]


def list_sensors() -> list[str]:
    """Names that `get_sensor` knows."""
    return camera_names()


def get_sensor(sensor: str | Path | Sensor, bands: str | int | Iterable[str | int] | None = None) -> Sensor:
    """Return a sensor by name.

    Parameters
    ----------
    sensor : str, Path or Sensor
        One of `list_sensors`; case does not matter, nor ``_`` or ``-``. A `Sensor` is passed through.
    bands : str, int or iterable of them, optional
        Only these bands, by name or index.

    Returns
    -------
    Sensor

    Raises
    ------
    InputError
        If there is no such sensor or band.
    """
    if not isinstance(sensor, Sensor):
        name = str(sensor).lower().replace("_", "-")
        if name not in camera_names():
            raise unknown_name("sensor", str(sensor), list_sensors())
        sensor = camera(name)
    return sensor if bands is None else sensor.select(bands)
