"""Spots with measured spectra, from a table or a vector file."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.ground.spectral_library import Spectrum, ascending, read_spectra
from finewave.text.stated_numbers import mapping_in, number_in

PIXELS = "pixels"
"""Used instead of a CRS: columns and rows of the result, from 0 at the corner."""
WGS84 = "EPSG:4326"
_TARGET = re.compile(r"(?:white|gr[ea]y|black|panel)[ -]?(\d+(?:\.\d+)?)?\s*%?", re.IGNORECASE)
_WHITE = 0.99  # sintered PTFE, 400 to 1500 nm
_LIBRARIES = (".sli", ".txt", ".csv", ".asc")


@dataclass(frozen=True)
class Spot:
    """A place whose spectrum is known.

    Attributes
    ----------
    name : str
    points : ndarray (k, 2)
        x and y: one point, or the corners of a polygon.
    spectrum : Spectrum or float
        Measured; or the reflectance of a target that is the same in all bands.
    radius : float, optional
        Of a point, in the unit of its coordinates.
    crs : str, optional
        CRS of the points: `PIXELS`, any CRS, or None for that of the scene.
    holes : tuple of ndarray (k, 2)
        Corners of what is cut out of a polygon.
    """

    name: str
    points: NDArray[np.float64]
    spectrum: Spectrum | float
    radius: float | None = None
    crs: str | None = None
    holes: tuple[NDArray[np.float64], ...] = ()


def read_spots(path: str | Path) -> list[Spot]:
    """Return the spots of a file.

    Parameters
    ----------
    path : str or Path
        ``.csv``: columns ``x`` and ``y`` or ``easting`` and ``northing`` (of the scene's CRS), ``longitude`` and
        ``latitude`` or ``lon`` and ``lat``, or ``column`` and
        ``row`` (pixels of the result, from 0 at the corner of the image, centres at .5); if needed ``radius`` in the
        same unit, and ``name``; separated by commas or semicolons. ``.geojson`` or ``.json``: points and polygons, in
        degrees, or in the CRS of its member ``crs``. ``.gpkg``: the first layer of points or polygons.

        Spectra are in columns (properties) named by wavelengths in nm, or ``spectrum`` names one: in a library,
        ``file.sli:name``, or a text file, both beside the table; or a target: ``white``, ``grey-50`` (percent).

    Raises
    ------
    InputError
        The file cannot be read, or has no spot with place and spectrum.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file of spots: {path}")
    readers = {".csv": _from_csv, ".geojson": _from_geojson, ".json": _from_geojson, ".gpkg": _from_geopackage}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: spots are read from .csv, .geojson, .json and .gpkg")
    with reading(path, "file of spots"):
        spots = readers[path.suffix.lower()](path)
    if not spots:
        raise InputError(f"{path} holds no spots; give at least one")
    return spots


def _from_csv(path: Path) -> list[Spot]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        header = lines.readline()
        lines.seek(0)
        separator = ";" if header.count(";") > header.count(",") else ","  # as spreadsheets write it in Europe
        read = list(csv.DictReader(lines, delimiter=separator))
    for number, row in enumerate(read, start=1):
        if any(value.strip() for value in row.pop(None, ())):  # what has no column
            raise InputError(
                f"{path}: row {number} has more values than there are columns; with commas in numbers, separate by ;"
            )
    if separator == ";":
        read = [{_with_point(str(k)): _with_point(v) for k, v in row.items()} for row in read]
    rows = [{str(k).strip(): v for k, v in row.items()} for row in read]
    return [_spot_of_row(row, number, path) for number, row in enumerate(rows, start=1)]


def _with_point(text: str | None) -> str | None:
    """Return a number with a decimal comma with a point; other texts as they are."""
    return text.replace(",", ".") if text and re.fullmatch(r"\s*[-+]?\d*,\d+\s*(?:nm)?\s*", text) else text


def _spot_of_row(row: Mapping[str, Any], number: int, path: Path) -> Spot:
    columns = {key.casefold(): key for key in row}
    systems = (
        ("column", "row", PIXELS),
        ("x", "y", None),
        ("easting", "northing", None),
        ("longitude", "latitude", WGS84),
        ("lon", "lat", WGS84),
    )
    found = next((system for system in systems if system[0] in columns and system[1] in columns), None)
    if found is None:
        raise InputError(
            f"{path} does not say where its spots are: columns x and y (easting and northing), column and row, or "
            "longitude and latitude (lon and lat) are accepted"
        )
    x, y, crs = found
    name = str(row.get(columns.get("name", "name")) or f"spot {number}")
    try:
        point = [float(row[columns[x]]), float(row[columns[y]])]
        radius = row.get(columns.get("radius", "radius"))
        radius = None if radius in (None, "") else float(radius)
    except (TypeError, ValueError):
        raise InputError(f"{path}: {name} has a place or radius that is not a number") from None
    return _checked(Spot(name, np.asarray([point]), _spectrum_of(row, name, path), radius, crs), path)


def _from_geojson(path: Path) -> list[Spot]:
    given = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(given, dict):
        raise InputError(f"{path} is not GeoJSON: a FeatureCollection of points and polygons is expected")
    named = mapping_in(mapping_in(given.get("crs"), f"{path}: crs").get("properties"), f"{path}: crs").get("name")
    crs = WGS84 if named is None or "CRS84" in str(named) else str(named)
    spots = []
    features = given.get("features", [])
    if not isinstance(features, list):
        raise InputError(f"{path} is not GeoJSON: its features are not a list")
    for number, each in enumerate(features, start=1):
        feature = mapping_in(each, f"{path}: feature {number}")
        properties = mapping_in(feature.get("properties"), f"{path}: properties of feature {number}")
        name = str(properties.get("name") or f"spot {number}")
        points, *holes = _rings_of(mapping_in(feature.get("geometry"), f"{path}: geometry of {name}"), name, path)
        radius = _radius(properties, name, path)
        spot = Spot(name, points, _spectrum_of(properties, name, path), radius, crs, (*holes,))
        spots.append(_checked(spot, path))
    return spots


def _from_geopackage(path: Path) -> list[Spot]:
    from finewave.io.ground.geopackage import features_in

    spots = []
    for number, ((points, *holes), crs, properties) in enumerate(features_in(path), start=1):
        name = str(properties.get("name") or f"spot {number}")
        radius = _radius(properties, name, path)
        spot = Spot(name, points, _spectrum_of(properties, name, path), radius, crs, (*holes,))
        spots.append(_checked(spot, path))
    return spots


def _radius(properties: Mapping[str, Any], name: str, path: Path) -> float | None:
    value = properties.get("radius")
    return None if value in (None, "") else number_in(value, f"{path}: radius of {name}")


def _rings_of(geometry: Mapping[str, Any], name: str, path: Path) -> list[NDArray[np.float64]]:
    """Return a point (1, 2), or the outer ring of a polygon and its holes."""
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    listed = coordinates if isinstance(coordinates, list) else []
    if kind in ("MultiPoint", "MultiPolygon") and len(listed) == 1:
        kind, listed = kind.removeprefix("Multi"), listed[0]
    if kind not in ("Point", "Polygon") or not listed:
        raise InputError(f"{path}: {name} is a {kind}; points and polygons are accepted, one per spot")
    rings = [[listed]] if kind == "Point" else listed
    if not isinstance(rings, list) or not all(
        isinstance(ring, list) and all(isinstance(corner, list) for corner in ring) for ring in rings
    ):
        raise InputError(f"{path}: the coordinates of {name} are not those of a {kind}")
    if not all(ring and min(map(len, ring)) >= 2 for ring in rings):
        raise InputError(f"{path}: {name} has no place; x and y are expected, of each corner of a polygon")
    what = f"{path}: a coordinate of {name}"
    return [
        np.asarray([[number_in(value, what) for value in corner[:2]] for corner in ring], np.float64) for ring in rings
    ]


def _spectrum_of(row: Mapping[str, Any], name: str, path: Path) -> Spectrum | float:
    """Return a row's spectrum: columns of wavelengths, or a name."""
    label = next((row[key] for key in row if key.casefold() == "spectrum" and row[key]), None)
    if label is not None:
        return _named(str(label).strip(), path)
    found = {wavelength: row[key] for key in row if (wavelength := _wavelength(key)) is not None}
    if not found:
        raise InputError(f"{path}: {name} has no spectrum; give columns named by wavelengths in nm, or spectrum")
    try:
        values = [math.nan if value in (None, "") else float(value) for value in found.values()]
    except (TypeError, ValueError):
        raise InputError(f"{path}: the spectrum of {name} holds something that is not a number") from None
    return ascending(np.asarray(list(found), np.float64), np.asarray(values), f"{path}: {name}")


def _wavelength(key: str) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:nm)?\s*", key)
    return float(match[1]) if match else None


