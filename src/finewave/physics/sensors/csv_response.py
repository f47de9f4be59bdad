"""Measured spectral responses from CSV files.

A column ``wavelength_nm`` and one column per band; the header names the bands::

    wavelength_nm,red,green,blue
    400,0.008,0.005,0.028
    410,0.004,0.005,0.040
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from finewave.errors import InputError
from finewave.physics.sensors.resampling import FloatArray
from finewave.physics.sensors.sensor import Sensor

_WAVELENGTH = "wavelength_nm"


def read_csv_sensor(path: str | Path, name: str | None = None) -> Sensor:
    """Read a sensor's response curves.

    Parameters
    ----------
    path : str or Path
        CSV with a header; lines that are empty or begin with ``#`` are skipped.
    name : str, optional
        Name of the sensor; by default the file's, in lower case with dashes.

    Returns
    -------
    Sensor
        Bands in the order of the file's columns.

    Raises
    ------
    InputError
        If the file cannot be read, has no wavelengths, or does not define a valid response; the message names the line
        or the band.
    """
    path = Path(path)
    header, lines = _read_lines(path)
    bands = _band_columns(path, header)
    table = _numbers(path, header, lines)
    at = [column.lower() for column in header].index(_WAVELENGTH)
    wavelengths = table[:, at]
    _check_wavelengths(path, wavelengths, [number for number, _ in lines])
    curves = np.delete(table, at, axis=1).T
    for band, curve in zip(bands, curves, strict=True):
        if not curve.any():
            raise InputError(f"{path}: band {band!r} is zero at every wavelength; remove or correct the column")
    return Sensor(
        name=name or path.stem.lower().replace("_", "-"),
        bands=tuple(bands),
        wavelengths=wavelengths,
        curves=np.ascontiguousarray(curves),
        description=f"response curves of {path.name}",
        source=str(path),
    )


def has_wavelengths(path: Path) -> bool:
    """Return whether a CSV has the column of wavelengths (others are keyed by band number)."""
    try:
        header, _ = _read_lines(path)
    except InputError:
        return False
    return _WAVELENGTH in [column.lower() for column in header]


def _read_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and the other lines with their line numbers."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the sensor file {path}: {error}") from error
    rows = [(number, row) for number, row in rows if any(row) and not row[0].startswith("#")]
    if not rows:
        raise InputError(f"{path} is empty; expected a header {_WAVELENGTH},<band>,... and a line per wavelength")
    return rows[0][1], rows[1:]


def _band_columns(path: Path, header: list[str]) -> list[str]:
    """Return the names of the bands, or raise an error for an invalid header."""
    lower = [column.lower() for column in header]
    if _WAVELENGTH not in lower:
        if "band" in lower:
            raise InputError(
                f"{path} is keyed by band number, which fits one image only; add a column {_WAVELENGTH} with "
                f"each band's centre to use it as a sensor. Its columns: {', '.join(header)}"
            )
        raise InputError(f"{path} has no column {_WAVELENGTH}; its columns: {', '.join(header)}")
    bands = [column for column in header if column.lower() != _WAVELENGTH]
    if not bands:
        raise InputError(f"{path} has no band besides {_WAVELENGTH}")
    for position, band in enumerate(bands):
        if not band or band.casefold() in [other.casefold() for other in bands[:position]]:
            raise InputError(f"{path}: band names must be unique; the header is {', '.join(header)}")
    return bands


def _numbers(path: Path, header: list[str], lines: list[tuple[int, list[str]]]) -> FloatArray:
    """All values, (m, columns)."""
    if len(lines) < 2:
        raise InputError(f"{path} has {len(lines)} line(s) of values; at least two wavelengths are needed")
    table = np.empty((len(lines), len(header)))
    for row, (number, cells) in enumerate(lines):
        if len(cells) != len(header):
            raise InputError(f"{path}, line {number}: {len(cells)} values; the header has {len(header)} columns")
        for column, cell in enumerate(cells):
            try:
                table[row, column] = float(cell)
            except ValueError:
                table[row, column] = np.nan
            if not np.isfinite(table[row, column]):
                raise InputError(f"{path}, line {number}, {header[column]}: {cell!r} is not a finite number")
    return table


def _check_wavelengths(path: Path, wavelengths: FloatArray, numbers: list[int]) -> None:
    """Refuse wavelengths that are not positive, increasing and in nm."""
    if wavelengths.min() <= 0:
        raise InputError(f"{path}: the wavelength {wavelengths.min():g} nm is not positive")
    steps = np.diff(wavelengths)
    if steps.min() <= 0:
        at = int(np.argmax(steps <= 0))
        raise InputError(
            f"{path}, line {numbers[at + 1]}: wavelengths must increase; {wavelengths[at + 1]:g} nm follows "
            f"{wavelengths[at]:g} nm"
        )
    if wavelengths.max() < 100:
        raise InputError(
            f"{path}: wavelengths {wavelengths.min():g}-{wavelengths.max():g} look like micrometres; "
            "give them in nm (multiply by 1000)"
        )
