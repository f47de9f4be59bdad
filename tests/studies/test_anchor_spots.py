"""What spots are worth, through the product's own functions; the promise that they do no harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finewave.calibration.intervals import calibrated
from finewave.errors import InputError
from finewave.studies.anchor_spots import PredictedScene, anchor_study, corrected_by_spots, simulated_places
from finewave.studies.coverage import calibrate_model, coverage_with_spots, held_out_errors
from finewave.systems.registry import create_model
from finewave.zoo.model import Model, load_model

COUNTS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


@pytest.mark.parametrize("choice", ["greedy", "kmeans"])
def test_places_are_chosen_of_the_image_alone_and_again_the_same(choice: str) -> None:
    observed = torch.rand(3, 12, 12).repeat_interleave(4, 1).repeat_interleave(4, 2) * 0.8 + 0.1
    first = simulated_places(observed, 5, choice, 3, 0)
    assert first.shape == (5, 2)
    np.testing.assert_array_equal(first, simulated_places(observed, 5, choice, 3, 0))


def test_spots_are_means_with_noise() -> None:
    truth = torch.rand(4, 20, 20) * 0.5 + 0.3
    scene = PredictedScene("a", truth[:3, ::2, ::2], truth * 0.9, truth)
    model = Model(create_model("ridge", ms_bands=3, hs_bands=4))
    options = {"size": 3, "seed": 0}
    places = np.array([[5.5, 5.5]])
    _, correction = corrected_by_spots(scene, model, places, noise=0.0, **options)
    expected = truth[:, 10:13, 10:13].double().mean((1, 2)).numpy()
    assert correction.kriging is not None
    kriging = correction.kriging
    spot = torch.from_numpy(kriging.features)
    errors, _ = kriging(spot, torch.from_numpy(kriging.places))
    # of one spot the posterior mean is its error, shrunk by its noise
    brightness = 0.9 * (correction.colour @ expected).mean() + 0.02
    np.testing.assert_allclose(errors[:, 0], 0.1 * expected / brightness / (1 + kriging.model.noise), rtol=1e-5)
    noisy, _ = corrected_by_spots(scene, model, places, noise=0.1, **options)
    again, _ = corrected_by_spots(scene, model, places, noise=0.1, **options)
    torch.testing.assert_close(noisy, again)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_spots_never_make_a_scene_worse(real_images: Path) -> None:
    model = load_model("mstpp-cave", precision="float32")
    rows = anchor_study(model, "cave", "val", COUNTS)["rows"]
    assert max(row["worst"] for row in rows.values()) <= 0.1
    assert rows["8"]["psnr"] >= rows["0"]["psnr"] + 1.5
    assert rows["8"]["sam"] <= rows["0"]["sam"] - 2.5


def test_half_widths_cover_scenes_left_out_and_shrink_with_spots() -> None:
    model = Model(create_model("ridge", ms_bands=3, hs_bands=6))
    scenes = []
    for number in range(5):
        generator = torch.Generator().manual_seed(number)
        blocks = torch.rand(6, 6, 6, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2) * 0.5 + 0.3
        truth = blocks * (1 + 0.1 * torch.randn(6, 48, 48, generator=generator))
        scenes.append(PredictedScene(str(number), blocks[::2], blocks, truth))
    centres, spread = [[0.7, 0.7, 0.7]], [0.1, 0.1, 0.1]
    errors = [held_out_errors(scene, model, centres, spread) for scene in scenes]
    intervals = calibrated(errors, centres, spread, "made up")
    plain, measured = (coverage_with_spots(scenes, model, intervals, 0.9, spots) for spots in (0, 6))
    assert list(plain) == ["0", "1", "2", "3", "4"]
    assert np.mean([each["coverage"] for each in plain.values()]) == pytest.approx(0.92, abs=0.04)
    for name, each in measured.items():
        assert each["half_width"] < plain[name]["half_width"]


def test_a_model_of_no_sensor_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InputError, match=r"Bicubic: a model of one image whose card names sensor and degradation"):
        calibrate_model(Model(create_model("bicubic", scale=2)), "cave")
