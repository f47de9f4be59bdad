"""Outlines in longitude and latitude against every pixel's own place, at the antimeridian and the poles, too."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.warp import transform

from finewave.io.geojson_outline import outline_of

SCENES = {
    "across": ("EPSG:32660", Affine(600, 0, 600000, 0, -600, 7.6e6), 183, 183, "MultiPolygon"),
    "across, from the other zone": ("EPSG:32701", Affine(600, 0, 140000, 0, -600, 7.6e6), 183, 150, "MultiPolygon"),
    "polar, across": ("EPSG:3031", Affine(1000, 0, -50000, 0, -1000, -1000000), 100, 100, "MultiPolygon"),
    "south pole": ("EPSG:3031", Affine(1000, 0, -50000, 0, -1000, 60000), 100, 100, "Polygon"),
    "north pole": ("EPSG:3413", Affine(1000, 0, -40000, 0, -1000, 50000), 100, 100, "Polygon"),
    "degrees beyond 180": ("EPSG:4326", Affine(0.01, 0, 179, 0, -0.01, 50), 300, 100, "MultiPolygon"),
    "web mercator beyond its end": ("EPSG:3857", Affine(10000, 0, 19.9e6, 0, -10000, 2.5e6), 100, 100, "MultiPolygon"),
    "plain": ("EPSG:32632", Affine(600, 0, 5e5, 0, -600, 5e6), 100, 80, "Polygon"),
    "plain, bottom up": ("EPSG:32632", Affine(600, 0, 5e5, 0, 600, 5e6), 100, 80, "Polygon"),
}


@pytest.mark.parametrize("name", SCENES)
def test_pixels_inside_and_outside(name: str) -> None:
    crs, place, width, height, kind = SCENES[name]
    found = outline_of(CRS.from_string(crs), place, width, height)
    assert found is not None
    geometry, (west, south, east, north) = found
    assert geometry["type"] == kind
    assert (west > east) == (kind == "MultiPolygon")
    polygons = geometry["coordinates"] if kind == "MultiPolygon" else [geometry["coordinates"]]
    for (ring,) in polygons:
        x, y = np.array(ring).T
        assert ring[0] == ring[-1]
        assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0  # counterclockwise
        assert x.min() >= -180
        assert x.max() <= 180
        assert np.abs(np.diff(x)).max() < 361
    # pixels well inside lie in it, pixels well outside do not
    for inset, inside in ((0.04, True), (-0.08, False)):
        edge = np.linspace(inset, 1 - inset, 8)  # none on the antimeridian
        ends = np.full(8, inset)
        columns = np.concatenate([edge, edge, ends, 1 - ends]) * width
        rows = np.concatenate([ends, 1 - ends, edge, edge]) * height
        xs, ys = place * (columns, rows)
        lons, lats = (np.array(each) for each in transform(crs, "EPSG:4326", xs, ys))
        lons = (lons + 180) % 360 - 180
        for lon, lat in zip(lons, lats, strict=True):
            assert _holds(geometry, lon, lat) == inside, (lon, lat)
            if inside:
                assert south <= lat <= north
                assert (west <= lon <= east) if west <= east else (lon >= west or lon <= east)


def _holds(geometry: dict, lon: float, lat: float) -> bool:
    """Return whether a point is inside, by burning the geometry into one tiny pixel around it."""
    pixel = Affine(1e-6, 0, lon - 5e-7, 0, -1e-6, lat + 5e-7)
    return not geometry_mask([geometry], (1, 1), pixel)[0, 0]


def test_a_rounding_error_does_not_cross_the_antimeridian() -> None:
    below = -180 - 3e-14
    for width, end in ((3600, 180), (100, -170)):
        found = outline_of(CRS.from_epsg(4326), Affine(0.1, 0, below, 0, -0.1, 10), width, 100)
        assert found is not None
        assert found[0]["type"] == "Polygon"
        assert found[1] == [-180, 0, end, 10]


def test_the_whole_globe_and_what_cannot_be_projected() -> None:
    world = outline_of(CRS.from_epsg(4326), Affine(1, 0, 0, 0, -1, 90), 360, 180)
    assert world is not None
    assert world[1] == [-180, -90, 180, 90]
    assert world[0]["type"] == "MultiPolygon"
    far = Affine(1e9, 0, 1e12, 0, -1e9, 1e12)
    assert outline_of(CRS.from_epsg(32632), far, 4, 4) is None
