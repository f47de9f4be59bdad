"""Units come out as they went in: nothing is stretched, and clipped only where that is asked for or told."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

import finewave as fw
from finewave.errors import InputError
from finewave.inference.options import PredictOptions
from finewave.inference.predict import predict_file
from finewave.io.open_save import load_scene, save_scene
from finewave.scene import make_scene
from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model
from finewave.zoo.model import Model

SCALE_FACTOR, OFFSET, NODATA = 2e-4, -0.1, 65535


@pytest.fixture
def model() -> Model:
    """What goes in comes out, band by band, in twice as many pixels."""

    class Repeat(SRNetwork):
        task = "sr"
        scale, hs_bands, receptive_field = 2, 2, 0

        def forward(self, lr_hsi: torch.Tensor) -> torch.Tensor:
            return lr_hsi.repeat_interleave(2, 2).repeat_interleave(2, 3)

    return Model(Repeat())


def numbers() -> np.ndarray:
    """Stored numbers, two bands of very different brightness, whose values reach below 0 and above 1."""
    stored = np.random.default_rng(3).integers(0, 60, (2, 6, 7), dtype=np.uint16)
    stored[0] += 400
    stored[1] += 6000
    stored[:, 2, 3] = NODATA
    return stored


def write_scaled(path: Path) -> np.ndarray:
    """Write scaled integers with an offset as a product has them, and return their values (2, 6, 7)."""
    stored = numbers()
    profile = {"driver": "GTiff", "count": 2, "height": 6, "width": 7, "dtype": "uint16", "nodata": NODATA}
    with rasterio.open(path, "w", crs="EPSG:32631", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 4e6), **profile) as f:
        f.write(stored)
        f.scales, f.offsets = (SCALE_FACTOR,) * 2, (OFFSET,) * 2
    values = stored * SCALE_FACTOR + OFFSET
    values[:, 2, 3] = np.nan
    return values


def repeated(values: np.ndarray) -> np.ndarray:
    return values.repeat(2, 1).repeat(2, 2)


@pytest.mark.parametrize("name", ["out.tif", "out.zarr", "out.nc", "out.img"])
@pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
def test_scaled_integers_come_out_in_physical_units(name: str, model: Model, tmp_path: Path) -> None:
    values = write_scaled(tmp_path / "scene.tif")
    assert np.nanmin(values) < 0.0 < 1.0 < np.nanmax(values)
    predict_file(tmp_path / "scene.tif", tmp_path / name, model)
    np.testing.assert_allclose(load_scene(tmp_path / name).values, repeated(values), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "stored",
    [{"dtype": "int16", "output_full_scale": 5000}, {"dtype": "float64"}, {"dtype": "int32", "output_full_scale": 1e6}],
)
@pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
def test_other_stored_numbers_are_the_same_values(stored: dict[str, Any], model: Model, tmp_path: Path) -> None:
    values = write_scaled(tmp_path / "scene.tif")
    predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", model, **stored)
    step = 1 / stored.get("output_full_scale", 1e9)
    np.testing.assert_allclose(load_scene(tmp_path / "out.tif").values, repeated(values), rtol=1e-6, atol=step)


def test_what_the_type_cannot_hold_is_told(model: Model, tmp_path: Path) -> None:
    values = write_scaled(tmp_path / "scene.tif")
    below = int((repeated(values) < 0).sum())
    assert below > 10
    with pytest.warns(fw.FinewaveWarning, match=f"{below} values lie outside what uint16 can hold"):
        predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", model, dtype="uint16")
    result = load_scene(tmp_path / "out.tif").values
    np.testing.assert_allclose(result, repeated(values.clip(0)), atol=1e-4)


def test_brightness_is_not_stretched(model: Model) -> None:
    """Values in a narrow range, or around a large number, stay there."""
    for middle in (0.003, 0.9, 250.0):
        scene = make_scene(middle + 1e-3 * np.random.default_rng(1).random((2, 5, 6), dtype=np.float32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 250 is far from 0 to 1, and said to be
            result = fw.super_resolve(scene, model)
        np.testing.assert_array_equal(result.values, repeated(scene.values))


def test_networks_that_are_linear_are_so_with_everything_around_them() -> None:
    """Twice as bright a scene has twice as bright a result, eight orientations and the projection included."""
    from finewave.zoo.card import describe

    net = create_model("bicubic", scale=2, hs_bands=2)
    model = Model(net, describe(net, degradation={"kernel": "gaussian"}))
    scene = make_scene(np.random.default_rng(1).random((2, 7, 6), dtype=np.float32) / 4)
    one, two = (
        fw.super_resolve(scene.copy(data=factor * scene.values), model, consistent="exact", self_ensemble=True).values
        for factor in (1, 2)
    )
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5, atol=1e-6)


def test_clipping_is_in_the_units_of_the_scene(model: Model, tmp_path: Path) -> None:
    values = write_scaled(tmp_path / "scene.tif")
    with pytest.warns(fw.FinewaveWarning, match="values were cut to 0 to 1.1"):
        predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", model, clip=(0.0, 1.1))
    np.testing.assert_allclose(load_scene(tmp_path / "out.tif").values, repeated(values.clip(0, 1.1)), atol=1e-6)


def test_a_result_as_an_input_keeps_its_values(model: Model, tmp_path: Path) -> None:
    """No scale is assumed a second time."""
    scene = make_scene(np.random.default_rng(1).random((2, 5, 6), dtype=np.float32))
    save_scene(scene, tmp_path / "a.tif", dtype="uint16")
    predict_file(tmp_path / "a.tif", tmp_path / "b.tif", model, dtype="uint16")
    predict_file(tmp_path / "b.tif", tmp_path / "c.tif", model)
    np.testing.assert_allclose(load_scene(tmp_path / "c.tif").values, repeated(repeated(scene.values)), atol=1.1e-4)


@pytest.mark.parametrize("options", [{"clip": 1}, {"clip": (0, "high")}, {"full_scale": "255"}])
def test_values_of_another_type_are_refused_by_name(options: dict) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        PredictOptions(**options)
