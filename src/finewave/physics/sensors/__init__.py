"""Spectral responses: cameras, standard observers, satellites, and the user's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from finewave.errors import InputError, unknown_name
from finewave.locations import data_folder
from finewave.physics.sensors.band_simulation import apply_response
from finewave.physics.sensors.cameras import camera, camera_names
from finewave.physics.sensors.csv_response import has_wavelengths, read_csv_sensor
from finewave.physics.sensors.satellites import satellite, satellite_names
from finewave.physics.sensors.sensor import Sensor
from finewave.physics.sensors.yaml_sensor import read_yaml_sensor

__all__ = ["Sensor", "apply_response", "get_sensor", "list_sensors"]


def list_sensors() -> list[str]:
    """Names that `get_sensor` knows: cameras, observers, satellites, and CSVs in ``FINEWAVE_DATA/srf``."""
    measured = [name for name, path in _measured_files().items() if has_wavelengths(path)]
    return sorted({*camera_names(), *satellite_names(), *measured})


def get_sensor(sensor: str | Path | Sensor, bands: str | int | Iterable[str | int] | None = None) -> Sensor:
    """Return a sensor by name or from a file.

    Parameters
    ----------
    sensor : str, Path or Sensor
        One of `list_sensors` (case, ``_`` and ``-`` do not matter), a CSV file with a column ``wavelength_nm`` and one
        column per band, or a YAML file, see `finewave.physics.sensors.yaml_sensor`. Band names may follow a colon:
        ``"sentinel2a:B2,B3,B4,B8"``. A `Sensor` is returned unchanged.
    bands : str, int or iterable of them, optional
        Only these bands, by name or index, in this order.

    Returns
    -------
    Sensor
        ``.response(wavelengths_nm)`` is its matrix for a scene.

    Raises
    ------
    InputError
        If there is no such sensor or band, or a file cannot be used.

    Notes
    -----
    ``srgb`` includes daylight D65 and is meant for reflectance; all other sensors apply to the image as given.
    Satellites are models of the published centres and widths; see ``satellites.yaml``.
    """
    resolved = sensor if isinstance(sensor, Sensor) else _find(sensor)
    return resolved if bands is None else resolved.select(bands)


def split_bands(query: str | Path) -> tuple[str | Path, str | None]:
    """Return a sensor's name or file, and the bands after its colon; None if there are none, as after a drive's."""
    if isinstance(query, str) and not Path(query).exists():
        name, colon, bands = query.rpartition(":")
        if colon and not set(bands) & set("/\\"):
            return name, bands
    return query, None


def _find(query: str | Path) -> Sensor:
    """Return a sensor by file or name, with the bands after a colon."""
    if not isinstance(query, str | Path):
        raise InputError(f"a sensor is given by a name, a CSV or YAML file or a Sensor, not a {type(query).__name__}")
    name, bands = split_bands(query)
    if bands is not None:
        return _find(name).select([band.strip() for band in bands.split(",") if band.strip()])
    if Path(query).suffix.lower() == ".csv":
        return read_csv_sensor(query)
    if Path(query).suffix.lower() in (".yaml", ".yml"):
        return read_yaml_sensor(query)
    normalised = _plain(str(query))
    for name in satellite_names():
        if _plain(name) == normalised:
            return satellite(name)
    for name, path in _measured_files().items():
        if _plain(name) == normalised:
            return read_csv_sensor(path, name)
    for name in camera_names():
        if _plain(name) == normalised:
            return camera(name)
    problem = unknown_name("sensor", str(query), list_sensors())
    raise InputError(
        f"{problem}; finewave sensors lists them; a sensor of your own is a YAML file with the centre and width of "
        "each band, or a CSV file with curves, by its path (docs/sensors.md)"
    )


def _plain(name: str) -> str:
    """Lower case without separators, so that ``Sentinel-2A`` is ``sentinel2a``."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _measured_files() -> dict[str, Path]:
    """CSV files of the data folder by sensor name."""
    folder = data_folder() / "srf"
    return {path.stem.lower().replace("_", "-"): path for path in sorted(folder.glob("*.csv"))}
