"""Kinds of files that users have: numbers, missing pixels, wavelengths, places; each right, or with words that fit."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import tifffile
import xarray as xr
from PIL import Image
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin

from finewave.errors import InputError
from finewave.inference.matching.band_matching import match_bands
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import scene_transform
from finewave.warnings import FinewaveWarning
from finewave.zoo.distribution.bundled_weights import weight_folders
from finewave.zoo.model import load_model

STORED = np.arange(4 * 5 * 6).reshape(4, 5, 6) * 100 + 100  # 100 ... 12000
VALUES = STORED / 1e4
FIRST = [0.01, 0.31, 0.61, 0.91]
NM = [490.0, 560.0, 665.0, 842.0]
WIDTHS = [66.0, 36.0, 31.0, 106.0]
PLACE = from_origin(500000, 4400000, 10, 10)


def tif(path: Path, values: Any, *, tags: Any = None, of_bands: Any = None, names: Any = (), **profile: Any) -> Path:
    array = np.asarray(values)
    later = {key: profile.pop(key) for key in ("scales", "offsets", "units", "colorinterp") if key in profile}
    count, height, width = array.shape
    profile = {"driver": "GTiff", "crs": "EPSG:32631", "transform": PLACE, **profile}
    profile = {key: value for key, value in profile.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", count=count, height=height, width=width, dtype=array.dtype, **profile) as dataset:
            dataset.write(array)
            for key, value in later.items():
                setattr(dataset, key, value)
            dataset.update_tags(**(tags or {}))
            for index, each in enumerate(of_bands or (), start=1):
                dataset.update_tags(index, **each)
            for index, name in enumerate(names, start=1):
                dataset.set_band_description(index, name)
    return path


def envi(path: Path, values: Any, header: str) -> Path:
    array = np.asarray(values)
    kind = {"<f4": 4, "<i2": 2, "<u2": 12}[array.dtype.str]
    array.tofile(path)
    bands, lines, samples = array.shape
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {samples}\nlines = {lines}\nbands = {bands}\nheader offset = 0\nfile type = ENVI Standard\n"
        f"data type = {kind}\ninterleave = bsq\nbyte order = 0\n{header}\n",
        encoding="utf-8",
    )
    return path


def h5(path: Path, values: Any, attrs: Any = None, of_file: Any = None, **beside: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["cube"] = values
        file["cube"].attrs.update(attrs or {})
        file.attrs.update(of_file or {})
        for name, each in {"wavelength": NM, **beside}.items():
            file[name] = each
    return path


def nc(path: Path, values: Any, attrs: Any = None, of_file: Any = None, **keywords: Any) -> Path:
    array = xr.DataArray(values, dims=("band", "y", "x"), name="reflectance", attrs=attrs or {}, **keywords)
    array.to_dataset().assign_attrs(of_file or {}).to_netcdf(
        path, engine="h5netcdf", encoding={"reflectance": {} if "_FillValue" in array.attrs else {"_FillValue": None}}
    )
    return path


def floats(values: Any) -> np.ndarray:
    return np.asarray(values).astype("<f4")


def holes(values: Any, number: float, dtype: str) -> np.ndarray:
    """Two rows of four bands missing: 48 numbers."""
    array = np.array(values, dtype)
    array[:, :2] = number
    return array


def opened(path: Path, match: str | None = None, **options: Any) -> xr.DataArray:
    """Open with a warning that fits, or with none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scene = open_scene(path, **options).load()
        scene.close()
    said = " | ".join(str(each.message) for each in caught if issubclass(each.category, FinewaveWarning))
    assert (match in said) if match else not said, said
    return scene


def wavelengths(scene: xr.DataArray) -> list[float] | None:
    return scene.wavelength.values.tolist() if "wavelength" in scene.coords else None


# --- which band is which


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Band {i}: {nm:.0f}nm",
            "Band {i} - {nm:.0f} nm",
            "band-{i}-{nm:.0f}nm",
        ),
        *("2021-05-04-{nm:.0f}nm", "channel {i} to {nm:.0f} nm", "Reflectance {nm:.1f} Nanometers", "b{i}_{nm:.0f}nm"),
        *("B{i}, {um:.3f} um", "{low:.0f}-{high:.0f} nm", "{nm10:.0f} Angstroms", "{nm10:.0f} Å"),
    ],
)
def test_wavelengths_in_names(tmp_path: Path, text: str) -> None:
    names = [
        text.format(i=i, nm=nm, um=nm / 1e3, low=nm - 10, high=nm + 10, nm10=nm * 10) for i, nm in enumerate(NM, 1)
    ]
    scene = opened(tif(tmp_path / "a.tif", floats(VALUES), names=names))
    np.testing.assert_allclose(scene.wavelength.values, NM)


def test_decimal_comma_in_names(tmp_path: Path) -> None:
    scene = opened(tif(tmp_path / "a.tif", floats(VALUES), names=[f"0,{nm:.0f} µm" for nm in NM]))
    assert wavelengths(scene) == NM


@pytest.mark.parametrize("names", [[f"{1e7 / nm:.0f} cm-1" for nm in NM], [f"{nm:.0f},00 nm" for nm in NM]])
def test_names_without_wavelengths(tmp_path: Path, names: list[str]) -> None:
    assert wavelengths(opened(tif(tmp_path / "a.tif", floats(VALUES), names=names))) is None


