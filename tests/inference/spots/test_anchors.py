"""Spectra measured in a scene: files and tiles, places, and what is said of spots that cannot be right."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from click.testing import CliRunner

from finewave.calibration.anchor_correction import as_bright_as
from finewave.cli import main
from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.inference.spots.spot_places import placed
from finewave.inference.super_resolve import super_resolve
from finewave.io.ground.spectral_library import Spectrum
from finewave.io.ground.spots import PIXELS, Spot
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from finewave.zoo.observation_model import colour_weights
from tests.inference.tiny_models import PLACE

BANDS = [400.0, 450.0, 500.0, 550.0, 600.0, 650.0, 700.0]


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a regression that interpolates between the bands of each pixel, and makes the first three too dark."""
    net = create_model("ridge", ms_bands=3, hs_bands=len(BANDS))
    weights = np.zeros((4, len(BANDS)))
    for row, band in enumerate(np.eye(3)):
        weights[1 + row] = np.interp(BANDS, [460, 540, 600], band[::-1])
    weights[:, :3] *= 0.7
    net.coefficients.data = torch.from_numpy(weights).float()
    card = describe(
        net, name="tiny", sensor="nikon-d5100", wavelengths_nm=BANDS, ms_bands=["red", "green", "blue"],
        ms_wavelengths_nm=[600.0, 540.0, 460.0],
    )  # fmt: skip
    return Model(net, card)


def image(height: int = 40, width: int = 48) -> xr.DataArray:
    values = np.random.default_rng(4).random((3, 1, 1)).astype(np.float32) * 0.2 + 0.3
    shade = np.linspace(0.7, 1, width, dtype=np.float32)
    return make_scene(values * shade * np.ones((1, height, 1), np.float32), wavelengths=[600.0, 540.0, 460.0], **PLACE)


def spot(name: str, column: float, row: float, spectrum: Spectrum | float, radius: float = 1.5) -> Spot:
    return Spot(name, np.array([[column, row]]), spectrum, radius, PIXELS)


def measured(values: np.ndarray) -> Spectrum:
    return Spectrum(np.array(BANDS), np.asarray(values, float))


def likely(scene: xr.DataArray, factor: np.ndarray | float = 1.0) -> Spectrum:
    """Return a spectrum of about the scene's colour."""
    red, green, blue = scene.values[:, 20, 20]
    return measured(np.interp(BANDS, [460, 540, 600], [blue, green, red]) * factor)


def test_a_single_spot_takes_nearly_half_of_the_error_there(model: Model) -> None:
    scene = image()
    before = super_resolve(scene, model)
    measured_there = likely(scene, 1.1)
    after = super_resolve(scene, model, anchors=[spot("a", 20.5, 20.5, measured_there)])
    plain = before.values[:, 20, 20].astype(float)
    (wanted,) = as_bright_as(measured_there.values[None], plain[None], colour_weights(model, 7))
    was, now = (np.abs(each.values[:, 20, 20] - wanted).max() for each in (before, after))
    assert 0.5 * was < now < 0.7 * was


def test_files_in_tiles_give_what_memory_gives(model: Model, tmp_path: Path) -> None:
    scene = image()
    save_scene(scene, tmp_path / "scene.tif")
    rows = [
        f"{40.5 - 10 * i},{10.5 + 10 * i},1.5," + ",".join(map(str, likely(scene, 1 + i / 9).values)) for i in (0, 1)
    ]
    table = tmp_path / "spots.csv"
    table.write_text("column,row,radius," + ",".join(f"{band:g}" for band in BANDS) + "\n" + "\n".join(rows) + "\n")
    predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", model, anchors=table, tile=16)
    whole = super_resolve(scene, model, anchors=table)
    np.testing.assert_allclose(open_scene(tmp_path / "out.tif").values, whole.values, atol=2e-5)
    lazy = super_resolve(scene.chunk({"y": 20, "x": 20}), model, anchors=table, tile=16)
    np.testing.assert_allclose(lazy.values, whole.values, atol=2e-5)


