"""Points and polygons of a GeoPackage: an SQLite database with geometries in well-known binary (OGC 12-128)."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError

Rings = list[NDArray[np.float64]]
"""A point (1, 2), or corners (k, 2) of the outer ring of a polygon and of its holes."""
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_STEPS = 20_000_000
"""Instructions of SQLite for a file, about a second: what is called a table may be a query that never ends."""
_LARGEST = 2**26
"""Bytes of a value."""
_POINT, _POLYGON, _MULTI_POINT, _MULTI_POLYGON = 1, 3, 4, 6


def features_in(path: Path) -> Iterator[tuple[Rings, str | None, dict[str, Any]]]:
    """Yield the features of the first layer that has geometries: rings, CRS, columns by name.

    Raises
    ------
    InputError
        It has no such layer, a geometry is neither one point nor one polygon, or a query stands where a table should.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_progress_handler(lambda: 1, _STEPS)  # a number other than 0 ends the query
        layer = connection.execute("SELECT table_name, column_name, srs_id FROM gpkg_geometry_columns").fetchone()
        if layer is None:
            raise InputError(f"{path} has no layer of points or polygons")
        crs = connection.execute(
            "SELECT organization, organization_coordsys_id FROM gpkg_spatial_ref_sys WHERE srs_id = ?",
            (layer["srs_id"],),
        ).fetchone()
        name = None if crs is None or layer["srs_id"] <= 0 else f"{crs[0]}:{crs[1]}"
        table = str(layer["table_name"]).replace('"', '""')
        for row in connection.execute(f'SELECT * FROM "{table}"'):
            columns = {key: row[key] for key in row.keys() if key != layer["column_name"]}  # noqa: SIM118 - a row of SQLite iterates over its values
            yield _rings(row[layer["column_name"]], path), name, columns
    finally:
        connection.close()


def _rings(blob: bytes, path: Path) -> Rings:
    """Return the rings of a geometry."""
    if blob is None or blob[:2] != b"GP" or (blob[3] >> 1) & 7 >= len(_ENVELOPE_BYTES):
        raise InputError(f"{path} holds a geometry that is not a GeoPackage's")
    return _from_wkb(blob, 8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 7], path)


def _from_wkb(blob: bytes, at: int, path: Path) -> Rings:
    order = "<" if blob[at] else ">"
    (code,) = struct.unpack_from(f"{order}I", blob, at + 1)
    kind, dimensions = code % 1000, 2 + (1 <= code // 1000 <= 2) + 2 * (code // 1000 == 3)
    at += 5
    if kind in (_MULTI_POINT, _MULTI_POLYGON):
        (count,) = struct.unpack_from(f"{order}I", blob, at)
        if count == 1:
            return _from_wkb(blob, at + 4, path)
    if kind == _POINT:
        return [np.frombuffer(blob, f"{order}f8", 2, at)[None].astype(np.float64)]
    if kind == _POLYGON:
        (count,) = struct.unpack_from(f"{order}I", blob, at)
        at, rings = at + 4, []
        for _ in range(count):
            (corners,) = struct.unpack_from(f"{order}I", blob, at)
            values = np.frombuffer(blob, f"{order}f8", corners * dimensions, at + 4)
            rings.append(values.reshape(corners, dimensions)[:, :2].astype(np.float64))
            at += 4 + 8 * corners * dimensions
        if rings:
            return rings
    raise InputError(f"{path}: a spot is one point or one polygon, not a geometry of type {code}")
