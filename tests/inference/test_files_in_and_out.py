"""From files as other programs write them to files as other programs read them, through `predict_file`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
import spectral
import torch
import xarray as xr

from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.inference.super_resolve import super_resolve
from finewave.io.open_save import load_scene, open_scene, save_scene
from finewave.scene import scene_crs, scene_transform
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import describe
from finewave.zoo.invalid_pixels import fill_invalid
from finewave.zoo.model import Model, load_model
from tests.inference.tiny_models import PLACE, WAVELENGTHS, save_model, scene_of, write_scene
from tests.io.products.test_sentinel2 import SIZES, product, safe_in

HALF = (5.0, 0.0, 5e5, 0.0, -5.0, 4e6)
OUTPUT_NM = [450.0, 500.0, 550.0, 600.0]
STORED: dict[str, Any] = {"dtype": "uint16", "output_full_scale": 20000, "nodata": 65535, "tile": 20}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 6 tiles in UTM with a hole."""
    scene = scene_of(37, 53, **PLACE)
    scene.values[:, 30:34, 3:9] = np.nan
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    save_scene(scene, path)
    return path


@pytest.fixture(scope="module")
def expected(source: Path, model: Path) -> np.ndarray:
    """The scene in one piece, as it is stored: (4, 74, 106) with NaN in the hole."""
    values = torch.from_numpy(load_scene(source).values)[None]
    result = load_model(model, precision="float32").with_pooling("local").predict(lr_msi=values)[0].numpy()
    return np.clip(np.rint(result * 20000), 0, 65534) / 20000


def predicted(source: Path, output: Path, model: Path, **options: Any) -> Path:
    with pytest.warns(FinewaveWarning):  # of the hole
        predict_file(source, output, model, precision="float32", **options)
    return output


def test_cog_by_rasterio(source: Path, model: Path, expected: np.ndarray, tmp_path: Path) -> None:
    path = predicted(source, tmp_path / "out.tif", model, **STORED)
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert tuple(file.transform)[:6] == HALF
        assert file.crs.to_epsg() == 32631
        assert file.bounds == (5e5, 4e6 - 370, 5e5 + 530, 4e6)
        assert (file.dtypes, file.nodata) == (("uint16",) * 4, 65535)
        assert file.scales == (1 / 20000,) * 4
        assert [float(file.tags(i)["wavelength"]) for i in file.indexes] == OUTPUT_NM
        assert json.loads(json.loads(file.tags()["model_card"]))["name"] == "tiny"
        numbers = file.read(masked=True)
    np.testing.assert_array_equal(numbers.mask, np.isnan(expected))
    np.testing.assert_allclose(numbers.filled(0) / 20000, np.nan_to_num(expected), atol=1.01 / 20000)


