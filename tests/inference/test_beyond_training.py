"""A scene that the training data were not like is said to be so; bands that are noise are flagged in the result."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr

import finewave as fw
from finewave.inference.options import PredictOptions
from finewave.inference.predict import predict_file
from finewave.inference.predict_file import InputFiles
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning, RadianceWarning
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from finewave.zoo.seen import SeenPixels

OUTPUT_NM = [500.0, 700.0, 900.0, 1400.0, 1900.0, 2200.0]
MS_NM = [492.4, 559.8, 664.6]


@pytest.fixture(scope="module")
def model() -> Model:
    random = np.random.default_rng(4)
    ms = torch.from_numpy(random.uniform(0.1, 0.3, (1, 3, 24, 24)))
    mix = torch.from_numpy(random.uniform(0, 0.5, (6, 3)))
    net = fw.create_model("kernel-ridge", ms_bands=3, hs_bands=6, centres=50, windows=[3])
    net.prepare_from([{"hr_msi": ms, "hr_hsi": torch.einsum("kc,bchw->bkhw", mix, ms)}], 0)
    data = {
        "quantity": "surface reflectance",
        "unreliable_nm": [[1340.0, 1500.0], [1790.0, 1990.0]],
        "seen": SeenPixels.of(ms[0].flatten(1).T.numpy()).to_card(),
    }
    names = ["B2", "B3", "B4"]
    card = describe(net, "land", wavelengths_nm=OUTPUT_NM, ms_bands=names, ms_wavelengths_nm=MS_NM, data=data)
    return Model(net.float().eval(), card)


def scene_of(low: float, high: float, size: tuple[int, int] = (40, 30), **attrs: str) -> xr.DataArray:
    values = np.random.default_rng(5).uniform(low, high, (3, *size)).astype(np.float32)
    return make_scene(values, MS_NM, attrs=attrs)


def test_a_scene_like_the_training_passes_without_a_word_in_one_piece_and_in_tiles(model: Model) -> None:
    scene = scene_of(0.11, 0.29, quantity="surface reflectance")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FinewaveWarning)
        whole = fw.super_resolve(scene, model)
        tiled = fw.super_resolve(scene, model, tile=16)
    np.testing.assert_allclose(tiled.values, whole.values, atol=1e-5)


@pytest.mark.parametrize("tile", [None, 16])
def test_pixels_unlike_the_training_are_counted(model: Model, tile: int | None) -> None:
    scene = scene_of(0.11, 0.29)
    scene[:, 2:5, 7:11] = 0.8
    scene[:, 30, 3] = np.nan
    with (
        pytest.warns(FinewaveWarning, match=r"12 of 1200 pixels \(1.0%\) are unlike all that land has seen"),
        pytest.warns(FinewaveWarning, match="1 of 1200 pixels are NaN"),
    ):
        fw.super_resolve(scene, model, **({} if tile is None else {"tile": tile}))


@pytest.mark.parametrize("tile", [None, 16])
def test_pixels_unlike_the_training_are_counted_from_file_to_file(
    model: Model, tile: int | None, tmp_path: Path
) -> None:
    scene = scene_of(0.11, 0.29)
    scene[:, 2:5, 7:11] = 0.8
    fw.save_scene(scene, tmp_path / "scene.tif")
    with pytest.warns(FinewaveWarning, match=r"12 of 1200 pixels \(1.0%\) are unlike all that land has seen"):
        predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", model, tile=tile)


def test_the_quality_file_has_the_distance_of_each_tile(model: Model, tmp_path: Path) -> None:
    scene = scene_of(0.11, 0.29, size=(32, 47))
    scene[:, 2:5, 7:11] = 0.8
    scene[:, :, 32:] = np.nan
    fw.save_scene(scene, tmp_path / "scene.tif")
    silent = Model(model.net, replace(model.card, sensor="sentinel2a"))
    with pytest.warns(FinewaveWarning, match="12 of 1504 pixels"):
        predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", silent, tile=16, quality=True)
    found = json.loads((tmp_path / "out.quality.json").read_text())
    tiles = {(each["rows"][0], each["columns"][0]): each["training_distance"] for each in found["tiles"]}
    assert (tiles[0, 0]["pixels"], tiles[0, 0]["unlike"]) == (256, pytest.approx(12 / 256, abs=1e-4))
    assert (tiles[16, 16]["unlike"], tiles[0, 32]) == (0, None)
    # by its definition, from the card alone
    card = model.data_facts["seen"]
    points = np.sqrt(scene.values[:, :16, :16].reshape(3, -1).T.astype(float) + 0.01) / card["spread"]
    nearest = np.linalg.norm(points[:, None] - np.array(card["centres"]), axis=2).min(1) / card["limit"]
    assert tiles[0, 0]["mean"] == pytest.approx(nearest.mean(), rel=1e-3)
    assert tiles[0, 0]["largest"] == pytest.approx(nearest.max(), rel=1e-3)
    assert tiles[16, 16]["largest"] < 1 < tiles[0, 0]["largest"]
    whole = found["whole"]["training_distance"]
    assert (whole["pixels"], whole["largest"]) == (32 * 32, tiles[0, 0]["largest"])
    assert whole["unlike"] == pytest.approx(12 / 1024, abs=1e-4)
    assert "wrong blur" in found["limits"]


def test_another_level_is_warned_of(model: Model) -> None:
    with pytest.warns(
        FinewaveWarning, match="top-of-atmosphere reflectance; land was trained on surface reflectance, 0 to 1"
    ):
        other = fw.super_resolve(scene_of(0.11, 0.29, quantity="top-of-atmosphere reflectance"), model)
    # neither the one nor the other, and the result says so
    assert other.attrs["quantity"] == "surface reflectance as land makes it of top-of-atmosphere reflectance"


@pytest.mark.parametrize(
    ("factor", "found", "remedy"),
    [
        (10, "2.9, as glint, clouds or radiance may", "nothing to do where few pixels are so bright"),
        (100, "29, as reflectance in percent, or radiance, may", "divide percent by 100 (--full-scale 100)"),
        (10_000, "2900, as reflectance times 10000, or digital numbers, may", "divide by 10000 (--full-scale 10000)"),
        (880, "255, as digital numbers or radiance may", "give a product of reflectance"),
        (226_000, "65540, as digital numbers may", "divide by the number that stands for 1.0"),
    ],
)
def test_other_units_are_said_with_what_the_card_expects(
    model: Model, factor: float, found: str, remedy: str, tmp_path: Path
) -> None:
    scene = scene_of(0.11, 0.2, quantity="surface reflectance") * factor
    scene.values[0, 0, 0] = 0.29 * factor
    scene.attrs["quantity"] = "surface reflectance"
    fw.save_scene(scene, tmp_path / "scene.tif")
    expected = f"the scene's values reach {found}; land was trained on surface reflectance, 0 to 1: "
    for run in (
        lambda: fw.super_resolve(scene, model),
        lambda: predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", model),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run()
        (message,) = [str(each.message) for each in caught if "values reach" in str(each.message)]
        assert message.replace("255.2", "255").startswith(expected)
        assert remedy in message


@pytest.mark.parametrize("unit", ["radiance in W/(m2 sr um)", "spectral radiance in uW/(cm2 sr nm)"])
def test_radiance_is_said_with_what_the_card_expects(model: Model, unit: str) -> None:
    said = f"the scene holds {unit}; land was trained on surface reflectance, 0 to 1"
    with pytest.warns(FinewaveWarning, match=re.escape(said)):
        result = fw.super_resolve(scene_of(0.11, 0.29, quantity=unit), model)
    assert result.attrs["quantity"] == f"surface reflectance as land makes it of {unit}"
    silent = Model(model.net, replace(model.card, data={"seen": model.data_facts["seen"]}))
    with pytest.warns(FinewaveWarning, match=re.escape(f"the scene holds {unit}; land was trained on 0 to 1")):
        fw.super_resolve(scene_of(0.11, 0.29, quantity=unit), silent)


def test_radiance_of_a_file_is_said_once(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the model's card, which knows more than the product's reader."""
    unit = "radiance in W/(m2 sr um)"
    fw.save_scene(scene_of(0.11, 0.29, quantity=unit), tmp_path / "scene.tif")
    monkeypatch.setattr("finewave.io.open_save.FORMATS", ())  # every file is one of a product
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fw.open_scene(tmp_path / "scene.tif")
        (opened,) = [str(each.message) for each in caught if "radiance" in str(each.message)]
        predict_file(tmp_path / "scene.tif", tmp_path / "out.tif", model)
    (_, predicted) = [str(each.message) for each in caught if "radiance" in str(each.message)]
    assert opened.endswith("give them a product of reflectance")
    assert "land was trained on surface reflectance" in predicted
    fw.save_scene(scene_of(0.11, 0.29, quantity=unit), tmp_path / "guide.tif")
    with pytest.warns(RadianceWarning, match="guide.tif holds radiance") as of_guide:
        InputFiles(tmp_path / "scene.tif", tmp_path / "guide.tif", PredictOptions()).close()
    assert len(of_guide) == 1


