"""Satellites, each band modelled from its published centre and width.

The numbers are in ``satellites.yaml``. Measured curves are more accurate where available: give them as a CSV (see
`finewave.physics.sensors.csv_response`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import numpy as np
import yaml

from finewave.physics.sensors.resampling import FloatArray
from finewave.physics.sensors.sensor import Sensor

_ALIASES = {
    "sentinel2": "sentinel2a",
    "dove": "planetscope-ps2",
    "dove-r": "planetscope-ps2.sd",
    "superdove": "planetscope-psb.sd",
}
# Below this the model is set to zero, so that bands have finite support.
_NEGLIGIBLE = 1e-3


@functools.cache
def _table() -> dict[str, Any]:
    """Return all satellites as in the YAML file."""
    text = resources.files(__package__).joinpath("satellites.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table


def satellite_names() -> list[str]:
    """Names that `satellite` knows."""
    return sorted([*_table(), *_ALIASES])


def nominal_bands(name: str) -> dict[str, tuple[float, float]]:
    """Return central wavelength and full width at half maximum, in nm, of each band of a satellite by its name."""
    return {band: _centre_and_width(each) for band, each in _bands(_table()[_ALIASES.get(name, name)]).items()}


def _bands(entry: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the bands of an entry by name; channels of an imaging spectrometer are called by their number."""
    if "bands" in entry:
        bands: dict[str, dict[str, float]] = entry["bands"]
        return bands
    channels = entry["channels"]
    if "centres" in channels:
        spans: Iterable[tuple[float, float]] = zip(channels["centres"], channels["widths"], strict=True)
    else:
        spans = ((channels["first"] + i * channels["step"], channels["width"]) for i in range(channels["count"]))
    return {
        str(number): {"centre": centre, "width": width, "gsd": channels["gsd"]}
        for number, (centre, width) in enumerate(spans, start=1)
    }


def band_model(wavelengths: FloatArray, centre: float, width: float, shape: float) -> FloatArray:
    """Response of a band known by centre and width only.

    ``2 ** -|2 (wavelength - centre) / width| ** shape``: half of the maximum at ``centre ± width / 2`` for
    every shape; 2 is a Gaussian, larger ones are flatter on top and steeper at the edges.

    Parameters
    ----------
    wavelengths : (m,) array
        In nm.
    centre, width : float
        Central wavelength and full width at half maximum in nm.
    shape : float
        Exponent.

    Returns
    -------
    (m,) array
        0 to 1; values below 0.001 are set to 0.
    """
    response = np.exp2(-(np.abs(2.0 * (wavelengths - centre) / width) ** shape))
    return np.where(response < _NEGLIGIBLE, 0.0, response)


def satellite(name: str) -> Sensor:
    """Return a satellite's multispectral sensor.

    Parameters
    ----------
    name : str
        One of `satellite_names`.

    Returns
    -------
    Sensor
        Curves sampled at 1 nm, with the ground sampling distance of each band.
    """
    entry = _table()[_ALIASES.get(name, name)]
    bands = _bands(entry)
    wavelengths, curves = sampled_bands([_centre_and_width(band) for band in bands.values()], entry["shape"])
    mtf = tuple(band.get("mtf") for band in bands.values())
    source = entry["source"]
    return Sensor(
        name=_ALIASES.get(name, name),
        bands=tuple(bands),
        wavelengths=wavelengths,
        curves=curves,
        description=entry["description"],
        source=f"{source}; MTF: {entry['mtf_source']}" if any(mtf) else source,
        ground_sampling_distances=tuple(float(band["gsd"]) for band in bands.values() if "gsd" in band) or None,
        mtf=mtf if any(mtf) else None,
    )


def sampled_bands(spans: Sequence[tuple[float, float]], shape: float) -> tuple[FloatArray, FloatArray]:
    """Return the band model of several bands at 1 nm, (m,) wavelengths and (c, m) curves.

    Parameters
    ----------
    spans : sequence of (float, float)
        Centre and width of each band in nm.
    shape : float
        See `band_model`.
    """
    low = min(centre - 2 * width for centre, width in spans)
    high = max(centre + 2 * width for centre, width in spans)
    wavelengths = np.arange(np.floor(low), np.ceil(high) + 1.0)
    curves = np.stack([band_model(wavelengths, *span, shape) for span in spans])
    responding = np.flatnonzero(curves.any(axis=0))
    used = slice(responding[0], responding[-1] + 1)
    return wavelengths[used], curves[:, used]


def _centre_and_width(band: dict[str, float]) -> tuple[float, float]:
    """Return the central wavelength and full width at half maximum in nm."""
    if "centre" in band:
        return band["centre"], band["width"]
    return 0.5 * (band["low"] + band["high"]), band["high"] - band["low"]