@pytest.mark.skipif("sentinel2-10m-enmap" not in weight_folders(), reason="needs its weights")
@pytest.mark.parametrize(
    "header",
    [
        "wavelength = {490, 560, 665, 842}\nwavelength units = nm\ndefault bands = {4, 3, 2}",
        "band names = {blue, green, red, nir}\ndefault bands = {4, 3, 2}",
        "wavelength = {490, 560, 665, 842}\nwavelength units = nm\nband names = {VNIR 1, VNIR 2, VNIR 3, VNIR 4}",
    ],
)
def test_how_a_viewer_showed_bands_contradicts_nothing(tmp_path: Path, header: str) -> None:
    scene = opened(envi(tmp_path / "a.img", floats(VALUES), header))
    assert match_bands(scene, load_model("sentinel2-10m-enmap")) == [0, 1, 2, 3]


def test_colours_that_gdal_gives_any_three_bytes_contradict_no_wavelengths(tmp_path: Path) -> None:
    of_bands = [{"wavelength": str(nm), "wavelength_units": "nm"} for nm in NM[:3]]
    path = tif(tmp_path / "a.tif", np.full((3, 4, 4), 9, "u1"), of_bands=of_bands)
    assert "colour" not in opened(path, "255 represents 1.0").coords


# --- scale and offset


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"BOA_QUANTIFICATION_VALUE": "5000", "BOA_ADD_OFFSET": "-500"}, [-0.08, 0.52, 1.12, 1.72]),
        ({"scale_factor": "{1e-4, 1e-4, 1e-4, 2e-4}"}, [0.01, 0.31, 0.61, 1.82]),
    ],
)
def test_scale_in_tags(tmp_path: Path, tags: dict[str, str], expected: list[float]) -> None:
    scene = opened(tif(tmp_path / "a.tif", STORED.astype("u2"), tags=tags))
    np.testing.assert_allclose(scene.values[:, 0, 0], expected, rtol=1e-6)


def test_bands_without_scale_take_that_of_the_others(tmp_path: Path) -> None:
    path = tif(tmp_path / "a.tif", STORED.astype("u2"), scales=(1e-4, 1e-4, 1e-4, 1.0), offsets=(0.0,) * 4)
    scene = opened(path, "no scale for band 4")
    np.testing.assert_allclose(scene.values[:, 0, 0], FIRST, rtol=1e-6)
    for i in range(3):
        tif(tmp_path / f"b{i}.tif", STORED[i : i + 1].astype("u2"), scales=(1e-4 if i else 1.0,), offsets=(0.0,))
    path.unlink()
    np.testing.assert_allclose(opened(tmp_path, "no scale for band 1").values[:, 0, 0], FIRST[:3], rtol=1e-6)


def test_scale_in_tags_of_a_folder(tmp_path: Path) -> None:
    for i in range(3):
        tags = {"scale_factor": "0.0002", "add_offset": "-0.1", "_FillValue": "100"}
        tif(tmp_path / f"b{i}.tif", STORED[i : i + 1].astype("u2"), tags=tags)
    np.testing.assert_allclose(opened(tmp_path).values[:, 0, 0], [np.nan, 0.52, 1.12], rtol=1e-6)


def test_scale_that_remains_in_tags_of_floats(tmp_path: Path) -> None:
    path = tif(tmp_path / "a.tif", floats(VALUES), of_bands=[{"scale_factor": "0.0001"}] * 4)
    np.testing.assert_allclose(opened(path, "was not applied").values, VALUES, rtol=1e-6)


def test_a_factor_of_1_in_tags_of_floats_says_nothing(tmp_path: Path) -> None:
    tags = [{"scale_factor": "1.0", "add_offset": "0.0"}] * 4
    np.testing.assert_allclose(opened(tif(tmp_path / "a.tif", floats(VALUES), of_bands=tags)).values, VALUES, rtol=1e-6)


def test_floats_that_seem_to_be_scaled_already(tmp_path: Path) -> None:
    opened(envi(tmp_path / "a.img", floats(VALUES), "reflectance scale factor = 10000"), "if they are reflectance")
    opened(envi(tmp_path / "b.img", floats(STORED), "reflectance scale factor = 10000"))


