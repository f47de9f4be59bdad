"""Scenes through a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.inference.super_resolve import super_resolve
from finewave.inference.tiling.tiles import Tiling, within
from finewave.scene import make_scene, scene_crs, scene_transform
from finewave.systems.base import SRNetwork
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import Model, load_model

RED_GREEN_BLUE = [600.0, 540.0, 460.0]


@pytest.fixture(scope="module")
def model(tiny_weights: Path) -> Model:
    return load_model(tiny_weights)


def scene_of(bands: int = 3, height: int = 6, width: int = 8, **keywords: object) -> object:
    """Return a random scene."""
    return make_scene(np.random.default_rng(1).random((bands, height, width), dtype=np.float32), **keywords)


@pytest.mark.parametrize(
    "transform",
    [(10.0, 0.0, 5e5, 0.0, -10.0, 4e6), (0.3, 0.0, -7.0, 0.0, 0.3, 2.0), (3.0, 1.0, 50.0, 1.0, -3.0, 60.0)],
)
def test_pixel_areas_keep_their_place(model: Model, transform: tuple[float, ...]) -> None:
    scene = scene_of(crs="EPSG:32631", transform=transform)
    result = super_resolve(scene, model)
    before, after = scene_transform(scene), scene_transform(result)
    assert scene_crs(result) == scene_crs(scene)
    for corner in ((0, 0), (8, 0), (0, 6), (8, 6)):
        np.testing.assert_allclose(after @ (2 * corner[0], 2 * corner[1]), before @ corner, rtol=1e-12)
    if "x" in scene.coords:
        # an LR pixel's centre is the mean of those of its HR pixels
        np.testing.assert_allclose(result.x.values.reshape(-1, 2).mean(1), scene.x.values, rtol=1e-12)
        np.testing.assert_allclose(result.y.values.reshape(-1, 2).mean(1), scene.y.values, rtol=1e-12)


def test_single_pixel_keeps_its_georeference(model: Model) -> None:
    scene = scene_of(height=1, width=1, crs="EPSG:32631", transform=(10.0, 0.0, 5e5, 0.0, -10.0, 4e6))
    with pytest.warns(FinewaveWarning, match="attention window"):
        result = super_resolve(scene, model)
    assert tuple(scene_transform(result))[:6] == (5.0, 0.0, 5e5, 0.0, -5.0, 4e6)


def test_what_is_known_of_the_result(model: Model) -> None:
    scene = scene_of(attrs={"title": "a scene", "sensor": "nikon-d5100"})
    scene = scene.assign_coords(time=np.datetime64("2020-05-17"))
    result = super_resolve(scene, model)
    assert result.dims == ("band", "y", "x")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.wavelength, np.arange(400, 701, 10))
    assert (result.attrs["title"], result.attrs["model"]) == ("a scene", "tiny")
    assert '"nikon-d5100"' in result.attrs["model_card"]
    assert "sensor" not in result.attrs  # 31 bands are not that camera's
    assert result.time == scene.time
    expected = model.with_pooling("local").predict(lr_msi=torch.from_numpy(scene.values)[None])[0].numpy()
    np.testing.assert_allclose(result.values, expected, atol=1e-5)


def test_bands_in_any_order_are_found_by_wavelength(model: Model) -> None:
    scene = scene_of(wavelengths=RED_GREEN_BLUE)
    expected = super_resolve(scene, model).values
    for order in ([2, 1, 0], [1, 2, 0]):
        np.testing.assert_array_equal(super_resolve(scene[order], model).values, expected)


def test_bands_that_are_not_needed_are_left_out(model: Model) -> None:
    scene = scene_of(5, wavelengths=[443.0, 462.0, 538.0, 604.0, 842.0])
    with pytest.warns(FinewaveWarning, match="462, 538, 604|604, 538, 462"):
        result = super_resolve(scene, model)
    expected = super_resolve(scene[[3, 2, 1]], model)
    np.testing.assert_array_equal(result.values, expected.values)


def test_bands_far_from_those_of_training(model: Model) -> None:
    with pytest.warns(FinewaveWarning, match="nm off"):
        super_resolve(scene_of(wavelengths=[1600.0, 842.0, 665.0]), model)


@pytest.mark.parametrize(
    ("bands", "wavelengths", "message"),
    [
        (4, [490, 560, 665, 842], r"scene has 4 bands \(490, 560, 665, 842 nm\); tiny expects 3 \(R, G, B\)"),
        (4, None, r"scene has 4 bands; tiny expects 3 \(R, G, B\)"),
        (1, None, r"scene has 1 band; tiny expects 3 \(R, G, B\)"),
    ],
)
def test_bands_that_do_not_fit(model: Model, bands: int, wavelengths: list | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        super_resolve(scene_of(bands, wavelengths=wavelengths), model)


def test_photograph_for_a_model_of_another_camera(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path / "for-photographs", name="for-photographs", sensor="srgb")
    folders = {"for-photographs": tmp_path / "for-photographs"}
    monkeypatch.setattr("finewave.zoo.distribution.bundled_weights.weight_folders", lambda: folders)
    photograph = scene_of(attrs={"sensor": "srgb"})
    with pytest.warns(FinewaveWarning, match="trained on the sensor 'nikon-d5100'; use for-photographs"):
        super_resolve(photograph, model)


def test_scenes_that_cannot_be_used(model: Model) -> None:
    scene = scene_of()
    with pytest.raises(ValueError, match="ndarray"):
        super_resolve(scene.values, model)
    with pytest.raises(ValueError, match="rows"):
        super_resolve(scene.rename(y="rows"), model)
    with pytest.raises(ValueError, match="uint16"):
        super_resolve((scene * 10000).astype("uint16"), model)
    with pytest.raises(ValueError, match="unknown trained model"):
        fw.super_resolve(scene, "no-such-model")


def test_values_far_out_of_range(model: Model) -> None:
    with pytest.warns(FinewaveWarning, match="was trained on 0 to 1"):
        super_resolve(scene_of() * 10000, model)


def test_marked_nodata_is_missing(model: Model) -> None:
    scene = scene_of(attrs={"_FillValue": -1.0})
    scene.values[0, 2, 3] = -1
    with pytest.warns(FinewaveWarning, match="1 of 48 pixels"):
        result = super_resolve(scene, model)
    assert np.isnan(result.values[:, 4:6, 6:8]).all()
    assert np.isnan(result.values).sum() == 31 * 4


class Local(SRNetwork):
    """A network that reaches 2 pixels far and does not pool."""

    task = "sssr"
    scale, ms_bands, hs_bands, receptive_field = 2, 3, 5, 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5 * 4, 5, padding=2)

    def forward(self, lr_msi: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_shuffle(self.conv(lr_msi), 2)


def test_tiles_make_the_same_image_for_a_local_network() -> None:
    model, scene, calls = Model(Local()), scene_of(height=37, width=53), []
    whole = super_resolve(scene, model, tile=64)
    tiled = super_resolve(scene, model, tile=16, progress=lambda *done: calls.append(done))
    np.testing.assert_allclose(tiled.values, whole.values, atol=1e-5)
    assert calls == [(i, 12) for i in range(1, 13)]


def test_tiles_cover_an_image_once() -> None:
    covered = np.zeros((38, 54), int)
    for core, seen in Tiling(38, 54, 15, 3, multiple=2):
        covered[core] += 1
        for c, s in zip(core, seen, strict=True):
            assert s.start <= c.start < c.stop <= s.stop
            assert s.start % 2 == c.start % 2 == 0
            inside = within(c, s, 3)
            assert inside.stop - inside.start == 3 * (c.stop - c.start)
    assert (covered == 1).all()


def test_bands_of_a_card_that_only_names_its_sensor(model: Model) -> None:
    bare = Model(model.net, model.card.with_facts(ms_wavelengths_nm=None))
    scene = scene_of(wavelengths=RED_GREEN_BLUE)
    np.testing.assert_array_equal(super_resolve(scene[::-1], bare).values, super_resolve(scene, model).values)


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("bands", [[600.0, 450.0], [600.0, 450.0, 500.0]])
def test_missing_values_stay_with_their_band_when_some_are_kept(bands: list[float], tile: int | None) -> None:
    values = np.random.default_rng(8).random((3, 20, 24), dtype=np.float32)
    values[0, 3, 4] = np.nan
    scene = make_scene(values, [450.0, 500.0, 600.0])
    more = {} if tile is None else {"tile": tile}
    result = super_resolve(scene, "bicubic", scale=2, bands=bands, **more)
    missing = np.isnan(result.sel(band=result.wavelength.values == 450.0).values[0])
    assert missing.sum() == 4
    assert missing[6:8, 8:10].all()
    assert np.isfinite(result.sel(band=result.wavelength.values != 450.0).values).all()
