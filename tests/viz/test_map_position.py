from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from pyproj import Transformer

from finewave.scene import make_scene
from finewave.viz.map_position import MapPosition, map_position

UTM = Affine(30.0, 0.0, 366_000.0, 0.0, -30.0, 5_810_000.0)


def placed(crs: str | None, transform: Affine, size: tuple[int, int] = (40, 60)) -> MapPosition:
    scene = make_scene(np.zeros((1, *size), np.float32), crs=crs, transform=transform)
    found = map_position(scene)
    assert found is not None
    return found


def interpolated(position: MapPosition, column: float, row: float) -> np.ndarray:
    """Do what the page does with the nodes."""
    grid = np.asarray(position.direction_grid())
    cells, (height, width) = grid.shape[1] - 1, position.size
    x, y = column / width * cells, row / height * cells
    i, j = min(int(x), cells - 1), min(int(y), cells - 1)
    corners = grid[:, j : j + 2, i : i + 2]
    ex, ey, ez = np.array([1 - (y - j), y - j]) @ corners @ np.array([1 - (x - i), x - i])
    return np.degrees([np.arctan2(ey, ex), np.arctan2(ez, np.hypot(ex, ey))])


@pytest.mark.parametrize("size", [(40, 60), (3000, 5000)])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3035", "EPSG:3857"])
def test_coordinates_are_those_of_proj(crs: str, size: tuple[int, int]) -> None:
    start = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(13.0, 52.4)
    position = placed(crs, Affine(30.0, 0.0, start[0], 0.0, -30.0, start[1]), size)
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    for column, row in np.random.default_rng(1).uniform(0, 1, (20, 2)) * np.array(size)[::-1]:
        x, y = position.xy(column, row)
        assert (x, y) == pytest.approx((start[0] + 30 * column, start[1] - 30 * row))
        expected = to_degrees.transform(x, y)
        found = position.degrees([column], [row])
        assert found is not None
        np.testing.assert_allclose(found[:, 0], expected, atol=1e-9)
        # 30 m are 0.00027 degrees north and more to the east: a fifth of a pixel is allowed for
        np.testing.assert_allclose(interpolated(position, column, row), expected, atol=0.2 * 30 / 111_000)


def test_words_name_the_crs_and_degrees() -> None:
    position = placed("EPSG:32633", UTM)
    assert position.crs_name == "WGS 84 / UTM zone 33N (EPSG:32633)"
    words = position.words(20.5, 30.5)
    assert words.startswith("x 366615, y 5809085 (WGS 84 / UTM zone 33N (EPSG:32633)), longitude 13.0387")
    assert ", latitude 52.415" in words


def test_degrees_are_said_once() -> None:
    position = placed("EPSG:4326", Affine(0.001, 0.0, 13.0, 0.0, -0.001, 52.0))
    assert position.is_in_degrees
    assert position.facts()["grid"] is None
    assert position.words(0, 0) == "x 13.0000, y 52.0000 (WGS 84 (EPSG:4326))"


@pytest.mark.parametrize(
    ("crs", "corner", "pixel", "size"),
    [
        ("EPSG:3832", (3_290_000.0, 100_000.0), 1000.0, (100, 100)),  # across 180 degrees
        ("EPSG:3413", (-3_850_000.0, 5_850_000.0), 25_000.0, (448, 304)),  # around the pole, sea ice as it is published
        ("EPSG:3031", (-40_000.0, 30_000.0), 250.0, (200, 300)),
    ],
)
def test_nothing_jumps_at_180_degrees_and_at_the_poles(
    crs: str, corner: tuple[float, float], pixel: float, size: tuple[int, int]
) -> None:
    position = placed(crs, Affine(pixel, 0.0, corner[0], 0.0, -pixel, corner[1]), size)
    back = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    places = np.random.default_rng(2).uniform(0, 1, (12, 2)) * np.array(size)[::-1]
    singular = np.array([3_339_584.7 if crs == "EPSG:3832" else 0.0, 0.0]) - corner  # 180 degrees, or the pole
    for column, row in (*places, (singular[0] / pixel + 0.2, -singular[1] / pixel - 0.3)):
        x, y = back.transform(*interpolated(position, column, row))
        assert (x, y) == pytest.approx(position.xy(column, row), abs=0.2 * pixel)


def test_without_a_crs_there_are_coordinates_only() -> None:
    position = placed(None, UTM)
    facts = position.facts()
    assert (facts["crs"], facts["grid"]) == ("", None)
    assert position.words(0.5, 0.5) == "x 366015, y 5809985"
    assert map_position(make_scene(np.zeros((1, 4, 4), np.float32))) is None


@pytest.mark.parametrize("crs", ['LOCAL_CS["site",UNIT["metre",1]]', "+proj=longlat +R=1737400 +no_defs"])
def test_a_grid_that_is_not_of_the_earth_has_no_degrees(crs: str) -> None:
    position = placed(crs, Affine(0.1, 0.0, 10.0, 0.0, -0.1, 20.0))
    assert position.degrees([1.0], [2.0]) is None
    assert position.facts()["grid"] is None
    assert position.words(10, 20).startswith("x 11.00, y 18.00")