PERCENT = floats(VALUES * 100)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: tif(path / "a.tif", PERCENT, units=("%",) * 4),
        lambda path: tif(path / "a.tif", PERCENT, of_bands=[{"units": "percent"}] * 4),
        lambda path: tif(path / "a.tif", STORED.astype("i2"), scales=(0.01,) * 4, offsets=(0.0,) * 4, units=("%",) * 4),
        lambda path: nc(path / "a.nc", PERCENT, {"units": "%"}),
        lambda path: h5(path / "a.h5", PERCENT, {"Unit": "Reflectance [%]"}),
        lambda path: envi(path / "a.img", PERCENT, "data units = Reflectance (%)"),
        lambda path: envi(path / "a.img", PERCENT, "data units = {Reflectance (%)}"),
    ],
)
def test_percent(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    scene = opened(make(tmp_path), "in percent: they were divided by 100")
    np.testing.assert_allclose(scene.values, VALUES, rtol=1e-5)


@pytest.mark.parametrize("unit", ["1", "dimensionless", "sr-1", "W m-2 sr-1 um-1"])
def test_other_units_change_nothing(tmp_path: Path, unit: str) -> None:
    np.testing.assert_allclose(opened(nc(tmp_path / "a.nc", floats(VALUES), {"units": unit})).values, VALUES, rtol=1e-6)


@pytest.mark.parametrize("make", [h5, nc])
@pytest.mark.parametrize(
    ("attrs", "of_file", "expected"),
    [
        ({"slope": [1e-4, 1e-4, 1e-4, 2e-4]}, {}, [0.01, 0.31, 0.61, 1.82]),
        ({"slope": 1e-4, "intercept": [0.0, 0.0, 0.0, 0.1]}, {}, [0.01, 0.31, 0.61, 1.01]),
        ({}, {"scale_factor": 2e-4}, [0.02, 0.62, 1.22, 1.82]),
        ({}, {"Reflectance Scale Factor": 5000.0}, [0.02, 0.62, 1.22, 1.82]),
    ],
)
def test_scale_per_band_and_of_the_file(
    tmp_path: Path, make: Any, attrs: dict[str, Any], of_file: dict[str, Any], expected: list[float]
) -> None:
    scene = opened(make(tmp_path / f"a.{make.__name__}", STORED.astype("u2"), attrs, of_file))
    np.testing.assert_allclose(scene.values[:, 0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("attrs", "expected", "match"),
    [
        ({"gain": 2e-4, "offset": 0.1}, [0.12, 0.72, 1.32, 1.92], None),
        ({"gain": 2.0}, FIRST, "10000 represents 1.0"),
        ({"offset": 0.0}, FIRST, "10000 represents 1.0"),
    ],
)
def test_gain_and_offset(tmp_path: Path, attrs: dict[str, float], expected: list[float], match: str | None) -> None:
    scene = opened(h5(tmp_path / "a.h5", STORED.astype("u2"), attrs), match)
    np.testing.assert_allclose(scene.values[:, 0, 0], expected, rtol=1e-6)


def test_variables_in_different_units(tmp_path: Path) -> None:
    units = ["%", "%", "K", "K"]
    arrays = {f"C0{i}": (("y", "x"), floats(VALUES[i]), {"units": units[i]}) for i in range(4)}
    xr.Dataset(arrays).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    opened(tmp_path / "a.nc", "are in different units (%, K)")


def test_names_that_rioxarray_keeps(tmp_path: Path) -> None:
    scene = opened(nc(tmp_path / "a.nc", floats(VALUES), {"long_name": ["nir", "red", "green", "blue"]}))
    assert scene.band_name.values.tolist() == ["nir", "red", "green", "blue"]


@pytest.mark.parametrize("ending", [".nc", ".tif", ".img", ".zarr"])
@pytest.mark.parametrize(
    ("attrs", "stored"),
    [
        ({"units": "%"}, PERCENT),
        ({"slope": [1e-4, 1e-4, 1e-4, 1e-5]}, np.array([1, 1, 1, 10])[:, None, None] * STORED.astype("u4")),
        ({"quantification_value": 10000}, STORED.astype("u2")),
    ],
)
def test_scales_are_applied_once(tmp_path: Path, ending: str, attrs: dict[str, Any], stored: np.ndarray) -> None:
    scene = opened(nc(tmp_path / "a.nc", stored, attrs), "percent" if "units" in attrs else None)
    save_scene(scene, tmp_path / f"b{ending}", dtype="float32")
    np.testing.assert_allclose(opened(tmp_path / f"b{ending}").values, VALUES, rtol=1e-5)


@pytest.mark.parametrize("ending", [".nc", ".h5", ".zarr", ".tif", ".img", ".mat"])
def test_attributes_that_values_in_memory_kept_are_not_applied_to_them(tmp_path: Path, ending: str) -> None:
    """As xarray keeps them when percents are divided by 100."""
    attrs = {"units": "%", "scale_factor": 0.5, "gain": 2.0, "offset": 1.0, "note": "a"}
    scene = xr.DataArray(floats(VALUES), dims=("band", "y", "x"), attrs=attrs)
    save_scene(scene, tmp_path / f"a{ending}")
    again = opened(tmp_path / f"a{ending}")
    np.testing.assert_allclose(again.values, VALUES, rtol=1e-6)
    assert again.attrs == {"note": "a"}
    assert scene.attrs == attrs


def test_scale_of_a_group_whose_name_begins_alike(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("refl").attrs["scale_factor"] = 0.5
        file["reflectance/image"] = STORED.astype("u2")
    scene = opened(tmp_path / "a.h5", "10000 represents 1.0")
    np.testing.assert_allclose(scene.values, VALUES, rtol=1e-6)


@pytest.mark.parametrize("name", ["gain", "scale_factor", "Offset"])
def test_scales_in_an_array_beside_the_image_are_said(tmp_path: Path, name: str) -> None:
    path = h5(tmp_path / "a.h5", floats(VALUES), {})
    with h5py.File(path, "a") as file:
        file[name] = np.full(len(VALUES), 2.0)
    np.testing.assert_allclose(opened(path, f"{name} stands beside the image").values, VALUES, rtol=1e-6)
    assert open_scene(path, full_scale=2.0).values == pytest.approx(VALUES / 2, rel=1e-6)  # said: nothing to warn of
    arrays = {"cube": (("band", "y", "x"), floats(VALUES)), name: ("band", np.full(len(VALUES), 2.0))}
    xr.Dataset(arrays).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_allclose(opened(tmp_path / "a.nc", f"{name} stands beside").values, VALUES, rtol=1e-6)


def test_scales_for_another_number_of_bands(tmp_path: Path) -> None:
    path = h5(tmp_path / "a.h5", STORED.astype("u2"), {"scale_factor": [1e-4, 2e-4, 3e-4]})
    with pytest.raises(InputError, match="states 3 scale factors for 4 bands"):
        open_scene(path)


def test_variables_with_a_scale_each_and_a_time_of_one(tmp_path: Path) -> None:
    arrays = {
        f"rhos_{nm:.0f}": (("time", "y", "x"), STORED[i : i + 1].astype("u2"), {"slope": 1e-4 * (i + 1)})
        for i, nm in enumerate(NM)
    }
    xr.Dataset(arrays).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    scene = opened(tmp_path / "a.nc")
    np.testing.assert_allclose(scene.values[:, 0, 0], [0.01, 0.62, 1.83, 3.64], rtol=1e-6)
    assert wavelengths(scene) == NM


def test_one_variable_with_a_time_of_one(tmp_path: Path) -> None:
    dataset = xr.Dataset({"r": (("time", "y", "x"), floats(VALUES[:1])), "angle": (("y", "x"), floats(VALUES[1]))})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_allclose(opened(tmp_path / "a.nc").values, VALUES[:1], rtol=1e-6)


def test_0_is_white(tmp_path: Path) -> None:
    grey = np.arange(30, dtype=np.uint8).reshape(5, 6)
    tifffile.imwrite(tmp_path / "a.tif", 255 - grey, photometric="miniswhite")
    np.testing.assert_allclose(opened(tmp_path / "a.tif", "turned around").values[0], grey / 255, atol=1e-6)


def test_palette(tmp_path: Path) -> None:
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).quantize(8).save(tmp_path / "a.tif")
    opened(tmp_path / "a.tif", "indices of a colour table")


# --- missing pixels


ROWS = 48


@pytest.mark.parametrize("number", [-9999, -10000, -32768, 1e20, np.finfo("f4").min, 9.96921e36])
def test_fill_values_of_floats_that_are_not_stated(tmp_path: Path, number: float) -> None:
    scene = opened(tif(tmp_path / "a.tif", holes(VALUES, number, "f4")))
    assert int(np.isnan(scene.values).sum()) == ROWS


def test_fill_values_of_integers_that_are_not_stated(tmp_path: Path) -> None:
    scene = opened(tif(tmp_path / "a.tif", holes(STORED, -9999, "i2")), "10000 represents 1.0")
    assert int(np.isnan(scene.values).sum()) == ROWS
    packed = {"scale_factor": 1e-4, "add_offset": 1.0}  # then -9999 may be a value
    scene = opened(nc(tmp_path / "a.nc", holes(STORED, -9999, "i2"), packed))
    assert float(scene.min()) == pytest.approx(1e-4)


@pytest.mark.parametrize(("dtype", "number"), [("i2", -32767), ("i4", -2147483647), ("u2", 65535)])
def test_fill_values_that_netcdf_has_by_default(tmp_path: Path, dtype: str, number: int) -> None:
    scene = opened(nc(tmp_path / "a.nc", holes(STORED, number, dtype), {"scale_factor": 1e-4}))
    assert int(np.isnan(scene.values).sum()) == ROWS
    stated = {"scale_factor": 1e-4, "_FillValue": np.dtype(dtype).type(5)}
    scene = opened(nc(tmp_path / "b.nc", holes(STORED, number, dtype), stated))
    assert not np.isnan(scene.values).any()


@pytest.mark.parametrize("ending", ["nc", "h5", "zarr", "tif"])
def test_white_is_a_value_where_the_largest_number_represents_it(tmp_path: Path, ending: str) -> None:
    white = xr.DataArray(np.linspace(0, 1, 24).reshape(2, 3, 4), dims=("band", "y", "x"))
    save_scene(white, tmp_path / f"a.{ending}", dtype="uint16", full_scale=65535)
    np.testing.assert_allclose(opened(tmp_path / f"a.{ending}").values, white.values, atol=1e-5)


def test_white_is_a_value_by_the_scale_that_is_given_or_assumed(tmp_path: Path) -> None:
    raw = nc(tmp_path / "a.nc", np.linspace(30000, 65535, 120).reshape(4, 5, 6).astype("u2"))
    assert float(opened(raw, full_scale=65535).max()) == 1
    assert float(opened(raw, "65535 represents 1.0").max()) == 1
    assert np.isnan(opened(raw, full_scale=10000).values[-1, -1, -1])


def test_valid_range_in_values(tmp_path: Path) -> None:
    attrs = {"scale_factor": 1e-4, "valid_range": np.array([0.0, 1.6])}
    scene = opened(nc(tmp_path / "a.nc", holes(STORED, 30000, "i2"), attrs))
    assert int(np.isnan(scene.values).sum()) == ROWS


@pytest.mark.parametrize(
    ("of_bands", "missing"),
    [
        ([{"_FillValue": str(100 + 3000 * i)} for i in range(4)], 4),
        ([{}, {}, {}, {"_FillValue": "9100"}], 1),
        ([{"valid_max": "65535"}, {"valid_max": "3500"}, {}, {}], 25),
    ],
)
def test_bands_with_fill_values_and_ranges_of_their_own(
    tmp_path: Path, of_bands: list[dict[str, str]], missing: int
) -> None:
    path = tif(tmp_path / "a.tif", STORED.astype("u2"), of_bands=of_bands, scales=(1e-4,) * 4, offsets=(0.0,) * 4)
    assert int(np.isnan(opened(path).values).sum()) == missing


@pytest.mark.parametrize("key", ["invalid_value", "null_value", "bad_value", "NoData"])
def test_fill_value_in_attributes(tmp_path: Path, key: str) -> None:
    scaled = {"scale_factor": 1e-4}
    of_array = opened(h5(tmp_path / "a.h5", holes(STORED, 7, "i2"), {**scaled, key: 7}))
    of_file = opened(h5(tmp_path / "b.h5", holes(STORED, 7, "i2"), scaled, {key: 7}))
    assert [int(np.isnan(each.values).sum()) for each in (of_array, of_file)] == [ROWS, ROWS]


def test_ignore_value_in_braces(tmp_path: Path) -> None:
    header = "reflectance scale factor = 10000\ndata ignore value = {7}"
    assert int(np.isnan(opened(envi(tmp_path / "a.img", holes(STORED, 7, "<i2"), header)).values).sum()) == ROWS


@pytest.mark.parametrize(
    ("dtype", "opaque", "names", "match"),
    [
        ("u2", 65535, ["blue", "green", "red", "nir", "Alpha"], None),
        ("f4", 1, ["blue", "green", "red", "nir", "alpha band"], None),
        ("u2", 255, [], "0 and 255"),
        ("f4", 255, [], "0 and 255"),
    ],
)
def test_alpha_that_is_not_declared(
    tmp_path: Path, dtype: str, opaque: float, names: list[str], match: str | None
) -> None:
    alpha = np.where(np.arange(5)[:, None] < 2, 0, opaque) * np.ones((1, 5, 6))
    stored = np.concatenate([STORED, alpha]).astype(dtype)
    colours = [ColorInterp.gray, *[ColorInterp.undefined] * 4]
    scale = {"scales": (1e-4,) * 5, "offsets": (0.0,) * 5}
    scene = opened(tif(tmp_path / "a.tif", stored, names=names, colorinterp=colours, **scale), match)
    assert scene.shape == (4, 5, 6)
    assert int(np.isnan(scene.values).sum()) == ROWS


def test_a_band_of_255_is_not_alpha(tmp_path: Path) -> None:
    stored = np.concatenate([STORED, np.full((1, 5, 6), 255)]).astype("u2")
    colours = [ColorInterp.gray, *[ColorInterp.undefined] * 4]
    assert opened(tif(tmp_path / "a.tif", stored, colorinterp=colours), "10000 represents").shape == (5, 5, 6)


BYTES = np.random.default_rng(1).integers(1, 250, (4, 40, 40)).astype("u1")


@pytest.mark.parametrize(
    "described", [{"names": ["red", "green", "blue", "nir"]}, {"of_bands": [{"wavelength": str(nm)} for nm in NM]}]
)
def test_near_infrared_that_gdal_declares_as_alpha(tmp_path: Path, described: dict[str, Any]) -> None:
    assert opened(tif(tmp_path / "a.tif", BYTES, **described), "255 represents").shape == (4, 40, 40)


def test_declared_alpha_with_many_numbers(tmp_path: Path) -> None:
    assert opened(tif(tmp_path / "a.tif", BYTES), "band 4 is declared as alpha").shape == (3, 40, 40)
    soft = BYTES.copy()
    soft[3] = np.where(np.arange(40) < 20, 0, 255)
    soft[3, 20] = 128
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert open_scene(tif(tmp_path / "b.tif", soft)).shape == (3, 40, 40)
    assert not any("declared as alpha" in str(each.message) for each in caught)


def test_fill_value_of_a_bare_zarr_array(tmp_path: Path) -> None:
    import zarr

    array = zarr.create_array(tmp_path / "a.zarr", shape=STORED.shape, dtype="u2", zarr_format=3, fill_value=65535)
    array[:] = holes(STORED, 65535, "u2")
    array.attrs["scale_factor"] = 1e-4
    assert int(np.isnan(opened(tmp_path / "a.zarr").values).sum()) == ROWS


def test_pages_have_place_scale_nodata_and_orientation(tmp_path: Path) -> None:
    geo = [
        (33550, "d", 3, (10.0, 10.0, 0.0), False),
        (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 4400000.0, 0.0), False),
        (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32631), False),
    ]
    scale = '<GDALMetadata><Item name="SCALE" sample="0" role="scale">0.0001</Item></GDALMetadata>'
    tags = [(42113, "s", 0, "65535", False), (42112, "s", 0, scale, False)]
    stored = holes(STORED, 65535, "u2")
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", extratags=geo + tags)
    scene = opened(tmp_path / "a.tif")
    assert int(np.isnan(scene.values).sum()) == ROWS
    np.testing.assert_allclose(scene.values[:, 4, 5], VALUES[:, 4, 5], rtol=1e-6)
    assert (scene.rio.crs.to_epsg(), scene_transform(scene)) == (32631, PLACE)
    tifffile.imwrite(tmp_path / "b.tif", stored, photometric="minisblack", extratags=[*tags, (274, "H", 1, 6, False)])
    turned = opened(tmp_path / "b.tif")
    np.testing.assert_array_equal(turned.values, np.rot90(scene.values, -1, (1, 2)))