def test_a_panel_alone_is_a_gain(model: Model) -> None:
    scene = image()
    before = super_resolve(scene, model)
    after = super_resolve(scene, model, anchors=[spot("panel", 20.5, 20.5, 0.5, 0.5)])
    gain = (0.5 / before.values[:, 20, 20].astype(float)).clip(0.25, 4)
    np.testing.assert_allclose(after.values, before.values * gain[:, None, None], rtol=1e-4)


def test_map_coordinates_of_another_crs_find_the_pixel() -> None:
    from rasterio.warp import transform

    scene = image()
    x, y = 5e5 + 10 * 7.5, 4e6 - 10 * 11.5
    longitude, latitude = transform(PLACE["crs"], "EPSG:4326", [x], [y])
    own = Spot("a", np.array([[x, y]]), 0.5, 4.0)
    other = Spot("b", np.array([[longitude[0], latitude[0]]]), 0.5, None, "EPSG:4326")
    for each, place in zip((own, other), placed([own, other], scene, 2), strict=True):
        assert place.centre == pytest.approx((23.0, 15.0), abs=0.51), each.name


def test_a_radius_is_in_the_unit_of_its_place() -> None:
    from rasterio.warp import transform

    scene, x, y = image(), 5e5 + 10 * 7.5, 4e6 - 10 * 11.5
    longitude, latitude = (each[0] for each in transform(PLACE["crs"], "EPSG:4326", [x], [y]))
    metres = Spot("a", np.array([[x, y]]), 0.5, 30.0)
    # a degree is 111.3 km along a meridian, and less along a parallel
    radius = 30.0 / (111.3e3 * np.cos(np.radians(latitude)) ** 0.5)
    degrees = Spot("b", np.array([[longitude, latitude]]), 0.5, radius, "EPSG:4326")
    own, other = (place.mask.sum() for place in placed([metres, degrees], scene, 2))
    assert own == pytest.approx(np.pi * 6**2, rel=0.1)
    assert other == pytest.approx(own, rel=0.1)


def test_a_polygon_is_the_pixels_inside() -> None:
    corners = np.array([[2.0, 3.0], [6.0, 3.0], [6.0, 8.0], [2.0, 8.0]])
    (place,) = placed([Spot("a", corners, 0.5, None, PIXELS)], image(), 1)
    assert place.mask.all()
    assert place.mask.shape == (5, 4)
    assert place.centre == (5.5, 4.0)


def test_a_concave_polygon_with_a_hole_is_what_lies_inside() -> None:
    from rasterio.features import rasterize

    outer = np.array(
        [[2.2, 2.1], [30.3, 2.4], [30.1, 30.2], [22.4, 30.3], [22.2, 9.6], [9.7, 9.4], [9.6, 30.1], [2, 30]]
    )
    hole = np.array([[12.0, 3.0], [20.0, 3.2], [16.0, 8.0]])
    (place,) = placed([Spot("a", outer, 0.5, None, PIXELS, (hole,))], image(), 1)
    full = np.zeros((40, 48), bool)
    full[place.window] = place.mask
    geometry = {
        "type": "Polygon",
        "coordinates": [[*outer.tolist(), outer[0].tolist()], [*hole.tolist(), hole[0].tolist()]],
    }
    expected = rasterize([geometry], (40, 48)).astype(bool)  # GDAL: pixels whose centre is inside
    np.testing.assert_array_equal(full, expected)
    assert not full[5, 16]  # in the hole
    assert not full[20, 16]  # between the arms


def test_a_spot_across_tiles_is_used_whole(model: Model) -> None:
    """The left half of the spot is too dark in the image, so that the half in one tile would say something else."""
    scene = image()
    scene.values[:, :, :16] *= 0.7
    corners = np.array([[11.0, 11.0], [22.0, 11.0], [22.0, 21.0], [11.0, 21.0]])
    spots = [Spot("wide", corners, likely(scene), None, PIXELS)]
    whole, tiles = (
        super_resolve(each, model, anchors=spots, tile=tile) for each, tile in ((scene, None), (scene.chunk(), 16))
    )
    np.testing.assert_allclose(tiles.values, whole.values, atol=2e-5)


