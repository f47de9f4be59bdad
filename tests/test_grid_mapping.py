"""CRS, transform and control points in a scene, as rioxarray reads and writes them."""

from __future__ import annotations

import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from finewave.control_points import control_points, with_control_points
from finewave.scene import make_scene, scene_crs, scene_transform

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
