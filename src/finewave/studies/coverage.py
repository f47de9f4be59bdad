"""Intervals for a model's errors, from scenes that it has not seen; and how often they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finewave.calibration.intervals import HeldOutErrors, Intervals, calibrated, distance_from
from finewave.calibration.residual_kriging import FLOOR
from finewave.datasets.patches import Scene
from finewave.datasets.registry import known_split, open_scenes
from finewave.physics.sensors import get_sensor
from finewave.studies.anchor_spots import (
    PredictedScene,
    corrected_by_spots,
    observation_of,
    predicted_scenes,
    simulated_places,
)
from finewave.zoo.model import Model
from finewave.zoo.observation_model import colour_weights
from finewave.zoo.seen import SeenPixels

_STEP = 5  # every `_STEP`-th row and column of a scene is used


def calibrate_model(
    model: Model, dataset: str, split: str = "val", *, progress: Callable[[str], None] = lambda line: None
) -> Intervals:
    """Return intervals for a model from the scenes of a split that it was not trained on.

    Parameters
    ----------
    model : Model
        Of one image; its card names sensor and degradation.
    dataset, split : str
        ``split`` is not that of the training, which tells how far a pixel is from what was learned.
    progress : callable
    """
    seen = _training_pixels(model, dataset)
    scenes = [
        held_out_errors(scene, model, seen.centres, seen.spread)
        for scene in predicted_scenes(model, dataset, split, progress)
    ]
    return calibrated(scenes, seen.centres, seen.spread, f"{dataset} {split}")


def coverage_with_spots(
    scenes: Sequence[PredictedScene], model: Model, intervals: Intervals, share: float, spots: int
) -> dict[str, dict[str, float]]:
    """Return `coverage_of` of each scene, by the errors of the others alone.

    Parameters
    ----------
    scenes : sequence of PredictedScene
        Four or more.
    model : Model
    intervals : Intervals
        Whose training pixels tell distances.
    share : float
        Of the errors.
    spots : int
        At how many places spectra are measured; 0 for none.
    """
    errors = [held_out_errors(scene, model, intervals.centres, intervals.spread) for scene in scenes]
    found = {}
    for scene, own in zip(scenes, errors, strict=True):
        others = [each for each in errors if each is not own]
        of_others = calibrated(others, intervals.centres, intervals.spread, "others")
        found[scene.name] = coverage_of(of_others, model, scene, share, spots=spots)
    return found


def held_out_errors(
    scene: PredictedScene, model: Model, centres: list[list[float]], spread: list[float]
) -> HeldOutErrors:
    """Return the errors of a scene, by brightness and distance from the training pixels."""
    predicted, truth = (
        each[:, ::_STEP, ::_STEP].double().flatten(1).numpy() for each in (scene.predicted, scene.truth)
    )
    colours = colour_weights(model, len(predicted)) @ predicted
    brightness = colours.clip(min=0).mean(0)
    relative = (np.abs(predicted - truth) / (brightness + FLOOR)).astype(np.float32)
    return HeldOutErrors(scene.name, relative, brightness, distance_from(centres, spread, colours.T))


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


def _training_pixels(model: Model, dataset: str) -> SeenPixels:
    """Return what the training pixels were like, in the sensor's bands."""
    sensor, _ = observation_of(model)
    names = list(known_split(dataset)["train"])
    source = open_scenes(dataset, names)
    response = get_sensor(sensor).response(source.wavelengths)
    pixels = []
    for name in names:
        scene = Scene(name, source.read(name)[:, ::4, ::4], source.full_scale(name), 1, {}).whole(response)
        pixels.append(scene["hr_msi"][0].flatten(1).T.numpy())
    return SeenPixels.of(np.concatenate(pixels))