def test_places_in_degrees_on_a_grid_that_is_not_of_the_earth_are_refused() -> None:
    scene = image().rio.write_crs('LOCAL_CS["site",UNIT["metre",1]]')
    with pytest.raises(InputError, match="a: there is no way from EPSG:4326 to the scene's CRS"):
        placed([Spot("a", np.array([[3.0, 45.0]]), 0.5, None, "EPSG:4326")], scene, 1)


@pytest.mark.parametrize(("column", "row"), [(-9, 3), (3, -9), (1e5, 3), (3, 1e30)])
def test_a_polygon_beside_the_image_is_outside(column: float, row: float) -> None:
    corners = np.array([[column, row], [column + 4, row], [column + 4, row + 5], [column, row + 5]])
    for points in (corners, corners[:1]):
        with pytest.raises(InputError, match="all spots lie outside"):
            placed([Spot("a", points, 0.5, None, PIXELS)], image(), 1)


def test_spots_that_contradict_the_image_are_named_and_count_less(model: Model) -> None:
    scene = image()
    scene.values[:, 30:, :] = 1.0
    scene.values[:, :, 40:] *= np.where(np.arange(8) % 2, 0.2, 1).astype(np.float32)
    good = spot("good", 20.5, 20.5, likely(scene))
    doubtful = [
        spot("other colour", 12.5, 20.5, measured(np.array([6, 5, 3, 1, 1, 0.5, 0.5]) / 10)),
        spot("too bright", 15.5, 10.5, likely(scene, 2.5)),
        spot("burnt", 20.5, 35.5, measured(np.ones(7))),
        spot("edge", 44.5, 10.5, likely(scene, 0.6)),
    ]
    with pytest.warns(FinewaveWarning) as caught:
        super_resolve(scene, model, anchors=[good, *doubtful])
    said = " / ".join(str(each.message) for each in caught)
    for name, reason in (
        ("other colour", "degrees from the image's"),
        ("too bright", "times as bright"),
        ("burnt", "saturated"),
        ("edge", "on an edge"),
    ):
        assert any(name in part and reason in part for part in said.split(" / ")), (name, said)
    assert "good" not in said