# --- wavelengths, widths, flags


@pytest.mark.parametrize(
    ("unit", "numbers"),
    [
        *((unit, [nm / 1e3 for nm in NM]) for unit in ("Micrometers (um)", "1e-6 m", "10^-6 m", "microns")),
        *((unit, [nm * 10 for nm in NM]) for unit in ("A", "Ångström", "Angstroms")),
        ("Centimeters", [nm / 1e7 for nm in NM]),
        ("Millimeters", [nm / 1e6 for nm in NM]),
        ("nano meters", NM),
        ("Unknown", NM),
    ],
)
def test_units(tmp_path: Path, unit: str, numbers: list[float]) -> None:
    attrs = {"wavelength": numbers, "wavelength_units": unit}
    np.testing.assert_allclose(opened(h5(tmp_path / "a.h5", floats(VALUES), attrs)).wavelength.values, NM)


@pytest.mark.parametrize(
    "unit",
    [
        *("Wavenumber (cm-1)", "Wavenumbers", "cm^{-1}", "per cm", "m-1", "kayser", "cm⁻¹", "MHz (freq)", "Kelvin"),
        *("GHz", "s-1", "1/cm", "eV", "Index"),
    ],
)
def test_units_that_are_not_lengths(tmp_path: Path, unit: str) -> None:
    attrs = {"wavelength": [1e7 / nm for nm in NM], "wavelength_units": unit}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = floats(VALUES)
        file["cube"].attrs.update(attrs)
    assert wavelengths(opened(tmp_path / "a.h5", "which is not a length")) is None


