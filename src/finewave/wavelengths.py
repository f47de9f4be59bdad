"""Wavelengths from files and users: units, plausibility, the CSV form."""

from __future__ import annotations

import csv
import re
import unicodedata
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
    "millimeter": 1e6,
    "millimetre": 1e6,
    "cm": 1e7,
    "centimeter": 1e7,
    "centimetre": 1e7,
    "m": 1e9,
    "meter": 1e9,
    "metre": 1e9,
    "angstrom": 0.1,
    "angstroem": 0.1,
    "ångström": 0.1,
    "ångstrom": 0.1,
    "å": 0.1,
    "a": 0.1,
}
_POWER_OF_TEN = re.compile(r"(?:1?e|10\^?)\(?-(\d{1,2})\)?\*?m(?:eters?|etres?)?")

# Units of frequency, wavenumber, energy or nothing: allowed, in ENVI headers for instance, but not lengths.
_NOT_A_LENGTH = re.compile(
    r"wave ?number|kayser|(?<![a-z])(?:[kmgtp]?hz|[kmgtp]?hertz|[mk]?ev|kelvin|k|index|channels?|bands?)(?![a-z])|"
    r"frequency|/ ?(?:[cmnµμu]?m|s)(?![a-z])|(?:^|[^e\d])-1(?!\d)|\^\{?-1|per ?(?:cm|m|centi|nm|s)"
)
_UNIT_OF_UNKNOWN = frozenset({"", "unknown", "none", "n/a", "na", "unspecified", "1", "-", "null"})

SHORTEST_NM, LONGEST_NM = 100.0, 1e5
"""No optical sensor has bands outside these wavelengths, in nm."""
_RANGES = ((100.0, 1.5), (300.0, 4.0))
"""From which start on, in nm, two numbers are a range, and up to which ratio; "2-842 nm" is the 842 nm of band 2."""

_NUMBER = r"(0,\d+|\d+(?:\.\d+)?)"
_UNIT = r"(nm|nanomet(?:er|re)s?|um|µm|μm|micromet(?:er|re)s?|microns?|angstroms?|å)(?![a-z])"
_NUMBER_WITH_UNIT = re.compile(rf"(?<![\w.])(?<!\d,){_NUMBER}\s*{_UNIT}", re.IGNORECASE)
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
    text = unicodedata.normalize("NFC", unit or "").strip().lower()
    for part in (text, *re.split(r"[()\[\]]", text)):  # of "micrometers (um)" also both parts
        word = re.sub(r"[\s.]+", "", part)
        known = _NANOMETRES_PER_UNIT.get(word) or _NANOMETRES_PER_UNIT.get(word.removesuffix("s"))
        if known is not None:
            return known
        if (power := _POWER_OF_TEN.fullmatch(word)) is not None:
            return float(10.0 ** (9 - int(power[1])))
    return None


def is_a_wavelength_unit(unit: str | None) -> bool:
    """Return whether a unit can measure wavelengths; unknown units can, those of frequency or wavenumber cannot."""
    if unit is None or nanometres_per_unit(unit) is not None:
        return True
    plain = unit.strip().lower().translate(_SUPERSCRIPTS)
    return _NOT_A_LENGTH.search(plain) is None


_SUPERSCRIPTS = str.maketrans({"⁻": "-", "−": "-", "¹": "1"})


def is_unknown_unit(unit: str | None) -> bool:
    """Return whether a unit is stated but not understood, so that the size of the numbers has to decide."""
    return unit is not None and unit.strip().lower() not in _UNIT_OF_UNKNOWN and nanometres_per_unit(unit) is None


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
    factor = None if unit is None else nanometres_per_unit(unit)
    if factor is None and unit is not None and not is_a_wavelength_unit(unit):
        return None
    try:
        numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    if numbers.size == 0 or not np.all(np.isfinite(numbers)) or np.any(numbers <= 0):
        return None
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
    ranges = [ends for each in _RANGE.findall(spaced) if (ends := _ends(*each))[0] >= _RANGES[1][0] or _is_range(ends)]
    if ranges:
        return sum(ranges[0]) / 2 if len(ranges) == 1 and _is_range(ranges[0]) else None
    matches = _NUMBER_WITH_UNIT.findall(spaced)
    if len(matches) != 1:
        # A letter directly before the number ("B550nm") is accepted too.
        matches = re.findall(r"(?<!\d,)(?<![\d.])(\d+(?:\.\d+)?)\s*(nm)(?![a-z])", text or "", re.IGNORECASE)
    if len(matches) != 1:
        return None
    converted = to_nanometres([_number(matches[0][0])], matches[0][1])
    possible = converted is not None and SHORTEST_NM <= converted[0] <= LONGEST_NM
    return float(converted[0]) if converted is not None and possible else None


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _ends(low: str, high: str, unit: str) -> tuple[float, float]:
    """Return what may be the ends of a range, in nm."""
    ends = to_nanometres([_number(low), _number(high)], unit)
    return (0.0, 0.0) if ends is None else (float(ends[0]), float(ends[1]))


def _is_range(ends: tuple[float, float]) -> bool:
    """Return whether numbers are the ends of a band; the first may be something else, such as the band's number."""
    low, high = ends
    return high <= LONGEST_NM and any(low >= start and low < high <= ratio * low for start, ratio in _RANGES)


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
