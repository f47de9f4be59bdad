"""Scenes through models that take two images."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.inference.corrections.adaptation import adapted
from finewave.inference.options import PredictOptions
from finewave.inference.predict import predict_file
from finewave.inference.request import make_request
from finewave.inference.super_resolve import super_resolve
from finewave.inference.tiling.grid import grid_of, on_grid
from finewave.io.open_save import load_scene
from finewave.physics.degradation import degrade
from finewave.scene import make_scene, scene_transform
from finewave.systems.registry import SYSTEMS, config_of, create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import Model
from tests.physics.test_blur_of_pair import images
from tests.training.stand_ins import STAND_INS

PLACE: dict[str, Any] = {"crs": "EPSG:32631", "transform": (30.0, 0.0, 5e5, 0.0, -30.0, 4e6)}
COARSE: dict[str, Any] = {"crs": "EPSG:32631", "transform": (20.0, 0.0, 5e5, 0.0, -20.0, 4e6)}
FINE: dict[str, Any] = {"crs": "EPSG:32631", "transform": (10.0, 0.0, 5e5, 0.0, -10.0, 4e6)}
FINER: dict[str, Any] = {"crs": "EPSG:32631", "transform": (10.0, 0.0, 5e5, 0.0, -10.0, 4e6)}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setitem(SYSTEMS, "plain-fusion", STAND_INS["plain-fusion"])
    return Model(create_model("plain-fusion", scale=3, ms_bands=2, hs_bands=4))


def scene_of(bands: int, height: int, width: int, **keywords: Any) -> Any:
    return make_scene(np.random.default_rng(bands).random((bands, height, width), dtype=np.float32), **keywords)


def test_a_guide_is_the_second_input(model: Model) -> None:
    scene, guide = scene_of(4, 5, 6, **PLACE), scene_of(2, 15, 18, **FINER)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FinewaveWarning)
        result = super_resolve(scene, model, guide)
    tensors = {"lr_hsi": torch.from_numpy(scene.values)[None], "hr_msi": torch.from_numpy(guide.values)[None]}
    np.testing.assert_allclose(result.values, model.predict(**tensors)[0].numpy(), rtol=1e-5, atol=1e-5)
    transform = scene_transform(result)
    assert transform is not None
    assert tuple(transform)[:6] == FINER["transform"][:3] + FINER["transform"][3:]


def test_tiles_cut_both_images_at_the_same_place(model: Model) -> None:
    scene, guide = scene_of(4, 40, 35), scene_of(2, 120, 105)
    whole = super_resolve(scene, model, guide)
    tiled = super_resolve(scene, model, guide, tile=16)
    np.testing.assert_allclose(tiled.values, whole.values, atol=2e-5)  # positions are rounded


def test_invalid_pixels_of_either_image_stay_invalid(model: Model) -> None:
    scene, guide = scene_of(4, 5, 6), scene_of(2, 15, 18)
    scene.values[1, 2, 3] = np.nan
    guide.values[0, 1, 1] = np.nan
    with pytest.warns(FinewaveWarning, match="NaN or infinite"):
        result = super_resolve(scene, model, guide)
    holes = np.isnan(result.values).all(0)
    expected = np.zeros((15, 18), bool)
    expected[6:9, 9:12] = True
    expected[1, 1] = True
    assert (holes == expected).all()


@pytest.mark.parametrize(
    ("guide", "message"),
    [
        (None, r"PlainFusion needs lr_hsi and hr_msi: give the hr_msi as guide \(--guide\)"),
        ((2, 14, 18), r"guide \(hr_msi\) has 14 x 18 pixels; with a scene \(lr_hsi\) of 5 x 6 and scale 3, 15 x 18"),
        ((3, 15, 18), "scene has 3 bands; PlainFusion expects 2"),
    ],
)
def test_a_guide_that_does_not_fit_is_refused(model: Model, guide: tuple[int, int, int] | None, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        super_resolve(scene_of(4, 5, 6), model, None if guide is None else scene_of(*guide))


def test_a_guide_too_many_is_refused() -> None:
    model = Model(create_model("bicubic", scale=2, hs_bands=4))
    with pytest.raises(fw.InputError, match="takes lr_hsi alone; a guide was given"):
        super_resolve(scene_of(4, 5, 6), model, scene_of(2, 10, 12))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform": (10.0, 0.0, 5e5 + 20, 0.0, -10.0, 4e6)}, "put them 2.0 pixels of the guide apart"),
        ({"transform": (10.0, 0.0, 5e5, 0.0, -10.0, 4e6 - 5)}, "put them 0.5 pixels of the guide apart"),
        ({"transform": (11.0, 0.0, 5e5, 0.0, -11.0, 4e6)}, "pixels of the guide apart"),
    ],
)
def test_a_guide_on_another_grid_is_brought_to_the_scenes(model: Model, change: dict[str, Any], message: str) -> None:
    scene, guide = scene_of(4, 5, 6, **PLACE), scene_of(2, 15, 18, **{**FINER, **change})
    with pytest.warns(FinewaveWarning, match=f"{message}.* resampled"):
        result = super_resolve(scene, model, guide)
    grid = grid_of(scene, 3)
    assert grid is not None
    expected = super_resolve(scene, model, on_grid(guide, grid))
    np.testing.assert_array_equal(result.values, expected.values)
    assert not np.array_equal(result.values, super_resolve(scene, model, scene_of(2, 15, 18)).values)


def test_a_guide_of_another_place_is_refused(model: Model) -> None:
    elsewhere = scene_of(2, 15, 18, **{**FINER, "crs": "EPSG:32632"})
    with pytest.raises(fw.InputError, match=r"the scene is in EPSG:32631, the guide in EPSG:32632.* do not overlap"):
        super_resolve(scene_of(4, 5, 6, **PLACE), model, elsewhere)


def test_files_and_folders_with_guides(model: Model, tmp_path: Path) -> None:
    for folder in ("scenes", "guides"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b"):
        fw.save_scene(scene_of(4, 5, 6), tmp_path / "scenes" / f"{name}.nc")
        fw.save_scene(scene_of(2, 15, 18), tmp_path / "guides" / f"{name}.nc")
    scenes, guides = tmp_path / "scenes", tmp_path / "guides"
    one = predict_file(scenes / "a.nc", tmp_path / "one.nc", model, guide=guides / "a.nc")
    many = predict_file(scenes, tmp_path / "many", model, guide=guides, suffix=".nc")
    assert [path.name for path in (*one, *many)] == ["one.nc", "a.nc", "b.nc"]
    np.testing.assert_allclose(fw.open_scene(one[0]).values, fw.open_scene(many[0]).values)
    with pytest.raises(fw.InputError, match="no such file or folder"):
        predict_file(scenes / "a.nc", tmp_path / "other.nc", model, guide=tmp_path / "none")
    (guides / "b.nc").unlink()
    with pytest.raises(fw.InputError, match="0 files in"):
        predict_file(scenes, tmp_path / "again", model, guide=guides, suffix=".nc")


def test_a_reference_of_another_viewpoint_has_any_size(model: Model) -> None:
    """Not aligned: neither its size nor its georeference has to do with the scene's."""
    net = model.net
    net.task = "refsr"  # type: ignore[misc]  # stands once in the class, but for this test
    net.forward = lambda lr_hsi, ref_rgb: lr_hsi.repeat_interleave(3, 2).repeat_interleave(3, 3) + ref_rgb.mean()
    scene, reference = scene_of(4, 20, 21, **PLACE), scene_of(3, 11, 7)
    reference.values[0, 0, 0] = np.nan
    with pytest.warns(FinewaveWarning, match="NaN or infinite"):
        result = super_resolve(scene, Model(net), reference, tile=16)
    assert result.shape == (4, 60, 63)
    assert np.isfinite(result.values).all()