def test_unknown_unit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = floats(VALUES)
        file["cube"].attrs.update({"wavelength": NM, "wavelength_units": "furlong"})
    assert wavelengths(opened(tmp_path / "a.h5", "the unit 'furlong' of its list")) == NM


UM_WIDTHS = [width / 1e3 for width in WIDTHS]


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (f"wavelength units = nm\nfwhm = {UM_WIDTHS}", "cannot be in the unit of the wavelengths; taken as um"),
        (f"fwhm = {UM_WIDTHS}", "taken as um"),
        (f"wavelength units = nm\nfwhm = {UM_WIDTHS}\nfwhm units = Micrometers", None),
        (f"wavelength units = nm\nfwhm = {[width * 10 for width in WIDTHS]}\nfwhm units = Angstroms", None),
        (f"wavelength units = nm\nfwhm = {WIDTHS}", None),
    ],
)
def test_widths_in_another_unit(tmp_path: Path, header: str, match: str | None) -> None:
    header = f"wavelength = {NM}\n{header}".replace("[", "{").replace("]", "}")
    scene = opened(envi(tmp_path / "a.img", floats(VALUES), header), match)
    np.testing.assert_allclose(scene.fwhm.values, WIDTHS)


@pytest.mark.parametrize("centres", [[759.9, 760.0, 760.1, 760.2], [677.0, 686.9, 760.5, 865.0]])
def test_narrow_bands_stay_narrow(tmp_path: Path, centres: list[float]) -> None:
    """Of spectrometers for fluorescence: 0.3 nm, close together or far apart."""
    path = h5(tmp_path / "a.h5", floats(VALUES), wavelength=centres, fwhm=[0.3] * 4)
    assert opened(path).fwhm.values.tolist() == [0.3] * 4


