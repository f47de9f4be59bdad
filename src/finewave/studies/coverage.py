"""Intervals for a model's errors, from scenes that it has not seen; and how often they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from finewave.calibration.intervals import HeldOutErrors, Intervals, calibrated
from finewave.calibration.residual_kriging import brightness_of, features_of
from finewave.errors import InputError
from finewave.studies.anchor_spots import (
    PredictedScene,
    corrected_by_spots,
    predicted_scenes,
    simulated_places,
)
from finewave.studies.fold_predictions import predicted_over_folds
from finewave.studies.predicted_files import predicted_files
from finewave.zoo.model import Model
from finewave.zoo.observation_model import colour_weights

_STEP = 5  # every `_STEP`-th row and column of a scene is used
_SMALL = 10_000  # unless it has no more pixels than these


def calibrate_model(
    model: Model,
    dataset: str,
    split: str = "val",
    *,
    files: Sequence[Path] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> Intervals:
    """Return intervals for a model from scenes that it was not trained on.

    Parameters
    ----------
    model : Model
        Of one image; its card names sensor and degradation.
    dataset, split : str
        Whose scenes; with files, ``dataset`` is the name that they get in the card.
    files : sequence of Path
        Hyperspectral scenes, instead of those of a data set; see `finewave.studies.predicted_files`.
    progress : callable

    Raises
    ------
    InputError
        The split is that of the training; or see `finewave.studies.anchor_spots.predicted_scenes`.
    """
    if files:
        found = predicted_files(model, files, progress)
        return calibrated([held_out_errors(scene, model) for scene in found], dataset)
    if split == "train":
        raise InputError("split train: errors on scenes of the training are too small; give val, or files of your own")
    scenes = [held_out_errors(scene, model) for scene in predicted_scenes(model, dataset, split, progress)]
    return calibrated(scenes, f"{dataset} {split}")


def calibrate_over_folds(
    name: str, dataset: str, folds: int | str, *, progress: Callable[[str], None] = lambda line: None
) -> Intervals:
    """Return intervals for baselines, from all scenes of train and val, each predicted by what others were fitted to.

    See `finewave.studies.fold_predictions.predicted_over_folds`.
    """
    errors = [
        held_out_errors(scene, model) for model, scene in predicted_over_folds(name, dataset, folds, progress=progress)
    ]
    return calibrated(errors, f"{dataset}, folds of train and val")


def coverage_with_spots(
    scenes: Sequence[PredictedScene], model: Model, share: float, spots: int
) -> dict[str, dict[str, float]]:
    """Return `coverage_of` of each scene, by the errors of the others alone.

    Parameters
    ----------
    scenes : sequence of PredictedScene
        Four or more.
    model : Model
    share : float
        Of the errors.
    spots : int
        At how many places spectra are measured; 0 for none.

    Raises
    ------
    InputError
        There are fewer.
    """
    if len(scenes) < 4:
        raise InputError(
            f"{len(scenes)} scenes are given; the coverage with spots is that of one by three others or more"
        )
    errors = [held_out_errors(scene, model) for scene in scenes]
    found = {}
    for scene, own in zip(scenes, errors, strict=True):
        of_others = calibrated([each for each in errors if each is not own], "others")
        found[scene.name] = coverage_of(of_others, model, scene, share, spots=spots)
    return found


def held_out_errors(scene: PredictedScene, model: Model) -> HeldOutErrors:
    """Return the errors of a scene, by the colour of its pixels."""
    step = _STEP if scene.truth[0].numel() > _SMALL else 1
    predicted, truth = (each[:, ::step, ::step].double().flatten(1) for each in (scene.predicted, scene.truth))
    colours = torch.from_numpy(colour_weights(model, len(predicted))) @ predicted
    colours = colours[:, :, None]  # an image of one column
    relative = (predicted - truth).abs() / brightness_of(colours)[:, 0]
    return HeldOutErrors(scene.name, relative.float().numpy(), features_of(colours)[:, :, 0].T.numpy())


def coverage_of(
    intervals: Intervals, model: Model, scene: PredictedScene, share: float, *, spots: int = 0, seed: int = 0
) -> dict[str, float]:
    """Return which part of a scene's errors lies within the half-widths, and their mean, with spots or without."""
    image: Tensor = scene.predicted
    left = None
    if spots:
        scale = scene.truth.shape[1] // scene.observed.shape[1]
        places = simulated_places(scene.observed, spots, "greedy", max(3, 9 // scale // 2 * 2 + 1), seed)
        image, correction = corrected_by_spots(scene, model, places, size=9, noise=0.01, seed=seed)
        left = correction.variance_left(image[None])  # of the corrected image, as prediction does
    colours = torch.from_numpy(colour_weights(model, len(image))).to(image)
    half = intervals.half_width(image[None], torch.einsum("kc,chw->khw", colours, image), share, left)[0]
    inside = (image - scene.truth).abs() <= half
    return {"coverage": float(inside.float().mean()), "half_width": float(half.mean())}


def store_intervals(card: dict[str, Any], intervals: Intervals) -> dict[str, Any]:
    """Return a card, as JSON has it, with intervals among the facts of its data."""
    return {**card, "data": {**(card.get("data") or {}), "intervals": intervals.to_card()}}
