"""Small files with known answers: where on the ground (E)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from finewave.control_points import control_points
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import scene_crs, scene_transform
from finewave.warnings import FinewaveWarning

pytestmark = [pytest.mark.cases, pytest.mark.filterwarnings("ignore:.*without a scale")]
CORNERS = {(0, 0, -105, 40), (0, 32, -104.99, 40), (32, 0, -105, 39.99), (32, 32, -104.99, 39.99)}


def places(scene: object, scale: float = 1) -> set[tuple[float, ...]]:
    return {(p.row / scale, p.col / scale, round(p.x, 9), round(p.y, 9)) for p in control_points(scene)}


@pytest.mark.parametrize("extension", ["tif", "img", "nc", "zarr", "h5", "mat"])
def test_control_points_survive_every_format(cases: Path, tmp_path: Path, extension: str) -> None:
    save_scene(open_scene(cases / "E1_gcp_only" / "gcp.tif"), tmp_path / f"a.{extension}")
    scene = open_scene(tmp_path / f"a.{extension}")
    assert scene_crs(scene).to_epsg() == 4326
    assert places(scene) == CORNERS
    assert scene_transform(scene) is None


@pytest.mark.parametrize("extension", ["tif", "img", "nc", "mat"])
def test_predict_keeps_control_points(cases: Path, tmp_path: Path, tiny_weights: Path, extension: str) -> None:
    from finewave.inference.predict import predict_file

    out = tmp_path / f"a.{extension}"
    predict_file(cases / "E1_gcp_only" / "gcp.tif", out, tiny_weights)
    scene = open_scene(out)
    assert scene.shape[1:] == (64, 64)
    assert scene_crs(scene).to_epsg() == 4326
    assert places(scene, 2) == CORNERS


@pytest.mark.parametrize("extension", ["img", "tif", "nc", "zarr", "mat"])
def test_sheared_transform_is_kept(cases: Path, tmp_path: Path, extension: str) -> None:
    save_scene(open_scene(cases / "E2_envi_sheared" / "sheared.tif"), tmp_path / f"a.{extension}")
    kept = open_scene(tmp_path / f"a.{extension}")
    assert tuple(scene_transform(kept))[:6] == (8, 3, 5e5, 2, -9, 44e5)
    assert scene_crs(kept).to_epsg() == 32631
    if extension == "img":  # other programs see where the corners are, never a transform that is not the scene's
        with rasterio.open(tmp_path / "a.img") as file:
            corners = {(p.row, p.col): (p.x, p.y) for p in file.gcps[0]}
        assert corners[24, 24] == (5e5 + 24 * 11, 44e5 - 24 * 7)


def test_orientation_of_a_tiff(cases: Path) -> None:
    scene = open_scene(cases / "E3_tiff_orientation" / "orient6.tif", linearise=False)
    assert scene.shape == (3, 6, 5)
    stored = np.arange(90).reshape(5, 6, 3)
    np.testing.assert_allclose(scene.values, np.moveaxis(np.rot90(stored, -1), -1, 0) / 255, atol=1e-7)


def test_irregular_grid_is_no_transform(cases: Path) -> None:
    with pytest.warns(FinewaveWarning, match="not evenly spaced along y"):
        scene = open_scene(cases / "E4_irregular_grid" / "irregular.nc")
    assert scene_transform(scene) is None
    assert "y" not in scene.coords
