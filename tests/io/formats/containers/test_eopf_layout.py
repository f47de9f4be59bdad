"""EOPF written: what our reader and xarray find in it again, of any sensor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine

import finewave as fw
from finewave.errors import InputError
from finewave.scene import make_scene, scene_crs, scene_transform
from tests.cli.command_line import run

PLACE = {"crs": "EPSG:32632", "transform": Affine(2.5, 0, 6e5 + 0.1, 0, -2.5, 5e6)}


def scene(bands: int = 4, **metadata: object) -> xr.DataArray:
    values = np.random.default_rng(bands).random((bands, 9, 7), dtype=np.float32)
    values[:, 0, 0] = np.nan
    attrs = {"datetime": "2024-05-01T10:20:30Z", "quantity": "surface reflectance", "model": "x", "note": [1, "a"]}
    keywords = {"wavelengths": 400.1 + 10 * np.arange(bands), "fwhm": [8.5] * bands, "attrs": attrs, **PLACE}
    return make_scene(values, **{**keywords, **metadata})


def assert_same(again: xr.DataArray, first: xr.DataArray, step: float = 0.0) -> None:
    np.testing.assert_allclose(again.values, first.values, atol=step / 2 + 1e-7)
    for name in ("wavelength", "fwhm", "good_band", "band_name"):
        assert (name in again.coords) == (name in first.coords), name
        if name in first.coords:
            assert again[name].values.tolist() == first[name].values.tolist()
    assert scene_crs(again) == scene_crs(first)
    assert scene_transform(again) == scene_transform(first)
    assert again.attrs == first.attrs


@pytest.mark.parametrize("version", [2, 3])
def test_round_trip_of_any_sensor(version: int, tmp_path: Path) -> None:
    first = scene(12, good_bands=[True, False] * 6, band_names=[f"band {i}" for i in range(12)])
    fw.save_scene(first, tmp_path / "a.zarr", layout="eopf", zarr_format=version)
    assert fw.info(tmp_path / "a.zarr", models=False)["format"] == "Zarr store of EOPF"
    assert_same(fw.open_scene(tmp_path / "a.zarr"), first)
    part = fw.open_scene(tmp_path / "a.zarr")[3:5, 2:4, 1:3].values
    np.testing.assert_array_equal(part, first.values[3:5, 2:4, 1:3])


def test_scaled_integers_stay_so(tmp_path: Path) -> None:
    first = scene()
    fw.save_scene(first, tmp_path / "a.zarr", layout="eopf", dtype="uint16", nodata=0)
    again = fw.open_scene(tmp_path / "a.zarr")
    assert_same(again, first, 1e-4)
    assert again.encoding["dtype"] == "uint16"
    assert (again.encoding["scale_factor"], again.encoding["_FillValue"]) == (1e-4, 0)


@pytest.mark.parametrize(
    ("quantity", "unit"), [("reflectance", "1"), ("radiance in W/(m2 sr um)", "W/(m2 sr um)"), ("radiance", None)]
)
def test_units(quantity: str, unit: str | None, tmp_path: Path) -> None:
    first = scene(attrs={"datetime": "2024-05-01T10:20:30Z", "quantity": quantity})
    fw.save_scene(first, tmp_path / "a.zarr", layout="eopf")
    with xr.open_dataset(tmp_path / "a.zarr", group="measurements/reflectance/r2.5m", engine="zarr") as dataset:
        assert dataset["b001"].attrs.get("units") == unit


def test_names_of_sentinel_2_and_what_xarray_finds(tmp_path: Path) -> None:
    names = ["B2", "B8", "B8A", "B12"]
    first = scene(wavelengths=None, fwhm=None, band_names=names, attrs={"sensor": "sentinel2b", "product": "p"})
    with pytest.warns(fw.FinewaveWarning, match="nothing says when the scene was taken"):
        fw.save_scene(first, tmp_path / "a.zarr", layout="eopf")
    again = fw.open_scene(tmp_path / "a.zarr")
    assert again.band_name.values.tolist() == names
    assert again.attrs == first.attrs
    group = "measurements/reflectance/r2.5m"
    with xr.open_dataset(tmp_path / "a.zarr", group=group, engine="zarr", consolidated=True) as dataset:
        assert sorted(dataset.data_vars) == ["b02", "b08", "b12", "b8a"]
        assert dataset["b02"].dims == ("y", "x")
        np.testing.assert_array_equal(dataset["b8a"].values, first.values[2])
        assert dataset["b02"].attrs["proj:epsg"] == 32632
        np.testing.assert_allclose(dataset["x"].values[:2], [6e5 + 1.35, 6e5 + 3.85])


@pytest.mark.parametrize("place", ["rotated", "degrees", "none", "a CRS without a number"])
def test_other_places(place: str, tmp_path: Path) -> None:
    keywords = {
        "rotated": {"transform": Affine(2, 1, 6e5, 1, -2, 5e6)},
        "degrees": {"crs": "EPSG:4326", "transform": Affine(0.001, 0, 8, 0, -0.001, 45)},
        "none": {"crs": None, "transform": None},
        "a CRS without a number": {"crs": "+proj=laea +lat_0=1.25 +lon_0=9 +datum=WGS84 +units=m"},
    }[place]
    first = scene(**keywords)
    fw.save_scene(first, tmp_path / "a.zarr", layout="eopf")
    assert_same(fw.open_scene(tmp_path / "a.zarr"), first)


def test_control_points_are_left_out_with_a_word(tmp_path: Path) -> None:
    points = [(0, 0, 8.0, 45.0), (0, 7, 8.1, 45.0), (9, 0, 8.0, 44.9), (9, 7, 8.1, 44.9)]
    swath = scene(crs="EPSG:4326", transform=None, control_points=points)
    with pytest.warns(fw.FinewaveWarning, match="no place for ground control points"):
        fw.save_scene(swath, tmp_path / "a.zarr", layout="eopf")
    np.testing.assert_array_equal(fw.open_scene(tmp_path / "a.zarr").values, swath.values)


def test_lazy_scenes_are_written_block_by_block(tmp_path: Path) -> None:
    first = scene(5)
    fw.save_scene(first.chunk({"band": -1, "y": 4, "x": 4}), tmp_path / "a.zarr", layout="eopf")
    assert_same(fw.open_scene(tmp_path / "a.zarr"), first)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown layout 'esa'; 'cf' and 'eopf'"):
        fw.save_scene(scene(), tmp_path / "a.zarr", layout="esa")
    with pytest.raises(InputError, match="one array a band; leave out interleave="):
        fw.save_scene(scene(), tmp_path / "a.zarr", layout="eopf", interleave="pixel")
    with pytest.raises(InputError, match="layout"):
        fw.save_scene(scene(), tmp_path / "a.tif", layout="eopf")
    assert not list(tmp_path.iterdir())


def test_beside_a_result(tmp_path: Path) -> None:
    fw.save_scene(scene(3), tmp_path / "in.tif")
    output = tmp_path / "out.zarr"
    asked = ("--model", "bicubic", "--scale", "2", "--eopf", "--stac", "--tile", "16")
    result = run("predict", tmp_path / "in.tif", "-o", output, *asked)
    assert result.exit_code == 0, result.output
    with fw.open_scene(output) as cf, fw.open_scene(tmp_path / "out.eopf.zarr") as eopf:
        assert_same(eopf, cf)
        assert eopf.attrs["datetime"] == "2024-05-01T10:20:30Z"
    assert json.loads((tmp_path / "out.stac.json").read_text())["properties"]["datetime"] == "2024-05-01T10:20:30Z"
    assert (tmp_path / "out.eopf.zarr" / "measurements/reflectance/r1.25m/b003").is_dir()
