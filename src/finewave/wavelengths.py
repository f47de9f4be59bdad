"""Wavelengths from files and users: units, plausibility, the CSV form."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError

_NANOMETRES_PER_UNIT = {
    "nm": 1.0,
    "nanometer": 1.0,
    "nanometre": 1.0,
    "um": 1e3,
    "µm": 1e3,  # micro sign
    "μm": 1e3,  # Greek mu
    "micrometer": 1e3,
    "micrometre": 1e3,
    "micron": 1e3,
    "mm": 1e6,
    "m": 1e9,
    "meter": 1e9,
    "metre": 1e9,
    "angstrom": 0.1,
    "å": 0.1,
}

# Units that are allowed, in ENVI headers for instance, but do not measure a wavelength.
_NOT_A_WAVELENGTH = {"wavenumber", "cm-1", "cm^-1", "1/cm", "thz", "ghz", "mhz", "hz", "index", "ev"}

_NUMBER = r"(\d+(?:\.\d+)?)"
_UNIT = r"(nm|nanomet(?:er|re)s?|um|µm|μm|micromet(?:er|re)s?|microns?)(?![a-z])"
_NUMBER_WITH_UNIT = re.compile(rf"(?<![\w.]){_NUMBER}\s*{_UNIT}", re.IGNORECASE)
_RANGE = re.compile(
    rf"(?<![\w.]){_NUMBER}\s*(?:nm|um|µm|μm)?\s*(?:-|–|—|−|\.\.\.?|\bto\b|~)\s*{_NUMBER}\s*{_UNIT}", re.IGNORECASE
)


def nanometres_per_unit(unit: str | None) -> float | None:
    """Return the length of a unit in nanometres.

    Parameters
    ----------
    unit : str or None
        As files write it: ``"nm"``, ``"Nanometers"``, ``"um"``, ``"Micrometers"``, ...

    Returns
    -------
    float or None
        None when the unit is missing or unknown.
    """
    if unit is None:
        return None
    word = unit.strip().lower()
    return _NANOMETRES_PER_UNIT.get(word) or _NANOMETRES_PER_UNIT.get(word.removesuffix("s"))


def is_a_wavelength_unit(unit: str | None) -> bool:
    """Return whether a unit can measure wavelengths; unknown units can, those of frequency or wavenumber cannot."""
    return unit is None or unit.strip().lower() not in _NOT_A_WAVELENGTH


def to_nanometres(values: Any, unit: str | None = None) -> NDArray[np.float64] | None:
    """Convert wavelengths to nanometres.

    Parameters
    ----------
    values : sequence of float
        Wavelengths, shape ``(bands,)``.
    unit : str or None
        Their unit as stated. Without a known unit the size of the numbers decides: no optical sensor has a band at 100
        nm or at 100 µm, so values below 0.001 are metres, values below 100 micrometres, and others nanometres.

    Returns
    -------
    numpy.ndarray or None
        float64, shape ``(bands,)``, nm; None when the values cannot be wavelengths (not finite, not
        positive, or in a unit of frequency).
    """
    if not is_a_wavelength_unit(unit):
        return None
    try:
        numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    if numbers.size == 0 or not np.all(np.isfinite(numbers)) or np.any(numbers <= 0):
        return None
    factor = nanometres_per_unit(unit)
    if factor is None:
        largest = float(numbers.max())
        factor = 1e9 if largest < 1e-3 else 1e3 if largest < 100 else 1.0
    # Micrometres are written with few decimals: 0.55 µm means 550 nm, not 550.0000000000001.
    return np.round(numbers * factor, 9)


def wavelength_in_text(text: str | None) -> float | None:
    """Find a wavelength with its unit in a band or file name.

    Parameters
    ----------
    text : str or None
        For example ``"band 19 (0.513 Micrometers)"`` or ``"reflectance_550nm"``.

    Returns
    -------
    float or None
        The wavelength in nm, or the middle of a range such as ``"450-510 nm"``; None unless there is exactly one.
    """
    # "_" is a word character for regular expressions but a separator in names.
    spaced = (text or "").replace("_", " ")
    ranges = _RANGE.findall(spaced)
    if ranges:
        (low, high, unit), *more = ranges
        between = to_nanometres([float(low), float(high)], unit)
        return None if more or between is None or between[0] >= between[1] else float(between.mean())
    matches = _NUMBER_WITH_UNIT.findall(spaced)
    if len(matches) != 1:
        # A letter directly before the number ("B550nm") is accepted too.
        matches = re.findall(r"(\d+(?:\.\d+)?)\s*(nm)(?![a-z])", text or "", re.IGNORECASE)
    if len(matches) != 1:
        return None
    number, unit = matches[0]
    converted = to_nanometres([float(number)], unit)
    return None if converted is None else float(converted[0])


def given_wavelengths(
    wavelengths: Sequence[float] | NDArray[Any] | str | Path,
) -> NDArray[np.float64]:
    """Return wavelengths given by the user.

    Parameters
    ----------
    wavelengths : sequence of float, or path
        Numbers in nm (µm when all are below 100), or a CSV file with a column ``wavelength_nm``, one row a
        band.

    Returns
    -------
    numpy.ndarray
        float64, shape ``(bands,)``, nm.

    Raises
    ------
    InputError
        The file is missing or lacks the column, or the values are not positive numbers.
    """
    if isinstance(wavelengths, (str, Path)):
        values: Any = _read_csv(Path(wavelengths))
        converted = to_nanometres(values, "nm")
        source = f"in {wavelengths}"
    else:
        values = wavelengths
        converted = to_nanometres(values)
        source = "given"
    if converted is None:
        raise InputError(f"the wavelengths {source} must be positive numbers in nm, one per band; got {values!r}")
    return converted


def _read_csv(path: Path) -> list[float]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"cannot read wavelengths from {path}: {error}; give a CSV file with a column 'wavelength_nm'"
        ) from error
    if not rows or "wavelength_nm" not in rows[0]:
        columns = ", ".join(str(name) for name in rows[0]) if rows else "no rows"
        raise InputError(f"{path} has no column 'wavelength_nm' (it has: {columns})")
    try:
        return [float(row["wavelength_nm"]) for row in rows]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: column 'wavelength_nm' has an entry that is not a number") from error