def _named(label: str, path: Path) -> Spectrum | float:
    """Return the spectrum of a named target or library entry."""
    match = _TARGET.fullmatch(label)
    if match:
        if match[1] is not None:
            return float(match[1]) / 100
        if label.casefold() == "white":
            return _WHITE
        raise InputError(f"{path}: {label!r} does not say how bright the target is; write grey-50 for 50 %")
    file, _, entry = label.partition(":")
    if Path(file).suffix.lower() not in _LIBRARIES:
        raise InputError(
            f"{path}: {label!r} is neither a target (white, grey-50) nor a spectrum in a file (library.sli:name, "
            "spectrum.txt)"
        )
    if Path(file).is_absolute() or ".." in Path(file.replace("\\", "/")).parts:
        raise InputError(f"{path}: {file} leads out of its folder; copy the library there, and give its name alone")
    library = read_spectra(path.parent / file)
    if not entry and len(library) == 1:
        return next(iter(library.values()))
    if entry not in library:
        raise InputError(f"{path}: {file} has no spectrum {entry!r}; it has {', '.join(list(library)[:8])}")
    return library[entry]


def _checked(spot: Spot, path: Path) -> Spot:
    """Check a spot's place and spectrum."""
    if spot.points.ndim != 2 or spot.points.shape[1] != 2 or not len(spot.points):
        raise InputError(f"{path}: {spot.name} has no place; x and y are expected, of each corner of a polygon")
    if any(each.ndim != 2 or each.shape[1] != 2 or len(each) < 3 for each in spot.holes):
        raise InputError(f"{path}: {spot.name} has a hole of fewer than three corners")
    if not all(np.isfinite(each).all() for each in (spot.points, *spot.holes)) or (
        spot.radius is not None and not 0 < spot.radius < math.inf
    ):
        raise InputError(f"{path}: {spot.name} has a place that is not a number, or a radius that is not a number > 0")
    check_spectrum(spot.spectrum, f"{path}: {spot.name}")
    return spot


def check_spectrum(spectrum: Spectrum | float, source: str) -> None:
    """Raise an error for an empty or zero spectrum, or one in percent."""
    values = np.atleast_1d(spectrum.values if isinstance(spectrum, Spectrum) else spectrum)
    finite = values[np.isfinite(values)]
    if not finite.size or not (finite != 0).any():
        raise InputError(f"{source} has a spectrum of zeros or of nothing; leave it out")
    if np.median(finite) > 2:
        raise InputError(
            f"{source} has a spectrum of about {np.median(finite):.3g}, percent it seems; give reflectance, 0 to 1"
        )


def refuse_same_places(spots: Sequence[Spot]) -> None:
    """Raise an error for two spectra at one place."""
    seen: dict[Any, str] = {}
    for spot in spots:
        key = (spot.crs, spot.points.round(9).tobytes())
        if key in seen:
            raise InputError(f"the spots {seen[key]} and {spot.name} are at the same place; keep one")
        seen[key] = spot.name
