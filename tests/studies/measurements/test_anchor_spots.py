"""What spots are worth, through the product's own functions; the promise that they do no harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finewave.calibration.anchor_correction import as_bright_as
from finewave.calibration.intervals import coverage_by_others
from finewave.errors import InputError
from finewave.studies.measurements.anchor_spots import (
    PredictedScene,
    anchor_study,
    corrected_by_spots,
    predicted_scenes,
    simulated_places,
    thinned,
)
from finewave.studies.measurements.coverage import errors_of_model, held_out_errors
from finewave.studies.measurements.fold_predictions import predicted_over_folds, refitted_over_folds
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import Model, load_model

COUNTS = (0, 1, 2, 4, 8, 32)


@pytest.mark.parametrize("choice", ["greedy", "kmeans", "random"])
def test_places_are_chosen_of_the_image_alone_and_again_the_same(choice: str) -> None:
    observed = torch.rand(3, 12, 12).repeat_interleave(4, 1).repeat_interleave(4, 2) * 0.8 + 0.1
    first = simulated_places(observed, 5, choice, 3, 0)
    assert first.shape == (5, 2)
    np.testing.assert_array_equal(first, simulated_places(observed, 5, choice, 3, 0))


@pytest.mark.parametrize("choice", ["greedy", "kmeans", "random"])
def test_an_image_without_a_flat_place_is_refused(choice: str) -> None:
    for value, size in ((0.5, 99_999), (0.0, 3)):
        with pytest.raises(InputError, match="flat place"):
            simulated_places(torch.full((3, 12, 12), value), 2, choice, size, 0)


def test_spots_are_means_with_noise() -> None:
    truth = torch.rand(4, 20, 20) * 0.5 + 0.3
    wrong = torch.tensor([0.9, 1.1, 1.0, 0.8])[:, None, None]
    scene = PredictedScene("a", truth[:3, ::2, ::2], truth * wrong, truth)
    model = Model(create_model("ridge", ms_bands=3, hs_bands=4))
    options = {"size": 3, "seed": 0}
    places = np.array([[5.5, 5.5]])
    _, correction = corrected_by_spots(scene, model, places, noise=0.0, **options)
    measured, predicted = (each[:, 10:13, 10:13].double().mean((1, 2)).numpy() for each in (truth, truth * wrong))
    (expected,) = as_bright_as(measured[None], predicted[None], correction.colour) - predicted
    assert correction.kriging is not None
    kriging = correction.kriging
    spot = torch.from_numpy(kriging.features)
    errors, _ = kriging(spot, torch.from_numpy(kriging.places))
    # of one spot the posterior mean is its error, shrunk by its noise
    brightness = (correction.colour @ predicted).mean() + 0.02
    noise = kriging.model.noise * (1 + kriging.model.dark / brightness)
    np.testing.assert_allclose(errors[:, 0], expected / brightness / (1 + noise), rtol=1e-4)
    noisy, _ = corrected_by_spots(scene, model, places, noise=0.1, **options)
    again, _ = corrected_by_spots(scene, model, places, noise=0.1, **options)
    torch.testing.assert_close(noisy, again)


def made_up_scenes(count: int) -> list[tuple[Model, PredictedScene]]:
    """Return scenes of some colours; in each, one of them is of two materials that are wrong in opposite ways."""
    model = Model(create_model("ridge", ms_bands=3, hs_bands=6))
    scenes = []
    for number in range(count):
        random = np.random.default_rng(number)
        palette = torch.from_numpy(random.random((8, 6)) * 0.6 + 0.1).float()
        labels = np.kron(random.integers(0, 8, (5, 5)), np.ones((12, 12), int))
        truth = palette[labels].permute(2, 0, 1) * torch.linspace(0.6, 1, 60)
        factor = torch.from_numpy(1 + 0.15 * random.standard_normal((8, 6))).float()
        wrong = factor[labels].permute(2, 0, 1).clone()
        doubtful = torch.from_numpy(labels == labels[30, 30])
        wrong[:, doubtful & (torch.arange(60) < 30)] = 1.15
        wrong[:, doubtful & (torch.arange(60) >= 30)] = 0.85
        predicted = truth * wrong
        observed = torch.stack([predicted[:2].mean(0), predicted[2:4].mean(0), predicted[4:].mean(0)])
        scenes.append((model, PredictedScene(str(number), observed, predicted, truth)))
    return scenes


@pytest.mark.parametrize("choice", ["greedy", "kmeans", "random"])
def test_spots_do_no_harm_wherever_they_are(choice: str) -> None:
    rows = anchor_study(made_up_scenes(3), (0, 1, 2, 4, 8), choice=choice, size=3)["rows"]
    assert max(row["worst"] for row in rows.values()) <= 0.1
    assert rows["8"]["psnr"] > rows["0"]["psnr"] + 0.5


def test_fewer_greedy_places_are_the_first_of_more() -> None:
    ((_, scene),) = made_up_scenes(1)
    several = simulated_places(scene.observed, 6, "greedy", 3, 0)
    np.testing.assert_array_equal(simulated_places(scene.observed, 2, "greedy", 3, 0), several[:2])


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_spots_never_make_a_scene_of_the_validation_worse(real_images: Path) -> None:
    model = load_model("mstpp-cave", precision="float32")
    scenes = [(model, scene) for scene in predicted_scenes(model, "cave", "val")]
    rows = anchor_study(scenes, (0, 1, 2, 4, 8, 16, 32))["rows"]
    assert max(row["worst"] for row in rows.values()) <= 0.1
    assert rows["8"]["psnr"] >= rows["0"]["psnr"] + 1.5
    assert rows["8"]["sam"] <= rows["0"]["sam"] - 2.5


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_spots_never_make_any_scene_worse(real_images: Path) -> None:
    """All 26 scenes, each fitted to others; every fourth row and column, spots of 3 x 3 of those pixels.

    At the places that are recommended, at clusters of colours and anywhere, three times with other noise and another
    sample of places.
    """
    thin = [(model, thinned(each, 4)) for model, each in predicted_over_folds("quadratic+knn", "cave", 4)]
    assert len(thin) == 26
    for choice, counts, loss, gain in (
        ("greedy", COUNTS, 0.1, 2.5), ("kmeans", (0, 2, 8), 0.2, 2.5), ("random", (0, 2, 8), 0.2, 1.0)
    ):  # fmt: skip
        rows = anchor_study(thin, counts, choice=choice, size=3, seeds=3)["rows"]
        assert max(row["worst"] for row in rows.values()) <= loss, choice
        assert rows["8"]["psnr"] >= rows["0"]["psnr"] + gain, choice


@pytest.mark.parametrize("name", ["gsa", "bicubic", "residual-fusion"])
def test_folds_of_other_tasks_are_refused_by_that(name: str) -> None:
    """Not by a scale that nobody gave: the folds are those of spectra, whose scale is 1."""
    with pytest.raises(InputError, match=f"{name} is not a baseline of spectra from one image"):
        next(predicted_over_folds(name, "cave", 2))


@pytest.mark.data
def test_folds_predict_each_scene_by_the_others(real_images: Path) -> None:
    seen = list(predicted_over_folds("ridge", "enmap", 2, splits=("val",)))
    assert sorted(scene.name for _, scene in seen) == ["128_128", "160_96", "64_32"]
    with pytest.raises(InputError, match="folds are for what is refitted"):
        next(predicted_over_folds("mstpp-cave", "cave", 2))


@pytest.mark.data
def test_a_closed_form_is_fitted_again_without_each_scene_of_its_training(real_images: Path) -> None:
    model = load_model("sentinel2-enmap", precision="float32")
    own, scene = next(refitted_over_folds(model, "enmap", "loo"))
    assert model.card is not None
    assert own.card is not None
    assert scene.name in model.card.data["split"]["train"]
    assert own.card.config == model.card.config
    seen = model.predict(hr_msi=scene.observed[None])[0]
    assert (scene.predicted - scene.truth).square().mean() > 1.2 * (seen - scene.truth).square().mean()
    with pytest.raises(InputError, match="was not fitted to scenes of cave"):
        next(refitted_over_folds(model, "cave", "loo"))
    with pytest.raises(InputError, match="not a closed form of spectra"):
        next(refitted_over_folds(Model(create_model("ridge", ms_bands=3, hs_bands=6)), "enmap", "loo"))


def test_half_widths_cover_scenes_left_out_and_shrink_with_spots() -> None:
    model = Model(create_model("ridge", ms_bands=3, hs_bands=6))
    scenes = []
    for number in range(5):
        generator = torch.Generator().manual_seed(number)
        blocks = torch.rand(6, 6, 6, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2) * 0.5 + 0.3
        truth = blocks * (1 + 0.1 * torch.randn(6, 48, 48, generator=generator))
        wrong = 1 + 0.3 * torch.randn(6, 1, 1, generator=generator)
        scenes.append(PredictedScene(str(number), blocks[::2], blocks * wrong, truth))
    errors = [held_out_errors(scene, model, 6) for scene in scenes]
    found = coverage_by_others(errors, 0.9)
    assert list(found) == ["0", "1", "2", "3", "4"]
    assert np.mean([each["with_spots"] for each in found.values()]) == pytest.approx(0.92, abs=0.05)
    assert all(each["width"] < 0.9 for each in found.values())
    plain = coverage_by_others([held_out_errors(scene, model) for scene in scenes], 0.9)
    assert all(each == {"plain": found[name]["plain"]} for name, each in plain.items())


def test_a_scene_without_places_for_spots_has_errors_without_them() -> None:
    flat = torch.full((6, 40, 40), 0.005)  # too dark for a spectrometer
    scene = PredictedScene("dark", flat[:3], flat, flat)
    with pytest.warns(FinewaveWarning, match="dark: the image has .* not calibrated: give fewer"):
        errors = held_out_errors(scene, Model(create_model("ridge", ms_bands=3, hs_bands=6)), 8)
    assert errors.with_spots is None


def test_numbers_of_folds_are_refused_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path))
    for folds in (1, 99):
        with pytest.raises(InputError, match=f"folds={folds} is out of range"):
            next(predicted_over_folds("ridge", "cave", folds))


def test_a_model_of_no_sensor_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InputError, match=r"Bicubic: a model of one image whose card names sensor and degradation"):
        errors_of_model(Model(create_model("bicubic", scale=2)), "cave")
