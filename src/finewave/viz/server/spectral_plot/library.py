"""Measured spectra to compare with: spectral libraries, and files of spots as ``--anchors`` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.ground.spectral_library import Spectrum, read_spectra
from finewave.io.ground.spots import read_spots
from finewave.physics.band_resampling import on_bands
from finewave.text.plain_text import one_line

FEWEST_BANDS = 3
"""Bands that a spectrum needs in common with the image for an angle."""
_SPOTS = (".geojson", ".json", ".gpkg")
_PLACES = ({"x", "y"}, {"longitude", "latitude"}, {"column", "row"})


@dataclass(frozen=True)
class LibrarySpectrum:
    """A measured spectrum by its name."""

    name: str
    spectrum: Spectrum


class Library:
    """Spectra of files, and how like the bands of an image they are.

    Parameters
    ----------
    entries : sequence of LibrarySpectrum
    centres : ndarray (C,)
        Wavelengths of the image's bands in nm.
    """

    def __init__(self, entries: Sequence[LibrarySpectrum], centres: NDArray[np.float64]) -> None:
        self.entries, self.centres = list(entries), centres
        order = np.argsort(centres, kind="stable")
        self._on_bands = np.full((len(self.entries), len(centres)), np.nan)
        alike: dict[tuple[bytes, bytes], list[int]] = {}  # most spectra of a library have one grid, done at once
        for number, each in enumerate(self.entries):
            known = np.isfinite(each.spectrum.values)
            alike.setdefault((each.spectrum.wavelengths.tobytes(), known.tobytes()), []).append(number)
        for numbers in alike.values():
            values = np.stack([self.entries[number].spectrum.values for number in numbers])
            self._on_bands[np.ix_(np.asarray(numbers), order)] = on_bands(
                self.entries[numbers[0]].spectrum.wavelengths, values, centres[order]
            )

    def angles(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spectral angle to each entry in degrees, over the bands that both have.

        Parameters
        ----------
        values : ndarray (C,)
            Of the image, in the order of its bands; NaN where there is none.

        Returns
        -------
        ndarray (n,)
            NaN with fewer than `FEWEST_BANDS` bands in common, or a spectrum of zeros.
        """
        return np.array([spectral_angle(row, values) for row in self._on_bands])


def spectral_angle(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the angle between two spectra in degrees, over the bands in which both have a value; NaN if undefined."""
    both = np.isfinite(one) & np.isfinite(other)
    norm = float(np.linalg.norm(one[both]) * np.linalg.norm(other[both]))
    if np.count_nonzero(both) < FEWEST_BANDS or norm == 0:
        return float("nan")
    return float(np.degrees(np.arccos(np.clip(one[both] @ other[both] / norm, -1, 1))))


def read_library(paths: Sequence[Path]) -> list[LibrarySpectrum]:
    """Return the spectra of files.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        ENVI spectral libraries and text (`finewave.io.ground.spectral_library`), or spots with their spectra
        (`finewave.io.ground.spots.read_spots`), whose places are ignored.

    Raises
    ------
    InputError
        A file cannot be read, or has no spectrum with wavelengths.
    """
    found: list[LibrarySpectrum] = []
    for path in paths:
        if has_places(path):
            spectra = [(spot.name, spot.spectrum) for spot in read_spots(path)]  # spots may share a name
        else:
            spectra = list(read_spectra(path).items())
        entries = [LibrarySpectrum(one_line(name), s) for name, s in spectra if isinstance(s, Spectrum)]
        if not entries:
            raise InputError(f"{path} has no spectrum over wavelengths")
        found += entries
    return found


def has_places(path: Path) -> bool:
    """Return whether a file holds spots: by its kind, or by the columns that the first line names."""
    if path.suffix.lower() in _SPOTS:
        return True
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline(2**16)
    names = {each.strip().strip('"').lower() for each in first.replace(";", ",").split(",")}
    return any(place <= names for place in _PLACES)
