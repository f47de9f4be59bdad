"""Errors of a model on scenes that it has not seen, without and with measured spots, from which intervals are made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finewave.calibration.intervals import ErrorsWithSpots, HeldOutErrors, Intervals
from finewave.calibration.residual_kriging import FloatArray, brightness_of, features_of
from finewave.errors import InputError
from finewave.studies.measurements.anchor_spots import (
    PredictedScene,
    corrected_by_spots,
    predicted_scenes,
    simulated_places,
)
from finewave.studies.measurements.fold_predictions import predicted_over_folds, refitted_over_folds
from finewave.studies.measurements.predicted_files import predicted_files
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import Model
from finewave.zoo.observation_model import colour_weights

_STEP = 5  # every `_STEP`-th row and column of a scene is used
_SMALL = 10_000  # unless it has no more pixels than these
USUAL_SPOTS = 8
_SPOT, _NOISE = 9 / 512, 0.01
"""Side of a spot by that of the scene, 9 pixels of CAVE's and one of a small tile; noise of its spectrum, relative."""


def errors_of_model(
    model: Model,
    dataset: str,
    split: str = "val",
    *,
    files: Sequence[Path] = (),
    spots: int = USUAL_SPOTS,
    progress: Callable[[str], None] = lambda line: None,
) -> list[HeldOutErrors]:
    """Return the errors of a model on scenes that it was not trained on.

    Parameters
    ----------
    model : Model
        Of one image; its card names sensor and degradation.
    dataset, split : str
        Whose scenes.
    files : sequence of Path
        Hyperspectral scenes, instead of those of a data set; see `finewave.studies.measurements.predicted_files`.
    spots : int
        At how many places spectra are measured, for what half-widths are with them; 0 for none. Models that make no
        spectra of their own have none.
    progress : callable

    Raises
    ------
    InputError
        The split is that of the training; or see `finewave.studies.measurements.anchor_spots.predicted_scenes`.
    """
    if model.task == "sr":  # its spectra are those of the input
        spots = 0
    if files:
        return [held_out_errors(scene, model, spots) for scene in predicted_files(model, files, progress)]
    if split == "train":
        raise InputError("split train: errors on scenes of the training are too small; give val, or files of your own")
    return [held_out_errors(scene, model, spots) for scene in predicted_scenes(model, dataset, split, progress)]


def errors_over_folds(
    name: str,
    dataset: str,
    folds: int | str,
    *,
    spots: int = USUAL_SPOTS,
    progress: Callable[[str], None] = lambda line: None,
) -> list[HeldOutErrors]:
    """Return the errors of baselines on all scenes of train and val, each predicted by what others were fitted to.

    See `errors_of_model` and `finewave.studies.measurements.fold_predictions.predicted_over_folds`.
    """
    predictions = predicted_over_folds(name, dataset, folds, progress=progress)
    return [held_out_errors(scene, model, spots) for model, scene in predictions]


def errors_of_refits(
    model: Model,
    dataset: str,
    folds: int | str,
    *,
    spots: int = USUAL_SPOTS,
    progress: Callable[[str], None] = lambda line: None,
) -> list[HeldOutErrors]:
    """Return the errors of a closed-form model on the scenes of its training, each by a fit without it.

    See `errors_of_model` and `finewave.studies.measurements.fold_predictions.refitted_over_folds`.
    """
    predictions = refitted_over_folds(model, dataset, folds, progress=progress)
    return [held_out_errors(scene, own, spots) for own, scene in predictions]


def held_out_errors(scene: PredictedScene, model: Model, spots: int = 0) -> HeldOutErrors:
    """Return the errors of a scene, by the colour of its pixels.

    Without those of the result corrected by spots, and with a warning, where the scene has not so many places for them.
    """
    colour = colour_weights(model, len(scene.predicted))
    relative, features = _errors(scene.predicted, scene.truth, colour)
    return HeldOutErrors(scene.name, relative, features, _with_spots(scene, model, spots) if spots else None)


def _with_spots(scene: PredictedScene, model: Model, spots: int) -> ErrorsWithSpots | None:
    """Return the errors of a scene corrected by spots at the places that `finewave anchors` chooses."""
    side = max(scene.truth.shape[1:])
    size = max(1, round(_SPOT * side) // 2 * 2 + 1)
    scale = side // max(scene.observed.shape[1:])
    try:
        places = simulated_places(scene.observed, spots, "greedy", max(3, size // scale // 2 * 2 + 1), 0)
    except InputError as error:
        warnings.warn(
            f"{scene.name}: {error}; half-widths with measured spots are not calibrated: give fewer (--spots), or "
            "leave the scene out",
            FinewaveWarning,
            stacklevel=3,
        )
        return None
    image, correction = corrected_by_spots(scene, model, places, size=size, noise=_NOISE, seed=0)
    left = correction.variance_left(image[None])  # of the corrected image, as prediction does
    relative, features = _errors(image, scene.truth, correction.colour)
    return ErrorsWithSpots(relative, features, _thinned(left[None]).numpy()[0])


def _errors(image: Tensor, truth: Tensor, colour: FloatArray) -> tuple[NDArray[np.float32], FloatArray]:
    """Return the errors (C, P) of an image by brightness, and its features (P, d), of a sample of its pixels."""
    predicted, real = _thinned(image), _thinned(truth)
    colours = (torch.from_numpy(colour) @ predicted)[:, :, None]  # an image of one column
    relative = (predicted - real).abs() / brightness_of(colours)[:, 0]
    return relative.float().numpy(), features_of(colours)[:, :, 0].T.numpy()


def _thinned(image: Tensor) -> Tensor:
    step = _STEP if image[0].numel() > _SMALL else 1
    return image[:, ::step, ::step].double().flatten(1)


def store_intervals(card: dict[str, Any], intervals: Intervals) -> dict[str, Any]:
    """Return a card, as JSON has it, with intervals among the facts of its data."""
    return {**card, "data": {**(card.get("data") or {}), "intervals": intervals.to_card()}}
