"""NetCDF, checked against xarray, h5py and the layouts that other programs write."""

from __future__ import annotations

from pathlib import Path

import h5netcdf
import h5py
import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr

from finewave.control_points import control_points
from finewave.errors import InputError
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene, scene_crs
from finewave.warnings import FinewaveWarning
from tests.io.scene_helpers import WAVELENGTHS, full_scene

VALUES = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)


def test_xarray_and_rioxarray_find_everything(tmp_path: Path) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / "a.nc", dtype="int16", full_scale=1000)
    with xr.open_dataset(tmp_path / "a.nc", decode_coords="all") as dataset:
        image = dataset["scene"]
        np.testing.assert_allclose(image.values, scene.values, atol=0.0005001)
        np.testing.assert_array_equal(dataset["wavelength"], WAVELENGTHS)
        assert dataset["wavelength"].attrs["units"] == "nm"
        assert list(dataset["band_name"].values) == ["blue", "green", "red edge", "swir 1"]
        assert image.rio.crs.to_epsg() == 32631
        assert image.rio.transform().c == 500_000
        assert image.encoding["grid_mapping"] == "spatial_ref"
        assert image.encoding["dtype"] == np.int16
        assert image.attrs["sensor"] == "tester"


def test_stored_numbers(tmp_path: Path) -> None:
    save_scene(full_scene(), tmp_path / "a.nc", dtype="int16", full_scale=1000, nodata=-1)
    with h5py.File(tmp_path / "a.nc") as file:
        assert file["scene"].dtype == np.int16
        assert file["scene"][0, 2, 3] == -1
        assert file["scene"][0, 0, 2] == round(2000 / 256)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize(
    ("dims", "shape"),
    [
        (("band", "y", "x"), (2, 3, 4)),
        (("lat", "lon", "wavelength"), (3, 4, 2)),
        (("row", "spectral", "col"), (3, 2, 4)),
        (("bands", "samples", "lines"), (2, 4, 3)),
        (("northing", "easting", "time"), (3, 4, 2)),
    ],
)
def test_dims_by_name(tmp_path: Path, engine: str, dims: tuple, shape: tuple) -> None:
    order = [0 if n == 2 else 1 if n == 3 else 2 for n in shape]
    dataset = xr.Dataset({"r": (dims, VALUES.transpose(order))})
    dataset.to_netcdf(tmp_path / "a.nc", engine=engine)
    np.testing.assert_array_equal(open_scene(tmp_path / "a.nc").values, VALUES)


@pytest.mark.parametrize(
    ("name", "units", "numbers"),
    [
        ("wavelength", "um", [0.5, 0.75]),
        ("wavelength", "nm", [500, 750]),
        ("wl", "", [500, 750]),
        ("band", "nm", [500, 750]),
    ],
)
def test_wavelengths(tmp_path: Path, name: str, units: str, numbers: list) -> None:
    dataset = xr.Dataset({"r": (("band", "y", "x"), VALUES)}, {name: ("band", numbers, {"units": units})})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_array_equal(open_scene(tmp_path / "a.nc").coords["wavelength"], [500, 750])


def test_dimension_that_is_the_wavelength(tmp_path: Path) -> None:
    dataset = xr.Dataset({"r": (("wavelength", "y", "x"), VALUES)}, {"wavelength": [0.5, 0.75]})
    dataset["fwhm"] = ("wavelength", [0.01, 0.02], {"units": "um"})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    scene = open_scene(tmp_path / "a.nc")
    np.testing.assert_array_equal(scene.coords["wavelength"], [500, 750])
    np.testing.assert_array_equal(scene.coords["fwhm"], [10, 20])


def test_degrees_are_wgs84(tmp_path: Path) -> None:
    coords = {
        "lat": ("lat", [50.0, 49.0, 48.0], {"units": "degrees_north"}),
        "lon": ("lon", [1.0, 2.0, 3.0, 4.0], {"units": "degrees_east"}),
    }
    xr.Dataset({"r": (("band", "lat", "lon"), VALUES)}, coords).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    scene = open_scene(tmp_path / "a.nc")
    assert scene_crs(scene).to_epsg() == 4326
    assert scene.rio.transform().c == 0.5
    assert scene.rio.transform().f == 50.5


def test_one_of_several_variables(tmp_path: Path) -> None:
    dataset = xr.Dataset({n: (("band", "y", "x"), VALUES * k) for n, k in (("radiance", 2), ("reflectance", 1))})
    dataset["mask"] = (("y", "x"), np.ones((3, 4), np.float32))
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(InputError, match=r"several 3-D arrays.*variable= \(--variable\): radiance .*reflectance"):
        open_scene(tmp_path / "a.nc")
    np.testing.assert_array_equal(open_scene(tmp_path / "a.nc", variable="reflectance").values, VALUES)
    assert open_scene(tmp_path / "a.nc", variable="mask").shape == (1, 3, 4)
    with pytest.raises(InputError, match=r"unknown variable .*'reflectanc'; did you mean 'reflectance'"):
        open_scene(tmp_path / "a.nc", variable="reflectanc")


