from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from finewave.errors import InputError
from finewave.io.open_save import open_scene, overview_factors, save_scene
from finewave.scene import make_scene
from finewave.viz.pyramid import TILE, Pyramid, halved
from finewave.viz.scene_pair import open_layer


def scene_of(values: np.ndarray):
    return make_scene(values.astype(np.float32))


def whole(pyramid: Pyramid, level: int) -> np.ndarray:
    height, width = pyramid.size(level)
    return pyramid.read(level, list(range(pyramid.bands)), slice(0, height), slice(0, width))


def test_a_level_holds_means_of_blocks() -> None:
    values = np.random.default_rng(0).random((2, 1024, 768))
    pyramid = Pyramid(scene_of(values))
    assert pyramid.top == 2
    for level in (0, 1, 2):
        side = 1 << level
        expected = values.reshape(2, 1024 // side, side, 768 // side, side).mean((2, 4))
        np.testing.assert_allclose(whole(pyramid, level), expected, rtol=1e-5)


def test_windows_are_parts_of_the_whole() -> None:
    pyramid = Pyramid(scene_of(np.random.default_rng(1).random((3, 700, 900))))
    for level in (0, 1, 2):
        rows, columns = slice(30, pyramid.size(level)[0] - 3), slice(7, pyramid.size(level)[1])
        part = pyramid.read(level, [2, 0], rows, columns)
        np.testing.assert_array_equal(part, whole(Pyramid(pyramid._stored[0]), level)[[2, 0], rows, columns])


def test_odd_sizes_and_missing_pixels() -> None:
    values = np.array([[1.0, 3.0, 5.0], [np.nan, 2.0, np.nan], [4.0, np.nan, np.nan]], np.float32)
    np.testing.assert_allclose(halved(values), [[2.0, 5.0], [4.0, np.nan]])
    pyramid = Pyramid(scene_of(np.ones((1, TILE * 2 + 1, TILE))))
    assert pyramid.size(1) == (TILE + 1, TILE // 2)
    assert np.all(whole(pyramid, pyramid.top) == 1)


def test_deep_levels_of_a_long_scene() -> None:
    """A level that is more than three steps from the file is averaged by way of finer levels."""
    values = np.random.default_rng(2).random((1, 16, 2**14))
    pyramid = Pyramid(scene_of(values))
    assert pyramid.top == 6
    expected = values[:, :, : 2**14].reshape(1, 1, 16, 2**10, 16).mean((2, 4))
    np.testing.assert_allclose(whole(pyramid, 4), expected, rtol=1e-5)
    # beyond the fourth level there are no more rows to average
    np.testing.assert_allclose(whole(pyramid, 6), expected.reshape(1, 1, 2**8, 4).mean(3), rtol=1e-5)


def test_memory_is_bounded() -> None:
    pyramid = Pyramid(scene_of(np.random.default_rng(3).random((4, 1024, 1024))), cache_bytes=2**20)
    first = whole(pyramid, 0)
    assert pyramid._used <= 2**20
    assert pyramid._used == sum(tile.nbytes for tile in pyramid._tiles.values())
    np.testing.assert_array_equal(whole(pyramid, 0), first)


@pytest.fixture
def with_overviews(tmp_path: Path) -> Path:
    """A GeoTIFF of scaled integers whose overviews are not its means, so that they can be told apart."""
    path = tmp_path / "scene.tif"
    values = np.random.default_rng(4).random((2, 600, 520))
    place = {"crs": "EPSG:32631", "transform": (10.0, 0.0, 500000.0, 0.0, -10.0, 4400000.0)}
    save_scene(make_scene(values, [500.0, 600.0], **place), path, dtype="uint16", full_scale=10000)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
    return path


def test_overviews_of_the_file_are_used(with_overviews: Path) -> None:
    assert overview_factors(with_overviews) == [2, 4]
    layer = open_layer("result", with_overviews)
    assert layer.pyramid.stored_levels == [0, 1, 2]
    full = layer.scene.values
    np.testing.assert_array_equal(whole(layer.pyramid, 1)[0, :100, :100], full[0, :200:2, :200:2])


def test_an_overview_is_a_scene(with_overviews: Path) -> None:
    full, half = open_scene(with_overviews), open_scene(with_overviews, overview=0)
    assert half.shape == (2, 300, 260)
    np.testing.assert_array_equal(half.wavelength, [500.0, 600.0])
    assert half.rio.transform().a == pytest.approx(20)
    assert half.rio.bounds() == pytest.approx(full.rio.bounds())
    assert half.encoding["scale_factor"] == full.encoding["scale_factor"]


def test_overviews_that_are_not_there(with_overviews: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 overviews"):
        open_scene(with_overviews, overview=2)
    save_scene(open_scene(with_overviews), tmp_path / "scene.nc")
    assert overview_factors(tmp_path / "scene.nc") == []
    with pytest.raises(InputError, match="overview="):
        open_scene(tmp_path / "scene.nc", overview=0)


@pytest.mark.parametrize(("height", "width"), [(1024, 768), (700, 901)])
def test_a_sample_has_single_pixels(height: int, width: int) -> None:
    values = np.random.default_rng(7).random((2, height, width)).astype(np.float32)
    pyramid = Pyramid(scene_of(values))
    for level in range(pyramid.top + 1):
        step = 1 << level
        found = pyramid.sample(level, [1, 0])
        assert found.shape == (2, *pyramid.size(level))
        expected = values[[1, 0], min(step // 2, height - 1) :: step, min(step // 2, width - 1) :: step]
        np.testing.assert_array_equal(found[:, : expected.shape[1], : expected.shape[2]], expected)
        assert np.isnan(found[:, expected.shape[1] :]).all()


def test_a_coarse_level_is_made_of_a_finer_one_that_is_there() -> None:
    values = np.random.default_rng(8).random((1, 1024, 1300)).astype(np.float32)
    pyramid, other = Pyramid(scene_of(values)), Pyramid(scene_of(values))
    whole(pyramid, 2)
    expected = whole(other, 3)
    other._stored[0] = pyramid._stored[0] = scene_of(np.zeros_like(values))  # what is read from now on is seen
    np.testing.assert_allclose(whole(pyramid, 3), expected, rtol=1e-6)


def test_large_scenes_without_overviews_are_slow() -> None:
    flat = np.broadcast_to(np.float32(0.5), (1, 2048, 2048))
    large = Pyramid(scene_of(flat))
    assert large.is_slow(2)
    assert not large.is_slow(1)
    assert not Pyramid(scene_of(flat), {2: scene_of(np.full((1, 512, 512), 0.5))}).is_slow(3)
    assert not Pyramid(scene_of(flat[:, :1024])).is_slow(2)
