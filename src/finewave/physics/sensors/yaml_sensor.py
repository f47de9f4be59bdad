"""Custom sensors from a small YAML file: bands by centre and width, or measured curves; MTF and pixel size.

::

    name: my-camera
    source: data sheet of 2024
    mtf: 0.25                 # at the Nyquist frequency of the pixels; for all bands without their own
    gsd_m: 5.0                # pixel size on the ground, likewise
    shape: 2                  # for bands by centre and width: 2 is a Gaussian, 6 has a flat top
    bands:
      green: {centre_nm: 560, width_nm: 40}
      red: {centre_nm: 665, width_nm: 30, mtf: 0.22}

Instead of centres and widths, ``response: curves.csv`` names a file for `finewave.physics.sensors.csv_response` in the
same folder; ``bands`` may then state the MTF or pixel size of some bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from finewave.errors import InputError, unknown_name
from finewave.physics.sensors.csv_response import read_csv_sensor
from finewave.physics.sensors.satellites import sampled_bands
from finewave.physics.sensors.sensor import Sensor
from finewave.text.yaml_text import read_yaml

_KEYS = ("name", "source", "description", "bands", "response", "shape", "mtf", "gsd_m")
_BAND_KEYS = ("centre_nm", "width_nm", "mtf", "gsd_m")
_GAUSSIAN = 2.0


def read_yaml_sensor(path: str | Path) -> Sensor:
    """Read a sensor.

    Parameters
    ----------
    path : str or Path
        YAML file of the form above.

    Returns
    -------
    Sensor

    Raises
    ------
    InputError
        If the file cannot be read, has an unknown key, gives neither a response nor centres and widths, or a number is
        out of range; the message names key and band.
    """
    path = Path(path)
    entries = _read(path)
    bands = entries.get("bands") or {}
    if isinstance(bands, list):
        bands = {_name_of(path, band): {key: value for key, value in band.items() if key != "name"} for band in bands}
    if not isinstance(bands, Mapping) or not all(isinstance(band or {}, Mapping) for band in bands.values()):
        raise InputError(f"{path}: bands is not of the form {{NAME: {{centre_nm: 560, width_nm: 40}}, ...}}")
    bands = {str(name): dict(band or {}) for name, band in bands.items()}
    for name, band in bands.items():
        for key in band:
            if key not in _BAND_KEYS:
                raise unknown_name(f"key of band {name} in {path.name}", str(key), _BAND_KEYS)
    if "response" in entries:
        sensor = _measured(path, str(entries["response"]), bands)
    else:
        sensor = _modelled(path, bands, _number(path, "shape", entries.get("shape", _GAUSSIAN)))
    of_all = {key: entries.get(key) for key in ("mtf", "gsd_m")}

    def values(key: str) -> tuple[float | None, ...]:
        per_band = [bands.get(band, {}).get(key, of_all[key]) for band in sensor.bands]
        return tuple(None if value is None else _number(path, key, value) for value in per_band)

    mtf, pixels = values("mtf"), values("gsd_m")
    if any(pixels) and None in pixels:
        lacking = ", ".join(band for band, size in zip(sensor.bands, pixels, strict=True) if size is None)
        raise InputError(f"{path}: gsd_m is given for some bands only; it lacks {lacking}")
    return replace(
        sensor,
        name=str(entries.get("name") or path.stem).lower().replace("_", "-"),
        description=str(entries.get("description") or f"sensor of {path.name}"),
        source=str(entries.get("source") or path),
        mtf=mtf if any(each is not None for each in mtf) else None,
        ground_sampling_distances=tuple(float(size) for size in pixels if size is not None) or None,
    )


def _read(path: Path) -> dict[str, Any]:
    entries = read_yaml(path)
    if not isinstance(entries, dict):
        raise InputError(f"{path} is not a mapping of keys to values; its keys are {', '.join(_KEYS)}")
    for key in entries:
        if key not in _KEYS:
            raise unknown_name(f"key of {path.name}", str(key), _KEYS)
    return entries


def _name_of(path: Path, band: Any) -> str:
    if not isinstance(band, Mapping) or "name" not in band:
        raise InputError(f"{path}: each band needs a name")
    return str(band["name"])


def _measured(path: Path, response: str, bands: Mapping[str, Mapping[str, Any]]) -> Sensor:
    """Return the sensor of a CSV in the same folder; ``bands`` may add MTFs and pixel sizes."""
    sensor = read_csv_sensor(path.parent / response)
    for name, band in bands.items():
        if name not in sensor.bands:
            raise unknown_name(f"band of {response}", name, sensor.bands)
        if "centre_nm" in band or "width_nm" in band:
            raise InputError(f"{path}, band {name!r}: centre_nm and width_nm cannot be combined with response")
    return sensor


def _modelled(path: Path, bands: Mapping[str, Mapping[str, Any]], shape: float) -> Sensor:
    """Return the sensor with bands given by centre and width."""
    if not bands:
        raise InputError(f"{path} has neither bands with centre_nm and width_nm nor response, a CSV with curves")
    spans = []
    for name, band in bands.items():
        for key in ("centre_nm", "width_nm"):
            if key not in band:
                raise InputError(f"{path}, band {name!r}: {key} is missing")
        centre, width = (_number(path, f"{key} of band {name}", band[key]) for key in ("centre_nm", "width_nm"))
        if centre < 100:
            raise InputError(f"{path}, band {name!r}: centre_nm {centre:g} looks like micrometres; give it in nm")
        spans.append((centre, width))
    wavelengths, curves = sampled_bands(spans, shape)
    return Sensor(name=path.stem, bands=tuple(bands), wavelengths=wavelengths, curves=curves)


def _number(path: Path, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InputError(f"{path}: {key} is {value!r}; a positive number is expected")
    return float(value)