@pytest.mark.parametrize("name", ["out.zarr", "out.nc"])
def test_zarr_and_netcdf_by_rioxarray(
    name: str, source: Path, model: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    path = predicted(source, tmp_path / name, model, **STORED)
    with xr.open_dataset(path, engine="zarr" if path.suffix == ".zarr" else None, decode_coords="all") as dataset:
        result = dataset["scene"].load()
    assert isinstance(result.rio, rioxarray.raster_array.RasterArray)
    assert tuple(result.rio.transform())[:6] == HALF
    assert result.rio.crs.to_epsg() == 32631
    assert result.encoding["dtype"] == np.uint16
    assert result.encoding["_FillValue"] == 65535
    assert result.wavelength.values.tolist() == OUTPUT_NM
    assert "tiny" in result.attrs["model_card"]
    np.testing.assert_allclose(result.values, expected, atol=1.01 / 20000)


def test_envi_by_spectral_python(source: Path, model: Path, expected: np.ndarray, tmp_path: Path) -> None:
    path = predicted(source, tmp_path / "out.img", model, **STORED)
    image = spectral.open_image(str(path.with_suffix(".hdr")))
    assert image.shape == (74, 106, 4)
    assert image.bands.centers == OUTPUT_NM
    assert image.metadata["data ignore value"] == "65535"
    assert image.metadata["map info"][:7] == ["UTM", "1", "1", "500000", "4000000", "5", "5"]
    numbers = np.asarray(image.asarray()).transpose(2, 0, 1)
    stored = np.where(np.isnan(expected), 65535, np.nan_to_num(expected) * 20000)
    np.testing.assert_allclose(numbers, stored, atol=1.01)


@pytest.mark.parametrize("name", ["in.hdr", "in.zarr", "in.nc", "cog.tif"])
def test_inputs_in_other_formats_and_orders(name: str, model: Path, tmp_path: Path) -> None:
    scene = scene_of(11, 14, **PLACE)
    expected = load_model(model).with_pooling("local").predict(lr_msi=torch.from_numpy(scene.values)[None])[0].numpy()
    path = tmp_path / name
    save_scene(scene[[1, 2, 0]], path, **({"cog": True} if name == "cog.tif" else {}))
    predict_file(path, tmp_path / "out.zarr", model)
    np.testing.assert_allclose(load_scene(tmp_path / "out.zarr").values, expected, atol=1e-5)


def regression(folder: Path, wavelengths: list[float]) -> Path:
    """Save a pixel-wise model for bands of Sentinel-2."""
    torch.manual_seed(3)
    net = create_model("ridge", ms_bands=len(wavelengths), hs_bands=4)
    card = describe(net, wavelengths_nm=OUTPUT_NM, ms_wavelengths_nm=wavelengths, sensor="sentinel2b")
    return Model(net, card).save(folder, name="ridge")


@pytest.mark.parametrize(("wavelengths", "resolution"), [([703.8, 559.0], 10), ([864.0, 703.8, 2185.7], 20)])
def test_product_of_sentinel2_on_the_grid_of_the_bands_used(
    wavelengths: list[float], resolution: int, tmp_path: Path
) -> None:
    product(tmp_path)
    folder = regression(tmp_path / "model", wavelengths)
    with pytest.warns(FinewaveWarning, match="the others are left out"):
        predict_file(safe_in(tmp_path), tmp_path / "out.nc", folder)
    result, scene = load_scene(tmp_path / "out.nc"), open_scene(safe_in(tmp_path), resolution=resolution)
    assert result.shape == (4, *SIZES[resolution])
    assert tuple(scene_transform(result))[:6] == (resolution, 0.0, 6e5, 0.0, -resolution, 5e6)
    used = scene.values[[np.flatnonzero(scene.wavelength == nm)[0] for nm in wavelengths]]
    expected = load_model(folder).predict(hr_msi=torch.from_numpy(used)[None])[0].numpy()
    np.testing.assert_allclose(result.values, expected, atol=1e-5)


def test_one_band_is_missing(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    save_scene(scene_of(5, 6)[:2], path)
    with pytest.raises(InputError, match=r"scene has 2 bands \(600, 540 nm\); tiny expects 3 \(R, G, B\)"):
        predict_file(path, tmp_path / "out.tif", model)


def test_wavelengths_in_micrometres_or_none(model: Path, tmp_path: Path) -> None:
    bare, given = tmp_path / "bare.tif", tmp_path / "scene.tif"
    scene = scene_of(5, 6)
    save_scene(scene.drop_vars("wavelength")[[2, 1, 0]], bare)
    save_scene(scene, given)
    predict_file(bare, tmp_path / "a.zarr", model, wavelengths=[nm / 1000 for nm in WAVELENGTHS[::-1]])
    predict_file(given, tmp_path / "b.zarr", model)
    np.testing.assert_array_equal(*(load_scene(tmp_path / name).values for name in ("a.zarr", "b.zarr")))


def raw(path: Path, values: np.ndarray) -> Path:
    """Write numbers that do not say what they stand for."""
    bands, height, width = values.shape
    place = rasterio.transform.from_origin(0, 0, 1, 1)
    with rasterio.open(path, "w", "GTiff", width, height, bands, transform=place, dtype=values.dtype) as file:
        file.write(values)
    return path


def test_numbers_without_a_scale(model: Path, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 4096, (3, 5, 6)).astype(np.uint16)
    told: dict[str, Any] = {"wavelengths": WAVELENGTHS, "full_scale": 4095}
    predict_file(raw(tmp_path / "raw.tif", numbers), tmp_path / "a.zarr", model, **told)
    predict_file(raw(tmp_path / "same.tif", (numbers / 4095).astype(np.float32)), tmp_path / "b.zarr", model)
    np.testing.assert_allclose(*(load_scene(tmp_path / name).values for name in ("a.zarr", "b.zarr")), atol=1e-5)
    with pytest.warns(FinewaveWarning, match="10000 represents 1.0 .*--full-scale"):
        predict_file(tmp_path / "raw.tif", tmp_path / "c.zarr", model)
    with pytest.raises(InputError, match="full_scale=-1 is out of range; it must be a number > 0"):
        predict_file(tmp_path / "raw.tif", tmp_path / "d.zarr", model, full_scale=-1)


def test_numbers_of_a_guide_without_a_scale(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = create_model("mulsr", scale=2, hs_bands=3, ms_bands=3, features=8)
    random = np.random.default_rng(0)
    low = raw(tmp_path / "low.tif", random.random((3, 8, 8), np.float32))
    numbers = random.integers(0, 256, (3, 16, 16)).astype(np.int16)
    guides = raw(tmp_path / "guide.tif", numbers), raw(tmp_path / "same.tif", (numbers / 255).astype(np.float32))
    predict_file(low, tmp_path / "a.zarr", Model(net), guide=guides[0], guide_full_scale=255)
    predict_file(low, tmp_path / "b.zarr", Model(net), guide=guides[1])
    np.testing.assert_allclose(*(load_scene(tmp_path / name).values for name in ("a.zarr", "b.zarr")), atol=1e-5)


@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 0), ("int16", -32768), ("float32", -9999.0)])
@pytest.mark.parametrize("more", [{}, {"consistent": "exact", "self_ensemble": True}])
def test_islands_of_nodata(more: dict[str, bool], dtype: str, nodata: float, model: Path, tmp_path: Path) -> None:
    """They are kept to the pixel, and whatever number stands in them does not ring into the pixels around."""
    sensed = Model(load_model(model).net, describe_as_trained(load_model(model)), precision="float32")
    scene = scene_of(24, 30, **PLACE)
    scene.values[:] = np.rint(scene.values * 10000) / 10000
    islands = np.zeros((24, 30), bool)
    islands[5:13, 8:19] = islands[20, 3] = islands[:2, 28:] = True
    scene.values[:, islands] = np.nan
    save_scene(scene, tmp_path / "scene.tif", dtype=dtype, nodata=nodata)
    with rasterio.open(tmp_path / "scene.tif") as file:
        assert (file.read()[:, islands] == nodata).all()
    with pytest.warns(FinewaveWarning, match=f"{islands.sum()} of 720 pixels"):
        predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", sensed, tile=11, **more)
    with rasterio.open(tmp_path / "out.tif") as file:
        result = file.read()
    missing = islands.repeat(2, 0).repeat(2, 1)
    assert (np.isnan(result) == missing).all()
    filled = scene.copy(data=fill_invalid(torch.from_numpy(scene.values)[None])[0][0].numpy())
    expected = super_resolve(filled, sensed, **more).values
    np.testing.assert_allclose(result[:, ~missing], expected[:, ~missing], rtol=0, atol=2e-5)


