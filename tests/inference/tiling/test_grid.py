"""A part of a scene, and a guide on another grid than its scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.warp import transform

from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.inference.super_resolve import super_resolve
from finewave.inference.tiling.grid import aligned_guide, cropped, grid_of, on_grid, window_asked_for
from finewave.io.open_save import load_scene, open_scene, save_scene
from finewave.scene import make_scene, scene_crs, scene_transform
from finewave.warnings import FinewaveWarning
from tests.inference.tiny_models import save_model, write_scene

CRS = "EPSG:32631"
CORNER = (5e5, 4e6)


def ground(x: Any, y: Any) -> Any:
    """What lies at a place of the ground, in metres from the corner: linear, so that interpolation is exact."""
    return 0.3 + 2e-4 * (x - CORNER[0]) - 1e-4 * (y - CORNER[1])


def picture(size: float, rows: int, columns: int, left: float = 0, top: float = 0, bands: int = 1) -> Any:
    """Return a picture of the ground in pixels of this size, its corner moved by so many metres."""
    place = Affine(size, 0, CORNER[0] + left, 0, -size, CORNER[1] - top)
    x, y = place * np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    return make_scene(np.stack([ground(x, y)] * bands).astype(np.float32), crs=CRS, transform=place)


def test_a_guide_that_is_half_a_pixel_off_is_moved() -> None:
    scene, guide = picture(30, 6, 7), picture(10, 30, 33, left=-15, top=-25)
    with pytest.warns(FinewaveWarning, match=r"not on one grid: .* pixels of the guide apart.* resampled"):
        moved, grid = aligned_guide(guide, scene, 3)
    expected = picture(10, 18, 21)
    assert moved.shape == expected.shape
    assert grid == grid_of(expected)
    np.testing.assert_allclose(moved.values, expected.values, atol=1e-5)
    half = picture(10, 18, 21, left=5)
    with pytest.warns(FinewaveWarning, match=r"0\.5 pixels of the guide apart"):
        moved, _ = aligned_guide(half, scene, 3)
    np.testing.assert_allclose(moved.values[:, :, 1:-1], expected.values[:, :, 1:-1], atol=1e-5)


def swath(size: float, rows: int, columns: int, left: float = 0, top: float = 0) -> Any:
    """Return the same picture with control points on a grid in place of its transform."""
    from finewave.control_points import with_control_points

    image = picture(size, rows, columns, left, top)
    place = scene_transform(image)
    assert place is not None
    pixels = [(row, column) for row in np.linspace(0, rows, 4) for column in np.linspace(0, columns, 3)]
    points = [(row, column, *(place * (column, row))) for row, column in pixels]
    return with_control_points(make_scene(image.values), points, CRS)


def test_swaths_are_used_as_they_lie_only_where_they_lie_on_each_other() -> None:
    guide = swath(10, 18, 21)
    for scene in (swath(30, 6, 7), picture(30, 6, 7)):
        same, grid = aligned_guide(guide, scene, 3)
        assert same is guide
        assert grid is None
        with pytest.raises(
            InputError, match=r"by their control points: 4\.0 pixels of the guide; bring both to one map"
        ):
            aligned_guide(swath(10, 18, 21, left=40), scene, 3)
    with pytest.raises(InputError, match="do not lie on each other by their control points"):
        aligned_guide(picture(10, 18, 21, top=1e5), swath(30, 6, 7), 3)


def test_a_wide_swath_in_degrees_lies_on_its_scene_in_metres() -> None:
    """Over 100 km degrees bend by 280 m from any plane: no reason to refuse what lies on each other."""
    from finewave.control_points import with_control_points

    for moved, refused in ((0.0, False), (5000.0, True)):
        points = []
        for row, column in np.ndindex(5, 5):
            x, y = CORNER[0] + 25_000.0 * column + moved, CORNER[1] - 25_000.0 * row
            points.append((row * 250.0, column * 250.0, *np.ravel(transform(CRS, "EPSG:4326", [x], [y])[:2])))
        guide = make_scene(np.broadcast_to(np.float32(0.5), (1, 1000, 1000)))
        guide = with_control_points(guide, points, "EPSG:4326")
        scene = make_scene(
            np.broadcast_to(np.float32(0.5), (1, 500, 500)),
            crs=CRS,
            transform=Affine(200, 0, CORNER[0], 0, -200, CORNER[1]),
        )
        if refused:
            with pytest.raises(InputError, match="do not lie on each other"):
                aligned_guide(guide, scene, 2)
        else:
            assert aligned_guide(guide, scene, 2)[0] is guide


def test_a_guide_of_another_planet_is_refused() -> None:
    guide = picture(10, 18, 21).rio.write_crs("+proj=longlat +R=1737400 +no_defs")
    with pytest.raises(InputError, match="show different places"):
        aligned_guide(guide, picture(30, 6, 7), 3)


def test_windows_are_those_of_the_whole() -> None:
    scene = on_grid(picture(10, 30, 33, left=-15, top=-25), grid_of(picture(7, 25, 31)))
    whole = scene.values
    for rows, columns in ((slice(3, 9), slice(20, 31)), (slice(0, 1), slice(0, 1)), (slice(24, 25), slice(5, 30, 4))):
        np.testing.assert_allclose(scene[:, rows, columns].values, whole[:, rows, columns], atol=1e-6)


def test_a_guide_in_another_crs_lies_where_it_belongs() -> None:
    scene = picture(30, 8, 9)
    east, north = CORNER[0] + 135, CORNER[1] - 120
    longitude, latitude = (each[0] for each in transform(CRS, "EPSG:4326", [east], [north]))
    step = 1e-4
    place = Affine(step, 0, longitude - 40 * step, 0, -step, latitude + 40 * step)
    columns, rows = np.meshgrid(np.arange(80) + 0.5, np.arange(80) + 0.5)
    lon, lat = place * (columns, rows)
    x, y = (np.reshape(each, lon.shape) for each in transform("EPSG:4326", CRS, lon.ravel(), lat.ravel()))
    guide = make_scene(ground(x, y)[None].astype(np.float32), crs="EPSG:4326", transform=place)
    with pytest.warns(FinewaveWarning, match="the scene is in EPSG:32631, the guide in EPSG:4326"):
        moved, _ = aligned_guide(guide, scene, 3)
    np.testing.assert_allclose(moved.values, picture(10, 24, 27).values, atol=2e-4)
    assert scene_crs(moved).to_epsg() == 32631


def test_what_does_not_overlap_is_refused_and_what_is_missing_is_said() -> None:
    scene = picture(30, 6, 6)
    with pytest.raises(InputError, match=r"show different places: .*do not overlap"):
        aligned_guide(picture(10, 18, 18, left=5000), scene, 3)
    with pytest.warns(FinewaveWarning, match="covers 50 % of the scene"):
        moved, _ = aligned_guide(picture(10, 18, 18, left=90), scene, 3)
    assert np.isnan(moved.values[:, :, :8]).all()
    assert np.isfinite(moved.values[:, :, 9:]).all()
    with pytest.warns(FinewaveWarning, match="the guide has no georeference: taken as aligned"):
        aligned_guide(make_scene(np.ones((1, 18, 18), np.float32)), scene, 3)


def test_a_part_keeps_its_place_and_its_points() -> None:
    scene = picture(30, 20, 30, bands=2)
    part = cropped(scene, (slice(4, 9), slice(10, 22)))
    np.testing.assert_array_equal(part.values, scene.values[:, 4:9, 10:22])
    assert scene_transform(part) == scene_transform(scene) * Affine.translation(10, 4)
    sheared = make_scene(scene.values, crs=CRS, transform=(30.0, 5.0, 5e5, 5.0, -30.0, 4e6))
    part = cropped(sheared, (slice(4, 9), slice(10, 22)))
    assert scene_transform(part) == scene_transform(sheared) * Affine.translation(10, 4)
    points = [(0, 0, 1.0, 50.0), (20, 0, 1.0, 49.0), (0, 30, 2.0, 50.0)]
    placed = cropped(make_scene(scene.values, crs="EPSG:4326", control_points=points), (slice(4, 9), slice(10, 22)))
    assert [(p.row, p.col, p.x) for p in placed.rio.get_gcps()] == [(-4, -10, 1), (16, -10, 1), (-4, 20, 2)]


def test_a_box_is_the_pixels_that_it_touches() -> None:
    scene = picture(30, 20, 30)
    box = (CORNER[0] + 61, CORNER[1] - 150, CORNER[0] + 120, CORNER[1] - 89)
    assert window_asked_for(scene, None, box) == (slice(2, 5), slice(2, 4))
    assert window_asked_for(scene, (2, 2, 4, 5), None) == (slice(2, 5), slice(2, 4))
    with pytest.raises(InputError, match="lies outside of the scene, which reaches from 500000"):
        window_asked_for(scene, None, (0, 0, 1, 1))
    with pytest.raises(InputError, match="beyond the scene of 30 columns and 20 rows"):
        window_asked_for(scene, (2, 2, 31, 5), None)
    with pytest.raises(InputError, match="needs a scene with a georeference"):
        window_asked_for(make_scene(np.ones((1, 5, 5))), None, (0, 0, 1, 1))


@pytest.mark.parametrize("tile", [None, 5])
def test_a_part_of_a_file_is_read_and_written(tile: int | None, tmp_path: Path) -> None:
    source, model = write_scene(tmp_path / "scene.tif", 40, 30), save_model(tmp_path / "tiny")
    predict_file(source, tmp_path / "out.tif", model, window=(6, 8, 18, 24), bands=[551, 450], tile=tile)
    scene = load_scene(source)
    expected = super_resolve(cropped(scene, (slice(8, 24), slice(6, 18))), str(model), tile=tile)
    result = load_scene(tmp_path / "out.tif")
    np.testing.assert_allclose(result.values, expected.values[[2, 0]], atol=1e-6)
    np.testing.assert_allclose(result.wavelength, [550, 450])
    assert tuple(scene_transform(result))[:6] == (5.0, 0.0, 5e5 + 60, 0.0, -5.0, 4e6 - 80)
    with pytest.raises(InputError, match="makes no band at 900 nm, the nearest one is at 600 nm"):
        predict_file(source, tmp_path / "none.tif", model, bands=[900])
    with pytest.raises(InputError, match="names one band of tiny twice"):
        predict_file(source, tmp_path / "none.tif", model, bands=[550, 551])


def test_only_the_part_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, model = write_scene(tmp_path / "scene.tif", 60, 60), save_model(tmp_path / "tiny")
    read: list[int] = []
    monkeypatch.setattr("finewave.io.formats.values.lazy.LazyValues._stored", _counting(read))
    predict_file(source, tmp_path / "out.tif", model, window=(6, 8, 16, 18))
    assert 300 <= max(read) <= 1.3 * 300  # 3 bands of 10 x 10 pixels


def _counting(read: list[int]) -> Any:
    from finewave.io.formats.values.lazy import LazyValues

    original = LazyValues._stored

    def stored(self: Any, wanted: Any) -> Any:
        block = original(self, wanted)
        read.append(block[0].size)
        return block

    return stored


def test_fusion_of_files_on_two_grids_in_parts_and_by_workers_reads(tmp_path: Path) -> None:
    """The guide is twice as large, in other pixels; the window is cut of both."""
    save_scene(picture(30, 24, 20, bands=5), tmp_path / "low.tif")
    save_scene(picture(5, 160, 140, left=-20, top=-15, bands=2), tmp_path / "guide.tif")
    options = {"scale": 3, "guide": tmp_path / "guide.tif"}
    with pytest.warns(FinewaveWarning, match="not on one grid"):
        predict_file(tmp_path / "low.tif", tmp_path / "a.tif", "gsa", window=(2, 3, 14, 15), **options)
    result = load_scene(tmp_path / "a.tif")
    truth = cropped(picture(10, 72, 60, bands=5), (slice(9, 45), slice(6, 42)))
    assert scene_transform(result) == scene_transform(truth)
    np.testing.assert_allclose(result.values, truth.values, atol=2e-3)


def test_a_scene_file_of_workers_is_on_the_grid_and_cut(tmp_path: Path) -> None:
    from finewave.inference.tiling.sources import SceneFile, stamp_of

    path = tmp_path / "guide.tif"
    save_scene(picture(5, 160, 140, left=-20, top=-15, bands=2), path)
    grid, part = grid_of(picture(10, 72, 60)), (slice(9, 45), slice(6, 42))
    file = SceneFile(str(path), (), (0, 1), stamp_of(path), (), grid, part)
    expected = cropped(on_grid(open_scene(path), grid), part).values[:, 2:7, 3:30]
    np.testing.assert_array_equal(file.read((slice(2, 7), slice(3, 30))), expected)
