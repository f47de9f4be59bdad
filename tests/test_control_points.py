"""Control points and RPCs, checked against GDAL's own mapping of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from finewave.control_points import control_points, sampled_points, scene_rpcs
from finewave.io.formats.geotiff import upright
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene, placed_like, resized, scene_crs

VALUES = np.linspace(0, 1, 2 * 12 * 16, dtype=np.float32).reshape(2, 12, 16)


def rpcs() -> RPC:
    line, samp = [0.0] * 20, [0.0] * 20
    line[2], samp[1] = -1.0, 1.0
    line[0], samp[5] = 0.01, 0.002
    return RPC(
        height_off=100.0, height_scale=500.0, lat_off=40.0, lat_scale=0.05, long_off=-105.0, long_scale=0.07,
        line_off=5.5, line_scale=6.0, samp_off=7.5, samp_scale=8.0,
        line_num_coeff=line, line_den_coeff=[1.0, *[0.0] * 19],
        samp_num_coeff=samp, samp_den_coeff=[1.0, *[0.0] * 19],
        err_bias=0.5, err_rand=0.25,
    )  # fmt: skip


@pytest.fixture
def with_rpcs(tmp_path: Path) -> Path:
    path = tmp_path / "rpc.tif"
    with rasterio.open(path, "w", driver="GTiff", count=2, height=12, width=16, dtype="float32", rpcs=rpcs()) as file:
        file.write(VALUES)
    return path


@pytest.mark.parametrize("extension", ["tif", "img", "nc", "zarr", "mat"])
def test_rpcs_survive(with_rpcs: Path, tmp_path: Path, extension: str) -> None:
    scene = open_scene(with_rpcs)
    save_scene(scene, tmp_path / f"a.{extension}")
    assert open_scene(tmp_path / f"a.{extension}").attrs["rpcs"] == scene.attrs["rpcs"]
    if extension == "tif":
        with rasterio.open(tmp_path / "a.tif") as file:
            assert file.rpcs.to_dict() == rpcs().to_dict()


@pytest.mark.parametrize("factor", [4, 3])
def test_scaled_rpcs_map_the_same_ground(with_rpcs: Path, tmp_path: Path, factor: int) -> None:
    finer = resized(open_scene(with_rpcs), np.kron(VALUES, np.ones((1, factor, factor), np.float32)), 1 / factor)
    save_scene(finer, tmp_path / "finer.tif")
    with rasterio.open(tmp_path / "finer.tif") as file:
        scaled = file.rpcs
    with RPCTransformer(scaled) as fine, RPCTransformer(rpcs()) as coarse:
        # rasterio counts the corner of a pixel; the same fraction of the image is the same ground
        for row, column in ((0, 0), (6, 9), (12, 16)):
            expected = coarse.xy(row, column, offset="ul")
            np.testing.assert_allclose(fine.xy(row * factor, column * factor, offset="ul"), expected, atol=1e-9)


def test_no_place_stays_none() -> None:
    result = placed_like(make_scene(VALUES), make_scene(VALUES), 0.5)
    assert "spatial_ref" not in result.coords


def test_points_of_a_swath() -> None:
    y, x = np.mgrid[0:40, 0:30]
    points = sampled_points(10 + 0.01 * x, 50 - 0.01 * y, most=5)
    assert points.shape == (25, 4)
    assert points[0].tolist() == [0.5, 0.5, 10.0, 50.0]
    np.testing.assert_allclose(points[-1], [39.5, 29.5, 10.29, 49.61])
    scene = make_scene(np.zeros((1, 40, 30)), control_points=points, crs="EPSG:4326")
    assert len(control_points(scene)) == 25
    assert scene_crs(scene).to_epsg() == 4326


def test_points_that_are_not_known_are_left_out() -> None:
    longitude = np.full((4, 4), 10.0)
    longitude[0, 0], longitude[3, 3] = np.nan, 9.96921e36
    assert len(sampled_points(longitude, np.full((4, 4), 50.0))) == 14


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_as_pillow_turns_them(orientation: int) -> None:
    from PIL import Image, ImageOps

    stored = np.random.default_rng(3).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(stored)
    image.getexif()[274] = orientation
    expected = np.moveaxis(np.asarray(ImageOps.exif_transpose(image)), -1, 0)
    scene = make_scene(np.moveaxis(stored, -1, 0), band_names=["R", "G", "B"], attrs={"a": 1})
    turned = upright(scene, orientation)
    np.testing.assert_array_equal(turned.values, expected)
    assert turned.attrs == {"a": 1}
    assert turned.band_name.values.tolist() == ["R", "G", "B"]


@pytest.mark.parametrize("extension", ["tif", "img", "nc", "zarr", "h5", "mat"])
def test_control_points_and_rpcs_of_a_part_are_in_its_pixels(tmp_path: Path, extension: str) -> None:
    points = [(row, column, 5.0 + column, 40.0 - row) for row in (0.5, 6.0, 11.5) for column in (0.5, 8.0, 15.5)]
    scene = make_scene(VALUES, crs="EPSG:4326", control_points=points, attrs={"rpcs": rpcs().to_dict()})
    part = scene.isel(y=slice(2, None, 3), x=slice(4, None, 2))
    save_scene(part, tmp_path / f"a.{extension}")
    for found in (part, open_scene(tmp_path / f"a.{extension}")):
        places = [(p.row, p.col, p.x, p.y) for p in control_points(found)]
        expected = [((row - 2.5) / 3 + 0.5, (column - 4.5) / 2 + 0.5, x, y) for row, column, x, y in points]
        np.testing.assert_allclose(sorted(places), sorted(expected))
        of_part = scene_rpcs(found)
        assert of_part is not None
        with RPCTransformer(RPC(**of_part)) as moved, RPCTransformer(rpcs()) as whole:
            for row, column in ((0, 0), (2, 5), (4, 6)):
                expected = whole.xy((row - 0.5) * 3 + 2.5, (column - 0.5) * 2 + 4.5, offset="ul")
                np.testing.assert_allclose(moved.xy(row, column, offset="ul"), expected, atol=1e-9)
