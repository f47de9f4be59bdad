"""Spectra from a spectrometer's files: ENVI spectral libraries, and text as ASD's and others' programs export it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.envi_header import header_fields, header_of
from finewave.io.formats.values.decoding import is_number
from finewave.text.stated_numbers import number_in
from finewave.wavelengths import to_nanometres

_NUMBER_TYPES = {"1": "u1", "2": "i2", "3": "i4", "4": "f4", "5": "f8", "12": "u2", "13": "u4", "14": "i8", "15": "u8"}
_NOTHING = 1e30
"""Beyond it nothing was measured: libraries of the USGS have -1.23e34 in channels that were removed."""
_SEPARATORS = re.compile(r"[\t;, ]+")


@dataclass(frozen=True)
class Spectrum:
    """One measured spectrum.

    Attributes
    ----------
    wavelengths : ndarray (m,)
        In nm, ascending.
    values : ndarray (m,)
        Reflectance-like; NaN where nothing was measured.
    """

    wavelengths: NDArray[np.float64]
    values: NDArray[np.float64]


def read_spectra(path: Path) -> dict[str, Spectrum]:
    """Return the spectra of a file by their names.

    Parameters
    ----------
    path : Path
        ``.sli`` (ENVI spectral library with its header), or text: rows of a wavelength and one value for each spectrum,
        separated by tabs, semicolons, commas or spaces; the last line of text before the numbers names the columns.

    Returns
    -------
    dict of str to Spectrum
        In the order of the file; of spectra with one name the second is ``name (2)``, and so on.

    Raises
    ------
    InputError
        It is missing, or has no spectra.
    """
    if not path.is_file():
        raise InputError(f"no such file of spectra: {path}")
    with reading(path, "spectral library" if path.suffix.lower() == ".sli" else "text file of spectra"):
        return _from_envi(path) if path.suffix.lower() == ".sli" else _from_text(path)


def ascending(wavelengths: NDArray[np.float64], values: NDArray[np.float64], source: str) -> Spectrum:
    """Return a spectrum in the order of its wavelengths; a wavelength twice is an `InputError`."""
    order = np.argsort(wavelengths)
    wavelengths, values = wavelengths[order], values[order]
    values = np.where(np.abs(values) < _NOTHING, values, np.nan)
    if len(wavelengths) < 2 or (np.diff(wavelengths) <= 0).any():
        raise InputError(f"{source}: a spectrum needs at least two wavelengths, each once")
    return Spectrum(wavelengths, values)


def _from_envi(path: Path) -> dict[str, Spectrum]:
    header = header_of(path)
    if header is None:
        raise InputError(f"{path} has no header; keep {path.stem}.hdr beside it")
    fields = {key.removeprefix("envi "): value for key, value in header_fields(header).items()}  # of its first line

    def stated(name: str, usual: str | None = None, of: Callable[[Any], float] = float) -> float:
        return number_in(fields.get(name, usual), f"{header}: {name}", kind=of)

    count, samples = int(stated("lines", of=int)), int(stated("samples", of=int))
    offset = int(stated("header offset", "0", int))
    order = ">" if fields.get("byte order", "0") == "1" else "<"
    kind = fields.get("data type", "4")
    if kind not in _NUMBER_TYPES:
        raise InputError(f"{header}: data type {kind} is not one of numbers that spectra are stored in")
    number = np.dtype(order + _NUMBER_TYPES[kind])
    needed, size = offset + count * samples * number.itemsize, path.stat().st_size
    if count < 1 or samples < 1 or offset < 0 or size < needed:
        raise InputError(
            f"{path} has {size} bytes; its header speaks of {count} spectra of {samples} numbers from byte {offset} on"
        )
    values = np.fromfile(path, number, count * samples, offset=offset).reshape(count, samples)
    factor = stated("reflectance scale factor", "1")
    if factor <= 0:
        raise InputError(f"{header}: reflectance scale factor is {factor:g}; a positive one is expected")
    scaled = values.astype(np.float64) / factor
    if "data ignore value" in fields:
        scaled[is_number(values, stated("data ignore value"))] = np.nan
    wavelengths = to_nanometres(
        [number_in(each, f"{header}: a wavelength") for each in fields.get("wavelength", "").split(",")],
        fields.get("wavelength units"),
    )
    if wavelengths is None or len(wavelengths) != samples:
        raise InputError(f"{header} does not have a wavelength for each of {samples} samples")
    names = [each.strip() for each in fields.get("spectra names", "").split(",")]
    if len(names) != count:
        names = [f"spectrum {number}" for number in range(1, count + 1)]
    named = zip(_told_apart(names), scaled, strict=True)
    return {name: ascending(np.asarray(wavelengths), row, str(path)) for name, row in named}


def _from_text(path: Path) -> dict[str, Spectrum]:
    words: list[str] = []
    rows: list[list[float]] = []
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        parts = [part for part in _SEPARATORS.split(line.strip()) if part]
        try:
            rows.append([float(part) for part in parts])
        except ValueError:
            if rows:
                raise InputError(f"{path}: {line.strip()!r} stands among the numbers") from None
            words = [part.strip() for part in re.split(r"[\t;,]", line)]
    rows = [row for row in rows if row]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or widths.pop() < 2:
        raise InputError(f"{path} does not hold rows of a wavelength and the values of one or more spectra")
    table = np.asarray(rows)
    columns = table.shape[1] - 1
    wavelengths = to_nanometres(table[:, 0].tolist())
    if wavelengths is None:
        raise InputError(f"{path}: the first column is not of wavelengths")
    names = words[-columns:] if len(words) == columns + 1 else [path.stem] if columns == 1 else []
    if not names:
        names = [f"spectrum {number}" for number in range(1, columns + 1)]
    return {
        name: ascending(np.asarray(wavelengths), table[:, number], str(path))
        for number, name in enumerate(_told_apart(names), start=1)
    }


def _told_apart(names: list[str]) -> list[str]:
    """Return names of which none is there twice: a number follows those that are."""
    found: list[str] = []
    for name in names:
        number, own = 1, name
        while own in found:
            number += 1
            own = f"{name} ({number})"
        found.append(own)
    return found
