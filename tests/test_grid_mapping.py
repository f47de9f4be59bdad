"""CRS, transform and control points in a scene, as rioxarray reads and writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.windows import Window

from finewave.control_points import control_points, with_control_points
from finewave.inference.tiling.grid import cropped
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene, scene_crs, scene_transform
from finewave.warnings import FinewaveWarning

VALUES = np.zeros((2, 4, 5), np.float32)
PLACES = {
    "metres": ("EPSG:32631", Affine(10.0, 0, 500000.0, 0, -10.0, 4000000.0)),
    "degrees": ("EPSG:4326", Affine(0.1, 0, 5.3, 0, -0.1, 47.9)),
    "feet": ("EPSG:2229", Affine(3.0, 0, 6400000.0, 0, -3.0, 1800000.0)),
    "rotated": ("EPSG:32631", Affine(8.0, 6.0, 500000.0, 6.0, -8.0, 4000000.0)),
    "no CRS": (None, Affine(2.0, 0, 7.0, 0, 3.0, -5.0)),
}


@pytest.mark.parametrize("name", PLACES)
def test_rioxarray_reads_what_is_written(name: str) -> None:
    crs, transform = PLACES[name]
    scene = make_scene(VALUES, crs=crs, transform=transform)
    assert scene.rio.crs == (None if crs is None else CRS.from_user_input(crs))
    assert scene.rio.transform() == transform
    assert scene.encoding["grid_mapping"] == "spatial_ref"


@pytest.mark.parametrize("name", PLACES)
def test_what_rioxarray_writes_is_read(name: str) -> None:
    crs, transform = PLACES[name]
    image = xr.DataArray(VALUES, dims=("band", "y", "x"))
    if not transform.b:
        x, y = transform.c + transform.a * (np.arange(5) + 0.5), transform.f + transform.e * (np.arange(4) + 0.5)
        image = image.assign_coords(x=x, y=y)
    written = image.rio.write_transform(transform)
    written = written if crs is None else written.rio.write_crs(crs)
    assert scene_transform(written) == transform
    assert scene_crs(written) == (None if crs is None else CRS.from_user_input(crs))
    same = make_scene(VALUES, crs=crs, transform=transform)
    assert same.spatial_ref.attrs == written.spatial_ref.attrs


@pytest.mark.parametrize("z", [None, 12.5])
def test_control_points(z: float | None) -> None:
    points = [GroundControlPoint(row, 2.0 * row, 5.0 + row, 40.0, z, str(row), "a note") for row in range(4)]
    scene = with_control_points(make_scene(VALUES), points, "EPSG:4326")
    plain = xr.DataArray(VALUES, dims=("band", "y", "x"))
    for image in (scene, plain.rio.write_gcps(points, "EPSG:4326")):
        for found in (control_points(image), image.rio.get_gcps()):
            assert [each.asdict() for each in found] == [each.asdict() for each in points]
        assert scene_crs(image) == image.rio.crs == CRS.from_epsg(4326)


def test_coordinates_of_a_part_decide() -> None:
    crs, transform = PLACES["metres"]
    part = make_scene(VALUES, crs=crs, transform=transform).isel(y=slice(1, None, 2), x=slice(2, None))
    assert scene_transform(part) == part.rio.transform(recalc=True) == Affine(10, 0, 500020, 0, -20, 4000000 - 5)
    row = make_scene(VALUES, crs=crs, transform=transform).isel(y=[2])
    assert scene_transform(row) == Affine(10, 0, 500000, 0, -10, 4000000 - 20)
    assert scene_transform(row.isel(x=slice(0, 0))) == transform  # without pixels, the stated one


@pytest.mark.parametrize("text", ["", "1 2 3", "a b c d e f"])
def test_a_transform_that_is_none(text: str) -> None:
    scene = make_scene(VALUES, crs="EPSG:32631")
    scene.spatial_ref.attrs["GeoTransform"] = text
    scene.attrs["transform"] = text
    assert scene_transform(scene) is None


def test_the_scene_that_was_given_is_not_changed() -> None:
    crs, transform = PLACES["metres"]
    scene = make_scene(VALUES, crs=crs, transform=transform, attrs={"title": "a"})
    before = dict(scene.spatial_ref.attrs), dict(scene.attrs), dict(scene.encoding)
    with_control_points(scene, [(0, 0, 1, 2)], "EPSG:4326")
    assert (dict(scene.spatial_ref.attrs), dict(scene.attrs), dict(scene.encoding)) == before


PARTS = {
    "corner": (slice(1, 4), slice(2, 5)),
    "every second": (slice(1, None, 2), slice(0, None, 2)),
    "one row": (slice(2, 3), slice(1, 5, 2)),
    "turned over": (slice(None, None, -1), slice(None)),
}


def _ground(scene: xr.DataArray) -> np.ndarray:
    """The places of the centres of all pixels, (2, y, x)."""
    transform = scene_transform(scene)
    assert transform is not None
    columns, rows = np.meshgrid(np.arange(scene.sizes["x"]) + 0.5, np.arange(scene.sizes["y"]) + 0.5)
    return np.array(transform * (columns, rows))


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("part", PARTS)
def test_parts_keep_their_place(name: str, part: str) -> None:
    crs, transform = PLACES[name]
    scene = make_scene(VALUES, crs=crs, transform=transform)
    rows, columns = PARTS[part]
    np.testing.assert_allclose(_ground(scene.isel(y=rows, x=columns)), _ground(scene)[:, rows, columns], rtol=1e-12)


@pytest.mark.parametrize("suffix", ["tif", "img", "nc", "zarr", "h5", "mat"])
@pytest.mark.parametrize("name", ["metres", "rotated"])
def test_parts_keep_their_place_in_files(name: str, suffix: str, tmp_path: Path) -> None:
    crs, transform = PLACES[name]
    scene = make_scene(VALUES, crs=crs, transform=transform)
    save_scene(scene, tmp_path / f"whole.{suffix}")
    rows, columns = PARTS["every second"]
    with open_scene(tmp_path / f"whole.{suffix}") as whole:
        save_scene(whole.isel(y=rows, x=columns), tmp_path / f"part.{suffix}")
    expected = _ground(scene)[:, rows, columns]
    with open_scene(tmp_path / f"part.{suffix}") as saved:
        np.testing.assert_allclose(_ground(saved), expected, rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(_ground(saved.isel(x=slice(1, None))), expected[:, :, 1:], rtol=1e-9, atol=1e-6)


def test_a_transform_without_coordinates_follows_its_part(tmp_path: Path) -> None:
    values = xr.DataArray(VALUES, dims=("band", "y", "x"), name="scene", attrs={"grid_mapping": "spatial_ref"})
    values = values.assign_coords(spatial_ref=((), 0, {"GeoTransform": "500000 10 0 4000000 0 -10"}))
    values.to_dataset().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    part = open_scene(tmp_path / "a.nc").isel(y=slice(2, None), x=slice(3, None))
    assert scene_transform(part) == Affine(10, 0, 500030, 0, -10, 3999980)


@pytest.mark.parametrize("name", ["metres", "rotated"])
def test_pixels_picked_one_by_one_have_no_place(name: str) -> None:
    crs, transform = PLACES[name]
    picked = make_scene(VALUES, crs=crs, transform=transform).isel(x=[0, 1, 4])
    with pytest.warns(FinewaveWarning, match="not evenly spaced along x"):
        assert scene_transform(picked) is None


@pytest.mark.filterwarnings("ignore:Transform that is non-rectilinear")
def test_a_transform_stated_for_a_part_is_that_of_the_part() -> None:
    """As rioxarray states one for what it cuts out."""
    crs, transform = PLACES["rotated"]
    scene = make_scene(VALUES, crs=crs, transform=transform)
    part = scene.rio.isel_window(Window(2, 1, 3, 3))
    assert scene_transform(part).almost_equals(transform * Affine.translation(2, 1))
    np.testing.assert_allclose(_ground(part), _ground(scene)[:, 1:, 2:])
    np.testing.assert_allclose(_ground(cropped(part, (slice(1, 3), slice(1, 3)))), _ground(scene)[:, 2:, 3:])
    moved = scene.isel(y=slice(1, None)).rio.write_transform(transform * Affine.translation(0, 1.25))
    assert scene_transform(moved).almost_equals(transform * Affine.translation(0, 1.25))


@pytest.mark.filterwarnings("ignore:Transform that is non-rectilinear")
def test_a_rotated_part_is_reprojected_as_docs_files_says() -> None:
    crs, transform = PLACES["rotated"]
    part = make_scene(VALUES, crs=crs, transform=transform).isel(y=slice(1, None), x=slice(1, None))
    expected = make_scene(VALUES[:, 1:, 1:], crs=crs, transform=transform * Affine.translation(1, 1))
    found, on_map = (
        each.rio.write_transform(scene_transform(each)).drop_vars(["row", "column"]).rio.reproject("EPSG:4326")
        for each in (part, expected)
    )
    assert found.shape == on_map.shape
    assert scene_transform(found).almost_equals(scene_transform(on_map), precision=1e-12)
