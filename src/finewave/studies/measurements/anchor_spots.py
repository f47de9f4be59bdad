"""What spectra at a few spots are worth: scenes predicted once, corrected by 0 to many simulated spots, and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from finewave.calibration.anchor_correction import AnchorCorrection, fit_correction
from finewave.calibration.spot_choice import choose_places, flat_places
from finewave.datasets.patches import DegradedScene
from finewave.datasets.registry import check_split, known_split, open_scenes
from finewave.errors import InputError, unknown_name
from finewave.metrics import psnr, sam
from finewave.physics.sensors import get_sensor
from finewave.zoo.model import Model
from finewave.zoo.observation_model import colour_weights

CHOICES = ("greedy", "kmeans", "random")


@dataclass(frozen=True)
class PredictedScene:
    """A scene of a data set and what a model made of its degraded image.

    Attributes
    ----------
    name : str
    observed : Tensor (c, h, w)
        The model's first input.
    predicted, truth : Tensor (C, H, W)
    """

    name: str
    observed: Tensor
    predicted: Tensor
    truth: Tensor


def thinned(scene: PredictedScene, every: int) -> PredictedScene:
    """Return every n-th row and column of a scene's images: other detail, as many colours, and less to compute."""
    images = (scene.observed, scene.predicted, scene.truth)
    return PredictedScene(scene.name, *(image[:, ::every, ::every].contiguous() for image in images))


def observation_of(model: Model) -> tuple[str, dict[str, Any]]:
    """Return sensor and degradation of a model of one image by its card; an `InputError` for any other model."""
    card = model.card
    if card is None or card.sensor is None or card.degradation is None or len(model.inputs) != 1:
        raise InputError(f"{model.name}: a model of one image whose card names sensor and degradation is needed")
    return card.sensor, {key: value for key, value in card.degradation.items() if key != "scale"}


def predicted_scenes(
    model: Model,
    dataset: str,
    split: str,
    progress: Callable[[str], None] = lambda line: None,
    only: str | None = None,
) -> Iterator[PredictedScene]:
    """Yield the scenes of a split, each predicted once, degraded as the model's card says; or only one of them."""
    sensor, degradation = observation_of(model)
    check_split(dataset, split)
    names = list(known_split(dataset)[split])
    if only is not None:
        if only not in names:
            raise unknown_name("scene", only, names)
        names = [only]
    source = open_scenes(dataset, names)
    response = get_sensor(sensor).response(source.wavelengths)
    for name in names:
        scene = DegradedScene(name, source.read(name), source.full_scale(name), model.scale, degradation)
        whole = scene.whole(response)
        observed = whole[model.inputs[0]]
        progress(name)
        yield PredictedScene(name, observed[0], model.predict(**{model.inputs[0]: observed})[0], whole["hr_hsi"][0])


def simulated_places(observed: Tensor, count: int, choice: str, size: int, seed: int) -> NDArray[np.float64]:
    """Return rows and columns (count, 2) in pixels of the observed image at which spectra are measured.

    ``"greedy"``: as ``finewave anchors`` chooses them. ``"kmeans"``: of each of ``count`` clusters of chromaticity
    among flat places the one that is nearest to its centre. ``"random"``: any flat places.
    """
    too_few = f"flat place of {size} x {size} pixels, bright and away from its borders; give smaller spots"
    if min(observed.shape[1:]) <= 2 * size:  # before means over large spots, which may take hours
        raise InputError(f"the image has no {too_few}")
    if choice == "greedy":
        return np.array([[each.row, each.column] for each in choose_places(observed, count, size=size, seed=seed)])
    if choice not in CHOICES:
        raise unknown_name("choice of spots", choice, CHOICES)
    places, shares = flat_places(observed, size, seed)
    if not len(places):
        raise InputError(f"the image has no {too_few}")
    if choice == "random":
        return places[np.random.default_rng((seed, 7)).permutation(len(places))[:count]] + 0.5
    from scipy.cluster.vq import kmeans2

    centres, labels = kmeans2(shares, count, minit="++", rng=np.random.default_rng(seed))
    selected = []
    for number in np.unique(labels):
        members = np.flatnonzero(labels == number)
        nearest = np.square(shares[members] - centres[number]).sum(1).argmin()
        selected.append(places[members[nearest]] + 0.5)
    return np.array(selected)


