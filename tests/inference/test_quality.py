"""Scores of a result against its inputs, tile by tile and in all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.errors import InputError
from finewave.inference.predict import predict_file
from finewave.inference.quality import Differences, quality_of, scorer_of
from finewave.inference.request import make_request
from finewave.inference.super_resolve import super_resolve
from finewave.inference.tiling.plan import plan_tiles
from finewave.inference.tiling.sources import OpenScene
from finewave.io.open_save import load_scene, save_scene
from finewave.metrics.khan import Khan
from finewave.metrics.qnr import qnr
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.zoo.model import Model
from tests.inference.test_consistent import OUTPUT_NM, SENSOR, fusion, joint, model_of, observed, response
from tests.inference.tiny_models import PLACE, scene_of


def quality(result: Any, scene: Any, model: Model, guide: Any = None, tile: int = 100) -> dict[str, Any]:
    tiling = plan_tiles(model, *scene.shape[1:], tile=tile)
    return quality_of(result, make_request(scene, model, guide), scorer_of(model), tiling)


def test_scores_are_those_of_the_metrics() -> None:
    model, scene = joint(value_range=[0.0, 2.0]), scene_of(9, 14)
    result = super_resolve(scene, model)
    again = observed(result)
    for tile in (100, 5):
        told = quality(result, scene, model, tile=tile)
        scores = told["whole"]["consistency"]["lr_msi"]
        with pytest.warns(fw.FinewaveWarning, match="no window of SSIM"):
            expected = fw.metrics.evaluate(again, scene.values, data_range=2.0)
        assert scores["pixels"] == 9 * 14
        assert [scores[key] for key in ("rmse", "psnr", "sam")] == pytest.approx(
            [expected[key] for key in ("rmse", "psnr", "sam")], rel=1e-4
        )
        difference = np.abs(again - scene.values)
        assert scores["largest_difference"] == pytest.approx(difference.max(), rel=1e-4)
        assert scores["bands"]["rmse"] == pytest.approx(np.sqrt(np.square(difference).mean((1, 2))), rel=1e-4)
        assert scores["bands"]["psnr"] == pytest.approx(10 * np.log10(4 / np.square(difference).mean((1, 2))), rel=1e-4)
        assert scores["bands"]["largest_difference"] == pytest.approx(difference.max((1, 2)), rel=1e-4)
    assert told["peak"] == 2.0
    assert told["observation"] == {
        "sensor": SENSOR,
        "degradation": {"kernel": "gaussian", "scale": 2, "noise": 0.01},
        "scale": 2,
    }
    assert len(told["tiles"]) == 6
    second = told["tiles"][1]
    assert (second["rows"], second["columns"]) == ([0, 5], [5, 10])
    own = second["consistency"]["lr_msi"]["rmse"]
    assert own == pytest.approx(np.sqrt(np.square(difference[:, :5, 5:10]).mean()), rel=1e-4)


def test_only_pixels_with_a_value_all_around_count() -> None:
    model, scene = joint(), scene_of(9, 14)
    result = super_resolve(scene, model)
    result.values[2, 4, 20] = np.nan
    scene.values[0, 0, 0] = np.nan
    scene.values[:, :, 10:] = np.nan  # a tile has nothing else
    valid = np.isfinite(observed(result)).all(0) & np.isfinite(scene.values).all(0)
    assert 20 < valid.sum() < 9 * 10 - 4
    told = quality(result, scene, model, tile=10)
    assert told["whole"]["consistency"]["lr_msi"]["pixels"] == valid.sum()
    assert told["tiles"][1]["consistency"]["lr_msi"] is None


def test_one_band_has_no_angle_and_equal_images_no_psnr() -> None:
    model = model_of("bicubic", card={"degradation": {"kernel": "bilinear-no-antialias"}}, scale=2)
    scene = make_scene(np.full((len(OUTPUT_NM), 6, 7), 0.5, np.float32))
    scores = quality(super_resolve(scene, model), scene, model)["whole"]["consistency"]["lr_hsi"]
    assert (scores["psnr"], scores["bands"]["psnr"]) == (None, [None] * len(OUTPUT_NM))
    assert (scores["rmse"], scores["sam"]) == (0.0, pytest.approx(0, abs=1e-3))
    net = create_model("bicubic", scale=2, hs_bands=1)
    one = Model(net, model.card)
    scene = scene[:1]
    assert quality(super_resolve(scene, one), scene, one)["whole"]["consistency"]["lr_hsi"]["sam"] is None


def test_fusion_is_scored_against_both_images_and_by_qnr() -> None:
    model = fusion()
    truth = scene_of(64, 96, bands=len(OUTPUT_NM), wavelengths=OUTPUT_NM)
    scene, guide = fw.degrade(truth, 2), fw.degrade(truth, 1, sensor=SENSOR)
    result = super_resolve(scene, model, guide)
    result.values += 0.1 * np.random.default_rng(2).standard_normal(result.shape, dtype=np.float32)
    with pytest.warns(fw.FinewaveWarning, match="looks at the whole image"):
        told = quality(result, scene, model, guide, tile=16)
    low = torch.from_numpy(scene.values)
    high = torch.from_numpy(guide.values)
    expected = qnr(torch.from_numpy(result.values), low, high, fw.degrade(high, 2), 2)
    khan = Khan()
    degraded = fw.degrade(torch.from_numpy(result.values), 2)
    for row in range(0, 32, 16):  # blocks end where tiles do
        for column in range(0, 48, 16):
            part = (slice(None), slice(row, row + 16), slice(column, column + 16))
            khan.add(degraded[part], low[part])
    distortion = khan.compute()
    assert expected is not None
    assert distortion is not None
    assert 0 < told["tiles"][0]["khan"]["d_lambda"] < 1
    hqnr = told["whole"]["qnr"].pop("hqnr")
    assert hqnr == pytest.approx((1 - told["whole"]["khan"]["d_lambda"]) * (1 - expected["d_s"]), rel=1e-4)
    assert told["whole"]["khan"]["d_lambda"] == pytest.approx(distortion, rel=1e-3)
    assert "may be wrong however good the scores are" in told["limits"]
    assert told["whole"]["qnr"] == pytest.approx(expected, rel=1e-4)
    assert 0 < told["tiles"][0]["qnr"]["qnr"] < 1
    sums = told["whole"]["consistency"]
    assert list(sums) == ["lr_hsi", "hr_msi"]
    assert (sums["lr_hsi"]["pixels"], sums["hr_msi"]["pixels"]) == (32 * 48, 64 * 96)
    mixed = np.einsum("kc,cyx->kyx", response(), result.values) - guide.values
    assert sums["hr_msi"]["rmse"] == pytest.approx(np.sqrt(np.square(mixed).mean()), rel=1e-4)
    best = quality(super_resolve(scene, model, guide, consistent="exact"), scene, model, guide)["whole"]
    assert max(best["consistency"][name]["largest_difference"] for name in sums) < 1e-5
    assert best["qnr"]["qnr"] > 0.5


def test_one_tile_is_in_memory_at_a_time() -> None:
    model, scene = joint(), scene_of(9, 60)
    scorer, sizes = scorer_of(model), []

    class Watched(OpenScene):
        def read(self, window: Any) -> np.ndarray:
            values = super().read(window)
            sizes.append(values.shape[2])
            return values

    result = super_resolve(scene, model)
    sources = {"lr_msi": (Watched(scene, [0, 1, 2]), 1)}
    scorer.score(Watched(result, list(range(len(OUTPUT_NM)))), sources, plan_tiles(model, 9, 60, tile=6))
    assert len(sizes) == 2 * 2 * 10
    assert max(sizes) == 2 * (6 + 2 * scorer.reach)


def test_a_card_without_a_sensor_has_no_quality() -> None:
    with pytest.raises(InputError, match=r"a quality file needs to know .* does not say sensor and wavelengths"):
        scorer_of(joint(sensor=None))


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_the_file_is_of_what_was_written(name: str, tmp_path: Path) -> None:
    """After rounding and clipping."""
    model, scene = joint(), scene_of(9, 14, **PLACE)
    save_scene(scene, tmp_path / "scene.tif")
    stored = {"dtype": "int16", "output_full_scale": 50, "tile": 5, "clip": (-0.1, 0.1)}
    with pytest.warns(fw.FinewaveWarning, match="values were cut"):
        predict_file(tmp_path / "scene.tif", tmp_path / name, model, quality=True, **stored)
    told = json.loads((tmp_path / "out.quality.json").read_text())
    again = observed(load_scene(tmp_path / name))
    scores = told["whole"]["consistency"]["lr_msi"]
    assert scores["rmse"] == pytest.approx(np.sqrt(np.square(again - scene.values).mean()), rel=1e-4)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(["scene.tif", name, "out.quality.json"])


def test_a_tile_of_nothing_but_zeros_has_no_angle() -> None:
    totals = Differences(3)
    spectrum = torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1)
    totals.add(spectrum.expand(3, 2, 2), spectrum.flip(0).expand(3, 2, 2))
    alone = totals.scores(1.0)["sam"]
    totals.add(torch.zeros(3, 2, 2), torch.zeros(3, 2, 2))
    assert totals.scores(1.0)["sam"] == alone > 0
    assert totals.scores(1.0)["pixels"] == 8