def describe_as_trained(model: Model) -> Any:
    """Return the card of a model with sensor and degradation."""
    return model.card.with_facts(sensor="nikon-d5100", degradation={"kernel": "gaussian", "scale": 2})


def test_wavelengths_of_a_file_in_micrometres(model: Path, tmp_path: Path) -> None:
    scene = scene_of(5, 6)
    save_scene(scene, tmp_path / "nm.hdr")
    save_scene(scene[::-1], tmp_path / "um.hdr")
    header = (tmp_path / "um.hdr").read_text()
    for nm in WAVELENGTHS:
        header = header.replace(f"{nm:.1f}", f"{nm / 1000:g}")
    header = header.replace("Nanometers", "Micrometers")
    assert "{0.46, 0.54, 0.6}" in header
    (tmp_path / "um.hdr").write_text(header)
    for name in ("nm", "um"):
        predict_file(tmp_path / f"{name}.hdr", tmp_path / f"{name}.zarr", model)
    np.testing.assert_array_equal(*(load_scene(tmp_path / f"{name}.zarr").values for name in ("nm", "um")))


def test_other_units_are_noticed_before_the_work(model: Path, tmp_path: Path) -> None:
    path = write_scene(tmp_path / "scene.nc", 5, 6)
    scene = load_scene(path)
    save_scene(scene.copy(data=scene.values * 10000), path, dtype="float32")
    with pytest.warns(FinewaveWarning, match="was trained on 0 to 1: divide"):
        predict_file(path, tmp_path / "out.nc", model)


@pytest.mark.parametrize("transform", [None, (3.0, 1.0, 50.0, 1.0, -3.0, 60.0)])
def test_rotated_transform_and_no_crs(transform: Any, model: Path, tmp_path: Path) -> None:
    path = write_scene(tmp_path / "scene.tif", 5, 6, crs=None, transform=transform)
    predict_file(path, tmp_path / "out.tif", model)
    result = load_scene(tmp_path / "out.tif")
    assert scene_crs(result) is None
    if transform is None:
        assert scene_transform(result) is None
    else:
        assert tuple(scene_transform(result))[:6] == (1.5, 0.5, 50.0, 0.5, -1.5, 60.0)


@pytest.mark.parametrize("name", ["scene.tif", "scene.img", "scene.nc", "scene.zarr"])
def test_file_that_ends_in_the_middle(name: str, model: Path, tmp_path: Path) -> None:
    """Of a Zarr store's chunk the Blosc library reads on into other memory, and gave values now and then."""
    path = write_scene(tmp_path / name, 50, 60)
    damaged = path if path.is_file() else path / "scene" / "0.0.0"
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"cannot read .*{name.replace('.', '[.]')}"):
        predict_file(path, tmp_path / "out.tif", model, tile=20)
    assert not (tmp_path / "out.tif").exists()
    assert not list(tmp_path.glob(".out*"))