def test_every_window_goes_by_what_the_whole_scene_has() -> None:
    """A window of few pixels alone tells nothing of its blur, and missing values look like edges without any."""
    pair = images(2, {"kernel": "gaussian"}, side=27)
    hsi, msi = (pair[name].float().repeat(1, 1, 10, 1) for name in ("hr_hsi", "hr_msi"))
    low, high = degrade(hsi, 2, kernel="gaussian", fwhm=2.6)[0].numpy(), msi[0].numpy()
    low[:, 250, 3] = np.nan
    scene, guide = make_scene(low, **COARSE), make_scene(high, **FINE)
    model = Model(create_model("local-regression", scale=2, ms_bands=2, hs_bands=5))
    blurs, results = [], []
    windows: list[tuple[int, int, int, int] | None] = [None, (0, 0, 5, 9), (0, 100, 27, 270), (2, 210, 27, 220)]
    for window in windows:
        options = PredictOptions(window=window)
        with pytest.warns(FinewaveWarning, match="the images have a blur of about"):
            adapted_model = adapted(make_request(scene, model, guide, options)).model
        assert isinstance(adapted_model, Model)
        blurs.append(config_of(adapted_model.net)[1]["degradation"])
        if window is None or window[3] == 220:
            with pytest.warns(FinewaveWarning, match="the images have a blur of about"):
                results.append(super_resolve(scene, model, guide, window=window))
    assert blurs == blurs[:1] * 4
    assert blurs[0]["fwhm"] == pytest.approx(2.6, rel=0.05)
    middle = slice(8, -8)  # beyond which the window's edges act
    part = results[0].values[:, 420:440, 4:54]
    assert np.abs(part - results[1].values)[:, middle, middle].max() < 0.1 * part.std()