@pytest.mark.parametrize("numbers", ["-490, 560, 665, 842", "490, 560, 665, 842, 900", "490, 560, 0.665, 0.842"])
def test_lists_in_a_header_that_do_not_fit(tmp_path: Path, numbers: str) -> None:
    header = f"wavelength = {{{numbers}}}\nwavelength units = Nanometers"
    assert wavelengths(opened(envi(tmp_path / "a.img", floats(VALUES), header), "none is used")) is None


@pytest.mark.parametrize("fields", ["wavelength = {490, 560}", "wavelength = {1, 2, 3, 4}\nwavelength units = Index"])
def test_names_in_a_header_state_what_its_list_does_not(tmp_path: Path, fields: str) -> None:
    names = "band names = {490 nm, 560 nm, 665 nm, 842 nm}"
    assert wavelengths(opened(envi(tmp_path / "a.img", floats(VALUES), f"{fields}\n{names}"))) == NM


def test_lists_in_tags_of_bands(tmp_path: Path) -> None:
    units = ["nm", "nm", "um", "um"]
    mixed = [
        {"wavelength": str(nm if unit == "nm" else nm / 1e3), "wavelength_units": unit, **bad}
        for nm, unit, bad in zip(NM, units, [{}, {"bbl": "0"}, {}, {}], strict=True)
    ]
    scene = opened(tif(tmp_path / "a.tif", floats(VALUES), of_bands=mixed))
    np.testing.assert_allclose(scene.wavelength.values, NM)
    assert scene.good_band.values.tolist() == [True, False, True, True]
    path = tif(tmp_path / "b.tif", floats(VALUES), of_bands=[{}, *mixed[1:2], *mixed[1:2], *mixed[1:2]])
    assert wavelengths(opened(path, "3 wavelengths for 4 bands")) is None


