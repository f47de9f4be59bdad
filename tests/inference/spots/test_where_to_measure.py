"""Places to measure at: in pixels and on the map, in files of every format, drawn."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from finewave.cli import main
from finewave.errors import InputError
from finewave.inference.spots.spot_places import placed
from finewave.inference.spots.where_to_measure import where_to_measure
from finewave.io.ground.place_files import write_places
from finewave.io.ground.spots import read_spots
from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.exports.export import export
from finewave.zoo.model import Model, load_model
from tests.inference.tiny_models import PLACE, WAVELENGTHS, save_model


def patches(**place: object):
    """Return a scene of four flat patches in a dark frame."""
    values = np.full((3, 40, 40), 0.001, np.float32)
    colours = [(0.6, 0.2, 0.1), (0.1, 0.2, 0.6), (0.2, 0.6, 0.2), (0.4, 0.4, 0.4)]
    for number, colour in enumerate(colours):
        top, left = divmod(number, 2)
        values[:, 20 * top + 3 : 20 * top + 18, 20 * left + 3 : 20 * left + 18] = np.array(colour)[:, None, None]
    return make_scene(values, wavelengths=WAVELENGTHS, **place)


def test_each_patch_gets_a_place_and_the_gain_grows(tmp_path: Path) -> None:
    model = load_model(save_model(tmp_path / "tiny"))
    places = where_to_measure(patches(**PLACE), model, 4)
    assert {(int(p.row) // 40, int(p.column) // 40) for p in places} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert [p.number for p in places] == [1, 2, 3, 4]
    assert 0 < places[0].gain < places[1].gain < places[2].gain < places[3].gain
    for each in places:  # scale 2, pixels of 10 m
        assert (each.x, each.y) == pytest.approx((5e5 + 5 * each.column, 4e6 - 5 * each.row))


def test_a_scene_on_a_grid_of_its_own_has_places_without_degrees(tmp_path: Path) -> None:
    scene = patches(**PLACE | {"crs": 'LOCAL_CS["site",UNIT["metre",1]]'})
    (place,) = where_to_measure(scene, load_model(save_model(tmp_path / "tiny")), 1)
    assert place.longitude is None
    assert place.latitude is None
    assert place.x == pytest.approx(5e5 + 5 * place.column)


def test_a_large_scene_is_looked_at_reduced(tmp_path: Path) -> None:
    model = load_model(save_model(tmp_path / "tiny"))
    small = patches().values
    large = make_scene(np.repeat(np.repeat(small, 60, 1), 60, 2), wavelengths=WAVELENGTHS)
    places = where_to_measure(large, model, 4)
    assert {(int(p.row) // 2400, int(p.column) // 2400) for p in places} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_the_command_writes_what_anchors_reads(tmp_path: Path) -> None:
    scene = patches(**PLACE)
    save_scene(scene, tmp_path / "scene.tif")
    model = str(save_model(tmp_path / "tiny"))
    for name in ("places.csv", "places.geojson", "places.gpx"):
        said = ["anchors", str(tmp_path / "scene.tif"), "-n", "3", "--model", model, "-o", str(tmp_path / name)]
        result = CliRunner().invoke(main, [*said, "--picture", str(tmp_path / "places.png"), "--json"])
        assert result.exit_code == 0, result.output
    places = json.loads(result.stdout)["places"]
    with Image.open(tmp_path / "places.png") as picture:
        assert picture.size == (1000, 1000)
    rows = list(csv.reader((tmp_path / "places.csv").read_text().splitlines()))
    rows = [[*rows[0], "400", "700"], *([*row, "0.3", "0.4"] for row in rows[1:])]
    (tmp_path / "spots.csv").write_text("\n".join(",".join(row) for row in rows))
    spots = placed(read_spots(tmp_path / "spots.csv"), scene, 2)
    for spot, place in zip(spots, places, strict=True):
        assert spot.centre == pytest.approx((place["row"], place["column"]), abs=0.51)
    features = json.loads((tmp_path / "places.geojson").read_text())["features"]
    gpx = ElementTree.parse(tmp_path / "places.gpx").getroot()
    waypoints = [each for each in gpx if each.tag.endswith("wpt")]
    for place, feature, waypoint in zip(places, features, waypoints, strict=True):
        assert feature["geometry"]["coordinates"] == [place["longitude"], place["latitude"]]
        assert float(waypoint.attrib["lat"]) == pytest.approx(place["latitude"], abs=1e-7)


def test_an_exported_network_has_the_places_of_its_model(tmp_path: Path) -> None:
    net = create_model("ridge", hs_bands=5)
    model = Model(net, describe(net, sensor="nikon-d5100", wavelengths_nm=[420.0, 480.0, 540.0, 600.0, 660.0]))
    path = export(model, tmp_path / "ridge.onnx").path
    save_scene(patches(**PLACE), tmp_path / "scene.tif")
    said = ["anchors", str(tmp_path / "scene.tif"), "-n", "3", "--model", str(path), "--json"]
    result = CliRunner().invoke(main, said)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["places"] == [vars(each) for each in where_to_measure(patches(**PLACE), model, 3)]


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    model = load_model(save_model(tmp_path / "tiny"))
    with pytest.raises(InputError, match=r"the image has \d+ flat places"):
        where_to_measure(patches(), model, 5000)
    places = [vars(each) for each in where_to_measure(patches(), model, 1)]
    with pytest.raises(InputError, match="no CRS"):
        write_places(places, tmp_path / "a.gpx")
    with pytest.raises(InputError, match="unknown extension"):
        write_places(places, tmp_path / "a.kml")
    write_places(places, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().startswith("name,column,row,radius,gain\n")
