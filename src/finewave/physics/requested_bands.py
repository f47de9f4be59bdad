"""Bands of a result that are requested by wavelength or by sensor, as sums of the bands of known spectra."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.physics.band_resampling import band_widths
from finewave.physics.sensors.resampling import FloatArray, covered_intervals, integrate_over_bands
from finewave.physics.sensors.sensor import MIN_COVERAGE, Sensor
from finewave.warnings import FinewaveWarning
from finewave.wavelengths import given_wavelengths

AS_NARROW = 1.5
"""A band of a sensor that is at most so many times as wide as the known ones is interpolated, not averaged again."""
MOST_BANDS = 10_000
_MOST_NAMED = 6


@dataclass(frozen=True, eq=False)
class RequestedBands:
    """Bands of a result.

    Attributes
    ----------
    wavelengths : ndarray (B,)
        Their centres in nm.
    weights : ndarray (B, C)
        Of the known bands in each; rows sum to 1.
    """

    wavelengths: FloatArray
    weights: FloatArray


def coverage(sensor: Sensor, known: FloatArray) -> NDArray[np.float64]:
    """Return the part of each band of a sensor that lies where bands at ``known`` nm are, (c,)."""
    return integrate_over_bands(sensor.wavelengths, sensor.curves, np.sort(known))[1]


def gaps(known: FloatArray) -> list[tuple[float, float]]:
    """Return the ranges in nm between bands at ``known`` nm where some were removed."""
    intervals = covered_intervals(np.sort(known))
    return [(before[3], after[2]) for before, after in itertools.pairwise(intervals)]


def requested_bands(requested: Any, known: FloatArray, source: str) -> RequestedBands:
    """Return the bands that a user asks for.

    Parameters
    ----------
    requested : str, Path, sequence of float or Sensor
        ``"430:860:5"`` (first, last, step), several of these and single wavelengths with commas between them, in nm
        (µm where all are below 100); a CSV file with a column ``wavelength_nm``; numbers; or a sensor, whose bands the
        result then has.
    known : ndarray (C,)
        Centres of the known bands in nm, C >= 2.
    source : str
        What knows them, for messages.

    Returns
    -------
    RequestedBands
        At a wavelength, what a band of the width of the known ones there has: known spectra are linear between their
        bands. Of a sensor, what its bands have; those that the known spectra do not cover are left out.

    Raises
    ------
    InputError
        Nothing that is requested is a wavelength, or one lies outside of what is known.

    Warns
    -----
    FinewaveWarning
        If bands of a sensor are left out.
    """
    if isinstance(requested, Sensor):
        return _of_sensor(requested, known, source)
    wavelengths = _numbers(requested)
    intervals = covered_intervals(np.sort(known))
    low, high = intervals[0][2], intervals[-1][3]
    beyond = wavelengths[(wavelengths < low) | (wavelengths > high)]
    if beyond.size:
        raise InputError(
            f"wavelengths={_listed(beyond)} nm (--wavelengths) lie outside of {low:.0f}-{high:.0f} nm, which {source} "
            "covers; ask for those inside"
        )
    return RequestedBands(wavelengths, _interpolation(wavelengths, known))


def _of_sensor(sensor: Sensor, known: FloatArray, source: str) -> RequestedBands:
    """Return the covered bands of a sensor."""
    usable = coverage(sensor, known) >= MIN_COVERAGE
    if not usable.any():
        raise InputError(
            f"sensor {sensor.name!r} ({sensor.centres.min():.0f}-{sensor.centres.max():.0f} nm) has no band in "
            f"{known.min():.0f}-{known.max():.0f} nm, which {source} covers; ask for other bands"
        )
    if not usable.all():
        warnings.warn(
            f"{int((~usable).sum())} of {usable.size} bands of {sensor.name} lie outside of what {source} covers "
            f"({_listed(sensor.centres[~usable])} nm): left out; choose other spectra to have them",
            FinewaveWarning,
            stacklevel=4,
        )
        sensor = sensor.select([int(i) for i in np.flatnonzero(usable)])
    order = np.argsort(known)
    own = np.interp(sensor.centres, known[order], band_widths(known)[order])
    weights = _interpolation(sensor.centres, known)
    broad = np.flatnonzero(sensor.widths > AS_NARROW * own)
    if broad.size:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FinewaveWarning)  # of bands that are half covered
            weights[broad] = sensor.select(broad.tolist()).response(known)
    return RequestedBands(sensor.centres, weights)


def _interpolation(wavelengths: FloatArray, known: FloatArray) -> FloatArray:
    """Return the weights (B, C) of linear interpolation; beyond the outermost known bands theirs."""
    order = np.argsort(known)
    weights = np.empty((len(wavelengths), len(known)))
    for column, band in enumerate(order):
        weights[:, band] = np.interp(wavelengths, known[order], np.eye(len(known))[column])
    return weights


def _numbers(requested: Any) -> FloatArray:
    if isinstance(requested, Path) or (isinstance(requested, str) and Path(requested).is_file()):
        values: Sequence[float] = given_wavelengths(requested).tolist()
    elif isinstance(requested, str):
        values = [each for part in requested.split(",") if part.strip() for each in _range(part.strip(), requested)]
    else:
        values = requested
    wavelengths = given_wavelengths(values)
    unique, counts = np.unique(wavelengths, return_counts=True)
    if unique.size < wavelengths.size:
        raise InputError(f"wavelengths= (--wavelengths) names {unique[counts > 1][0]:g} nm twice; once is enough")
    return wavelengths


def _range(part: str, requested: str) -> list[float]:
    """Return the wavelengths of ``"560"`` or ``"430:860:5"``, ends included."""
    try:
        numbers = [float(each) for each in part.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return numbers
    if len(numbers) != 3 or not np.isfinite(numbers).all() or numbers[2] <= 0 or numbers[1] < numbers[0]:
        raise InputError(
            f"wavelengths={requested!r} (--wavelengths) is not a list such as 560,665 nor a range such as 430:860:5 "
            "(first, last, step in nm), nor a sensor or a CSV file"
        )
    first, last, step = numbers
    count = int(np.floor((last - first) / step + 1e-6)) + 1
    if count > MOST_BANDS:
        raise InputError(f"wavelengths={requested!r} (--wavelengths) has {count} bands; at most {MOST_BANDS} are made")
    return [round(first + i * step, 9) for i in range(count)]


def _listed(wavelengths: FloatArray) -> str:
    shown = ", ".join(f"{each:g}" for each in np.round(wavelengths[:_MOST_NAMED], 1))
    return shown + (f" and {wavelengths.size - _MOST_NAMED} others" if wavelengths.size > _MOST_NAMED else "")