def test_names_for_another_number_of_bands(tmp_path: Path) -> None:
    opened(h5(tmp_path / "a.h5", floats(VALUES), band_names=np.array([b"red", b"green"])), "2 names for 4 bands")
    opened(envi(tmp_path / "a.img", floats(VALUES), "band names = {red, green}"), "2 band names for 4 bands")


def test_flags_that_are_true_and_false(tmp_path: Path) -> None:
    scene = opened(h5(tmp_path / "a.h5", floats(VALUES), good_bands=np.array([True, True, False, True])))
    assert scene.good_band.values.tolist() == [True, True, False, True]


def test_band_axis_that_nothing_tells(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((8, 12, 31), np.float32))
    assert opened(tmp_path / "a.npy", "which axis of (8, 12, 31) is the band").shape == (8, 12, 31)
    assert opened(tmp_path / "a.npy", band_axis=2).shape == (31, 8, 12)
    np.save(tmp_path / "b.npy", np.zeros((482, 512, 31), np.float32))
    assert opened(tmp_path / "b.npy").shape == (31, 482, 512)


# --- place


def test_mirrored_transform_in_a_header(tmp_path: Path) -> None:
    mirrored = Affine(-10, 0, 5e5, 0, -10, 44e5)
    save_scene(open_scene(tif(tmp_path / "a.tif", floats(VALUES), transform=mirrored)), tmp_path / "b.img")
    assert scene_transform(open_scene(tmp_path / "b.img")) == mirrored


LAMBERT = {"grid_mapping_name": "lambert_azimuthal_equal_area", "latitude_of_projection_origin": 52.0}
SATELLITE = {
    **{"grid_mapping_name": "geostationary", "perspective_point_height": 35786023.0, "sweep_angle_axis": "x"},
    **{"semi_major_axis": 6378137.0, "semi_minor_axis": 6356752.31414, "latitude_of_projection_origin": 0.0},
}


@pytest.mark.parametrize(
    ("mapping", "unit", "factor"),
    [(LAMBERT, "km", 1e3), (LAMBERT, "m", 1.0), (SATELLITE, "rad", 35786023.0), (SATELLITE, "m", 1.0)],
)
def test_units_of_coordinates(tmp_path: Path, mapping: dict[str, Any], unit: str, factor: float) -> None:
    x, y = (500005.0 + 10 * np.arange(6)) / factor, (4399995.0 - 10 * np.arange(5)) / factor
    coordinates = {"x": ("x", x, {"units": unit}), "y": ("y", y, {"units": unit})}
    dataset = xr.DataArray(floats(VALUES), coordinates, ("band", "y", "x"), "r").to_dataset()
    dataset["crs"] = ((), 0, {"longitude_of_projection_origin": 10.0, **mapping})
    dataset["r"].attrs["grid_mapping"] = "crs"
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_allclose(tuple(scene_transform(opened(tmp_path / "a.nc")) or ())[:6], PLACE[:6], rtol=1e-6)


def test_kilometres_of_a_map_in_kilometres(tmp_path: Path) -> None:
    coordinates = {name: (name, np.arange(n) * 10.0, {"units": "km"}) for name, n in (("x", 6), ("y", 5))}
    dataset = xr.DataArray(floats(VALUES), coordinates, ("band", "y", "x"), "r").to_dataset()
    wkt = CRS.from_string("+proj=laea +lat_0=52 +lon_0=10 +datum=WGS84 +units=km").to_wkt()
    dataset["crs"] = ((), 0, {"crs_wkt": wkt})
    dataset["r"].attrs["grid_mapping"] = "crs"
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert tuple(scene_transform(opened(tmp_path / "a.nc")) or ())[:6] == (10, 0, -5, 0, 10, -5)


def test_crs_that_is_none(tmp_path: Path) -> None:
    dataset = xr.DataArray(
        floats(VALUES), {"x": np.arange(6.0), "y": np.arange(5.0)}, ("band", "y", "x"), "r"
    ).to_dataset()
    dataset["crs"] = ((), 0, {"crs_wkt": "PROJCS[garbage"})
    dataset["r"].attrs["grid_mapping"] = "crs"
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert opened(tmp_path / "a.nc", "its CRS is not understood").rio.crs is None


def test_kilometres_without_a_map(tmp_path: Path) -> None:
    x, y = ({"units": "km"} for _ in range(2))
    coordinates = {"x": ("x", np.arange(6.0), x), "y": ("y", np.arange(5.0), y)}
    scene = opened(nc(tmp_path / "a.nc", floats(VALUES), coords=coordinates), "which does not fit its CRS")
    assert scene_transform(scene) is None