def test_only_one_axis(tmp_path: Path) -> None:
    xr.Dataset({"r": ("band", np.ones(5, np.float32))}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(InputError, match=r"holds no 3-D array .*: r \(5,\)"):
        open_scene(tmp_path / "a.nc")
    with pytest.raises(InputError, match="a scene needs three axes"):
        open_scene(tmp_path / "a.nc", variable="r")


def test_integers_with_only_a_fill_value(tmp_path: Path) -> None:
    numbers = np.full((2, 3, 4), 5000, np.int16)
    numbers[0, 0, 0] = -1
    dataset = xr.Dataset({"r": (("band", "y", "x"), numbers, {"_FillValue": np.int16(-1)})})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.warns(FinewaveWarning, match="assumed that 10000"):
        scene = open_scene(tmp_path / "a.nc")
    assert np.isnan(scene.values[0, 0, 0])
    assert scene.values[1, 1, 1] == np.float32(0.5)
    assert scene.dtype == np.float32
    assert scene.encoding["_FillValue"] == -1


def test_stated_scale_over_scale_and_offset_of_the_file(tmp_path: Path) -> None:
    numbers = np.full((2, 3, 4), 5000, np.int16)
    attrs = {"scale_factor": 0.001, "add_offset": 2.0}
    xr.Dataset({"r": (("band", "y", "x"), numbers, attrs)}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_allclose(open_scene(tmp_path / "a.nc").values, 7)
    with pytest.warns(FinewaveWarning, match=r"offset of 2; with full_scale=10000 the offset is 0\.2"):
        scene = open_scene(tmp_path / "a.nc", full_scale=10000)
    np.testing.assert_allclose(scene.values, (5000 + 2000) / 10000)  # the offset is 2000 stored numbers
    with pytest.warns(FinewaveWarning, match="not applied, because full_scale=1 keeps the stored numbers"):
        scene = open_scene(tmp_path / "a.nc", full_scale=1)
    np.testing.assert_allclose(scene.values, 5000)


def test_valid_range_special_numbers_and_other_spellings(tmp_path: Path) -> None:
    numbers = np.array([-1, 0, 5000, 10000, 10001, 32000], np.int16).reshape(1, 2, 3)
    attrs = {"valid_range": np.array([0, 10000], np.int16), "scale_factor": 1e-4, "add_offset": -0.1}
    xr.Dataset({"r": (("band", "y", "x"), numbers, attrs)}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    expected = [np.nan, -0.1, 0.4, 0.9, np.nan, np.nan]
    np.testing.assert_allclose(open_scene(tmp_path / "a.nc").values.ravel(), expected, atol=1e-6)
    attrs = {"Scale_Factor": 10000.0, "Data_Ignore_Value": np.int16(-1), "saturated_value": np.int16(32000)}
    xr.Dataset({"r": (("band", "y", "x"), numbers, attrs)}).to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    expected = [np.nan, 0, 0.5, 1, 1.0001, np.nan]
    np.testing.assert_allclose(open_scene(tmp_path / "b.nc").values.ravel(), expected, atol=1e-6)


def test_floats_that_were_never_written_are_missing(tmp_path: Path) -> None:
    with h5netcdf.File(tmp_path / "a.nc", "w") as file:
        file.dimensions = {"band": 1, "y": 1, "x": 2}
        file.create_variable("r", ("band", "y", "x"), "f4", data=np.float32([[[0.5, 9.969209968386869e36]]]))
    np.testing.assert_array_equal(open_scene(tmp_path / "a.nc").values.ravel(), [0.5, np.nan])


def test_band_axis_override(tmp_path: Path) -> None:
    xr.Dataset({"r": (("a", "b", "c"), VALUES)}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert open_scene(tmp_path / "a.nc", band_axis=2).shape == (4, 2, 3)
    assert open_scene(tmp_path / "a.nc", wavelengths=[1, 2, 3]).shape == (3, 2, 4)


def test_attributes_that_netcdf_cannot_hold(tmp_path: Path) -> None:
    attrs = {"nothing": None, "yes": True, "nested": {"a": [1, "b"]}, "number": 2.5, "text": "true"}
    save_scene(make_scene(VALUES, attrs=attrs), tmp_path / "a.nc")
    assert open_scene(tmp_path / "a.nc").attrs == attrs


def test_longitude_and_latitude_of_every_pixel_become_control_points(tmp_path: Path) -> None:
    y, x = np.mgrid[0:3, 0:4]
    place = {"lat": (("row", "col"), 50 - 0.1 * y), "lon": (("row", "col"), 10 + 0.1 * x)}
    xr.Dataset({"r": (("band", "row", "col"), VALUES)}, place).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    scene = open_scene(tmp_path / "a.nc")
    points = {(p.row, p.col): (round(p.x, 9), round(p.y, 9)) for p in control_points(scene)}
    assert len(points) == 12
    assert points[2.5, 3.5] == (10.3, 49.8)
    assert scene_crs(scene).to_epsg() == 4326
