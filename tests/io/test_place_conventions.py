"""Where results lie, said for other programs: the Zarr conventions ``spatial:`` and ``proj:``, and STAC items."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr

import finewave as fw
from finewave.inference.predict import predict_file
from finewave.io.stac_item import stac_item
from finewave.scene import make_scene
from tests.cli.command_line import run

TRANSFORM = (10.0, 0.0, 5e5, 0.0, -10.0, 5e6)


def scene(crs: str = "EPSG:32632", **more: object) -> xr.DataArray:
    values = np.random.default_rng(2).random((3, 12, 8), dtype=np.float32)
    return make_scene(values, [490, 560, 665], fwhm=[60, 40, 30], crs=crs, transform=TRANSFORM, **more)


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_says_its_place_in_both_conventions(version: int, tmp_path: Path) -> None:
    fw.save_scene(scene(), tmp_path / "a.zarr", zarr_format=version)
    attrs = dict(zarr.open(tmp_path / "a.zarr")["scene"].attrs)
    assert attrs["spatial:transform"] == list(TRANSFORM)
    assert attrs["spatial:bbox"] == [5e5, 5e6 - 120, 5e5 + 80, 5e6]
    assert attrs["spatial:shape"] == [12, 8]
    assert attrs["proj:code"] == "EPSG:32632"
    assert [each["name"] for each in attrs["zarr_conventions"]] == ["spatial:", "proj:"]
    again = fw.open_scene(tmp_path / "a.zarr")
    assert again.rio.transform() == rasterio.Affine(*TRANSFORM)
    assert not [name for name in again.attrs if ":" in name or name == "zarr_conventions"]


@pytest.mark.parametrize("registration", ["pixel", "node"])
@pytest.mark.parametrize("crs", ["code", "wkt2"])
def test_a_store_with_these_alone_has_its_place(registration: str, crs: str, tmp_path: Path) -> None:
    told = {"proj:code": "EPSG:32632"} if crs == "code" else {"proj:wkt2": rasterio.CRS.from_epsg(32632).to_wkt()}
    corner = list(TRANSFORM) if registration == "pixel" else [10.0, 0, 5e5 + 5, 0, -10.0, 5e6 - 5]
    place = {"spatial:dimensions": ["y", "x"], "spatial:transform": corner, "spatial:registration": registration}
    image = xr.DataArray(np.zeros((3, 12, 8), np.float32), dims=("band", "y", "x"))
    dataset = image.to_dataset(name="reflectance").assign_attrs(place | told)
    dataset.to_zarr(tmp_path / "a.zarr", zarr_format=2)
    found = fw.open_scene(tmp_path / "a.zarr")
    assert found.rio.transform() == rasterio.Affine(*TRANSFORM)
    assert found.rio.crs.to_epsg() == 32632


def test_without_a_place_none_is_said(tmp_path: Path) -> None:
    fw.save_scene(make_scene(np.zeros((2, 4, 4), np.float32)), tmp_path / "a.zarr")
    assert not [name for name in zarr.open(tmp_path / "a.zarr")["scene"].attrs if ":" in name]


def test_an_item_beside_a_result(tmp_path: Path) -> None:
    pystac = pytest.importorskip("pystac")
    fw.save_scene(scene(attrs={"datetime": "2024-05-01T10:20:30Z"}), tmp_path / "in.tif")
    asked = ("--model", "bicubic", "--scale", "2", "--dtype", "uint16", "--stac")
    result = run("predict", tmp_path / "in.tif", "-o", tmp_path / "out.tif", *asked)
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "out.stac.json").read_text())
    item = pystac.Item.from_dict(told)
    assert item.datetime.isoformat() == "2024-05-01T10:20:30+00:00"
    assert item.properties["proj:code"] == "EPSG:32632"
    assert item.properties["proj:shape"] == [24, 16]
    assert item.properties["gsd"] == 5
    west, south, east, north = item.bbox
    assert 8.99 < west < east < 9.01
    assert 45.1 < south < north < 45.2
    (asset,) = item.assets.values()
    assert (asset.href, asset.roles) == ("./out.tif", ["data"])
    assert [band["eo:center_wavelength"] for band in told["assets"]["image"]["bands"]] == [0.49, 0.56, 0.665]
    # the item leads back to the scene
    far, near = fw.open_scene(tmp_path / "out.stac.json"), fw.open_scene(tmp_path / "out.tif")
    np.testing.assert_array_equal(far.values, near.values)
    np.testing.assert_allclose(far.wavelength, near.wavelength)
    assert far.rio.transform() == near.rio.transform()


@pytest.mark.parametrize(("nodata", "told"), [(np.nan, "nan"), (-np.inf, "-inf"), (0, 0.0)])
def test_an_item_has_the_time_of_a_tiff_and_any_nodata(nodata: float, told: object) -> None:
    image = scene(attrs={"TIFFTAG_DATETIME": "2024:05:01 10:20:30"})
    image.encoding["_FillValue"] = nodata
    item = stac_item(image, Path("a.tif"))
    assert item["properties"]["datetime"] == "2024-05-01T10:20:30Z"
    assert item["assets"]["image"]["nodata"] == told
    json.dumps(item, allow_nan=False)


@pytest.mark.parametrize("name", ["out.nc", "out.zarr", "out.tif"])
def test_an_item_of_what_says_neither_place_nor_time(name: str, tmp_path: Path) -> None:
    fw.save_scene(make_scene(np.full((3, 6, 6), 0.5, np.float32)), tmp_path / "in.tif")
    with pytest.warns(fw.FinewaveWarning, match="when the scene was taken"):
        predict_file(tmp_path / "in.tif", tmp_path / name, "bicubic", scale=2, stac=True, tile=4)
    told = json.loads((tmp_path / "out.stac.json").read_text())
    assert told["geometry"] is None
    assert "bbox" not in told
    assert told["properties"]["datetime"] == told["properties"]["created"]
    if name == "out.tif":
        assert "datetime" not in fw.open_scene(tmp_path / "out.stac.json").attrs


def store_with(place: dict[str, object], path: Path) -> Path:
    group = zarr.create_group(path, zarr_format=3)
    values = np.ones((3, 12, 8), np.float32)
    array = group.create_array("v", data=values, dimension_names=["band", "y", "x"])
    array.attrs.update(place)
    return path


def test_bounds_and_size_are_a_place_too(tmp_path: Path) -> None:
    place = {"spatial:bbox": [5e5, 5e6 - 120, 5e5 + 80, 5e6], "spatial:shape": [12, 8], "proj:code": "EPSG:32632"}
    found = fw.open_scene(store_with(place, tmp_path / "a.zarr"))
    assert found.rio.transform() == rasterio.Affine(*TRANSFORM)
    assert found.rio.crs.to_epsg() == 32632


@pytest.mark.parametrize(
    "numbers", [["a"] * 6, [0.0] * 6, [1.0] * 5, [[1.0]] * 6, "1,0,0,0,1,0", [float("nan")] * 6, [1, 2, 0, 2, 4, 0]]
)
def test_a_transform_that_is_none_is_said_and_the_values_are_read(numbers: object, tmp_path: Path) -> None:
    path = store_with({"spatial:transform": numbers, "proj:code": "EPSG:32632"}, tmp_path / "a.zarr")
    with pytest.warns(fw.FinewaveWarning, match="spatial:transform or spatial:bbox cannot be used"):
        found = fw.open_scene(path)
    assert float(found.min()) == 1
    assert "x" not in found.coords


@pytest.mark.parametrize("crs", [{"proj:code": "EPSG:999999"}, {"proj:wkt2": "GEOG"}, {"proj:projjson": {"a": 1}}])
def test_a_crs_that_is_none_is_said(crs: dict[str, object], tmp_path: Path) -> None:
    path = store_with({"spatial:transform": list(TRANSFORM), **crs}, tmp_path / "a.zarr")
    with pytest.warns(fw.FinewaveWarning, match="is not a known CRS, none is used"):
        found = fw.open_scene(path)
    assert found.rio.transform() == rasterio.Affine(*TRANSFORM)
    assert found.rio.crs is None