# --- photographs


def png_with(path: Path, pixels: np.ndarray, chunks: dict[bytes, bytes]) -> Path:
    buffer = io.BytesIO()
    if pixels.dtype == np.uint16:
        with rasterio.MemoryFile() as memory:
            with memory.open(
                driver="PNG", count=3, height=pixels.shape[0], width=pixels.shape[1], dtype="uint16"
            ) as dataset:
                dataset.write(np.moveaxis(pixels, -1, 0))
            buffer.write(bytes(memory.getbuffer()))
    else:
        Image.fromarray(pixels).save(buffer, "PNG")
    content, added = buffer.getvalue(), b""
    for name, data in chunks.items():
        added += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(content[:33] + added + content[33:])
    return path


SRGB_POINTS = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
ADOBE_POINTS = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)


@pytest.mark.parametrize(
    ("chunks", "match"),
    [
        ({b"gAMA": struct.pack(">I", 100000)}, "a gamma of 1 "),
        ({b"gAMA": struct.pack(">I", 45455), b"cHRM": ADOBE_POINTS}, "other primaries than sRGB"),
        ({b"cICP": bytes([12, 13, 0, 1])}, "colour space 12/13"),
        ({b"cICP": bytes([1, 13, 0, 1])}, None),
        ({b"gAMA": struct.pack(">I", 45455), b"cHRM": SRGB_POINTS}, None),
        ({b"sRGB": b"\0", b"gAMA": struct.pack(">I", 100000)}, None),
    ],
)
def test_colours_of_a_png(tmp_path: Path, chunks: dict[bytes, bytes], match: str | None) -> None:
    opened(png_with(tmp_path / "a.png", np.full((4, 4, 3), 90, np.uint8), chunks), match)


def test_colours_of_an_avif(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(tmp_path / "a.avif")
    opened(tmp_path / "a.avif")
    content = (tmp_path / "a.avif").read_bytes()
    at = content.index(b"colrnclx") + 8
    (tmp_path / "b.avif").write_bytes(content[:at] + struct.pack(">HH", 12, 13) + content[at + 4 :])
    opened(tmp_path / "b.avif", "colour space 12/13")


def test_orientation_of_a_png_of_16_bits(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    pixels = np.arange(4 * 6 * 3, dtype=np.uint16).reshape(4, 6, 3) * 900
    scene = opened(png_with(tmp_path / "a.png", pixels, {b"eXIf": exif.tobytes()[6:]}), linearise=False)
    expected = np.rot90(np.moveaxis(pixels, -1, 0), -1, (1, 2)) / 65535
    np.testing.assert_allclose(scene.values, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_transparent_grey_of_16_bits_under_any_name(tmp_path: Path, name: str) -> None:
    grey = np.full((5, 6), 30000, np.uint16)
    grey[0, 0] = 7
    Image.fromarray(grey).save(tmp_path / "b.png")
    content, transparent = (tmp_path / "b.png").read_bytes(), struct.pack(">H", 7)
    chunk = struct.pack(">I", 2) + b"tRNS" + transparent + struct.pack(">I", zlib.crc32(b"tRNS" + transparent))
    (tmp_path / name).write_bytes(content[:33] + chunk + content[33:])
    scene = opened(tmp_path / name, linearise=False)
    assert np.isnan(scene.values[0, 0, 0])
    assert float(scene.values[0, 1, 1]) == pytest.approx(30000 / 65535, abs=1e-6)


def test_transparent_colour_of_16_bits(tmp_path: Path) -> None:
    pixels = np.full((3, 4, 5), 30000, np.uint16)
    pixels[:, 0, 0], pixels[:, 1, 1] = (7, 8, 9), 7
    with rasterio.open(tmp_path / "b.png", "w", driver="PNG", count=3, height=4, width=5, dtype="uint16") as file:
        file.write(pixels)
    content = (tmp_path / "b.png").read_bytes()
    head = b"tRNS" + struct.pack(">HHH", 7, 8, 9)
    chunk = struct.pack(">I", 6) + head + struct.pack(">I", zlib.crc32(head))
    (tmp_path / "a.png").write_bytes(content[:33] + chunk + content[33:])
    assert np.argwhere(np.isnan(opened(tmp_path / "a.png").values[0])).tolist() == [[0, 0]]


def test_orientation_of_tiffs_in_a_folder(tmp_path: Path) -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for i in range(3):
        tags = [(274, "H", 1, 6, True)]
        tifffile.imwrite(tmp_path / f"b{i}.tif", grey + i, photometric="minisblack", extratags=tags)
    scene = opened(tmp_path, "255 represents 1.0")
    np.testing.assert_allclose(scene.values[0], np.rot90(grey, -1) / 255, atol=1e-6)


def test_world_file_of_a_photograph(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jgw").write_text("10\n0\n0\n-10\n500005\n4399995\n", encoding="ascii")
    opened(tmp_path / "a.jpg", "the georeference in a.jgw is not read")


def test_tiff_in_other_colours(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).convert("CMYK").save(tmp_path / "a.tif")
    opened(tmp_path / "a.tif", "colours in CMYK")