def test_a_dead_column_does_not_hide_the_blur() -> None:
    """It goes through every piece: filled as for the network, not by zeros, whose edges no blur explains."""
    pair = images(2, {"kernel": "gaussian"}, side=40)
    low, high = degrade(pair["hr_hsi"], 2, kernel="gaussian", fwhm=2.6)[0].float().numpy(), pair["hr_msi"][0].float()
    low[:, :, 17] = np.nan
    _find_the_blur(low, high.numpy())


@pytest.mark.parametrize(
    "case", ["border of NaN", "border of nodata", "slanted footprint", "border of the other image"]
)
def test_a_wide_missing_border_does_not_hide_the_blur(case: str) -> None:
    """What is filled there are wide areas without detail: the blur is looked for where there are values."""
    pair = images(2, {"kernel": "gaussian"}, side=60)
    low, high = (
        each[0].float().numpy() for each in (degrade(pair["hr_hsi"], 2, kernel="gaussian", fwhm=2.6), pair["hr_msi"])
    )
    rows, columns = np.indices(low.shape[1:])
    missing = (rows < 21) | (columns > 37)
    if case == "slanted footprint":
        missing = abs(rows + columns - 60) + abs(rows - columns) > 50
    if case == "border of the other image":
        high[:, missing.repeat(2, 0).repeat(2, 1)] = np.nan
    else:
        low[:, missing] = -9999 if case == "border of nodata" else np.nan
    _find_the_blur(low, high, **({"_FillValue": -9999.0} if case == "border of nodata" else {}))


def _find_the_blur(low: Any, high: Any, **attributes: Any) -> None:
    model = Model(create_model("local-regression", scale=2, ms_bands=2, hs_bands=5))
    scene = make_scene(low, **COARSE)
    scene.attrs.update(attributes)
    with pytest.warns(FinewaveWarning, match="the images have a blur of about"):
        found = adapted(make_request(scene, model, make_scene(high, **FINE))).model
    assert isinstance(found, Model)
    assert config_of(found.net)[1]["degradation"]["fwhm"] == pytest.approx(2.6, rel=0.05)


@pytest.mark.slow
def test_workers_use_the_model_that_was_adapted_to_the_images(tmp_path: Path) -> None:
    """Noise: workers load the adapted model, not the one that was named."""
    model = Model(create_model("local-regression", scale=2, ms_bands=2, hs_bands=5))
    model.save(tmp_path / "model")
    pair = images(2, {"kernel": "gaussian"}, noise=0.02)
    files = {}
    for name, place in (("lr_hsi", COARSE), ("hr_msi", FINE)):
        files[name] = tmp_path / f"{name}.nc"
        fw.save_scene(make_scene(pair[name][0].float().numpy(), **place), files[name])
    made = []
    for workers in (None, 2):
        output = tmp_path / f"workers_{workers}.nc"
        with pytest.warns(FinewaveWarning, match="the images have noise"):
            predict_file(
                files["lr_hsi"], output, tmp_path / "model", guide=files["hr_msi"], tile=16, halo=8, workers=workers
            )
        made.append(load_scene(output).values)
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-5)
    inputs = {name: pair[name].float() for name in files}
    plain, truth = model.run(inputs)[0].numpy(), pair["hr_hsi"][0].numpy()
    assert np.square(made[1] - truth).mean() < 0.7 * np.square(plain - truth).mean()