def test_digital_numbers_of_a_file_are_said_with_the_scale_that_was_assumed(model: Model, tmp_path: Path) -> None:
    numbers = np.random.default_rng(5).integers(1100, 2900, (3, 40, 30)).astype(np.uint16)
    with rasterio.open(tmp_path / "dn.tif", "w", driver="GTiff", count=3, height=40, width=30, dtype="uint16") as file:
        file.write(numbers)
    with pytest.warns(FinewaveWarning, match=r"holds uint16 values without a scale; assumed that 10000 represents 1"):
        predict_file(tmp_path / "dn.tif", tmp_path / "out.tif", model)


def test_a_corrected_topography_is_not_the_top_of_the_atmosphere(model: Model) -> None:
    result = fw.super_resolve(scene_of(0.11, 0.29, quantity="topographically corrected reflectance"), model)
    assert result.attrs["quantity"] == "topographically corrected reflectance"


def test_bands_that_were_noise_are_flagged_in_the_result_and_its_file(model: Model, tmp_path: Path) -> None:
    result = fw.super_resolve(scene_of(0.11, 0.29), model)
    assert result.good_band.values.tolist() == [True, True, True, False, False, True]
    some = fw.super_resolve(scene_of(0.11, 0.29), model, bands=[1400, 2200])
    assert some.good_band.values.tolist() == [False, True]
    source, saved = tmp_path / "scene.tif", tmp_path / "out.tif"
    fw.save_scene(scene_of(0.11, 0.29), source)
    predict_file(source, saved, model)
    assert fw.open_scene(saved).good_band.values.tolist() == [True, True, True, False, False, True]


def test_bands_that_cover_too_little_are_refused_with_numbers(model: Model) -> None:
    scene = make_scene(np.full((2, 8, 8), 0.2, np.float32), [492.4, 664.6])
    with pytest.raises(fw.InputError, match=r"2 bands \(492, 665 nm\); land expects 3 \(B2, B3, B4\)"):
        fw.super_resolve(scene, model)
