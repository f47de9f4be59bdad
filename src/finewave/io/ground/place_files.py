"""Places to visit, as files that field instruments, maps and tables take: GPX, GeoJSON, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finewave.errors import InputError, unknown_name
from finewave.io.atomic import atomic_output

Place = Mapping[str, Any]
"""``number``, ``column``, ``row``, ``gain``, and where known ``x``, ``y``, ``longitude``, ``latitude``."""


def write_places(places: Sequence[Place], path: str | Path) -> None:
    """Write places atomically, in the format of the extension.

    Parameters
    ----------
    places : sequence of mapping
    path : str or Path
        ``.csv``: one row per place; with added columns of spectra, it can be used for ``--anchors``.
        ``.geojson`` or ``.json``: points in degrees. ``.gpx``: waypoints.

    Raises
    ------
    InputError
        Another extension; or the format needs longitudes and latitudes, which the places do not have.
    """
    path = Path(path)
    formats = {".csv": _csv, ".geojson": _geojson, ".json": _geojson, ".gpx": _gpx}
    if path.suffix.lower() not in formats:
        raise unknown_name("extension of a file of places", path.suffix, formats)
    if path.suffix.lower() != ".csv" and any(place["longitude"] is None for place in places):
        raise InputError(
            f"{path}: the scene has no CRS, so that places have no longitude; give a name that ends in .csv"
        )
    content = formats[path.suffix.lower()](places)
    with atomic_output(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _csv(places: Sequence[Place]) -> str:
    rows = [{"name": f"place {each['number']}", **_known(each)} for each in places]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _known(place: Place) -> dict[str, Any]:
    """Return the known fields of a place; only one of map and pixel coordinates."""
    left_out = {"number"} | ({"x", "y", "longitude", "latitude"} if place["x"] is None else {"column", "row", "radius"})
    rounded = {key: round(value, 7) if isinstance(value, float) else value for key, value in place.items()}
    return {key: value for key, value in rounded.items() if key not in left_out and value is not None}


def _geojson(places: Sequence[Place]) -> str:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [each["longitude"], each["latitude"]]},
            "properties": {"name": f"place {each['number']}", **{k: v for k, v in each.items() if k != "radius"}},
        }
        for each in places
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n"


def _gpx(places: Sequence[Place]) -> str:
    points = [
        f'  <wpt lat="{each["latitude"]:.8f}" lon="{each["longitude"]:.8f}">\n'
        f"    <name>place {each['number']}</name>\n"
        f"    <desc>expected gain of all up to here: {each['gain']:.1f} dB</desc>\n  </wpt>\n"
        for each in places
    ]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="finewave"'
    return f'{head} xmlns="http://www.topografix.com/GPX/1/1">\n{"".join(points)}</gpx>\n'