def test_bad_spots_are_refused_in_one_line(model: Model) -> None:
    scene = image()
    ok = likely(scene)
    for spots, reason in (
        ([], "no spots"),
        ([spot("far", 100, 100, ok)], "outside the image"),
        ([spot("a", 5, 5, ok), spot("b", 5, 5, ok)], "same place"),
        ([spot("a", 5, 5, Spectrum(np.array([300.0, 400.0]), np.array([0.1, 0.2])))], "covers 1 of 7 bands"),
        ([spot("a", 5, 5, measured(np.arange(40, 47)))], "percent"),
        ([spot("a", 5, 5, measured([np.nan] * 7))], "zeros or of nothing"),
        ([spot("a", 5, 5, measured(np.zeros(7)))], "zeros or of nothing"),
        ([Spot("a", np.array([[5.0, 5.0]]), ok, None, "EPSG:0")], "EPSG:0"),
        ([{"x": 5.0, "y": 5.0}], "a list of finewave.io.ground.spots.Spot is accepted"),
        (5, "a list of finewave.io.ground.spots.Spot is accepted"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            super_resolve(scene, model, anchors=spots)
        assert "\n" not in str(caught.value)


def test_some_spots_outside_are_said(model: Model) -> None:
    scene = image()
    with pytest.warns(FinewaveWarning, match="left out; .*: far"):
        super_resolve(scene, model, anchors=[spot("a", 5, 5, likely(scene)), spot("far", 99, 99, likely(scene))])


def test_models_without_a_spectral_part_and_folders_are_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="makes none"):
        super_resolve(image(), "bicubic", scale=2, anchors=[spot("a", 5, 5, 0.5)])
    (tmp_path / "in").mkdir()
    save_scene(image(), tmp_path / "in" / "a.tif")
    with pytest.raises(InputError, match="one scene"):
        predict_file(tmp_path / "in", tmp_path / "out", model, anchors=tmp_path / "spots.csv")


def test_the_command_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    save_scene(image(), tmp_path / "a.tif")
    said = ["predict", str(tmp_path / "a.tif"), "-o", str(tmp_path / "b.tif"), "--model", "mstpp-cave"]
    result = CliRunner().invoke(main, [*said, "--anchors", str(tmp_path / "none.csv")])
    assert result.exit_code != 0
    assert not (tmp_path / "b.tif").exists()


def test_a_spot_of_another_unit_does_not_count(model: Model) -> None:
    """A dark spectrum in percent, say, is below what is refused as percent: 34 times as bright as the image."""
    scene = image()
    good = spot("good", 20.5, 20.5, likely(scene))
    percent = np.linspace(1.9, 1.7, 7)
    wrong = spot("in percent", 40.5, 10.5, measured(percent))
    scene.values[:, 5:15, 36:] = 0.01
    half = measured(np.where(np.arange(7) < 4, percent, np.nan))
    alone = super_resolve(scene, model, anchors=[good])
    for each in (wrong, spot("in percent", 40.5, 10.5, half)):
        with pytest.warns(FinewaveWarning, match=r"anchors: in percent does not count: .* times as bright"):
            both = super_resolve(scene, model, anchors=[good, each])
        np.testing.assert_array_equal(both.values, alone.values)
        with pytest.raises(InputError, match=r"no spot agrees with the image; in percent: .*; check places and unit"):
            super_resolve(scene, model, anchors=[each])


def test_spots_are_compared_with_the_image_as_a_panel_sets_it(model: Model) -> None:
    """An image of a third of the exposure: spots contradict it, but not beside a panel."""
    scene = image()
    plate, truth = scene.values[:, 20, 20].copy(), likely(scene)
    dark = scene.copy(data=scene.values / 3)
    panel = spot("plate", 5.5, 5.5, float(plate.mean()), 1.0)
    dark.values[:, 3:8, 3:8] = plate.mean() / 3
    with pytest.warns(FinewaveWarning, match="lawn counts less: it is"):
        super_resolve(dark, model, anchors=[spot("lawn", 20.5, 20.5, truth)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", FinewaveWarning)
        super_resolve(dark, model, anchors=[panel, spot("lawn", 20.5, 20.5, truth)])


def test_a_spectrum_of_some_bands_is_compared_with_the_image_as_a_panel_sets_it(model: Model) -> None:
    """The bands that were not measured are those of the result, which is as dark as the image."""
    scene = image()
    plate, values = scene.values[:, 20, 20].copy(), likely(scene).values
    dark = scene.copy(data=scene.values / 3.5)
    dark.values[:, 3:8, 3:8] = plate.mean() / 3.5
    panel = spot("plate", 5.5, 5.5, float(plate.mean()), 1.0)
    some = spot("lawn", 20.5, 20.5, measured(np.where(np.arange(7) < 4, values, np.nan)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", FinewaveWarning)
        super_resolve(dark, model, anchors=[panel, some])


def test_a_doubtful_panel_is_named(model: Model) -> None:
    scene = image()
    scene.values[:, :10, :10] = np.array([0.8, 0.3, 0.1], np.float32)[:, None, None]
    scene.values[:, 30:, :10] = 0.02
    with pytest.warns(FinewaveWarning, match=r"red is a doubtful panel, and .* degrees from the image"):
        super_resolve(scene, model, anchors=[spot("red", 5.5, 5.5, 0.5)])
    with pytest.warns(FinewaveWarning, match=r"dark is a doubtful panel, .*: it is 25 times as bright as the image"):
        super_resolve(scene, model, anchors=[spot("dark", 5.5, 35.5, 0.99)])