def corrected_by_spots(
    scene: PredictedScene, model: Model, places: NDArray[np.float64], *, size: int, noise: float, seed: int
) -> tuple[Tensor, AnchorCorrection]:
    """Return the prediction corrected by spots of ``size`` x ``size`` HR pixels, whose spectra have relative noise."""
    scale = scene.truth.shape[1] // scene.observed.shape[1]
    centres = places * scale
    measured, predicted = (spectra_at(image, centres, size) for image in (scene.truth, scene.predicted))
    random = np.random.default_rng((seed, 1))
    measured = measured * (1 + noise * random.standard_normal(measured.shape))
    colour = colour_weights(model, len(scene.truth))
    correction = fit_correction(measured, predicted, colour, centres, max(scene.truth.shape[1:]))
    return correction(scene.predicted[None])[0], correction


def spectra_at(image: Tensor, centres: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the mean spectra (n, C) of ``size`` x ``size`` pixels around rows and columns (n, 2) of an image."""
    rows = []
    for row, column in centres.astype(int):
        top, left = max(row - size // 2, 0), max(column - size // 2, 0)
        rows.append(image[:, top : row + size // 2 + 1, left : column + size // 2 + 1].double().mean((1, 2)).numpy())
    return np.stack(rows)


def anchor_study(
    predictions: Iterable[tuple[Model, PredictedScene]],
    counts: Sequence[int],
    *,
    choice: str = "greedy",
    seeds: int = 1,
    size: int = 9,
    noise: float = 0.01,
) -> dict[str, Any]:
    """Score predictions without and with spots.

    Parameters
    ----------
    predictions : iterable of (Model, PredictedScene)
        Each scene with the model that made it.
    counts : sequence of int
        Numbers of spots; 0 is the prediction itself.
    choice : {"greedy", "kmeans", "random"}
        See `simulated_places`.
    seeds : int
        How many times spots are placed and measured.
    size : int
        Side of a spot in pixels of the result, odd.
    noise : float
        Standard deviation of the measured spectra, relative to their values.

    Returns
    -------
    dict
        ``rows``: for each count the means of ``psnr`` and ``sam``, and ``worst``, the largest loss of PSNR of any
        scene and seed against no spots; ``scenes``: all figures; and what made them.
    """
    scenes: dict[str, dict[str, list[dict[str, float]]]] = {}
    for model, scene in predictions:
        scale = scene.truth.shape[1] // scene.observed.shape[1]
        own = scenes.setdefault(scene.name, {})
        flat = max(3, size // scale // 2 * 2 + 1)
        chosen: dict[int, NDArray[np.float64]] = {}  # of greedy places the first ones are the places of fewer spots
        for count in counts:
            for seed in range(seeds if count else 1):
                image = scene.predicted
                if count:
                    if choice != "greedy":
                        places = simulated_places(scene.observed, count, choice, flat, seed)
                    else:
                        if seed not in chosen:
                            chosen[seed] = simulated_places(scene.observed, max(counts), choice, flat, seed)
                        places = chosen[seed][:count]
                    image, _ = corrected_by_spots(scene, model, places, size=size, noise=noise, seed=seed)
                figures = {"psnr": psnr(image, scene.truth), "sam": sam(image, scene.truth)}
                own.setdefault(str(count), []).append(figures)
    return {
        "spots": {"choice": choice, "seeds": seeds, "size": size, "noise": noise},
        "rows": {str(count): _row(scenes, str(count)) for count in counts},
        "scenes": scenes,
    }


def _row(scenes: dict[str, dict[str, list[dict[str, float]]]], count: str) -> dict[str, float]:
    """Return the means over seeds and scenes, and the largest loss."""
    values = {
        name: float(np.mean([np.mean([each[name] for each in own[count]]) for own in scenes.values()]))
        for name in ("psnr", "sam")
    }
    losses = [own["0"][0]["psnr"] - each["psnr"] for own in scenes.values() if "0" in own for each in own[count]]
    return {**values, "worst": float(max(losses))} if losses else values
